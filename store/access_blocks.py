"""Revocation blocks: committed before anything else is done, confirmed when every target was seen off, lifted by two people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.access import BY_HAND, AccessTarget, Block, BlockWord, LiftTaken, OffSeen, RevocationStanding
from canonical.access_plan import SPARE, SYSTEM_GONE, TargetState, settled_at
from canonical.credentials import ClinicianPolicy
from canonical.errors import Rejected
from store.access_rows import (
    all_targets_in,
    held_person,
    looked_at,
    policies_in,
    wake_cases_in,
)
from store.people_applying import lock_person_in
from store.people_blocking import block_in
from store.people_reading import not_about_oneself_in
from store.people_tables import revocation_blocks
from store.people_wakes import wake_everywhere_in
from store.person_trace import Entry, note_in
from store.targets_gone import settled_in

SEEN_OFF = 2  # looks, far enough apart, that confirm
MARGIN = 5  # seconds beyond the longest time-out: clocks differ


async def blocking_in(connection: AsyncConnection, block: Block) -> Block:
    """Commit a block with the transaction; the one that stands, or that has this ``id``, where there is one.

    Who may still be writing is seen by its mark, since that was made under the lock that this takes.
    """
    await lock_person_in(connection, block.person)
    await held_person(connection, block.person, block.since)
    found = await _same(connection, block)
    if found is not None:
        return found
    await block_in(connection, block)
    return block


async def _same(connection: AsyncConnection, block: Block) -> Block | None:
    mine = revocation_blocks.c.person == block.person
    rows = (await connection.execute(select(revocation_blocks).where(mine))).mappings().all()
    for row in rows:
        if row["lifted_at"] is None or (block.id and row["call"] == block.id):
            return _block(row)
    return None


async def standing_block_in(connection: AsyncConnection, person: str) -> Block | None:
    """The block that stands."""
    row = await _standing_row(connection, person)
    return _block(row) if row is not None else None


async def _standing_row(connection: AsyncConnection, person: str) -> Any:
    mine = revocation_blocks.c.person == person, revocation_blocks.c.lifted_at.is_(None)
    return (await connection.execute(select(revocation_blocks).where(*mine))).mappings().one_or_none()


def _block(row: Any) -> Block:
    names = ("person", "since", "by", "reason", "lift_asked_by", "lifted_by", "lifted_at")
    return Block.model_validate({name: row[name] for name in names} | {"id": row["call"]})


async def apart_in(connection: AsyncConnection, person: str, targets: list[AccessTarget], as_of: datetime) -> int:
    """Seconds between the two looks that confirm: longer than any client of ours waits for an answer."""
    rules = list(await policies_in(connection, person, as_of)) or [ClinicianPolicy(facility="any")]
    longest = max((target.timeout for target in targets), default=0)
    return max(*(rule.seen_off_apart for rule in rules), int(longest) + MARGIN)


async def revocation_in(connection: AsyncConnection, person: str, as_of: datetime) -> RevocationStanding:
    """How it stands; written down as confirmed once all is seen off that a system of ours can see."""
    row = await _standing_row(connection, person)
    if row is None:
        return RevocationStanding(blocked=False)
    states = await settled_in(connection, person, as_of, row["since"])
    known = await all_targets_in(connection, as_of)
    targets = [one for one in known if looked_at(one, states.get(one.code), row["since"])]
    left = states.keys() - {one.code for one in known}
    gone = [code for code in sorted(left) if states[code].finding != SYSTEM_GONE]
    rules = list(await policies_in(connection, person, as_of)) or [ClinicianPolicy(facility="any")]
    seen = [off_seen(one, states.get(one.code), row["since"]) for one in targets]
    seen += [_nobody_reaches(code, states[code]) for code in gone]
    confirmed = all(one.confirmed for one in seen if one.kind not in BY_HAND)
    if confirmed and row["confirmed_at"] is None:
        await _confirmed_in(connection, person, row, [one.target for one in seen], as_of)
    return RevocationStanding(
        blocked=True,
        since=row["since"],
        confirmed=confirmed,
        apart=await apart_in(connection, person, targets, as_of),
        escalate_at=row["since"] + timedelta(seconds=min(rule.escalate_after for rule in rules)),
        targets=tuple(seen),
    )


async def _confirmed_in(
    connection: AsyncConnection, person: str, row: Any, targets: list[str], as_of: datetime
) -> None:
    """Write it down, once."""
    await lock_person_in(connection, person)
    mine = revocation_blocks.c.id == row["id"], revocation_blocks.c.confirmed_at.is_(None)
    told = update(revocation_blocks).where(*mine).values(confirmed_at=as_of).returning(revocation_blocks.c.id)
    if await connection.scalar(told) is None:
        return  # whoever looked at the same moment has
    await wake_cases_in(connection, person, as_of)
    took = {"seconds": round((as_of - row["since"]).total_seconds(), 1), "targets": targets}
    await note_in(connection, person, Entry(did="confirmed off", what=row["call"], content=took))


def off_seen(target: AccessTarget, state: TargetState | None, since: datetime) -> OffSeen:
    """How often a target was seen off since a block; what a person takes back is asked for once, and then a task of theirs."""
    kept = state or TargetState(target=target.code, state="due")
    counts = kept.off_at is not None and kept.off_at >= since
    times, needed = (kept.offs if counts else 0), 1 if target.kind in BY_HAND else SEEN_OFF
    return OffSeen(
        target=target.code,
        kind=target.kind,
        times=times,
        last=kept.off_at if counts else None,
        confirmed=times >= needed,
        reason=kept.reason,
        waits_until=settled_at(target, kept.asked_at),
        seconds=int(target.timeout * 2) + SPARE,
    )


def _nobody_reaches(code: str, state: TargetState) -> OffSeen:
    """A target the register no longer has: nobody can look there, and a person must."""
    gone = "the register has no such target any more: look there by hand, load its row again, or `fascia target gone`"
    off = state.state == "absent"
    return OffSeen(target=code, kind="identity", confirmed=off, reason="" if off else gone)


async def lift_in(connection: AsyncConnection, word: BlockWord, by: str, at: datetime) -> LiftTaken:
    """Ask for a block to be lifted, or lift it where somebody else has asked: two people, neither the one it is about.

    Raises:
        Rejected: no block stands; it is one's own; the same person asks and confirms.
    """
    await lock_person_in(connection, word.person)  # of two who ask at once one is the second
    row = await _standing_row(connection, word.person)
    if row is None:
        raise Rejected("no block stands for this person", code="not-open", system="store")
    await not_about_oneself_in(connection, [word.person], by, "nobody lifts a block of their own access")
    mine = revocation_blocks.c.id == row["id"]
    asked_by = row["lift_asked_by"]
    if asked_by in ("", by):
        if not asked_by:
            asked = {"lift_asked_by": by, "lift_reason": word.reason, "lift_asked_at": at}
            await connection.execute(update(revocation_blocks).where(mine).values(**asked))
            await note_in(connection, word.person, Entry(did="asked to lift", what=row["call"], by=by), at=at)
        message = "asked for: another person must confirm it, and the block stands until then"
        return LiftTaken(person=word.person, lifted=False, asked_by=by, message=message)
    await connection.execute(update(revocation_blocks).where(mine).values(lifted_by=by, lifted_at=at))
    await note_in(
        connection, word.person, Entry(did="lifted", what=row["call"], by=by, content={"asked by": asked_by}), at=at
    )
    await wake_everywhere_in(connection, word.person, at)
    return LiftTaken(
        person=word.person, lifted=True, asked_by=asked_by, message="lifted: access follows what is known now"
    )
