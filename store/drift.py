"""Where what others' master files say differs from our register: reported to a person, never silently taken.

The register's word stays until its authority changes it. A difference is one row, however often it is said again; a row that was
dismissed stays so until they say something else; one on which both agree in the end is settled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Literal, TypeVar

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.cases import Actor
from canonical.catalogue import CatalogueEntry, MasterFile
from canonical.errors import Rejected
from canonical.parties import Location
from canonical.supply import ContractPrice, Item
from store.acts import Act, note_in
from store.authority import HOSPITAL, KINDS, OF_ALL
from store.database import transaction
from store.drift_rules import Compared, begins, of_entry, of_location, told
from store.feed_tables import drift
from store.ids import now
from store.register import StoredRegister
from store.register_reading import all_current
from store.tables import register

STATES = ("open", "accepted", "dismissed", "settled")
CHUNK = 500
Record = TypeVar("Record", bound=Canonical)


class DriftRow(Canonical):
    """One difference: what it is about, what the register says (``ours``) and what they say (``theirs``), since when.

    ``message`` is the journal's name of the file that said it last, ``path`` its place there.
    """

    id: str
    facility: str = ""
    kind: str
    code: str
    field: str
    source: str
    ours: str = ""
    theirs: str = ""
    since: date | None = None
    message: str = ""
    path: str = ""
    state: Literal["open", "accepted", "dismissed", "settled"] = "open"
    decided_by: str = ""
    decided_why: str = ""
    seen_at: datetime | None = None
    changed_at: datetime | None = None


class DriftReport(Canonical):
    """What a master file came to: how many things were compared, which differ, and how many items are none of ours."""

    compared: int = 0
    unknown: int = 0
    differ: tuple[DriftRow, ...] = ()


class StoredDrift:
    """Drift in our own database."""

    def __init__(self, engine: AsyncEngine, held: StoredRegister) -> None:
        self._engine = engine
        self._register = held

    async def compare(self, file: MasterFile, message: str, as_of: date, *, dry_run: bool = False) -> DriftReport:
        """Hold a master file against the register as it stands on a day; what differs is listed, what agrees is settled."""
        found: list[DriftRow] = []
        compared = unknown = 0
        async with transaction(self._engine) as connection:
            for facility in [file.facility] if file.facility else await _facilities(connection):
                things, strange = await _Comparison(connection, facility, as_of).of(file)
                compared, unknown = compared + len(things), unknown + strange
                rows = [_row(one, facility, file.source, message) for one in things]
                found += await _keep(connection, rows)
            if dry_run:
                await connection.rollback()
        return DriftReport(compared=compared, unknown=unknown, differ=tuple(found))

    async def rows(self, facility: str = "", state: str = "open", limit: int = 100) -> Sequence[DriftRow]:
        """Differences, the newest first; of all states where none is named.

        Raises:
            Rejected: no such state.
        """
        if state and state not in STATES:
            raise Rejected(f"drift is never {state}: {', '.join(STATES)}", code="unknown-code", system="store")
        asked = select(drift).order_by(drift.c.changed_at.desc(), drift.c.id).limit(limit)
        if facility:
            asked = asked.where(drift.c.facility == facility)
        if state:
            asked = asked.where(drift.c.state == state)
        async with transaction(self._engine) as connection:
            return [DriftRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def row(self, name: str) -> DriftRow:
        """One difference.

        Raises:
            Rejected: there is none of that name.
        """
        return (await self._open(name, only_open=False))[0]

    async def accept(self, name: str, by: Actor, why: str = "", *, dry_run: bool = False) -> DriftRow:
        """Take their word into the register, where the hospital is its authority.

        Raises:
            Rejected: there is none of that name, it is settled already, the ERP is the authority, the register refuses it, or its
                contract was changed since they were compared.
        """
        row, record = await self._open(name)
        if KINDS[row.kind].owner(row.field.partition(".")[0]) != HOSPITAL:
            reason = f"the ERP is the authority for {row.kind} {row.code}: change {row.field} there, then load it from the ERP"
            raise Rejected(reason, code="not-allowed", system="store")
        if not record:
            reason = f"no contract of ours prices {row.code} at {row.source}: load a contract_price for it"
            raise Rejected(reason, code="not-found", system="store")
        price = ContractPrice.model_validate_json(record)
        if not await self._still(price, row):
            reason = f"our contract for {row.code} is another since this was compared: the next file compares it anew"
            raise Rejected(reason, code="changed", system="store")
        where = price.facility or OF_ALL
        report = await self._register.load(row.kind, [price], HOSPITAL, where, dry_run=dry_run, by=by.id)
        if report.refused:
            _, path, reason = report.refused[0]
            raise Rejected(f"the register refuses it: {path} {reason}".strip(), code="business-rule", system="store")
        return await self._decide(row, "accepted", by, why, dry_run=dry_run)

    async def _still(self, price: ContractPrice, row: DriftRow) -> bool:
        """Whether the contract is, but for its price, as it was when it was compared; and its price too, where both name one unit."""
        async with transaction(self._engine) as connection:
            places = [price.facility or row.facility, OF_ALL]
            held = await all_current(connection, ContractPrice, row.kind, places, price.valid_from)
        about = (price.contract, price.supplier, price.item, price.unit, price.facility)
        for one in held:
            if (one.contract, one.supplier, one.item, one.unit, one.facility) != about:
                continue
            until = max(one.valid_to, price.valid_from) if one.valid_to else None
            same_unit = row.ours.endswith(f" per {one.unit}")
            return until == price.valid_to and (not same_unit or row.ours == told(one.price, one.unit))
        return False

    async def dismiss(self, name: str, by: Actor, why: str = "", *, dry_run: bool = False) -> DriftRow:
        """Leave the register as it is; the same word again opens nothing.

        Raises:
            Rejected: there is none of that name, it is settled already, or somebody else decides at this moment.
        """
        row, _ = await self._open(name)
        return await self._decide(row, "dismissed", by, why, dry_run=dry_run)

    async def _open(self, name: str, *, only_open: bool = True) -> tuple[DriftRow, str]:
        async with transaction(self._engine) as connection:
            found = (await connection.execute(select(drift).where(drift.c.id == name))).mappings().one_or_none()
        if found is None:
            raise Rejected(f"there is no drift {name}", code="not-found", system="store")
        row = DriftRow.model_validate(dict(found))
        if only_open and row.state != "open":
            raise Rejected(f"drift {name} is {row.state} already", code="conflict", system="store")
        return row, str(found["record"])

    async def _decide(
        self, row: DriftRow, state: Literal["accepted", "dismissed"], by: Actor, why: str, *, dry_run: bool
    ) -> DriftRow:
        said = {"state": state, "decided_by": by.id, "decided_why": why, "changed_at": now()}
        decided = row.model_copy(update=said)
        if dry_run:
            return decided
        act = Act(
            verb=f"drift {state}", about=f"drift/{row.id}", actor=by, reason=why, detail=f"{row.code} {row.field}"
        )
        async with transaction(self._engine) as connection:
            changed = await connection.execute(
                update(drift).where(drift.c.id == row.id, drift.c.state == "open").values(said)
            )
            if not changed.rowcount:
                raise Rejected(
                    f"drift {row.id} was decided by somebody else meanwhile", code="conflict", system="store"
                )
            await note_in(connection, act)
        return decided


class _Comparison:
    """One facility's register as it stands on a day, read once for a whole file."""

    def __init__(self, connection: AsyncConnection, facility: str, as_of: date) -> None:
        self._connection = connection
        self._facility = facility
        self._as_of = as_of
        self._contracts: dict[date, list[ContractPrice]] = {}

    async def of(self, file: MasterFile) -> tuple[list[Compared], int]:
        """Everything both speak of, and how many items of the file are none of ours."""
        found: dict[tuple[str, str, str], Compared] = {}
        unknown = 0
        if file.locations:
            held = {one.code: one for one in await self._all(Location, "location", self._as_of)}
            for notice in file.locations:
                found |= {_key(one): one for one in of_location(notice, held.get(notice.location))}
        if file.entries:
            items = {one.code: one for one in await self._all(Item, "item", self._as_of)}
            sold = {(s.supplier, s.catalogue_number): one for one in items.values() for s in one.suppliers}
            for entry in file.entries:
                item = items.get(entry.item or "") or sold.get((entry.supplier or "", entry.catalogue_number))
                unknown += item is None and entry.item is None
                contracts = await self._priced(entry)
                named = file.kind == "items"
                things = of_entry(entry, item, contracts, self._as_of, named=named)
                found |= {_key(one): one for one in things}
        return list(found.values()), unknown

    async def _priced(self, entry: CatalogueEntry) -> dict[date, list[ContractPrice]]:
        """The contract prices in force on each day a price of the entry begins; the facility's own go first."""
        days = {begins(price, entry, self._as_of) for price in entry.prices}
        for day in days - self._contracts.keys():
            self._contracts[day] = await self._all(ContractPrice, "contract_price", day, OF_ALL)
        return {day: self._contracts[day] for day in days}

    async def _all(self, model: type[Record], kind: str, as_of: date, *others: str) -> list[Record]:
        return await all_current(self._connection, model, kind, [self._facility, *others], as_of)


