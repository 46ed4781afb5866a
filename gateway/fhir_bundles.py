"""Takes a Bundle in: a transaction whole or not at all, a batch entry by entry.

The entries of a transaction are kept together as not yet taken, then taken together: whatever ends us in between, none of them has
had an effect, and the same Bundle sent again goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from canonical.messages import KeepResult, Kept, Move, NewMessage
from canonical.senders import Sender
from formats import fhir
from formats.fhir import Entry, Issue, Release, Resource, Tree
from gateway.fhir_door import OTHERWISE, FhirDoor, Wish
from gateway.fhir_faults import Refused, refusal
from gateway.fhir_judge import DOOR, ENTRIES_KEPT, READ_TOGETHER, about_group, id_without, known_by, same_content
from gateway.fhir_looks import Cut, addressed, cut
from gateway.fhir_requisitions import PATH as REQUEST
from gateway.fhir_shelf import PENDING, Stored, pending
from gateway.fhir_tasks import instant
from gateway.keeping import NotKept
from gateway.problems import trace_id

TOLD_APART = "urn:"


@dataclass(frozen=True, slots=True)
class Planned:
    """What becomes of one entry: its resource as it will be kept, or the one that is ``there`` already."""

    entry: Entry
    name: str
    resource: Resource
    data: bytes = b""
    there: Stored | None = None

    @property
    def place(self) -> str:
        return self.there.place if self.there else f"{self.resource.type}/{self.name}"


async def take(door: FhirDoor, sender: Sender, release: Release, data: bytes) -> Tree:
    """The Bundle that answers a Bundle, once all that was taken of it is durable.

    Raises:
        Refused: it is none we take, or a transaction of which not everything may be taken; it is kept, with the reason.
        NotKept: our database or the sender's quota made it wait too long.
    """
    kind = release.kind(fhir.BUNDLE)
    try:
        found = await door.beside.run(len(data), cut, data, release, sender, door.read_of(sender, release))
        if found.type == fhir.BATCH:
            return await _batch(door, sender, release, data, found)
        plans = await _planned(door, sender, release, found)
    except (Refused, fhir.Unreadable) as no:
        raise await door.refused(sender, kind, data, refusal(no)) from None
    whole = _whole(sender, release, data, PENDING, found.groups)
    return _answer("transaction-response", [_told(one) for one in await _kept(door, sender, whole, plans)])


async def _planned(door: FhirDoor, sender: Sender, release: Release, found: Cut) -> list[Planned]:
    """Every entry by its id, with addresses where entries named each other; nothing is kept yet."""
    plans: list[Planned] = []
    for entry, data in found.entries:
        assert entry.resource is not None  # or it would have been refused
        plan = Planned(entry, _name(door, entry, data, plans), entry.resource, data)
        if any(plan.name == one.name and plan.resource.type == one.resource.type for one in plans):
            raise Refused(
                422, [Issue("duplicate", "Two entries have this identifier", f"{entry.path}.resource.identifier")]
            )
        if entry.if_none_exist:
            there = await door.shelf.there(sender, release, entry.resource.type, entry.if_none_exist)
            plan = replace(plan, there=there)
        plans.append(plan)
    addresses = {one.entry.full_url: one.place for one in plans if one.entry.full_url}
    new = [one for one in plans if not one.there]
    given = [(one.entry.path, one.data) for one in new]
    done = await door.beside.run(sum(len(data) for _, data in given), addressed, given, release, addresses)
    resolved = {
        one.entry.path: replace(one, resource=fhir.resolved(one.resource, addresses), data=data)
        for one, data in zip(new, done, strict=True)
    }
    return [one if one.there else await _compared(door, sender, resolved[one.entry.path]) for one in plans]


async def _compared(door: FhirDoor, sender: Sender, plan: Planned) -> Planned:
    """Beside what is here under its id already."""
    there = await door.shelf.read(sender, plan.resource.release, plan.resource.type, plan.name, version=1)
    if there is None:
        return plan
    if not await door.beside.run(len(plan.data) + len(there.kept.data), same_content, there.kept.data, plan.data):
        raise _conflict(plan)
    return replace(plan, there=replace(there, created=True))


def _name(door: FhirDoor, entry: Entry, data: bytes, before: Sequence[Planned]) -> str:
    """The id of an entry's resource."""
    assert entry.resource is not None
    if entry.full_url.startswith(TOLD_APART):
        return door.name(entry.resource, data, entry.full_url)
    name = door.name(entry.resource, data)
    if entry.resource.identifier is None and (
        again := sum(1 for one in before if one.resource.identifier is None and one.data == data)
    ):
        return id_without(data, str(again))  # the same thing twice in one Bundle is two things
    return name


