"""Gives the doors what they show from our own store, in the doors' own forms: what is ours alone stays behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from canonical.base import case_id, case_parts
from canonical.cases import CaseStatus, State
from canonical.parties import Supplier
from canonical.ports import Cases
from canonical.supply import Item
from gateway.fhir_tasks import Standing
from gateway.lookups import (
    Caller,
    CasePage,
    CaseRow,
    CaseView,
    DecisionRow,
    DocumentRow,
    ItemPage,
    SupplierPage,
    SupplierRow,
)
from gateway.signatures import Signer
from store.fulfilment import StoredFulfilment
from store.keys import StoredKeys
from store.queries import StoredQueries
from store.query_models import CaseQuery
from store.register import StoredRegister


class KeysOfCallers:
    """Who calls, by the keys in our store."""

    def __init__(self, keys: StoredKeys, register: StoredRegister) -> None:
        self._keys = keys
        self._register = register

    async def caller(self, secret: str) -> Caller | None:
        found = await self._keys.caller(secret)
        if found is None:
            return None
        caller = Caller.model_validate(found.model_dump())
        person = await self._register.employee(caller.facility, caller.person) if caller.person else None
        return caller.model_copy(update={"roles": person.roles}) if person and person.active else caller


class KeysOfSigners:
    """Who signs, by the sealed secrets in our store."""

    def __init__(self, keys: StoredKeys) -> None:
        self._keys = keys

    async def signers(self, sender: str) -> Sequence[Signer]:
        return [
            Signer(Caller.model_validate(one.caller.model_dump()), one.secret)
            for one in await self._keys.signing(sender)
        ]


class StoredLookups:
    """The doors' questions, asked of our own store."""

    def __init__(self, queries: StoredQueries, register: StoredRegister, cases: Cases) -> None:
        self._queries = queries
        self._cases = cases
        self._register = register

    async def cases(
        self, facility: str, process: str, *, state: str, open_only: bool, after: str, limit: int
    ) -> CasePage:
        which = CaseQuery(facility=facility, process=process, state=state, open_only=open_only)
        page = await self._queries.cases(which, after=after, limit=limit)
        return CasePage(cases=tuple(CaseRow.model_validate(row.model_dump()) for row in page.cases), next=page.next)

    async def case(self, case: str) -> CaseView | None:
        found = await self._queries.case(case)
        if found is None:  # it was promised in a 202, perhaps while Temporal is away
            return CaseView(status=_received(case)) if await self._queries.claimed(case) else None
        # An order is known by its number before its own case has written a word.
        status = await self._cases.status(case)
        orders = status.orders if status else ()
        children = [child.case for child in found.children]
        children += [case_id("purchase_order", found.facility, number) for number in orders]
        return CaseView(
            status=CaseStatus.model_validate(
                found.model_dump() | {"orders": orders, "business_state": found.stopped or found.business_state}
            ),
            stopped=found.stopped,
            waits_for=found.troubles,
            parent=found.parent,
            children=tuple(dict.fromkeys(children)),
            documents=tuple(DocumentRow.model_validate(one.model_dump()) for one in found.documents),
            trace=found.trace,
        )

    async def decisions(self, case: str) -> Sequence[DecisionRow]:
        return [DecisionRow.model_validate(row.model_dump()) for row in await self._queries.decisions(case)]

    async def items(self, facility: str, *, search: str, after: str, limit: int) -> ItemPage:
        page = await self._queries.records("item", facility, search=search, after=after, limit=limit)
        return ItemPage(items=tuple(Item.model_validate(row.record) for row in page.records), next=page.next)

    async def item(self, facility: str, code: str) -> Item | None:
        return await self._register.item(facility, code)

    async def suppliers(self, *, search: str, after: str, limit: int) -> SupplierPage:
        page = await self._queries.records("supplier", search=search, after=after, limit=limit)
        rows = tuple(_supplier(Supplier.model_validate(row.record)) for row in page.records)
        return SupplierPage(suppliers=rows, next=page.next)

    async def supplier(self, code: str) -> SupplierRow | None:
        found = await self._register.supplier(code)
        return _supplier(found) if found else None

    async def knows_facility(self, code: str) -> bool:
        return await self._register.facility(code) is not None


def _received(case: str) -> CaseStatus:
    process = case_parts(case)[0]
    return CaseStatus(
        case=case, process=process, state=State.RECEIVED, business_state="received", next_action="its case starts"
    )


class FulfilmentOfRequests:
    """What became of what was asked by FHIR, as our store has it."""

    def __init__(self, stored: StoredFulfilment) -> None:
        self._stored = stored

    async def standings(self, cases: Sequence[str]) -> Mapping[str, Standing]:
        found = await self._stored.standings(cases)
        return {
            case: Standing(status=status, changed_at=at, asked_by=sender)
            for case, (status, at, sender) in found.items()
        }

    async def ended(self, messages: Sequence[str]) -> Mapping[str, datetime]:
        return await self._stored.ended(messages)

    async def changed(self, sender: str, since: datetime, *, after: bool, limit: int) -> Sequence[tuple[str, datetime]]:
        return await self._stored.changed(sender, since, after=after, limit=limit)


def _supplier(supplier: Supplier) -> SupplierRow:
    """A supplier without its bank details."""
    return SupplierRow.model_validate(supplier.model_dump(include=set(SupplierRow.model_fields)))
