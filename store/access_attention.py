"""What of access needs a person: revocations not confirmed, targets that refuse or do not answer, accounts switched on outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, extract, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import BY_HAND
from canonical.access_plan import ENABLED_OUTSIDE, TAKEN_AGAIN
from canonical.people import OWNER
from store.database import transaction
from store.marks import ALIVE
from store.people_tables import access_states, revocation_blocks
from store.stuck import Stuck
from store.tables import marks
from store.target_tables import targets_gone
from store.target_words import STANDS

SECURITY: Final = "support"
SERVED: Final = "revocations"  # the process that takes access away, as it says that it is alive
SILENT: Final = 60  # seconds, after which it is taken for gone
IN_VAIN: Final = 3  # tries, the third a dozen seconds after the first
LISTED: Final = timedelta(days=30)  # what was switched on outside, and taken away again, still has somebody who did it


async def stuck(engine: AsyncEngine, now: datetime) -> Sequence[Stuck]:
    """A line for each block not confirmed, and for each target that refuses, does not answer or was opened.

    Raises:
        Unavailable: our database does not answer.
    """
    async with transaction(engine) as connection:
        blocks = [_open(row) for row in await connection.execute(_not_confirmed())]
        asked = [_asked(row) for row in await connection.execute(_lifting())]
        asked += [_said_gone(row) for row in await connection.execute(_to_be_gone())]
        refused = [_refused(row) for row in await connection.execute(_by_target(access_states.c.state == "refused"))]
        silent = [_silent(row) for row in await connection.execute(_by_target(_in_vain()))]
        outside = [_outside(row) for row in await connection.execute(_by_target(_opened(now)))]
    return [Stuck.model_validate(one) for one in (*blocks, *asked, *refused, *silent, *outside)]


def _not_confirmed() -> Any:
    block = revocation_blocks.c
    age = select(extract("epoch", func.now() - marks.c.at)).where(marks.c.name == f"{ALIVE}{SERVED}").scalar_subquery()
    asked = select(block.person, block.since, age.label("silent"))
    return asked.where(block.lifted_at.is_(None), block.confirmed_at.is_(None))


def _open(row: Any) -> dict[str, Any]:
    why = "all access is blocked; not every target was seen off yet"
    press = f"fascia person access {row.person} shows which; where one cannot be reached, end it there by hand"
    if row.silent is None or row.silent > SILENT:
        why = "all access is blocked, and no process serves revocations: nobody sees it off"
        press = f"start python -m workers revocations (fascia doctor says whether it runs); {press}"
    about = {"owner": SECURITY, "since": row.since, "press": press}
    return {"what": "revocation not confirmed", "name": row.person, "why": why} | about


def _lifting() -> Any:
    block = revocation_blocks.c
    return select(block.person, block.lift_asked_at, block.lift_asked_by).where(
        block.lifted_at.is_(None), block.lift_asked_by != ""
    )


def _asked(row: Any) -> dict[str, Any]:
    why = f"{row.lift_asked_by} asks to lift the block: another person must confirm it"
    press = f"fascia person lift {row.person} --reason, or leave it"
    about = {"owner": OWNER, "since": row.lift_asked_at, "press": press}
    return {"what": "block to be lifted", "name": row.person, "why": why} | about


def _to_be_gone() -> Any:
    word = targets_gone.c
    return select(word.target, word.asked_at, word.asked_by).where(STANDS, word.said_at.is_(None))


def _said_gone(row: Any) -> dict[str, Any]:
    why = f"{row.asked_by} says that its system is gone for good: another person must say so too"
    press = f"fascia target gone {row.target} --reason, or leave it"
    about = {"owner": SECURITY, "since": row.asked_at, "press": press}
    return {"what": "target said to be gone", "name": row.target, "why": why} | about


def _by_target(which: Any) -> Any:
    state = access_states.c
    there = state.target.not_in(select(targets_gone.c.target).where(STANDS, targets_gone.c.said_at.is_not(None)))
    said = func.min(state.reason).label("reason"), func.min(state.person).label("person")
    counted = func.count().label("many"), func.min(state.since).label("since"), func.min(state.finding).label("finding")
    return select(state.target, *said, *counted).where(which, there).group_by(state.target)


def _opened(now: datetime) -> Any:
    state = access_states.c
    lately = (state.finding == TAKEN_AGAIN) & (state.since > now - LISTED)
    return (state.finding == ENABLED_OUTSIDE) | lately


def _refused(row: Any) -> dict[str, Any]:
    press = f"mend what it names; it is tried again by itself: fascia person access {row.person}"
    about = {"owner": OWNER, "count": row.many, "since": row.since, "press": press}
    return {"what": "target refuses", "name": row.target, "why": row.reason} | about


def _in_vain() -> Any:
    """What was tried again and again without an answer, or without being so afterwards. What people hand out takes its time."""
    state = access_states.c
    tried = and_(state.state.in_(("due", "written")), state.tries >= IN_VAIN, state.reason != "")
    return and_(tried, state.kind.not_in(BY_HAND))


def _silent(row: Any) -> dict[str, Any]:
    press = f"see whether it runs; it is tried again by itself: fascia person access {row.person}"
    about = {"owner": SECURITY, "count": row.many, "since": row.since, "press": press}
    return {"what": "target does not answer", "name": row.target, "why": row.reason} | about


def _outside(row: Any) -> dict[str, Any]:
    why = "what we had taken away was on again, and nobody of ours switched it on"
    why += "; it is being taken away" if row.finding == ENABLED_OUTSIDE else "; we took it away again"
    press = f"find out who did, in that system: fascia person access {row.person}"
    about = {"owner": SECURITY, "count": row.many, "since": row.since, "press": press}
    return {"what": "switched on outside", "name": row.target, "why": why} | about
