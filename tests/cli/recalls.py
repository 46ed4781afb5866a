"""Recalls in memory for the commands to talk to: one that waits for answers, and one whose notice leaves something open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from canonical.cases import Answer
from canonical.recall import RecallNotice, RecallScope, RecallTask, RecallWord
from cli.recall_views import ExpiringRow, RecallLoadRow, RecallRow, RecallView

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NUMBER = "Z-1234-2026"


class FakeRecalls:
    """It remembers what it was asked to do, in ``asked_for``."""

    def __init__(self, asked_for: list[Any]) -> None:
        self._asked_for = asked_for

    async def load(self, notices: Sequence[RecallNotice], why: str, dry_run: bool) -> Sequence[RecallLoadRow]:
        self._asked_for.append(("recall load", [one.number for one in notices], why, dry_run))
        return [
            RecallLoadRow(number=one.number, outcome="new", blocks=len(one.scopes), uncertain=one.uncertain)
            for one in notices
        ]

    async def rows(self, everything: bool, limit: int) -> Sequence[RecallRow]:
        return [RecallRow(number=NUMBER, state="open", classification="I", blocked=True, open=2, overdue=1, at=NOON)][
            :limit
        ]

    async def show(self, number: str, state: str, limit: int) -> RecallView | None:
        if number != NUMBER:
            return None
        scopes = (RecallScope(lot_from="A1"), RecallScope(lot_from="A5", lot_to="A9"))
        notice = RecallNotice(number=NUMBER, product="Stent", scopes=scopes, uncertain=("the notice names no product",))
        place: dict[str, Any] = {"kind": "location", "facility": "NGH", "location": "OR-1", "expected": 3}
        task = RecallTask(id="t1", recall=NUMBER, due=NOON, opened_at=NOON - timedelta(hours=24), **place)
        (row,) = await self.rows(True, 1)
        told: dict[str, Any] = {"notice": notice, "blocks": ("ITM-9001: lot A1",), "tasks": (task,), "uncertain": True}
        return RecallView.model_validate(row.model_dump() | told)

    async def give(self, number: str, word: RecallWord) -> Answer:
        self._asked_for.append((number, word))
        return Answer(taken=True, message=f"{word.verb} taken", business_state="open")

    async def expiring(self, within: int, facility: str, location: str, limit: int) -> Sequence[ExpiringRow]:
        self._asked_for.append(("expiring", within, facility, location))
        held: dict[str, Any] = {"facility": "NGH", "location": "OR-1", "item": "ITM-1", "lot": "A1", "quantity": 4}
        days = {"expires": date(2026, 11, 18), "days": -2, "warned": 30}
        return [ExpiringRow.model_validate(held | days)]
