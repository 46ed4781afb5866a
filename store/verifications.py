"""Verifications as they are kept: the last evidence of each kind, what a person said of it, and the trace of both.

What changes how somebody stands wakes their cases in the same transaction; what says the same again is noted and wakes nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text as Words

from canonical.base import Canonical
from canonical.credentials import RULES_VERSION, CheckKind, Evidence
from store.people_tables import appointments, people, person_trace, verifications
from store.person_trace import Entry, link_hash

_KEPT = (
    "state",
    "finding",
    "detail",
    "source",
    "verified_on",
    "expires_on",
    "reference",
    "hits",
    "cleared",
    "by",
    "rules",
)
_WAKES = (
    "state",
    "finding",
    "expires_on",
)  # what the rules of a case read, but for the date of what says the same again


class Answered(Canonical):
    """What a source, or a person (``by``), said of one verification of somebody."""

    person: str
    kind: CheckKind
    subject: str = ""
    evidence: Evidence
    by: str = ""


async def keep_in(
    connection: AsyncConnection,
    person: str,
    kind: CheckKind,
    subject: str,
    evidence: Evidence,
    as_of: datetime,
    *,
    by: str = "",
) -> bool:
    """Keep what a source answered, or what a person says (``by``: the employee); whether it changes how the person stands.

    A person's word on what a source left open (a name that differs, a row of an exclusion list, no such record) holds for just
    that: it stands while the source says the same again, until its own expiry, and never against a source that says no. A yes
    without an expiry keeps the one that is known.
    """
    answered = Answered(person=person, kind=kind, subject=subject, evidence=evidence, by=by)
    return bool(await keep_many_in(connection, [answered], as_of))


async def keep_many_in(connection: AsyncConnection, answered: Sequence[Answered], as_of: datetime) -> list[str]:
    """Keep what was said of many people, in the order of their keys; whose standing changes, by key."""
    said = sorted(answered, key=lambda one: (one.person, one.kind, one.subject))
    before = await _held(connection, said)
    rows: list[tuple[str, str, str]] = []
    changed: list[str] = []
    entries: dict[str, list[Entry]] = {}
    for one in said:
        name = (one.person, one.kind, one.subject)
        row = settled(before.get(name), one.evidence, one.by, as_of.date())
        differs = _differs(before.get(name), row)
        moments = {"checked_at": as_of, "changed_at": as_of if differs else before[name]["changed_at"]}
        before[name] = {"person": one.person, "kind": one.kind, "subject": one.subject} | row | moments
        rows.append(name)
        if differs and one.person not in changed:
            changed.append(one.person)
        entries.setdefault(one.person, []).append(_entry(one, row, differs))
    if rows:
        values = [before[name] for name in dict.fromkeys(rows)]
        asked = upsert(verifications)
        new = {name: asked.excluded[name] for name in (*_KEPT, "checked_at", "changed_at")}
        names = ["person", "kind", "subject"]
        await connection.execute(asked.on_conflict_do_update(index_elements=names, set_=new), values)
    if changed:
        mine = appointments.c.person.in_(changed)
        await connection.execute(update(appointments).where(mine).values(woken_at=as_of))
    await note_many_in(connection, entries, as_of)
    if changed:
        await connection.execute(update(people).where(people.c.person.in_(changed)).values(woken_at=as_of))
    return changed


def settled(before: Mapping[str, Any] | None, evidence: Evidence, by: str, day: date) -> dict[str, Any]:
    """What is kept of a verification after this was said; pure."""
    row = evidence.model_dump() | {"hits": list(evidence.hits), "by": by, "rules": RULES_VERSION}
    known = list(before["cleared"]) if before is not None else []
    open_ends = set(evidence.hits) or ({evidence.finding} if evidence.finding else set())
    if by:
        if before is not None:
            row["hits"] = list(evidence.hits) or list(before["hits"])
            left = before["hits"] or ([] if before["by"] else [before["finding"]])
            known = sorted({*known, *left}) if evidence.state == "confirmed" else known
            if (
                evidence.state == "confirmed" and evidence.expires_on is None
            ):  # who names no day has not said that it has none
                row["expires_on"] = before["expires_on"]
        return row | {"cleared": known}
    row["cleared"] = known
    if before is None or not before["by"] or evidence.state not in ("possible", "unknown"):
        return row
    ends = evidence.expires_on or before["expires_on"]
    if before["state"] == "confirmed" and open_ends <= set(known) and (ends is None or day <= ends):
        asked_again = evidence.verified_on if evidence.state == "possible" else before["verified_on"]
        kept = {name: before[name] for name in ("state", "finding", "detail", "by", "reference")}
        return row | kept | {"expires_on": ends, "verified_on": asked_again}
    if before["state"] == "refuted" and evidence.state == "possible" and set(before["hits"]) & set(evidence.hits):
        return row | {name: before[name] for name in ("state", "finding", "detail", "by", "reference")}
    return row


def _differs(before: Mapping[str, Any] | None, row: Mapping[str, Any]) -> bool:
    return before is None or any(before[name] != row[name] for name in _WAKES)


def _entry(one: Answered, row: Mapping[str, Any], differs: bool) -> Entry:
    name = f"{one.kind}:{one.subject}" if one.subject else one.kind
    dates = {key: row[key].isoformat() for key in ("verified_on", "expires_on") if row[key] is not None}
    content = {"state": row["state"], "finding": row["finding"], "source": row["source"], "changed": differs} | dates
    if row["reference"]:
        content["reference"] = row["reference"]
    return Entry(did="verified", what=name, by=one.by or row["source"] or "fascia", content=content)


async def _held(connection: AsyncConnection, said: Sequence[Answered]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The rows as they stand, held until the transaction ends."""
    names = sorted({(one.person, one.kind, one.subject) for one in said})
    if not names:
        return {}
    mine = tuple_(verifications.c.person, verifications.c.kind, verifications.c.subject).in_(names)
    order = (verifications.c.person, verifications.c.kind, verifications.c.subject)
    asked = select(verifications).where(mine).order_by(*order).with_for_update()
    found = (await connection.execute(asked)).mappings()
    return {(row["person"], row["kind"], row["subject"]): dict(row) for row in found}


