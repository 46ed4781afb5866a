"""What our own store holds of the cases a message asks for, many at once, so that one can say what the message would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical
from canonical.cases import State
from canonical.catalogue import MasterFile
from canonical.hr_ports import HrStanding
from canonical.messages import Kept
from canonical.people import HrEvent
from canonical.people_matching import finding
from canonical.replays import Difference
from canonical.usage import UsageEvent
from store.case_tables import cases, documents
from store.database import transaction
from store.drift import DriftRow, StoredDrift
from store.kept import KEPT, kept
from store.people_tables import hr_events
from store.register import StoredRegister
from store.tables import claims, fit, message_keys, messages
from store.usage_tables import usage_events

UseName = tuple[str, str, str, int]  # facility, source, number, sequence


class Held(Canonical):
    """A case as it is held: the hash of its content, the message that asked for it, whether a run has taken it, its end.

    ``ended``: how a case ended under whose number nothing starts again (cancelled, refused).
    """

    case: str
    hash: str = ""
    message: str = ""
    started: bool = False
    ended: str = ""
    state: str = ""


class HeldUse(Canonical):
    """A use as it is held: the hash of its content, what became of it, the message it came by, and the use itself."""

    hash: str
    state: str = ""
    message: str = ""
    event: UsageEvent


EventName = tuple[str, str, str]  # facility, source, number


class HeldEvent(Canonical):
    """An HR event as it is held: the hash of its content, what became of it, the message it came by, and the event itself."""

    hash: str
    state: str = ""
    message: str = ""
    event: HrEvent


class StoredForesight:
    """Questions to our own database; nothing is claimed, listed or marked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._drift = StoredDrift(engine, StoredRegister(engine))

    async def held(self, names: Sequence[str]) -> Mapping[str, Held]:
        """The cases of these names that are claimed."""
        asked = (
            select(
                *(claims.c.case, claims.c.hash, claims.c.message, claims.c.run, claims.c.generation),
                *(cases.c.closed, cases.c.state, cases.c.business_state),
            )
            .join_from(claims, cases, cases.c.case == claims.c.case, isouter=True)
            .where(claims.c.case.in_(names))
        )
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked)).all()
        return {
            row.case: Held(
                case=row.case,
                hash=row.hash,
                message=row.message,
                started=row.run is not None or row.generation > 1,
                ended=row.business_state if row.closed and row.state == State.FAILED.value else "",
                state=row.business_state or "",
            )
            for row in rows
        }

    async def uses(self, names: Sequence[UseName]) -> Mapping[UseName, HeldUse]:
        """The uses of these names that are kept."""
        of = usage_events.c
        named = (of.facility, of.source, of.number, of.sequence)
        asked = select(*named, of.hash, of.state, of.message, of.content).where(tuple_(*named).in_(names))
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked)).all()
        return {
            (row.facility, row.source, row.number, row.sequence): HeldUse(
                hash=row.hash, state=row.state, message=row.message, event=UsageEvent.model_validate(row.content)
            )
            for row in rows
        }

    async def hr_events(self, names: Sequence[EventName]) -> Mapping[EventName, HeldEvent]:
        """The HR events of these names that are kept."""
        of = hr_events.c
        named = (of.facility, of.source, of.number)
        asked = select(*named, of.hash, of.state, of.message, of.content).where(tuple_(*named).in_(names))
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked)).all()
        return {
            (row.facility, row.source, row.number): HeldEvent(
                hash=row.hash, state=row.state, message=row.message, event=HrEvent.model_validate(row.content)
            )
            for row in rows
        }

    async def standings(self, facility: str, source: str, numbers: Sequence[str]) -> Sequence[HrStanding]:
        """The port :class:`canonical.hr_ports.HrStandings`."""
        of = hr_events.c
        named = of.facility == facility, of.source == source, of.number.in_([fit(one) for one in numbers])
        async with transaction(self._engine) as connection:
            rows = await connection.execute(select(of.number, of.kind, of.state, of.reason, of.message).where(*named))
            return [
                HrStanding(
                    number=row.number,
                    kind=row.kind,
                    state=row.state,
                    finding=finding(row.state, row.reason),
                    message=row.message,
                )
                for row in rows
            ]

    async def kept(self, names: Sequence[str]) -> Mapping[str, Kept]:
        """The messages of these names, with their bytes."""
        async with transaction(self._engine) as connection:
            found = await connection.execute(select(*KEPT).where(messages.c.id.in_(names)))
            return {row["id"]: kept(row) for row in found.mappings()}

    async def brought(self, message: str) -> Mapping[str, bool]:
        """The cases that have a document this message brought, and whether each is closed."""
        asked = (
            select(cases.c.case, cases.c.closed)
            .join(documents, documents.c.case == cases.c.case)
            .where(documents.c.message == message)
        )
        async with transaction(self._engine) as connection:
            return {row.case: row.closed for row in await connection.execute(asked)}

    async def closed(self, names: Sequence[str]) -> Sequence[str]:
        """Those of these cases that are closed."""
        asked = select(cases.c.case).where(cases.c.case.in_(names), cases.c.closed)
        async with transaction(self._engine) as connection:
            return list(await connection.scalars(asked))

    async def drifts(self, file: MasterFile, message: str, as_of: date) -> tuple[int, Sequence[Difference]]:
        """How much a master file compares, and what of it would be listed that is not listed yet."""
        report = await self._drift.compare(file, message, as_of, dry_run=True)
        return report.compared, [_difference(one) for one in report.differ if _is_news(one)]

    async def drifts_by_row(self, file: MasterFile, message: str, as_of: date) -> Mapping[str, Sequence[Difference]]:
        """What of a master file would be listed that is not listed yet, by the path of its entry."""
        report = await self._drift.compare(file, message, as_of, dry_run=True)
        found: dict[str, list[Difference]] = {}
        for one in report.differ:
            if _is_news(one):
                found.setdefault(one.path, []).append(_difference(one))
        return found

    async def apart(self, message: str) -> Mapping[int, str]:
        """Rows of a file that were set apart before, by the first of each, and their states."""
        prefix = f"{message}/rows/"
        named = message_keys.c.key.startswith(prefix, autoescape=True) & (message_keys.c.direction == "in")
        asked = select(message_keys.c.key, messages.c.state).join(messages, messages.c.id == message_keys.c.message)
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked.where(named))).all()
        return {int(row): one.state for one in rows if (row := one.key.removeprefix(prefix)).isdecimal()}


def _is_news(one: DriftRow) -> bool:
    return one.changed_at == one.seen_at and one.state == "open"


def _difference(one: DriftRow) -> Difference:
    return Difference(path=f"{one.kind} {one.code} {one.field}", was=one.ours, now=one.theirs)
