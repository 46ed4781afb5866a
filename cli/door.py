"""The platform as a key holder reaches it: through the REST door, with the key of a person or system, from any machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

import httpx

from canonical.base import Canonical, case_parts
from canonical.cases import Actor, Answer, Decision
from canonical.errors import FasciaError, Malformed, Rejected, Throttled, Unavailable
from cli.access_views import AccessDeskView
from cli.attention_views import StuckRow
from cli.channel_views import Channels
from cli.clinician_views import Clinicians
from cli.exclusion_views import Exclusions
from cli.exits import Stop, not_allowed
from cli.house import CaseFilter, DeliveryFilter, KeyRequest, MessageFilter, Resumed, SubscriberRequest, first
from cli.monitoring_views import MonthlyDesk
from cli.people_views import PeopleDesk
from cli.recall_views import Recalls
from cli.replay_views import Replays
from cli.usage_views import StockDesk, UsageDesk
from cli.views import (
    ActView,
    BankConfirmed,
    CaseRow,
    CaseView,
    DecisionView,
    DeliveryView,
    DocumentView,
    DriftRow,
    Foreseen,
    KeyRow,
    LoadReport,
    MessageRow,
    MessageView,
    NewKey,
    RegisterRow,
    SubscriberAdded,
    SubscriberRemoved,
    SubscriberRow,
    UnmatchedRow,
)

if TYPE_CHECKING:
    from gateway.simulate import Book

PAGE = 200
LISTS = {"procure_to_pay": "requisitions", "purchase_order": "orders"}
_NEEDS_SERVERS = "our own database is needed for this: unset FASCIA_API_KEY, or run it where FASCIA_DATABASE_URL is set"


class DoorHouse:
    """:class:`cli.house.House` over the REST door. It sees one facility, the key's."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def whoami(self) -> Actor:
        return Actor(id="api-key", known_by="api_key")  # the door puts in the key's person, and seals

    # ---- cases -----------------------------------------------------------------------------------------------------

    async def cases(self, which: CaseFilter, limit: int) -> Sequence[CaseRow]:
        found: list[CaseRow] = []
        for process in [which.process] if which.process else list(LISTS):
            found += await self._list(process, which, limit)
        found.sort(key=lambda row: row.changed_at.timestamp() if row.changed_at else 0, reverse=True)
        if which.attention:
            found.sort(key=lambda row: at.timestamp() if (at := row.attention_since or row.changed_at) else 0)
        return found[:limit]

    async def _list(self, process: str, which: CaseFilter, limit: int) -> list[CaseRow]:
        if process not in LISTS:
            return []
        rows: list[CaseRow] = []
        after = ""
        while len(rows) < limit:
            asked = {"open": str(not which.everything).lower(), "limit": min(PAGE, limit), "after": after}
            page = await self._get(f"/v1/{LISTS[process]}", {**asked, "state": which.state})
            rows += [row for row in map(CaseRow.model_validate, page["cases"]) if _fits(row, which)]
            after = page.get("next", "")
            if not after:
                break
        return rows[:limit]

    async def find(self, name: str) -> Sequence[CaseRow]:
        parts = case_parts(name)
        if parts[0] in LISTS and len(parts) > 2:
            view = await self.case(name)
            return [CaseRow.model_validate(view.model_dump())] if view else []
        rows = await self.cases(CaseFilter(everything=True), 10_000)
        return [row for row in rows if case_parts(row.case)[-1] == name]

    async def case(self, case: str) -> CaseView | None:
        process, _, *key = case_parts(case)
        found = await self._get_or_none(f"/v1/{LISTS[process]}/{'/'.join(quote(part, safe='') for part in key)}")
        if found is None:
            return None
        status = found["status"]
        decisions = await self._get(f"/v1/cases/{quote(case, safe='/')}/decisions")
        return CaseView.model_validate(
            {
                **status,
                "needs_attention": bool(status.get("attention")),
                "parent": found.get("parent", ""),
                "trace": found.get("trace", ""),
                "children": [CaseRow(case=child) for child in found.get("children", ())],
                "documents": [DocumentView.model_validate(one) for one in found.get("documents", ())],
                "decisions": [DecisionView.model_validate(one) for one in decisions],
            }
        )

    async def decide(self, case: str, decision: Decision) -> Answer:
        body = decision.model_dump(mode="json", include={"verb", "line", "document", "reason", "revision"})
        if decision.correction is not None:
            body["correction"] = decision.correction.model_dump(mode="json", exclude_defaults=True)
        path = f"/v1/cases/{quote(case, safe='/')}/decisions"
        return Answer.model_validate(await self._post(path, body, decision.id))

    async def may_decide(self, case: str, decision: Decision) -> str:
        return "who the key's person is and what they may: the door and the case check that when the decision is given"

    async def can_resume(self, case: str) -> bool:
        self._elsewhere()

    async def resume(self, case: str, reason: str) -> Resumed:
        self._elsewhere()

    async def history(self, case: str, run: str) -> str:
        self._elsewhere()

    # ---- documents without a case --------------------------------------------------------------------------------

    async def unmatched(self, state: str, facility: str, limit: int) -> Sequence[UnmatchedRow]:
        found = await self._get("/v1/unmatched", {"state": state, "limit": min(limit, 500)})
        return [UnmatchedRow.model_validate(one) for one in found["documents"]]

    async def attach(self, document: str, case: str, why: str, dry_run: bool) -> UnmatchedRow:
        if dry_run:
            return await self._one_unmatched(document)
        body = {"case": case, "reason": why}
        return UnmatchedRow.model_validate(await self._post(f"/v1/unmatched/{quote(document, safe='')}/attach", body))

    async def dismiss(self, document: str, why: str, dry_run: bool) -> UnmatchedRow:
        if dry_run:
            return await self._one_unmatched(document)
        path = f"/v1/unmatched/{quote(document, safe='')}/set-aside"
        return UnmatchedRow.model_validate(await self._post(path, {"reason": why}))

    async def _one_unmatched(self, document: str) -> UnmatchedRow:
        for row in await self.unmatched("", "", 500):
            if row.id == document:
                return row
        raise Stop(f"there is no unmatched document {document}", code="not-found")

    # ---- the register, and what is not behind this door --------------------------------------------------------------

    async def register(self, kind: str, facility: str, code: str, limit: int) -> Sequence[RegisterRow]:
        plural = {"item": "items", "supplier": "suppliers"}.get(kind)
        if plural is None:
            self._elsewhere()
        if code:
            found = await self._get_or_none(f"/v1/{plural}/{quote(code, safe='')}")
            return [RegisterRow(kind=kind, code=code, record=found)] if found else []
        page = await self._get(f"/v1/{plural}", {"limit": min(limit, PAGE)})
        rows, _ = first(page[plural], limit)
        return [RegisterRow(kind=kind, code=row["code"], record=row) for row in rows]

    async def messages(self, which: MessageFilter, limit: int) -> Sequence[MessageRow]:
        self._elsewhere()

    async def message(self, message: str) -> MessageView | None:
        self._elsewhere()

    async def load(self, path: Path, kind: str, facility: str, source: str, dry_run: bool) -> LoadReport:
        self._elsewhere()

    async def load_from_erp(self, facility: str, dry_run: bool) -> LoadReport:
        self._elsewhere()

    async def drift(self, facility: str, state: str, limit: int) -> Sequence[DriftRow]:
        self._elsewhere()

    async def settle_drift(self, verb: str, drift: str, why: str, dry_run: bool) -> DriftRow:
        self._elsewhere()

    async def book(self, as_of: date) -> Book:
        self._elsewhere()

    async def foresee(self, noun: Canonical, facility: str, as_of: date) -> Foreseen:
        self._elsewhere()

    async def confirm_bank(self, supplier: str, fingerprint: str, dry_run: bool) -> BankConfirmed:
        self._elsewhere()

    async def keys(self, limit: int) -> Sequence[KeyRow]:
        self._elsewhere()

    async def add_keys(self, requests: Sequence[KeyRequest]) -> Sequence[NewKey]:
        self._elsewhere()

    async def revoke_key(self, key: str) -> KeyRow:
        self._elsewhere()

    async def subscribers(self, everyone: bool, limit: int) -> Sequence[SubscriberRow]:
        self._elsewhere()

    async def subscribe(
        self, request: SubscriberRequest, secret: str, replace: bool, new_secret: bool
    ) -> SubscriberAdded:
        self._elsewhere()

    async def unsubscribe(self, name: str) -> SubscriberRemoved:
        self._elsewhere()

    async def attention(self, limit: int) -> Sequence[StuckRow]:
        self._elsewhere()

    async def deliveries(self, which: DeliveryFilter, limit: int) -> Sequence[DeliveryView]:
        self._elsewhere()

    async def retry_deliveries(
        self, ids: Sequence[int], subscriber: str, why: str, dry_run: bool
    ) -> Sequence[DeliveryView]:
        self._elsewhere()

    async def acts(self, about: str, limit: int) -> Sequence[ActView]:
        self._elsewhere()

    @property
    def channels(self) -> Channels:
        self._elsewhere()

    @property
    def people(self) -> PeopleDesk:
        self._elsewhere()

    @property
    def access(self) -> AccessDeskView:
        self._elsewhere()

    @property
    def recalls(self) -> Recalls:
        self._elsewhere()

    @property
    def clinicians(self) -> Clinicians:
        self._elsewhere()

    @property
    def exclusions(self) -> Exclusions:
        self._elsewhere()

    @property
    def monitoring(self) -> MonthlyDesk:
        self._elsewhere()

    @property
    def replays(self) -> Replays:
        self._elsewhere()

    @property
    def usage(self) -> UsageDesk:
        self._elsewhere()

    @property
    def stock(self) -> StockDesk:
        self._elsewhere()

    def _elsewhere(self) -> NoReturn:
        raise not_allowed("the REST door does not do this", _NEEDS_SERVERS)

    # ---- the wire ------------------------------------------------------------------------------------------------

    async def _get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        return await self._send("GET", path, params=query)

    async def _get_or_none(self, path: str) -> Any:
        try:
            return await self._get(path)
        except Rejected as refused:
            if refused.code == "not-found":
                return None
            raise

    async def _post(self, path: str, body: dict[str, Any], key: str = "") -> Any:
        return await self._send("POST", path, json=body, headers={"Idempotency-Key": key} if key else {})

    async def _send(self, method: str, path: str, **request: Any) -> Any:
        try:
            answer = await self._client.request(method, path, **request)
        except httpx.TransportError as away:
            raise Unavailable(
                f"the REST door at {self._client.base_url} does not answer ({type(away).__name__})", system="api"
            ) from away
        if answer.is_success:
            return answer.json()
        raise _problem(answer)


def _problem(answer: httpx.Response) -> FasciaError:
    """What the door said no with, in our own words for it."""
    try:
        told = answer.json()
    except ValueError:
        told = {}
    detail = told.get("detail") or told.get("title") or f"the REST door answered {answer.status_code}"
    code = told.get("code") or ""
    if answer.status_code in (401, 403):
        return not_allowed(detail)
    if answer.status_code == 429:
        told_wait = answer.headers.get("Retry-After", "")  # a date, where something stands before our door
        return Throttled(detail, retry_after=float(told_wait) if told_wait.isdecimal() else 1.0, system="api")
    if answer.status_code >= 500:
        return Unavailable(detail, system="api")
    if answer.status_code in (400, 422):
        wrong = (told.get("errors") or [{}])[0]
        return Malformed(detail, path=str(wrong.get("path", "")).removeprefix("$."), code=code or "data-invalid")
    return Rejected(detail, code=code or {404: "not-found", 409: "conflict"}.get(answer.status_code, "rejected"))


def _fits(row: CaseRow, which: CaseFilter) -> bool:
    """What the door does not filter by."""
    fits = (not which.supplier or row.supplier == which.supplier) and (not which.attention or row.needs_attention)
    return fits and (not which.waiting or row.waiting_for != "")
