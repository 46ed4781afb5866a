"""When a target is not called: its breaker is open, or its rate is used up. Pure rules; what they say is kept for all workers.

A breaker opens after so many failures in a row (the target cannot be reached, or does not answer; a no is an answer). Then
nothing is sent for a while; after that one message finds out (half-open): taken, it closes; failed, it is open again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from store.standing import CLOSED, HALF_OPEN, OPEN, Standing


@dataclass(frozen=True, slots=True)
class Breaker:
    """``open_after`` failures in a row; then nothing for ``wait``."""

    open_after: int
    wait: timedelta

    def due(self, standing: Standing) -> datetime | None:
        """From when on the target may be called; None: at any time."""
        return None if standing.breaker == CLOSED else standing.probe_at

    def calling(self, standing: Standing, at: datetime, patience: timedelta = timedelta(0)) -> Standing:
        """A call begins. By an open breaker it is the one probe: no other follows while it may still be answered."""
        if standing.breaker == CLOSED:
            return standing
        return standing.model_copy(update={"breaker": HALF_OPEN, "probe_at": at + max(self.wait, patience)})

    def answered(self, standing: Standing) -> Standing:
        """The target answered, whatever it said."""
        closed = {"breaker": CLOSED, "failures": 0, "given_up": 0, "opened_at": None, "probe_at": None}
        return standing.model_copy(update=closed)

    def failed(self, standing: Standing, at: datetime, error: str) -> Standing:
        """The target did not answer."""
        failures = standing.failures + 1
        news: dict[str, object] = {"failures": failures, "error": error, "error_at": at}
        if standing.breaker != CLOSED or failures >= self.open_after:
            news |= {"breaker": OPEN, "probe_at": at + self.wait, "opened_at": standing.opened_at or at}
            news["openings"] = standing.openings + (standing.breaker == CLOSED)
        return standing.model_copy(update=news)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``per_second`` calls, evenly: in no second are there more, whoever counts from wherever. 0: no limit."""

    per_second: float

    @property
    def spacing(self) -> timedelta:
        return timedelta(microseconds=ceil(1_000_000 / self.per_second)) if self.per_second else timedelta(0)

    def calling(self, standing: Standing, at: datetime) -> Standing:
        """A call begins now."""
        if not self.per_second:
            return standing
        return standing.model_copy(update={"free_at": max(standing.free_at or at, at) + self.spacing})

    def begun(self, standing: Standing, at: datetime) -> Standing:
        """The call left at this moment: what was written down before it took a while, and must not bring the next one nearer."""
        if not self.per_second:
            return standing
        return standing.model_copy(update={"free_at": max(standing.free_at or at, at + self.spacing)})