def _key(one: Compared) -> tuple[str, str, str]:
    return one.kind, one.code, one.field


async def _facilities(connection: AsyncConnection) -> list[str]:
    asked = select(register.c.code).where(register.c.kind == "facility").distinct().order_by(register.c.code)
    return list(await connection.scalars(asked))


def _row(one: Compared, facility: str, source: str, message: str) -> dict[str, object]:
    name = "\x1f".join((facility, one.kind, one.code, one.field, source))
    return {
        "id": f"drift-{hashlib.sha256(name.encode()).hexdigest()[:16]}",
        "facility": facility,
        "kind": one.kind,
        "code": one.code,
        "field": one.field,
        "source": source,
        "ours": one.ours,
        "theirs": one.theirs,
        "since": one.since,
        "message": message,
        "path": one.path,
        "record": one.record,
        "state": "settled" if one.agrees else "open",
    }


async def _keep(connection: AsyncConnection, rows: Sequence[dict[str, object]]) -> list[DriftRow]:
    """Write rows: new ones open, known ones as they were unless the other side says something else now."""
    kept: list[DriftRow] = []
    at = now()
    for part in _chunks(rows):
        asked = select(drift).where(drift.c.id.in_([row["id"] for row in part])).with_for_update()
        before = {row["id"]: row for row in (await connection.execute(asked)).mappings()}
        writes = []
        for row in part:
            held = before.get(str(row["id"]))
            if held is None and row["state"] == "settled":
                continue
            state = row["state"]
            if held is not None and state == "open" and held["theirs"] == row["theirs"] and held["state"] != "settled":
                state = held["state"]
            if held is not None and state == "settled":
                state = "settled" if held["state"] == "open" else held["state"]
            moved = held is None or held["state"] != state or held["theirs"] != row["theirs"]
            decided = {"decided_by": "", "decided_why": ""} if moved or held is None else _decided(held)
            changed = at if held is None or moved else held["changed_at"]
            writes.append(row | decided | {"state": state, "seen_at": at, "changed_at": changed})
        if writes:
            new = upsert(drift).values(writes)
            columns = {name: new.excluded[name] for name in writes[0] if name != "id"}
            await connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=columns))
        kept += [DriftRow.model_validate(row) for row in writes if row["ours"] != row["theirs"]]
    return kept


def _decided(held: RowMapping) -> dict[str, Any]:
    return {name: held[name] for name in ("decided_by", "decided_why")}


def _chunks(rows: Sequence[dict[str, object]]) -> Iterable[Sequence[dict[str, object]]]:
    return (rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK))
