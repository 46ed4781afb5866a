"""Exclusion lists in our own database: a full edition takes the place of the one before in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.check_digits import is_npi
from canonical.credentials import ClinicianRole, Evidence
from canonical.errors import Rejected
from canonical.exclusions import ExclusionEdition, Listed, ListLoaded, held_against
from canonical.people import ClinicianRecord
from canonical.verifying import families, worst
from store.acts import Act, note_in
from store.database import transaction
from store.exclusion_losses import edition_checked_in, least_checked_in
from store.people_tables import exclusion_lists, exclusion_refusals, exclusions
from store.tables import fit

STALE: Final = 62  # days: two editions were missed
_COLUMNS: Final = (
    "list", "row", "family_folded", "given_folded", "middle_folded", "business", "npi", "birth_date", "state", "kind",
    "excluded_on", "waived_on", "waiver_state",
)  # fmt: skip


class EditionRow(Canonical):
    """An edition in a list of them; ``stale``: its source has had no other for longer than two months, or we have not looked."""

    source: str
    current: bool
    rows: int
    file_hash: str
    by: str = ""
    at: datetime
    seen_at: datetime | None = None
    stale: bool = False


class StoredExclusions:
    """The lists we hold (:class:`canonical.exclusions.ExclusionLists`), and a verifier that looks people up in them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def replace(
        self,
        source: str,
        rows: Sequence[Listed],
        file_hash: str,
        by: str,
        at: datetime,
        *,
        smaller: bool = False,
        act: Act | None = None,
        keep: bool = True,
    ) -> ListLoaded:
        """Let a full edition take the place of the one before, all of it or nothing.

        Who holds people against the list meanwhile (:func:`held_in`) does so against the one before, and we wait for them.
        ``keep`` False: only look whether it would be taken.

        Raises:
            Rejected: (``list-empty``, ``list-truncated``, ``list-older``) it holds no row, or has lost more of the one before than its
                source may lose (:mod:`store.exclusion_losses`), or its newest exclusion is before that one's, and ``smaller`` does
                not say that a person knows.
        """
        if not rows:
            raise Rejected(f"the list of {source} holds no row: it is not taken", code="list-empty", system=source)
        async with transaction(self._engine) as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:of))"), {"of": f"list {source}"})
            before = await _current(connection, source)
            if before is not None and before["file_hash"] == file_hash:
                mine = exclusion_lists.c.id == before["id"]
                if keep:
                    await connection.execute(update(exclusion_lists).where(mine).values(seen_at=at))
                    await _no_longer_refused(connection, source)
                return _loaded(source, "same", before["id"], before["rows"], before["rows"], file_hash)
            many = before["rows"] if before is not None else 0
            if not smaller:
                await least_checked_in(connection, source, len(rows), at.date())
            given = {"source": source, "file_hash": file_hash, "rows": len(rows), "by": by, "at": at, "seen_at": at}
            made = insert(exclusion_lists).values(current=False, **given).returning(exclusion_lists.c.id)
            edition = int((await connection.execute(made)).scalar_one())
            await _copy(connection, edition, rows)
            gone = await edition_checked_in(connection, source, edition, before, at.date(), smaller=smaller)
            if not keep:
                await connection.rollback()
                return _loaded(source, "new", edition, len(rows), many, file_hash)
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('exclusion lists'))"))
            if before is not None:
                mine = exclusion_lists.c.id == before["id"]
                await connection.execute(update(exclusion_lists).where(mine).values(current=False))
                await connection.execute(delete(exclusions).where(exclusions.c.list == before["id"]))
            mine = exclusion_lists.c.id == edition
            await connection.execute(update(exclusion_lists).where(mine).values(current=True))
            await _no_longer_refused(connection, source)
            if act is not None:
                detail = f"{len(rows)} rows in the place of {many}, of which {gone} are gone"
                await note_in(connection, act.model_copy(update={"about": f"exclusions/{source}", "detail": detail}))
            return _loaded(source, "new", edition, len(rows), many, file_hash)

    async def refused(self, source: str, why: str, at: datetime) -> None:
        """Note that a file of a source was not taken, for the attention list; over when one of it is."""
        told = upsert(exclusion_refusals).values(source=source, why=fit(why)[:300], at=at)
        same = {"why": told.excluded.why}  # since when stays: the first that was not taken
        async with transaction(self._engine) as connection:
            await connection.execute(told.on_conflict_do_update(index_elements=["source"], set_=same))

    async def editions(self) -> Sequence[ExclusionEdition]:
        """The one in force of each source."""
        async with transaction(self._engine) as connection:
            return await editions_in(connection)

    async def rows(self, as_of: date, limit: int = 50) -> Sequence[EditionRow]:
        """Every edition that was ever in force, the newest first."""
        asked = select(exclusion_lists).order_by(exclusion_lists.c.id.desc()).limit(limit)
        async with transaction(self._engine) as connection:
            found = (await connection.execute(asked)).mappings().all()
        return [EditionRow.model_validate(dict(row) | {"stale": _stale(row, as_of)}) for row in found]

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        """What every list we hold says of somebody together (:class:`canonical.people_ports.Verifier`)."""
        return await self.check_in_lists(record, (), as_of)

    async def check_in_lists(self, record: ClinicianRecord, sources: Sequence[str], as_of: datetime) -> Evidence:
        """The same of these lists; none named: of all. A list that was never loaded says nothing: unknown."""
        async with transaction(self._engine) as connection:
            editions = await editions_in(connection, hold=True)
            found = await held_in(connection, {"": record}, editions, sources, as_of)
        return found[""]


