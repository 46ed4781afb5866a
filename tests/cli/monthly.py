"""The monthly monitoring in memory for the commands to talk to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cli.monitoring_views import MonitoringBegun, MonitoringRow

NOON = datetime(2026, 11, 11, 6, tzinfo=UTC)


class FakeMonthly:
    """A run that goes on and one that is done; the house says what is in the way of another."""

    def __init__(self, house: Any) -> None:
        self._house = house

    async def rows(self, limit: int) -> Sequence[MonitoringRow]:
        counted = {"people": 1200, "held": 1200, "asked": 900, "owed": 7, "differing": 2}
        rows = [
            MonitoringRow(id="m-2", as_of=NOON, state="licences", **counted, trouble="IDFPR did not answer"),
            MonitoringRow(id="m-1", as_of=NOON, state="done", people=1190, ended_at=NOON),
        ]
        return rows[:limit]

    async def run(self, why: str) -> MonitoringBegun:
        self._house.asked_for.append(("monitoring run", why))
        self._house.fail()
        return MonitoringBegun(schedule="clinician_monitoring", by="E-ME")
