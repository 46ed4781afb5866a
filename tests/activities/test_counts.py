"""Our books of a location are held against the ERP's; where the ERP says no, the location goes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from activities.counts import CountActivities
from canonical.errors import Rejected, Unavailable
from canonical.stock import OnHand, Recorded, RoundKey
from tests.fakes.erp_stock import FakeStock

KEY = RoundKey(facility="NGH", location="OR-1", round=3, as_of=datetime(2026, 11, 22, 9, tzinfo=UTC))


class Counts:
    """What our store was told."""

    def __init__(self) -> None:
        self.told: list[Sequence[OnHand]] = []
        self.skipped_for: list[str] = []

    async def compared(self, key: RoundKey, on_hand: Sequence[OnHand]) -> Recorded:
        self.told.append(on_hand)
        return Recorded(round=key.round)

    async def skipped(self, key: RoundKey, reason: str) -> None:
        self.skipped_for.append(reason)


async def test_what_the_erp_has_is_brought_to_our_books() -> None:
    erp, counts = FakeStock(), Counts()
    erp.put_in("OR-1", "A", 10)
    assert (await CountActivities(counts, lambda _: erp).count_in_erp(KEY)).round == 3
    ((one,),) = counts.told
    assert (one.item, one.quantity) == ("A", 10) and counts.skipped_for == []


async def test_where_the_erp_says_no_the_location_goes_on_and_an_outage_is_repeated() -> None:
    erp, counts = FakeStock(), Counts()

    async def no(*_: object) -> Sequence[OnHand]:
        raise Rejected("the ERP has no location OR-1")

    erp.on_hand = no  # type: ignore[method-assign,assignment]
    assert await CountActivities(counts, lambda _: erp).count_in_erp(KEY) == Recorded(round=3)
    assert counts.skipped_for == ["the ERP has no location OR-1"] and counts.told == []

    async def away(*_: object) -> Sequence[OnHand]:
        raise Unavailable("the ERP does not answer", system="erp")

    erp.on_hand = away  # type: ignore[method-assign,assignment]
    with pytest.raises(Unavailable):
        await CountActivities(counts, lambda _: erp).count_in_erp(KEY)
    assert len(counts.skipped_for) == 1
