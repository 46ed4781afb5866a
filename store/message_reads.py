"""Who opened the content of a message about people: a deed about the message, and an entry in the trace of everybody it concerns.

An entry is written when it is read, under the lock of the trace: a chain that is put together later proves nothing. Whoever a message
is matched to only after somebody read it gets the entry with the match; the deed, kept with the message, says who it was and when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.cases import Actor
from canonical.messages import Kept
from canonical.people import HrEvent
from store.acts import Act, noted_in
from store.database import transaction
from store.people_tables import hr_events, person_numbers, person_trace
from store.person_trace import Entry, note_in
from store.tables import fit, messages

OPENED: Final = "journal show"
NAMED: Final = "person event --names"
AT_ONCE: Final = 1000  # names in one question to the database, which takes some 32,000 values
TOLD: Final = "people/"  # how the key of a message begins that tells a directory of somebody (adapters/directory)

_ALONE: Final = text("""
SELECT pg_advisory_xact_lock(hashtextextended(name, 28)) FROM (
    SELECT DISTINCT name FROM unnest(CAST(:names AS text[])) AS n (name) ORDER BY name
) AS o""")
# Events and the messages that brought them, with all that those are corrections of; the last of a line is where it began.
_LINES: Final = """
WITH RECURSIVE line (event, message, before) AS (
    SELECT e.id, e.message, (SELECT m.version_of FROM messages AS m WHERE m.id = e.message)
    FROM hr_events AS e WHERE e.id = ANY(CAST(:events AS text[]))
    UNION SELECT l.event, l.before, (SELECT m.version_of FROM messages AS m WHERE m.id = l.before)
    FROM line AS l WHERE l.before <> ''
)"""
_BEGUN: Final = """
SELECT pg_advisory_xact_lock_shared(hashtextextended(message, 28)) FROM (
    SELECT DISTINCT message FROM line WHERE coalesce(before, '') = '' ORDER BY message
) AS o"""
_DEEDS: Final = """
SELECT DISTINCT line.event, a.id, a.verb, a.about, a.actor, a.known_by, a.detail, a.at
FROM line JOIN acts AS a ON a.about = ANY(ARRAY['message/' || line.message, 'hr_event/' || line.event])
WHERE a.verb = ANY(CAST(:verbs AS text[])) ORDER BY a.id"""
_TOGETHER: Final = text(_LINES + _BEGUN)
_READ_BEFORE: Final = text(_LINES + _DEEDS)


class StoredMessageReads:
    """Notes in our own database who opens messages about people."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def opened(self, message: Kept, by: Actor, said: Sequence[HrEvent] = ()) -> Sequence[str]:
        """Note that somebody is about to see a message's content; gives the keys of those in whose trace it stands now, in order.

        ``said``: what the message says as it is read today. It concerns the people of the events it or a version of it brought, of
        the events it names, and whose numbers it says; and whom a directory was told of by it. It stands with the message for those
        who are not matched yet.

        Raises:
            Unavailable: nothing was noted: its content is not to be shown.
        """
        async with transaction(self._engine) as connection:
            family = await _family_in(connection, message.id)
            found = await _events_in(connection, family, said)
            others = {row["message"] for row in found} - set(family)
            names = [family[0], *[(await _family_in(connection, one))[0] for one in sorted(others)]]
            await connection.execute(
                _ALONE, {"names": names}
            )  # whoever matches an event of these waits, or has done it
            found = await _events_in(connection, family, said)
            act = Act(verb=OPENED, about=f"message/{message.id}", actor=by, detail=message.kind)
            deed = await noted_in(connection, act)
            for row in found:  # what another message brought first, and is nobody's yet
                if not row["person"] and row["message"] not in family:
                    about = {"about": f"hr_event/{row['id']}", "detail": message.id}
                    await noted_in(connection, act.model_copy(update=about))
            concerned = {row["person"]: row["facility"] for row in reversed(found) if row["person"]}
            concerned |= {one: "" for one in await _numbered_in(connection, said) if one not in concerned}
            if told := told_of(message):
                concerned.setdefault(told, "")
            what = {"deed": deed, "kind": message.kind, "known_by": by.known_by}
            for person in sorted(concerned):
                read = Entry(did="read", what=act.about.replace("/", ":", 1), by=by.id, content=what)
                await note_in(connection, person, read.model_copy(update={"facility": concerned[person]}))
            return sorted(concerned)


