"""What of access needs a person: revocations not confirmed, targets that refuse, accounts switched on outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access_plan import ENABLED_OUTSIDE
from canonical.people import OWNER
from store.database import transaction
from store.people_tables import access_states, revocation_blocks
from store.stuck import Stuck

SECURITY: Final = "support"


async def stuck(engine: AsyncEngine, now: datetime) -> Sequence[Stuck]:
    """A line for each block not confirmed, and for each target that refuses or was opened.

    Raises:
        Unavailable: our database does not answer.
    """
    async with transaction(engine) as connection:
        blocks = [_open(row) for row in await connection.execute(_not_confirmed())]
        asked = [_asked(row) for row in await connection.execute(_lifting())]
        refused = [_refused(row) for row in await connection.execute(_by_target(access_states.c.state == "refused"))]
        opened = access_states.c.finding == ENABLED_OUTSIDE
        outside = [_outside(row) for row in await connection.execute(_by_target(opened))]
    return [Stuck.model_validate(one) for one in (*blocks, *asked, *refused, *outside)]


def _not_confirmed() -> Any:
    block = revocation_blocks.c
    return select(block.person, block.since).where(block.lifted_at.is_(None), block.confirmed_at.is_(None))


def _open(row: Any) -> dict[str, Any]:
    why = "all access is blocked; not every target was seen off yet"
    press = f"fascia person access {row.person} shows which; where one cannot be reached, end it there by hand"
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


def _by_target(which: Any) -> Any:
    state = access_states.c
    said = func.min(state.reason).label("reason"), func.min(state.person).label("person")
    counted = func.count().label("many"), func.min(state.since).label("since")
    return select(state.target, *said, *counted).where(which).group_by(state.target)


def _refused(row: Any) -> dict[str, Any]:
    press = f"mend what it names; it is tried again by itself: fascia person access {row.person}"
    about = {"owner": OWNER, "count": row.many, "since": row.since, "press": press}
    return {"what": "target refuses", "name": row.target, "why": row.reason} | about


def _outside(row: Any) -> dict[str, Any]:
    why = "an account we had taken away was on again: nobody of ours switched it on"
    press = f"find out who did, in that system: fascia person access {row.person}"
    about = {"owner": SECURITY, "count": row.many, "since": row.since, "press": press}
    return {"what": "switched on outside", "name": row.target, "why": why} | about
