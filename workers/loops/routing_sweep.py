"""Routes what was kept while something was away: no outage loses a message, however long it lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from canonical.messages import Kept
from canonical.ports import Journal
from gateway.intake import Intake

OLD_ENOUGH = timedelta(seconds=10)  # its own door is done with it by then, one way or the other
PAGE = 500
PAGES = 4  # read in a round at most; the next round reads on
GIVE_UP_AFTER = 5  # in a row: then what they need is away, and the next round comes soon
LONGEST_WAIT = timedelta(minutes=5)
TOO_LONG = timedelta(hours=1)  # since it was kept: then a person must know

log = structlog.get_logger(__name__)


class RoutingSweep:
    """Oldest first, each sender's in turn. What could not go on waits longer each time and stands in nobody's way."""

    def __init__(
        self, journal: Journal, intake: Intake, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._clock = clock
        self._again: dict[str, tuple[datetime, int]] = {}
        self._told: set[str] = set()
        self._place: Kept | None = None  # where the round before left off, when more wait than a round reads
        self._met: set[str] = set()  # since the journal was last read from its beginning

    async def once(self) -> None:
        """Route what waits."""
        now = self._clock()
        failed_in_a_row = routed = 0
        for message in in_turn(await self._due(now), self._again):
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

    async def _due(self, now: datetime) -> Sequence[Kept]:
        """What may be tried now. Pages in which all wait are passed over, so that many of them hide nothing newer."""
        due: list[Kept] = []
        for _ in range(PAGES):
            page = await self._journal.unrouted(now - OLD_ENOUGH, PAGE, after=self._place)
            self._met.update(message.id for message in page)
            due += [message for message in page if self._again.get(message.id, (now, 0))[0] <= now]
            if len(page) < PAGE:
                self._from_the_beginning()
                break
            self._place = page[-1].model_copy(update={"data": b""})
            if len(due) >= PAGE:
                break
        return due

    def _from_the_beginning(self) -> None:
        self._again = {one: when for one, when in self._again.items() if one in self._met}
        self._told &= self._met
        self._place, self._met = None, set()

    def _wait(self, message: Kept, now: datetime) -> None:
        times = self._again.get(message.id, (now, 0))[1] + 1
        self._again[message.id] = (now + min(timedelta(seconds=5 * 2 ** min(times, 7)), LONGEST_WAIT), times)
        if now - message.at > TOO_LONG and message.id not in self._told:
            self._told.add(message.id)
            about = {"message": message.id, "kind": message.kind, "partner": message.partner}
            log.error("message waits long", alert=True, since=message.at.isoformat(), **about)


def in_turn(messages: Sequence[Kept], tried: Container[str]) -> Sequence[Kept]:
    """The first of each sender's and kind's, then the second of each, ...: one that is stuck costs the others one place.

    What was ``tried`` before is a row of its own beside what is new.
    """
    rows: dict[tuple[str, str, bool], int] = defaultdict(int)
    places: list[int] = []
    for message in messages:
        row = (message.kind, message.partner, message.id in tried)
        places.append(rows[row])
        rows[row] += 1
    return [message for _, message in sorted(zip(places, messages, strict=True), key=lambda placed: placed[0])]
