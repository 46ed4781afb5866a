"""Steps of a location's case: take what was used, tell the ERP, record what it said, note what was asked for."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import activity

from canonical.base import FacilityCode
from canonical.errors import Malformed, Rejected, Unavailable
from canonical.ports import Register
from canonical.stock import (
    LocationOpened,
    LocationOpening,
    NeedStarted,
    Recorded,
    RoundKey,
    RoundPosted,
    RoundRefusal,
    StockPosted,
    StockPosting,
    TakenRound,
)
from canonical.stock_ports import StockErp, UsageBook, UsagePlaces


class StockActivities:
    """What is used stays in our own store: keys and counts come and go. All but ``post_round`` are local and quick."""

    def __init__(
        self, book: UsageBook, places: UsagePlaces, register: Register, erp_for: Callable[[FacilityCode], StockErp]
    ) -> None:
        self._book = book
        self._places = places
        self._register = register
        self._erp_for = erp_for

    @activity.defn
    async def open_location(self, opening: LocationOpening) -> LocationOpened:
        """Whether anybody knows the location, and where its rounds stand."""
        location = await self._register.location(opening.facility, opening.location)
        stands = await self._places.stands(opening.facility, opening.location)
        policy = await self._register.policy(opening.facility, opening.as_of.date())
        return LocationOpened(
            known=location is not None or stands.waiting,
            name=location.name if location else "",
            round=stands.round,
            step_timeout=policy.step_timeout,
        )

    @activity.defn(name="take_round")
    async def take(self, key: RoundKey) -> TakenRound:
        """Take what waits into a round, and judge it."""
        return await self._book.take(key)

    @activity.defn
    async def post_round(self, key: RoundKey) -> RoundPosted:
        """Tell the ERP what the round moved, document by document; what it said of one is kept before the next.

        One it refuses as a whole is kept as that: each of its lines is refused, the round's other documents stand.

        Raises:
            Rejected: there is nobody to tell.
        """
        erp, told = self._erp_for(key.facility), RoundPosted()
        for posting in await self._book.postings(key):
            try:
                outcome = await erp.post_stock(posting)
            except Rejected as no:
                outcome = posting.refused(no.message, no.code)
            except (
                Malformed
            ) as strange:  # it may stand in its books: asked again under its key until we can read the answer
                raise Unavailable(f"cannot read the ERP's answer: {strange.message}", system="erp") from strange
            await self._book.posted(key, posting.key, outcome)
            told = _with(told, posting, outcome)
        return told

    @activity.defn(name="record_round")
    async def record(self, key: RoundKey) -> Recorded:
        """Write down what the round moved, what is charged for it and what is to be brought."""
        return await self._book.record(key)

    @activity.defn(name="refuse_round")
    async def refuse(self, refusal: RoundRefusal) -> Recorded:
        """Put what the ERP has not answered of the round aside for a person, and record the rest of it."""
        return await self._book.refuse(refusal)

    @activity.defn(name="need_started")
    async def started(self, started: NeedStarted) -> None:
        """Note which case brings something."""
        await self._book.started(started)


def _with(told: RoundPosted, posting: StockPosting, outcome: StockPosted) -> RoundPosted:
    refused = len(outcome.refused)
    return RoundPosted(
        posted=told.posted + len(posting.lines) - refused,
        refused=told.refused + refused,
        receipts=(*told.receipts, *(receipt.number for receipt in outcome.receipts)),
    )
