"""Whose an HR event is, asked of our own store, so that two systems that tell of one person at one moment make one person of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.people import HrEvent
from canonical.people_matching import FIRST, IDENTIFIED, Candidate, Marks, Match, both, marks, match
from store.ids import new_id, now
from store.people_met import Met
from store.people_tables import people, person_numbers

BUCKETS: Final = 512  # of locks: a file of 500 people takes no more than the server has room for

_LOCK: Final = text("SELECT pg_advisory_xact_lock(26, b) FROM unnest(CAST(:buckets AS int[])) AS g (b)")
_HOLDER: Final = text("SELECT person FROM person_numbers WHERE source = :source AND number = :number")
_ALIKE_TO: Final = """
WITH found AS (
    SELECT person FROM people WHERE person = :by_number
    UNION SELECT person FROM people WHERE npi <> '' AND npi = :npi
    UNION SELECT person FROM people WHERE national_hash <> '' AND national_hash = :national
    UNION SELECT n.person FROM person_names AS n JOIN people AS p ON p.person = n.person
        WHERE n.family_folded = ANY(CAST(:families AS text[])) AND n.family_folded <> ''
        AND (p.birth_date IS NULL OR CAST(:birth AS date) IS NULL OR p.birth_date = CAST(:birth AS date))
    UNION SELECT p.person FROM people AS p JOIN person_names AS n ON n.person = p.person
        WHERE p.birth_date = CAST(:birth AS date) AND n.given_folded = ANY(CAST(:givens AS text[]))
)"""
_THESE: Final = "WITH found AS (SELECT unnest(CAST(:people AS text[])) AS person)"
_MARKS: Final = """
SELECT p.person, p.birth_date, p.npi, p.national_hash,
    array(SELECT DISTINCT family_folded FROM person_names AS n WHERE n.person = p.person AND family_folded <> '') AS families,
    array(SELECT DISTINCT given_folded FROM person_names AS n WHERE n.person = p.person AND given_folded <> '') AS givens
FROM people AS p JOIN found AS f ON f.person = p.person"""
_ALIKE: Final = text(_ALIKE_TO + _MARKS)
_KNOWN: Final = text(_THESE + _MARKS)


async def lock_in(connection: AsyncConnection, events: Iterable[HrEvent]) -> None:
    """Whoever tells of the same person waits until this transaction ends: before anything else of it."""
    buckets = {_bucket(name) for event in events for name in _names(event)}
    if buckets:
        await connection.execute(_LOCK, {"buckets": sorted(buckets)})


async def lock_number_in(connection: AsyncConnection, source: str, number: str) -> None:
    """As :func:`lock_in`, of one number."""
    await connection.execute(_LOCK, {"buckets": [_bucket(f"number/{source}/{number}")]})


def _names(event: HrEvent) -> Iterable[str]:
    said = marks(event.record)
    yield f"number/{event.source}/{event.person}"
    yield from (f"{what}/{value}" for what, value in (("npi", said.npi), ("national", said.national_hash)) if value)
    yield from (f"family/{name}" for name in said.families)
    if said.birth_date is not None:
        yield f"birth/{said.birth_date.isoformat()}"


def _bucket(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % BUCKETS


async def holder_in(connection: AsyncConnection, source: str, number: str) -> str:
    """Whose number it is, as an HR system counts; empty where nobody has been met by it."""
    found: str | None = await connection.scalar(_HOLDER, {"source": source, "number": number})
    return found or ""


async def match_in(connection: AsyncConnection, event: HrEvent, by_number: str, met: Met | None = None) -> Match:
    """Whose an event is, as things stand in this transaction; ``met``: whom it told of so far and has not written yet."""
    said = marks(event.record)
    # The block of an emergency stands at once, by the number alone; whose employment ends, nobody guesses.
    if by_number and event.kind not in IDENTIFIED and not event.emergency:
        return match(said, by_number, (), identified=False)
    known = {one.person: one for one in await _alike(connection, said, by_number)}
    for one in met.alike(said, {by_number, *known}) if met is not None else ():
        known[one.person] = both(known[one.person], one) if one.person in known else one
    return match(said, by_number, known.values())


async def _alike(connection: AsyncConnection, said: Marks, by_number: str) -> Sequence[Candidate]:
    given: dict[str, Any] = {
        "by_number": by_number,
        "npi": said.npi,
        "national": said.national_hash,
        "families": sorted(said.families),
        "givens": sorted(said.givens),
        "birth": said.birth_date,
    }
    return [_candidate(row) for row in await connection.execute(_ALIKE, given)]


async def known_in(connection: AsyncConnection, persons: Sequence[str]) -> Sequence[Candidate]:
    """These people, as they are compared."""
    return [_candidate(row) for row in await connection.execute(_KNOWN, {"people": list(persons)})]


def _candidate(row: Any) -> Candidate:
    return Candidate(
        person=row.person,
        families=frozenset(row.families),
        givens=frozenset(row.givens),
        birth_date=row.birth_date,
        npi=row.npi,
        national_hash=row.national_hash,
    )


async def says_nothing_new_in(connection: AsyncConnection, person: str, event: HrEvent) -> bool:
    """Whether somebody is compared by the same marks with this event as without."""
    known = await known_in(connection, [person])
    return bool(known) and both(known[0], marks(event.record)) == known[0]


def begins(event: HrEvent) -> bool:
    """Whether somebody nobody knows begins with it; anything else waits for a hire under its number."""
    return event.kind in FIRST


async def new_person_in(connection: AsyncConnection) -> str:
    """Somebody nobody has heard of, by a key that says nothing."""
    at = now()
    person = new_id(at)
    await connection.execute(upsert(people).values(person=person, content={}, at=at, changed_at=at))
    return person


async def bind_in(connection: AsyncConnection, source: str, number: str, person: str, by: str) -> None:
    """A number is a person's from now on, also where it was another's."""
    values = {"source": source, "number": number, "person": person, "by": by, "at": now()}
    told = upsert(person_numbers).values(values)
    changed = {name: values[name] for name in ("person", "by", "at")}
    await connection.execute(told.on_conflict_do_update(index_elements=["source", "number"], set_=changed))


async def names_in(connection: AsyncConnection, person: str, names: Collection[tuple[str, str]]) -> None:
    """The names somebody is compared by: these and no others."""
    await connection.execute(_FORGET, {"person": person})
    if names:
        families, givens = zip(*sorted(names), strict=True)
        await connection.execute(_NAMES, {"person": person, "families": list(families), "givens": list(givens)})


_FORGET: Final = text("DELETE FROM person_names WHERE person = :person")
_NAMES: Final = text("""
INSERT INTO person_names (person, family_folded, given_folded)
SELECT :person, f, g FROM unnest(CAST(:families AS text[]), CAST(:givens AS text[])) AS n (f, g)""")
