"""Routes what was kept while something was away: no outage loses a message, however long it lasts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from canonical.ports import Journal, Kept
from gateway.intake import Intake

OLD_ENOUGH = timedelta(seconds=10)  # its own door is done with it by then, one way or the other
AT_MOST = 500
GIVE_UP_AFTER = 5  # in a row: then what they need is away, and the next round comes soon
LONGEST_WAIT = timedelta(minutes=5)

log = structlog.get_logger(__name__)


class RoutingSweep:
    """Oldest first. What could not go on waits longer each time, so that it never stands in the way of others."""

    def __init__(
        self, journal: Journal, intake: Intake, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._clock = clock
        self._again: dict[str, tuple[datetime, int]] = {}

    async def once(self) -> None:
        """Route what waits."""
        now = self._clock()
        waiting = await self._journal.unrouted(now - OLD_ENOUGH, AT_MOST)
        self._again = {one.id: self._again[one.id] for one in waiting if one.id in self._again}
        failed_in_a_row = routed = 0
        for message in waiting:
            if self._again.get(message.id, (now, 0))[0] > now:
                continue
            if await self._intake.route(message):
                failed_in_a_row, routed = 0, routed + 1
                self._again.pop(message.id, None)
                continue
            self._wait(message, now)
            failed_in_a_row += 1
            if failed_in_a_row == GIVE_UP_AFTER:
                break
        if routed:
            log.info("swept", routed=routed, waiting=len(self._again))

    def _wait(self, message: Kept, now: datetime) -> None:
        times = self._again.get(message.id, (now, 0))[1] + 1
        self._again[message.id] = (now + min(timedelta(seconds=5 * 2 ** min(times, 7)), LONGEST_WAIT), times)
