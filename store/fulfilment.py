"""What became of what a sender asked for by FHIR: how the cases stand, and which of its messages have news since a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import CaseStatus
from store.case_tables import cases, deliveries, unmatched
from store.cases import StoredCases
from store.database import transaction
from store.ids import lowest_id
from store.tables import claims, messages

DOOR = "fhir"


class StoredFulfilment:
    """Asked of our own database; changes nothing."""

    def __init__(self, engine: AsyncEngine, stored: StoredCases) -> None:
        self._engine = engine
        self._cases = stored

    async def standings(self, names: Sequence[str]) -> Mapping[str, tuple[CaseStatus, datetime, str]]:
        """How cases stand, since when, and which sender's message asked for them."""
        asked = (
            select(cases.c.case, cases.c.changed_at, func.coalesce(messages.c.sender, "").label("sender"))
            .join(claims, claims.c.case == cases.c.case)
            .join(messages, messages.c.id == claims.c.message, isouter=True)
            .where(cases.c.case.in_(list(names)))
        )
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(asked)).all()
        found = {}
        for row in rows:
            status = await self._cases.status(row.case)
            if status is not None:
                found[row.case] = (status, row.changed_at, row.sender)
        return found

    async def asked_by(self, case: str) -> str:
        """The message that asked for a case; empty where nobody knows."""
        async with transaction(self._engine) as connection:
            return await connection.scalar(select(claims.c.message).where(claims.c.case == case)) or ""

    async def number(self, subscriber: str, delivery: int) -> int:
        """How many events a subscriber is told of up to this one, and with it."""
        asked = select(func.count()).where(deliveries.c.subscriber == subscriber, deliveries.c.id <= delivery)
        async with transaction(self._engine) as connection:
            return int(await connection.scalar(asked) or 0)

    async def ended(self, names: Sequence[str]) -> Mapping[str, datetime]:
        """Since when messages wait for a person."""
        asked = (
            select(unmatched.c.message, func.max(unmatched.c.at).label("since"))
            .where(unmatched.c.message.in_(list(names)), unmatched.c.state == "open")
            .group_by(unmatched.c.message)
        )
        async with transaction(self._engine) as connection:
            return {row.message: row.since for row in await connection.execute(asked)}

    async def changed(self, sender: str, since: datetime, *, after: bool, limit: int) -> Sequence[tuple[str, datetime]]:
        """A sender's messages with news since (or after) a moment, oldest first; all of the last moment."""
        mine = (messages.c.sender == sender, messages.c.door == DOOR)
        came = select(messages.c.id, messages.c.at).where(*mine, messages.c.id >= lowest_id(since))
        of_cases = (
            select(messages.c.id, cases.c.changed_at.label("at"))
            .join(claims, claims.c.message == messages.c.id)
            .join(cases, cases.c.case == claims.c.case)
            .where(*mine, cases.c.changed_at >= since)
        )
        listed = (
            select(messages.c.id, unmatched.c.at)
            .join(unmatched, unmatched.c.message == messages.c.id)
            .where(*mine, unmatched.c.state == "open", unmatched.c.at >= since)
        )
        news = union_all(came, of_cases, listed).subquery()
        last = func.max(news.c.at)
        asked = (
            select(news.c.id, last.label("at"))
            .group_by(news.c.id)
            .having(last > since if after else last >= since)
            .order_by(last)
            .fetch(limit, with_ties=True)
        )
        async with transaction(self._engine) as connection:
            found = [(row.id, row.at) for row in await connection.execute(asked)]
        return sorted(found, key=lambda one: (one[1], one[0]))
