"""What HR systems say, kept: each event once under its name, matched to a person or waiting for one who says; and in force at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import content_hash
from canonical.errors import Unavailable
from canonical.people import OWNER, HrEvent, HrKept
from canonical.people_matching import wrong_with
from store.database import transaction
from store.ids import IdsInOrder, now
from store.people_hearing import NO_HIRE, Heard, adopt, adopt_alike, emergency, heard_of
from store.people_matching import begins, bind_in, holder_in, lock_in, match_in, new_person_in, says_nothing_new_in
from store.people_tables import hr_events
from store.person_trace import Entry
from store.tables import fit

MAY_WAIT: Final = frozenset(
    {"update", "grant", "return", "activate"}
)  # for a moment, where they say nothing else that may take access away: no other role, last day or licences
UNDECIDED: Final = "whose its number is waits for a person"


class StoredHrInbox:
    """The port :class:`canonical.people_ports.HrInbox` in our own database. ``clock``: when things come, never a rule's date."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime] = now) -> None:
        self._engine = engine
        self._clock = clock
        self._ids = IdsInOrder()

    async def keep(self, events: Sequence[HrEvent], message: str, sender: str, corrects: str = "") -> Sequence[HrKept]:
        """Keep the events of one message, all or none; see the port."""
        if not events:
            return ()
        heard, told, met = Heard(), [], set[tuple[str, str, str]]()
        async with transaction(self._engine) as connection:
            await lock_in(connection, events)
            for event in events:
                name = (event.facility, event.source, fit(event.number))
                by = _Came(message, sender, () if name in met else (message, corrects or message))
                told.append(await self._keep(connection, event, by, heard))
                met.add(name)
            await heard.settle_in(connection, self._clock())
            return await _as_it_is(connection, told)

    async def _keep(self, connection: AsyncConnection, event: HrEvent, by: _Came, heard: Heard) -> HrKept:
        named = hr_events.c.facility == event.facility, hr_events.c.source == event.source
        asked = select(hr_events).where(*named, hr_events.c.number == fit(event.number))
        held = (await connection.execute(asked)).mappings().one_or_none()
        content = content_hash(event)
        if held is not None and held["hash"] == content:
            return HrKept(id=held["id"], outcome="same")
        if held is not None and held["message"] not in by.may_mend:
            return HrKept(id=held["id"], outcome="conflict")
        one = held["id"] if held is not None else self._ids.next()[0]
        at = held["at"] if held is not None else self._clock()
        row = {"id": one, "hash": content, "message": by.message, "sender": by.sender, "at": at, **_columns(event)}
        came = self._clock()
        row |= await _placed(connection, one, event, heard, came) | {"changed_at": came}
        if held is None:
            told = upsert(hr_events).values(row).on_conflict_do_nothing().returning(hr_events.c.id)
            if await connection.scalar(told) is None:  # at this moment, under this name, of another person's number
                raise Unavailable("an event of this name is being kept at this moment", system="store")
        else:
            await connection.execute(update(hr_events).where(hr_events.c.id == one).values(row | {"applied_at": None}))
            await _taken_back(connection, event, held, row, heard)
        return HrKept(id=one, outcome="new")


@dataclass(frozen=True, slots=True)
class _Came:
    """By which message an event came; ``may_mend``: what came by these it takes the place of. In one message the first stands."""

    message: str
    sender: str
    may_mend: tuple[str, ...]


def _columns(event: HrEvent) -> dict[str, Any]:
    return {
        "facility": event.facility,
        "source": event.source,
        "number": fit(event.number),
        "kind": event.kind,
        "source_person": fit(event.person),
        "content": plain(event.model_dump(mode="json", exclude_defaults=True)),
        "effective": event.effective,
        "emergency": event.emergency,
        "said_at": event.said_at,
    }


def plain(value: Any) -> Any:
    """JSON as PostgreSQL takes it: no NUL."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return fit(value) if isinstance(value, str) else value


async def _placed(
    connection: AsyncConnection, one: str, event: HrEvent, heard: Heard, received: datetime
) -> dict[str, Any]:
    """Whose it is, or why a person says so first: state, person, owner, reason and candidates of an event."""
    holder = await holder_in(connection, event.source, event.person)
    if event.emergency and holder:
        await emergency(connection, one, event, holder, heard)
    if why := wrong_with(event, received):
        if event.emergency and not holder:  # its number is not known yet; who it is may be
            found = await match_in(connection, event, "", heard.met)
            await emergency(connection, one, event, found.person, heard)
        return _open("parked", why, holder)
    if not holder and not begins(event) and await _undecided(connection, event):
        return _open("waiting", UNDECIDED)
    found = await match_in(connection, event, holder, heard.met)
    if found.outcome == "possible":
        return _open("possible", found.rule, "", found.candidates)
    if found.outcome == "new" and not begins(event):
        return _open("waiting", NO_HIRE)
    person = found.person or await new_person_in(connection)
    heard.note(person, heard_of(one, event))
    if not holder:
        await bind_in(connection, event.source, event.person, person, f"rule:{found.rule}")
        heard.note(person, Entry(did="matched", what=one, facility=event.facility, content={"rule": found.rule}))
        if event.emergency:
            await emergency(connection, one, event, person, heard)
        await adopt(connection, event.source, event.person, person, heard, ("waiting",))
    await adopt_alike(connection, heard.meet(person, event), heard)
    if event.kind in MAY_WAIT and await says_nothing_new_in(connection, person, event):
        heard.may_wait(person, event)
    else:
        heard.concerns(person, event.facility)
    return {"state": "matched", "person": person, "owner": "", "reason": "", "candidates": []}


def _open(state: str, why: str, person: str = "", candidates: Iterable[str] = ()) -> dict[str, Any]:
    return {"state": state, "person": person, "owner": OWNER, "reason": why, "candidates": list(candidates)}


async def _undecided(connection: AsyncConnection, event: HrEvent) -> bool:
    mine = hr_events.c.source == event.source, hr_events.c.source_person == fit(event.person)
    asked = select(hr_events.c.id).where(*mine, hr_events.c.state == "possible").limit(1)
    return await connection.scalar(asked) is not None


async def _taken_back(
    connection: AsyncConnection, event: HrEvent, held: Any, row: dict[str, Any], heard: Heard
) -> None:
    """A corrected event: what its person had by the first wording is folded anew."""
    person = held["person"]
    if person:
        what = {"was": held["hash"][:16], "now": row["hash"][:16], "message": row["message"]}
        heard.note(person, Entry(did="corrected", what=row["id"], facility=event.facility, content=what))
        heard.concerns(person, event.facility)


async def _as_it_is(connection: AsyncConnection, told: Sequence[HrKept]) -> Sequence[HrKept]:
    """Each outcome with the state its event has by now."""
    asked = select(hr_events.c.id, hr_events.c.state, hr_events.c.person)
    asked = asked.where(hr_events.c.id.in_({one.id for one in told}))
    rows = {row.id: row for row in await connection.execute(asked)}
    return [one.model_copy(update={"state": rows[one.id].state, "person": rows[one.id].person}) for one in told]
