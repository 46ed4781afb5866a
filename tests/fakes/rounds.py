"""A book of rounds in memory that judges nothing: each event is one unit of one item. For tests of the case, not of the rules.

What a real book does besides is in :mod:`tests.fakes.usage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from canonical.stock import (
    Need,
    NeedStarted,
    OnHand,
    Recorded,
    RoundKey,
    RoundRefusal,
    StockLine,
    StockPosted,
    StockPosting,
    TakenRound,
    WakeDue,
)
from canonical.stock_ports import PlaceStands


@dataclass
class Round:
    """A round as it was taken, and what became of it."""

    taken: TakenRound
    events: tuple[str, ...]
    as_of: datetime
    state: str = "taken"
    outcomes: dict[str, StockPosted] = field(default_factory=dict)
    recorded: Recorded | None = None


@dataclass
class Shelf:
    """One location."""

    waiting: list[str] = field(default_factory=list)
    rounds: dict[int, Round] = field(default_factory=dict)
    woken_at: datetime | None = None


class FakeRounds:
    """The ports UsageBook and UsagePlaces. Everything is there to be looked at, and what a test wants otherwise to be set."""

    def __init__(self, facility: str = "NGH", item: str = "ITM-1001") -> None:
        self.facility, self.item = facility, item
        self.places: dict[str, Shelf] = {}
        self.per_second = 0.0
        self.fuller_after = 10
        self.moved_to = ""
        self.apart = False  # each event is a document of its own
        self.needs: dict[int, tuple[Need, ...]] = {}  # by round: what recording it asks for
        self.posted_events: list[str] = []
        self.parked: dict[str, str] = {}
        self.refused: list[RoundRefusal] = []
        self.begun: list[NeedStarted] = []
        self.steps: list[str] = []
        self.count_due = False
        self.counted: list[Sequence[OnHand]] = []
        self.short: tuple[Need, ...] = ()  # what a comparison with the ERP asks for

    def shelf(self, location: str) -> Shelf:
        """A location."""
        return self.places.setdefault(location, Shelf())

    def put(self, location: str, *events: str) -> None:
        """Events wait at a location; one that is known already does not wait again."""
        shelf = self.shelf(location)
        known = {one for row in shelf.rounds.values() for one in row.events} | set(shelf.waiting)
        shelf.waiting += [one for one in events if one not in known]

    # The port UsageBook.

    async def take(self, key: RoundKey, most: int = 200) -> TakenRound:
        self.steps.append(f"take {key.round}")
        if self.count_due:
            return TakenRound(round=key.round, count_due=True)
        shelf = self.shelf(key.location)
        shelf.woken_at = None
        if key.round not in shelf.rounds:
            events, shelf.waiting = tuple(shelf.waiting[:most]), shelf.waiting[most:]
            taken = TakenRound(
                round=key.round,
                lines=len(events),
                waiting=len(shelf.waiting),
                per_second=self.per_second,
                fuller_after=self.fuller_after,
                moved_to=self.moved_to,
            )
            if not events:  # the number is not used up
                return taken
            shelf.rounds[key.round] = Round(taken, events, key.as_of)
        return shelf.rounds[key.round].taken

    # The port ErpCounts.

    async def compared(self, key: RoundKey, on_hand: Sequence[OnHand]) -> Recorded:
        self.steps.append(f"count {key.round}")
        self.count_due = False
        self.counted.append(on_hand)
        return Recorded(round=key.round, needs=self.short)

    async def skipped(self, key: RoundKey, reason: str) -> None:
        self.steps.append(f"no count {key.round}")
        self.count_due = False

    async def postings(self, key: RoundKey) -> Sequence[StockPosting]:
        row, name = self._row(key), f"{key.key}/consume"
        documents = {f"{name}/{one}": (one,) for one in row.events} if self.apart else {name: row.events}
        return [
            StockPosting(
                facility=key.facility,
                key=document,
                kind="consume",
                location=key.location,
                posted_on=row.as_of.date(),
                lines=tuple(
                    StockLine(key=f"{document}/{self.item}//{one}", item=self.item, quantity=1) for one in events
                ),
            )
            for document, events in documents.items()
            if events and document not in row.outcomes
        ]

    async def posted(self, key: RoundKey, posting: str, outcome: StockPosted) -> None:
        self._row(key).outcomes[posting] = outcome

    async def record(self, key: RoundKey) -> Recorded:
        self.steps.append(f"record {key.round}")
        row = self._row(key)
        if row.recorded is None:
            told = (line for outcome in row.outcomes.values() for line in outcome.refused)
            refused = {line.key.rpartition("/")[2]: line.reason for line in told}
            self.parked |= refused
            self.posted_events += [one for one in row.events if one not in refused]
            row.state = "recorded"
            row.recorded = Recorded(
                round=key.round, posted=len(row.events) - len(refused), needs=self.needs.get(key.round, ())
            )
        return row.recorded

    async def refuse(self, refusal: RoundRefusal) -> Recorded:
        self.steps.append(f"refuse {refusal.key.round}")
        for posting in await self.postings(refusal.key):
            await self.posted(refusal.key, posting.key, posting.refused(refusal.reason, refusal.code))
        self.refused.append(refusal)
        return await self.record(refusal.key)

    async def started(self, started: NeedStarted) -> None:
        self.begun.append(started)

    # The port UsagePlaces.

    async def stands(self, facility: str, location: str) -> PlaceStands:
        shelf = self.shelf(location)
        taken = [number for number, row in shelf.rounds.items() if row.state == "taken"]
        last = min(taken) - 1 if taken else max(shelf.rounds, default=0)
        return PlaceStands(round=last, waiting=bool(shelf.waiting))

    async def due(self, at: datetime, repeat_before: datetime, most: int = 1000) -> Sequence[WakeDue]:
        return [
            WakeDue(facility=self.facility, location=location)
            for location, shelf in self.places.items()
            if shelf.waiting and (shelf.woken_at is None or shelf.woken_at < repeat_before)
        ]

    async def woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        for place in places:
            self.shelf(place.location).woken_at = at

    async def not_woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        for place in places:
            if self.shelf(place.location).woken_at == at:
                self.shelf(place.location).woken_at = None

    def _row(self, key: RoundKey) -> Round:
        return self.shelf(key.location).rounds[key.round]
