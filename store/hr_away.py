"""HR systems that are asked and could not be read: since when and why, for the list of what needs a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.hr_ports import NotRead
from store.database import transaction
from store.hr_tables import hr_away
from store.stuck import Stuck

NOBODYS: Final = "support"  # owns it where the sender's row names nobody

# What it is, and what to do about it. Words of ours: what it said itself may name somebody, or hold what it was sent.
_WHY: Final[Mapping[str, tuple[str, str]]] = {
    "silent": ("it does not answer", "fascia doctor, part hr: start it, or the way to it"),
    "refuses": (
        "it refuses us",
        "its user FASCIA_HR_USER, the secret hr_password, and what that user may read there (docs/people.md)",
    ),
    "busy": ("it keeps asking us to wait", "see what burdens it; FASCIA_HR_RATE is how many calls a second it gets"),
    "unreadable": ("its answer cannot be read", "what was changed there? The loops' log names what we missed"),
}


class StoredHrAway:
    """Kept in our own database. ``after``: how long it may be away before anybody is told."""

    def __init__(self, engine: AsyncEngine, after: timedelta) -> None:
        self._engine, self._after = engine, after

    async def noted(self, sender: str, why: NotRead, owner: str, at: datetime) -> None:
        """It could not be read at this moment; since when is what was noted first.

        Raises:
            Unavailable: our database does not answer.
        """
        new = upsert(hr_away).values(sender=sender, since=at, tell_at=at + self._after, why=why, owner=owner)
        told = {"why": why, "owner": owner, "tell_at": hr_away.c.since + self._after}
        async with transaction(self._engine) as connection:
            await connection.execute(new.on_conflict_do_update(index_elements=["sender"], set_=told))

    async def over(self, sender: str) -> None:
        """It was read, or is not asked any more.

        Raises:
            Unavailable: our database does not answer.
        """
        async with transaction(self._engine) as connection:
            await connection.execute(delete(hr_away).where(hr_away.c.sender == sender))

    async def only(self, *senders: str) -> None:
        """These alone are asked from now on: nobody waits for another any more.

        Raises:
            Unavailable: our database does not answer.
        """
        async with transaction(self._engine) as connection:
            await connection.execute(delete(hr_away).where(hr_away.c.sender.not_in(senders)))


async def stuck(engine: AsyncEngine, now: datetime) -> Sequence[Stuck]:
    """A line for each HR system that could not be read for longer than its hiccups last.

    Raises:
        Unavailable: our database does not answer.
    """
    asked = select(hr_away).where(hr_away.c.tell_at <= now).order_by(hr_away.c.sender)
    async with transaction(engine) as connection:
        return [_away(row) for row in await connection.execute(asked)]


def _away(row: Any) -> Stuck:
    words, press = _WHY.get(row.why, _WHY["silent"])
    owner = row.owner or NOBODYS
    why = f"{words}: who is hired, changed or ended there since then is not heard of"
    press = (
        f"{press}; ask {owner}. Who must go meanwhile: fascia person revoke KEY. What changed is asked for by itself"
    )
    return Stuck(what="HR system away", name=row.sender, why=why, owner=owner, since=row.since, press=press)