class ListVerifier:
    """One list as a source that verifies: the row of the register says which."""

    def __init__(self, lists: StoredExclusions, source: str) -> None:
        self._lists, self._source = lists, source

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        return await self._lists.check_in_lists(record, (self._source,), as_of)


async def editions_in(connection: AsyncConnection, *, hold: bool = False) -> list[ExclusionEdition]:
    """The edition in force of each source; ``hold``: none of them is replaced until the transaction ends."""
    if hold:  # a lock of its own: one on the row would be waited for, and then show no row where another is in force
        await connection.execute(text("SELECT pg_advisory_xact_lock_shared(hashtext('exclusion lists'))"))
    asked = select(exclusion_lists).where(exclusion_lists.c.current).order_by(exclusion_lists.c.source)
    return [ExclusionEdition.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]


async def held_in(
    connection: AsyncConnection,
    records: Mapping[str, ClinicianRecord],
    editions: Sequence[ExclusionEdition],
    sources: Sequence[str],
    as_of: datetime,
) -> dict[str, Evidence]:
    """What the lists say of each of many people, by key. ``editions``: held in this transaction (:func:`editions_in`)."""
    wanted = [edition for edition in editions if not sources or edition.source in sources]
    missing = sorted(set(sources) - {edition.source for edition in wanted})
    found: dict[str, list[Evidence]] = {key: [_never(name, as_of) for name in missing] for key in records}
    for edition in wanted:
        by_npi, by_family = await _rows_of(connection, edition.id, records.values())
        for key, record in records.items():
            near = [
                *by_npi.get(record.npi, ()),
                *(row for name in families(record) for row in by_family.get(name, ())),
            ]
            found[key].append(held_against(record, near, edition, as_of))
    return {key: worst(said or [_never("exclusion lists", as_of)]) for key, said in found.items()}


async def _rows_of(
    connection: AsyncConnection, edition: int, records: Iterable[ClinicianRecord]
) -> tuple[dict[str, list[Listed]], dict[str, list[Listed]]]:
    """The rows of a list with the NPI or a family name of any of these people."""
    numbers: set[str] = set()
    names: set[str] = set()
    for record in records:
        names |= families(record)
        if is_npi(record.npi):
            numbers.add(record.npi)
    either = or_(
        exclusions.c.npi.in_(sorted(numbers)) & (exclusions.c.npi != ""),
        exclusions.c.family_folded.in_(sorted(names)),
    )
    by_npi: dict[str, list[Listed]] = {}
    by_family: dict[str, list[Listed]] = {}
    for row in await connection.execute(select(exclusions).where(exclusions.c.list == edition, either)):
        listed = Listed(
            row=row.row,
            family=row.family_folded,
            given=row.given_folded,
            middle=row.middle_folded,
            business=row.business,
            npi=row.npi,
            birth_date=row.birth_date,
            state=row.state,
            kind=row.kind,
            excluded_on=row.excluded_on,
            waived_on=row.waived_on,
            waiver_state=row.waiver_state,
        )
        if listed.npi:
            by_npi.setdefault(listed.npi, []).append(listed)
        if listed.family:
            by_family.setdefault(listed.family, []).append(listed)
    return by_npi, by_family


def _never(source: str, as_of: datetime) -> Evidence:
    detail = "the list was never loaded: fascia exclusions load"
    return Evidence(
        state="unknown", finding="list-missing", detail=detail, source=source[:60], verified_on=as_of.date()
    )


async def _current(connection: AsyncConnection, source: str) -> Any:
    asked = select(exclusion_lists).where(exclusion_lists.c.source == source, exclusion_lists.c.current)
    return (await connection.execute(asked.with_for_update())).mappings().one_or_none()


async def _no_longer_refused(connection: AsyncConnection, source: str) -> None:
    await connection.execute(delete(exclusion_refusals).where(exclusion_refusals.c.source == source))


async def _copy(connection: AsyncConnection, edition: int, rows: Sequence[Listed]) -> None:
    """By COPY: eighty thousand rows in a second. Part of the transaction, as every statement of this connection is."""
    raw = await connection.get_raw_connection()
    records = [
        (
            *(edition, number, row.family, row.given, row.middle, row.business, row.npi, row.birth_date, row.state),
            *(row.kind, row.excluded_on, row.waived_on, row.waiver_state),
        )
        for number, row in enumerate(rows, start=1)
    ]
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table("exclusions", records=records, columns=_COLUMNS)
    there = await connection.scalar(select(func.count()).where(exclusions.c.list == edition))
    if there != len(rows):
        raise Rejected(f"{there} of {len(rows)} rows arrived in our own store", code="internal", system="store")


def _loaded(source: str, outcome: str, edition: int, rows: int, before: int, file_hash: str) -> ListLoaded:
    return ListLoaded(source=source, outcome=outcome, id=edition, rows=rows, before=before, file_hash=file_hash)


def _stale(row: Any, as_of: date) -> bool:
    seen = row["seen_at"] or row["at"]
    return bool(row["current"]) and (as_of - seen.date()).days > STALE
