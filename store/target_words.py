"""Words of people that a system is gone for good: said by two, of a target that is out of use, void once it is put in use again.

What stood there then counts as gone with it (:mod:`store.targets_gone`). The word is kept with who, when and why; it is never taken
out, only void.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.access import AccessTarget, TargetRow, TargetWord, TargetWordTaken
from canonical.access_plan import SYSTEM_GONE
from canonical.errors import Rejected
from store.access_rows import all_targets_in, target_in
from store.people_tables import access_states, people, revocation_blocks
from store.register_reading import read_document
from store.tables import register
from store.target_tables import targets_gone

STANDS = targets_gone.c.void_at.is_(None)


async def say_in(connection: AsyncConnection, word: TargetWord, by: str, at: datetime) -> TargetWordTaken:
    """Ask that a target count as gone, or say it where somebody else has asked; whoever has something there is then looked at.

    The caller holds the register's rows of targets (``store.register_writing.alone``): none is put in use meanwhile.

    Raises:
        Rejected: (not-found) nobody knows such a target; (not-open) it is in use.
    """
    row = await target_in(connection, word.target, at)
    mine = access_states.c.target == word.target
    if row is None and not await connection.scalar(select(func.count()).select_from(access_states).where(mine)):
        raise Rejected(f"there is no target {word.target}", code="not-found", system="store")
    if row is not None and row.active:
        why = f"{word.target} is in use: what is gone is put out of use first (`active` false in its row)"
        raise Rejected(why, code="not-open", system="store")
    standing = (await connection.execute(_standing(word.target))).mappings().one_or_none()
    if standing is None:
        asked = {"target": word.target, "asked_by": by, "reason": word.reason, "asked_at": at}
        await connection.execute(insert(targets_gone).values(asked))
    if standing is None or (standing["said_at"] is None and standing["asked_by"] == by):
        message = "asked for: another person must say so too, and until then it is tried on"
        return TargetWordTaken(target=word.target, gone=False, asked_by=by, message=message)
    if standing["said_at"] is not None:
        message = f"said before, by {standing['asked_by']} and {standing['said_by']}: it counts as gone"
        return TargetWordTaken(target=word.target, gone=True, asked_by=standing["asked_by"], message=message)
    said = {"said_by": by, "said_reason": word.reason, "said_at": at}
    await connection.execute(update(targets_gone).where(targets_gone.c.id == standing["id"]).values(**said))
    await _wake_in(connection, _whose(word.target), at)
    many = await connection.scalar(select(func.count()).select_from(access_states).where(mine, _may_stand()))
    message = f"it counts as gone, with what stood there of {many} people"
    return TargetWordTaken(
        target=word.target, gone=True, asked_by=standing["asked_by"], people=many or 0, message=message
    )


def _standing(target: str) -> Any:
    return select(targets_gone).where(STANDS, targets_gone.c.target == target).with_for_update()


def _may_stand() -> Any:
    """Of whom something may stand in a target, as far as was seen."""
    state = access_states.c
    on = or_(state.active, state.asked_at.is_not(None))
    return and_(state.finding != SYSTEM_GONE, or_(state.state.not_in(("off", "absent")), on))


def _whose(target: str) -> Any:
    """Whom a word about a target concerns: of whom something may stand there, and whose revocation is not confirmed."""
    unconfirmed = select(revocation_blocks.c.person).where(
        revocation_blocks.c.lifted_at.is_(None), revocation_blocks.c.confirmed_at.is_(None)
    )
    which = or_(_may_stand(), access_states.c.person.in_(unconfirmed))
    return select(access_states.c.person).where(access_states.c.target == target, which)


async def _wake_in(connection: AsyncConnection, whose: Any, at: datetime) -> None:
    """Their cases of access look, and the revocations that are not confirmed."""
    await connection.execute(update(people).where(people.c.person.in_(whose)).values(woken_at=at))
    block = revocation_blocks.c
    standing = block.lifted_at.is_(None), block.confirmed_at.is_(None), block.person.in_(whose)
    await connection.execute(update(revocation_blocks).where(*standing).values(woken_at=None))


async def words_in(connection: AsyncConnection) -> Mapping[str, Any]:
    """The words that stand, said by two, by their targets."""
    asked = select(targets_gone).where(STANDS, targets_gone.c.said_at.is_not(None))
    return {row["target"]: row for row in (await connection.execute(asked)).mappings()}


async def void_in(connection: AsyncConnection, at: datetime) -> Collection[str]:
    """Words about targets that are in use again, or have been since, are void: whom they concerned is looked at again, and what was
    confirmed without that system is so no more."""
    words = (await connection.execute(select(targets_gone).where(STANDS))).mappings().all()
    used = [row for row in words if await _used_since(connection, row["target"], row["asked_at"], at)]
    for row in used:
        await connection.execute(update(targets_gone).where(targets_gone.c.id == row["id"]).values(void_at=at))
        gone = access_states.c.target == row["target"], access_states.c.finding == SYSTEM_GONE
        whose = select(access_states.c.person).where(*gone)
        block = revocation_blocks.c
        again = update(revocation_blocks).where(block.lifted_at.is_(None), block.person.in_(whose))
        await connection.execute(again.values(confirmed_at=None))
        await _wake_in(connection, whose, at)
    return [row["target"] for row in used]


async def _used_since(connection: AsyncConnection, target: str, since: datetime, at: datetime) -> bool:
    """Whether a row of the register has it in use now, or had it on a day after the word."""
    row = await target_in(connection, target, at)
    if row is not None and row.active:
        return True
    between = register.c.valid_from > since.date(), register.c.valid_from <= at.date()
    asked = select(register.c.document).where(register.c.kind == "access_target", register.c.code == target, *between)
    return any(read_document(AccessTarget, one).active for one in (await connection.execute(asked)).scalars())


async def rows_in(connection: AsyncConnection, at: datetime) -> Sequence[TargetRow]:
    """Every target, of how many people something may stand there, and the word that it is gone."""
    many = select(access_states.c.target, func.count().label("many")).where(_may_stand())
    counts = {row.target: row.many for row in await connection.execute(many.group_by(access_states.c.target))}
    words = {row["target"]: row for row in (await connection.execute(select(targets_gone).where(STANDS))).mappings()}
    rows = {one.code: one for one in await all_targets_in(connection, at)}
    return [_row(code, rows.get(code), counts.get(code, 0), words.get(code)) for code in sorted({*rows, *counts})]


def _row(code: str, row: AccessTarget | None, people: int, word: Any) -> TargetRow:
    told: dict[str, Any] = {"target": code, "people": people}
    if row is not None:
        told |= {"kind": row.kind, "facility": row.facility, "active": row.active}
    if word is not None:
        told |= {name: word[name] for name in ("asked_by", "asked_at", "said_by")} | {"gone_since": word["said_at"]}
    return TargetRow.model_validate(told)
