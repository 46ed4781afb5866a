"""What people may reach and what stands in each target, in our own store: the port :class:`canonical.people_ports.Access`.

What is wanted is read from the facts each time. A write that gives something is marked, in the transaction that reads whether it
may, until its end is heard of; a block is committed under the same lock. So one of the two comes first, and who revokes knows of
every grant that may still be on its way. Locks are taken as everywhere of people: appointments, the person, then what stands in
targets; else who looks and who writes would wait for each other just when access must end.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.access import (
    BY_HAND,
    AccessStanding,
    AccessTarget,
    Block,
    BlockWord,
    LiftTaken,
    OffSeen,
    RevocationStanding,
    TargetSeen,
    Wanted,
)
from canonical.access_plan import (
    ENABLED_OUTSIDE,
    REFUSED_AGAIN_WITHIN,
    TargetState,
    heard_no_more,
    opened_outside,
    settled_at,
    state_of,
    taken_again,
    tried_again_at,
)
from store.access_blocks import blocking_in, lift_in, off_seen, revocation_in, standing_block_in
from store.access_rows import (
    held_person,
    put_in,
    refused_before,
    reopened_in,
    state_in,
    target_in,
    wake_cases_in,
)
from store.access_standing import Apply, row_in, standing_in, wants_in
from store.database import transaction
from store.ids import now
from store.people_applying import lock_person_in
from store.people_wakes import wake_access_in
from store.person_trace import Entry, note_in


class StoredAccess:
    """The port. ``apply`` brings due HR events of a facility into force, so that nothing waits for that facility's own case."""

    def __init__(self, engine: AsyncEngine, apply: Apply | None = None) -> None:
        self._engine, self._apply = engine, apply

    async def target(self, code: str, as_of: datetime) -> AccessTarget | None:
        """A target's row, in use or not."""
        async with transaction(self._engine) as connection:
            return await target_in(connection, code, as_of)

    async def standing(self, person: str, as_of: datetime) -> AccessStanding:
        """What is to be written or looked at now. Answers the wake."""
        async with transaction(self._engine) as connection:
            return await standing_in(connection, person, as_of, self._apply)

    async def wanted(self, person: str, target: str, as_of: datetime) -> Wanted:
        """What is to stand in a target now: inactive where a block stands.

        Raises:
            Rejected: the register has no such target.
        """
        async with transaction(self._engine) as connection:
            _, want = await wants_in(connection, person, target, as_of)
            return _known(want, await state_in(connection, person, target))

    async def begin(self, person: str, target: str, as_of: datetime) -> Wanted:
        """The same, with the mark of a write that gives something, in one transaction.

        Raises:
            Rejected: the register has no such target.
        """
        async with transaction(self._engine) as connection:
            await held_person(connection, person, as_of)
            row, want = await wants_in(connection, person, target, as_of)
            before = await state_in(connection, person, target)
            values: dict[str, Any] = {"wanted": want.hash, "again_at": None}
            if before is None or before.wanted != want.hash:
                values |= {"tries": 0, "state": "due", "since": as_of}
            if want.active:
                values |= {"asked_at": now()}  # a measured moment: who counts from it looks at real calls
                if before is not None and before.asked_at is not None:
                    values |= {"unheard_at": before.asked_at}  # may come after this one has ended
            await put_in(connection, person, row, **values)
            return _known(want, before)

    async def blocked(self, person: str) -> Block | None:
        """The block that stands."""
        async with transaction(self._engine) as connection:
            return await standing_block_in(connection, person)

    async def wrote(
        self,
        person: str,
        target: str,
        wanted: Wanted,
        seen: TargetSeen,
        as_of: datetime,
        *,
        crossed: bool = False,
        heard: bool = True,
    ) -> str:
        """Keep what was written and seen; the state it is in."""
        async with transaction(self._engine) as connection:
            await lock_person_in(connection, person)
            row = await row_in(connection, person, target, as_of)
            before = await state_in(connection, person, target)
            state = state_of(wanted, seen, written=True)
            tries = (before.tries if before else 0) + 1
            values = _seen(seen, as_of) | {
                "state": state,
                "wanted": wanted.hash,
                "written_at": as_of,
                "since": as_of,
                "reason": "" if state != "written" else "does not stand there as it was written",
                "finding": "undone" if crossed else seen.finding or ("" if wanted.active else taken_again(before)),
                "again_at": _again(row, tries, wanted, as_of) if state == "written" else None,
                "tries": tries if state == "written" else 0,
            }
            if heard and (wanted.active or crossed):
                values |= _ended(before)
            if crossed:
                values |= {"offs": 0, "off_at": None}  # whoever saw it off before saw it before that
            did = "undone" if crossed else "wrote"
            await self._changed(connection, person, row, before, values, did, seen)
            return state

    async def saw(self, person: str, target: str, seen: TargetSeen, as_of: datetime) -> str:
        """Keep what was found by looking; the state it is in."""
        async with transaction(self._engine) as connection:
            await lock_person_in(connection, person)
            row, want = await wants_in(connection, person, target, as_of)
            before = await state_in(connection, person, target)
            state = state_of(want, seen, written=False)
            if before is not None and before.wanted != want.hash:
                state = "due"
            finding = opened_outside(before, seen)
            values = _seen(seen, as_of) | {"state": state, "again_at": None, "tries": 0, "reason": ""}
            if finding or state in ("confirmed",):
                values |= {"finding": finding}
            if before is None or before.state != state:
                values |= {"since": as_of}
            if heard_no_more(row, before.asked_at if before else None, as_of):
                values |= {"asked_at": None}
            if finding == ENABLED_OUTSIDE:
                values |= {"offs": 0, "off_at": None}
            await self._changed(connection, person, row, before, values, "saw", seen)
            return state

    async def refused(
        self, person: str, target: str, code: str, reason: str, as_of: datetime, *, gave: bool = False
    ) -> str:
        """The target refuses, or does not answer: when it is tried again, and what a person sees meanwhile."""
        async with transaction(self._engine) as connection:
            await lock_person_in(connection, person)
            row, want = await wants_in(connection, person, target, as_of)
            before = await state_in(connection, person, target)
            tries = (before.tries if before else 0) + 1
            away = code in ("unavailable", "throttled")
            values: dict[str, Any] = {
                "state": "due" if away else "refused",
                "wanted": want.hash,
                "reason": f"{code}: {reason}"[:500],
                "tries": tries,
                "again_at": tried_again_at(code, tries, want.active, as_of, timedelta(seconds=row.refused_again)),
            }
            if gave and not away:
                values |= _ended(before)  # it said no: nothing of it is under way
            if before is None or before.state != values["state"]:
                values |= {"since": as_of}
            await self._changed(connection, person, row, before, values, "refused", None, note=not away)
            return str(values["state"])

    async def block(self, block: Block) -> Block:
        """Commit a block; the one that stands where there is one."""
        async with transaction(self._engine) as connection:
            return await blocking_in(connection, block)

    async def lift(self, word: BlockWord, by: str, at: datetime) -> LiftTaken:
        """Ask for a block to be lifted, or lift it: see :func:`store.access_blocks.lift_in`."""
        async with transaction(self._engine) as connection:
            return await lift_in(connection, word, by, at)

    async def revocation(self, person: str, as_of: datetime) -> RevocationStanding:
        """How a revocation stands."""
        async with transaction(self._engine) as connection:
            return await revocation_in(connection, person, as_of)

    async def seen_off(self, person: str, target: str, seen: TargetSeen, at: datetime, apart: int) -> OffSeen:
        """Count a look that began at ``at`` or later: the moment a look was kept is the latest it can have been made.

        So the two that confirm are ``apart`` seconds from the end of one to the beginning of the other.
        """
        async with transaction(self._engine) as connection:
            await lock_person_in(connection, person)
            row = await row_in(connection, person, target, at)
            before = await state_in(connection, person, target)
            off = Wanted(person=person, target=target, active=False, exists=False)
            settled = settled_at(row, before.asked_at if before else None)
            block = await standing_block_in(connection, person)
            if block is None:  # lifted while we looked: nothing is counted, and the case of access looks for itself
                return OffSeen(target=target, kind=row.kind, stands=False)
            offs, off_at = (before.offs, before.off_at) if before else (0, None)
            if off_at is not None and off_at < block.since:
                offs, off_at = 0, None  # of another block
            on, by_hand = seen.active or bool(seen.groups), row.kind in BY_HAND
            if not by_hand and (on or (settled is not None and at < settled)):
                offs, off_at = 0, None
            elif off_at is None:
                offs, off_at = 1, now()
            elif (at - off_at).total_seconds() >= apart:
                offs = max(offs, 2)
            values = _seen(seen, at) | {
                "state": "due" if on else "off",
                "wanted": off.hash,
                "offs": offs,
                "off_at": off_at,
                "again_at": None,
                "tries": 0,
                "reason": ("asked back" if by_hand else "still on") if on else "",
            }
            if finding := opened_outside(before, seen) or ("" if on else taken_again(before)):
                values |= {"finding": finding}
            if before is None or before.state != values["state"]:
                values |= {"since": at, "written_at": at}
            if not on and heard_no_more(row, before.asked_at if before else None, at):
                values |= {"asked_at": None}
            counted = before is None or offs != before.offs
            if counted and not row.active:
                await wake_access_in(
                    connection, person, now()
                )  # it looks there no more, and what it parked may be over
            note = counted or bool(refused_before(before))
            await self._changed(connection, person, row, before, values, "seen off", seen, note=note)
            kept = await state_in(connection, person, target)
            return off_seen(row, kept, block.since)

    async def _changed(
        self,
        connection: AsyncConnection,
        person: str,
        row: AccessTarget,
        before: TargetState | None,
        values: dict[str, Any],
        did: str,
        seen: TargetSeen | None,
        *,
        note: bool = True,
    ) -> None:
        """Write it; where it stands otherwise than before, the cases look and the trace says so."""
        names = ("state", "reason", "finding", "active", "wanted")  # what stands may be for another facility by now
        other = before is None or any(
            getattr(before, name) != values.get(name, getattr(before, name)) for name in names
        )
        if other:
            await wake_cases_in(connection, person, now())
        if values.get("offs") == 0:
            await reopened_in(connection, person)
        await put_in(connection, person, row, **values)
        if not note or (did == "saw" and not other):
            return
        content: dict[str, Any] = {"state": values["state"], "wanted": values.get("wanted", "")[:16]}
        if seen is not None:
            content |= {"present": seen.present, "active": seen.active, "groups": list(seen.groups)}
            content |= {"version": seen.version[:80]}
        content |= {name: values[name] for name in ("reason", "finding") if values.get(name)}
        if values["state"] in ("off", "confirmed"):
            content |= refused_before(before)
        if "offs" in values and did == "seen off":
            content |= {"times": values["offs"]}
        await note_in(connection, person, Entry(did=did, what=row.code, facility=row.facility, content=content))


def _again(row: AccessTarget, tries: int, wanted: Wanted, as_of: datetime) -> datetime:
    """What people hand out or bring back takes its time; a system is asked again soon."""
    if row.kind in BY_HAND:
        return as_of + REFUSED_AGAIN_WITHIN
    return tried_again_at("unavailable", tries, wanted.active, as_of, timedelta(seconds=row.refused_again))


def _ended(before: TargetState | None) -> dict[str, Any]:
    """The end of a write that gives was heard of: what may still come is one before it that never answered."""
    return {"asked_at": before.unheard_at if before is not None else None, "unheard_at": None}


def _known(want: Wanted, state: TargetState | None) -> Wanted:
    """With the target's own id of the record: somebody there may have taken our key out of it."""
    return want.changed(known_as=state.reference) if state is not None and state.reference else want


def _seen(seen: TargetSeen, as_of: datetime) -> dict[str, Any]:
    on = seen.active or bool(seen.groups)
    values = {"active": on, "version": seen.version[:200], "seen_at": as_of}
    return values | ({"reference": seen.reference} if seen.reference else {})  # kept: it may be there, without our key