# ---- the trace of many people at once: the same entries as store.person_trace.note_in, in four statements however many they are


_LINKED = text(
    "UPDATE people SET links = said.links, link = said.link"
    " FROM unnest(:keys, CAST(:numbers AS int[]), :hashes) AS said (person, links, link) WHERE people.person = said.person"
).bindparams(*(bindparam(name, type_=ARRAY(Words)) for name in ("keys", "hashes")))


async def note_many_in(connection: AsyncConnection, entries: Mapping[str, Sequence[Entry]], at: datetime) -> None:
    """Add entries to the traces of many people, whose rows are held in the order of their keys until the transaction ends."""
    keys = sorted(entries)
    if not keys:
        return
    fresh = [{"person": key, "content": {}, "at": at, "changed_at": at} for key in keys]
    await connection.execute(upsert(people).on_conflict_do_nothing(), fresh)
    asked = select(people.c.person, people.c.links, people.c.link).where(people.c.person.in_(keys))
    last = await connection.execute(asked.order_by(people.c.person).with_for_update())
    rows, links, hashes = [], [], []
    for row in last:
        number, before = row.links, row.link
        for entry in entries[row.person]:
            number += 1
            found = link_hash(before, row.person, number, entry, at)
            place = {"person": row.person, "link": number, "before": before, "hash": found, "at": at}
            rows.append(entry.model_dump(mode="json") | place)
            before = found
        links.append(number)
        hashes.append(before)
    await connection.execute(insert(person_trace), rows)
    await connection.execute(_LINKED, {"keys": keys, "numbers": links, "hashes": hashes})