def _conflict(plan: Planned) -> Refused:
    return Refused(409, [Issue("conflict", OTHERWISE, f"{plan.entry.path}.resource")])


async def _kept(door: FhirDoor, sender: Sender, bundle: NewMessage, plans: Sequence[Planned]) -> list[Stored]:
    new = [one for one in plans if one.there is None]
    messages = [door.new(sender, one.resource, one.name, one.data, refused=PENDING) for one in new]
    whole, *results = await door.keep(sender, [bundle, *messages])
    grouped = any(one.resource.group for one in plans if one.resource.type == REQUEST)
    told = Move(message=whole.message.id, state="received") if grouped else _read_apart(whole.message)
    moves = [told] if pending(whole.message) else []
    stored: dict[str, Stored] = {}
    for plan, result in zip(new, results, strict=True):
        one, move = await _one(door, sender, plan, result)
        stored[plan.entry.path] = one
        moves += [move] if move else []
    await door.journal.mark_many(moves)
    return [one.there or stored[one.entry.path] for one in plans]


def _read_apart(whole: Kept) -> Move:
    return Move(message=whole.id, state="routed", reason=ENTRIES_KEPT)


async def _one(door: FhirDoor, sender: Sender, plan: Planned, result: KeepResult) -> tuple[Stored, Move | None]:
    """An entry that came by another way between our look and our keeping is taken only where it says the same."""
    if result.outcome == "conflict":
        first = await door.as_before(result)
        if first is None:
            await door.conflict(sender, result)
            raise _conflict(plan)
        return Stored(plan.name, plan.resource, first), _taken(first, plan)
    return Stored(plan.name, plan.resource, result.message), _taken(result.message, plan)


def _taken(kept: Kept, plan: Planned) -> Move | None:
    """What makes an entry count that was kept with a transaction; None for one that counts already.

    A line of a group counts with the others of it, by their transaction.
    """
    if not pending(kept):
        return None
    if plan.resource.type == REQUEST and plan.resource.group is not None:
        return Move(message=kept.id, state="routed", reason=READ_TOGETHER)
    return Move(message=kept.id, state="received")


def _whole(
    sender: Sender, release: Release, data: bytes, refused: str = "", named: Sequence[fhir.Identifier] = ()
) -> NewMessage:
    """The Bundle as it came, beside its entries; in the stream of what it asks for, where that is one requisition."""
    digest = hashlib.sha256(data).hexdigest()
    group = named[0] if len(named) == 1 else None
    return NewMessage(
        door=DOOR,
        data=data,
        sender=sender.code,
        kind=release.kind(fhir.BUNDLE),
        key=known_by(sender, release, fhir.BUNDLE, digest),
        stream=f"{DOOR}/{sender.code}/{about_group(group) if group else f'{fhir.BUNDLE}/{digest[:32]}'}",
        trace=trace_id(),
        remember=timedelta(days=sender.keep_for),
        refused=refused,
    )


async def _batch(door: FhirDoor, sender: Sender, release: Release, data: bytes, found: Cut) -> Tree:
    await door.keep(sender, [_whole(sender, release, data)])
    told = []
    for entry, part in found.entries:
        try:
            told.append(_told(await _alone(door, sender, release, entry, part)))
        except (Refused, fhir.Unreadable, NotKept) as no:
            why = refusal(no)
            issues = [
                one if one.expression.startswith(entry.path) else one.within(f"{entry.path}.resource")
                for one in why.issues
            ]
            told.append({"status": _status(why.status), "outcome": fhir.outcome(issues)})
    return _answer("batch-response", told)


async def _alone(door: FhirDoor, sender: Sender, release: Release, entry: Entry, data: bytes) -> Stored:
    """One entry of a batch, as if it had come by itself."""
    if entry.issues or entry.resource is None:
        raise Refused(405 if entry.unsupported else 400, entry.issues)
    (resolved,) = await door.beside.run(len(data), addressed, [(entry.path, data)], release, {})
    key = entry.full_url if entry.full_url.startswith(TOLD_APART) else ""
    return await door.create(sender, release, entry.resource.type, resolved, Wish(entry.if_none_exist, key))


def _told(one: Stored) -> dict[str, Any]:
    return {
        "status": _status(201 if one.created else 200),
        "location": f"{one.place}/_history/{one.version}",
        "etag": f'W/"{one.version}"',
        "lastModified": instant(one.kept.at),
    }


def http_moment(moment: datetime) -> str:
    """As HTTP writes it."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"


def _answer(kind: str, responses: Sequence[dict[str, Any]]) -> Tree:
    answer: Tree = {"resourceType": fhir.BUNDLE, "type": kind}
    if responses:
        answer["entry"] = [{"response": one} for one in responses]
    return answer