def told_of(message: Kept) -> str:
    """Of whom a directory is told by a message of ours, by its key (``people/<target>/<person>/<number>/<part>``); else empty."""
    parts = message.key.rsplit("/", 3)
    ours = message.direction == "out" and message.key.startswith(TOLD) and len(parts) == 4
    return parts[1] if ours else ""


async def read_before_in(
    connection: AsyncConnection, heard: Mapping[str, Sequence[Entry]]
) -> Mapping[str, list[Entry]]:
    """What of these people's events was read before they were theirs, as entries that are not in their traces yet.

    ``heard``: what a transaction is about to note of each. Whoever opens a message of these events waits until it ends.
    """
    mine = {one.what: person for person, new in heard.items() for one in new if one.did in ("heard", "corrected")}
    if not mine:
        return {}
    await connection.execute(_TOGETHER, {"events": list(mine)})
    read = (await connection.execute(_READ_BEFORE, {"events": list(mine), "verbs": [OPENED, NAMED]})).mappings().all()
    if not read:
        return {}
    deed = person_trace.c.content["deed"].astext
    whose = person_trace.c.person.in_(set(mine.values())), person_trace.c.did == "read", deed.is_not(None)
    known = {(row[0], row[1]) for row in await connection.execute(select(person_trace.c.person, deed).where(*whose))}
    found: dict[str, list[Entry]] = {}
    for row in read:
        person = mine[row["event"]]
        if (person, str(row["id"])) not in known:
            known.add((person, str(row["id"])))
            found.setdefault(person, []).append(_entry(row))
    return found


def _entry(row: RowMapping) -> Entry:
    """That somebody read it before it was known whose it is: ``at`` is when."""
    about = str(row["about"])
    if about.startswith("hr_event/"):
        what = f"message:{row['detail']}" if row["verb"] == OPENED else f"event:{row['event']}"
    else:
        what = about.replace("/", ":", 1)
    at = row["at"].astimezone(UTC).isoformat()
    return Entry(
        did="read", what=what, by=row["actor"], content={"deed": row["id"], "known_by": row["known_by"], "at": at}
    )


async def _family_in(connection: AsyncConnection, message: str) -> list[str]:
    """A message with those it corrects and those that correct it; the one it all began with is the first."""
    first = message
    while before := await connection.scalar(select(messages.c.version_of).where(messages.c.id == first)):
        first = before
    found, last = [first], [first]
    while last:
        asked = select(messages.c.id).where(messages.c.version_of.in_(last), messages.c.version_of != "")
        last = [one for one in await connection.scalars(asked.order_by(messages.c.id)) if one not in found]
        found += last
    return found if message in found else [*found, message]


async def _events_in(
    connection: AsyncConnection, brought_by: Sequence[str], said: Sequence[HrEvent]
) -> list[RowMapping]:
    """The events these messages brought, and those of the names that are said; each once."""
    found = {row["id"]: row for row in await _rows(connection, hr_events.c.message.in_(brought_by))}
    name = tuple_(hr_events.c.facility, hr_events.c.source, hr_events.c.number)
    for some in _some((one.facility, one.source, fit(one.number)) for one in said):
        found |= {row["id"]: row for row in await _rows(connection, name.in_(some))}
    return [found[one] for one in sorted(found)]


async def _rows(connection: AsyncConnection, which: ColumnElement[bool]) -> Sequence[RowMapping]:
    asked = select(hr_events.c.id, hr_events.c.message, hr_events.c.person, hr_events.c.facility).where(which)
    return (await connection.execute(asked)).mappings().all()


async def _numbered_in(connection: AsyncConnection, said: Sequence[HrEvent]) -> set[str]:
    """Whose the numbers are that HR systems call people by in what is said."""
    found: set[str] = set()
    number = tuple_(person_numbers.c.source, person_numbers.c.number)
    for some in _some((one.source, fit(one.person)) for one in said):
        found |= set(await connection.scalars(select(person_numbers.c.person).where(number.in_(some))))
    return found


def _some(names: Iterable[tuple[str, ...]]) -> Iterable[list[Any]]:
    left = iter(dict.fromkeys(names))
    while some := list(islice(left, AT_ONCE)):
        yield some
