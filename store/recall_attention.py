"""What of recalls and expiry stands still and needs a person: late tasks, notices nobody has read to the end, expired stock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.recall import OWNER
from store.database import transaction
from store.recall_tables import recall_tasks, recalls
from store.stuck import Stuck
from store.usage_tables import stock_balances

EXPIRED_PRESS: Final = "take it off the shelf and count the location: fascia stock expiring --days 0"


async def stuck(engine: AsyncEngine, now: datetime) -> Sequence[Stuck]:
    """A line for each recall that is late or not read to the end, one for what expired.

    Raises:
        Unavailable: our database does not answer.
    """
    async with transaction(engine) as connection:
        late = [_late(row) for row in await connection.execute(_overdue(now))]
        unread = [_unread(row) for row in await connection.execute(_uncertain())]
        expired = [_expired(row) for row in await connection.execute(_past(now)) if row.many]
    return [*late, *unread, *expired]


def _overdue(now: datetime) -> Any:
    of_recall = select(
        recall_tasks.c.recall, func.count().label("many"), func.min(recall_tasks.c.due).label("since")
    ).where(recall_tasks.c.state == "open", recall_tasks.c.due <= now)
    found = of_recall.group_by(recall_tasks.c.recall).subquery()
    return select(found, recalls.c.classification).join(recalls, recalls.c.number == found.c.recall)


def _late(row: Any) -> Stuck:
    level = f"class {row.classification}" if row.classification else "not classified"
    why = f"no answer in the time of its class ({level})"
    press = f"fascia recall show {row.recall} --state open, then fascia recall answer"
    about = {"owner": OWNER, "count": row.many, "since": row.since, "press": press}
    return Stuck(what="recall task overdue", name=row.recall, why=why, **about)


def _uncertain() -> Any:
    asked = select(recalls.c.number, recalls.c.blocked, recalls.c.state, recalls.c.at)
    return asked.where(recalls.c.uncertain, recalls.c.state != "closed")


def _unread(row: Any) -> Stuck:
    blocks = "nothing of it is blocked yet" if row.state == "scope" else "what is certain of it is blocked"
    press = f"fascia recall show {row.number}, then fascia recall scope, settle, or close --lift"
    why = f"its notice leaves open what it means; {blocks}"
    return Stuck(what="recall to be read", name=row.number, why=why, owner=OWNER, since=row.at, press=press)


def _past(now: datetime) -> Any:
    """Stock past its date by a day at least, wherever the location is: nobody's clock says it may be used."""
    name = stock_balances.c.facility + "/" + stock_balances.c.location
    asked = select(
        func.count().label("many"), func.min(stock_balances.c.expires).label("first"), func.min(name).label("name")
    )
    return asked.where(stock_balances.c.on_hand > 0, stock_balances.c.expires < now.date())


def _expired(row: Any) -> Stuck:
    since = datetime.combine(row.first, time(), UTC)
    why = f"past its date, the first since {row.first.isoformat()}"
    about = {"owner": OWNER, "count": row.many, "since": since, "press": EXPIRED_PRESS}
    return Stuck(what="expired stock", name=row.name, why=why, **about)
