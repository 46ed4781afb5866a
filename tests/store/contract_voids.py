"""What UsageInbox and UsageBook promise of uses taken back, whoever keeps them: the same suite for our store and for the fake."""

from __future__ import annotations

import pytest

from tests.store.usage_house import House, use, void


class VoidContract:
    async def test_a_posted_use_taken_back_moves_back_and_is_credited(self, house: House) -> None:
        await house.stock.opening("OR-1", "SUTURE", 5)
        await house.keep(use("1", "SUTURE", 2))
        await house.round()
        await house.keep(void("V", "1", location=""))
        key, taken = await house.take()
        (posting,) = await house.post(key)
        assert taken.lines == 1 and [(line.back, line.quantity) for line in posting.lines] == [(True, 2)]
        await house.book.record(key)
        assert await house.total("SUTURE") == 5
        assert (await house.state("1"))[0] == "voided" and (await house.state("V"))[0] == "posted"
        assert await house.stock.charges() == [("1", "charge", "BILLING"), ("1", "credit", "BILLING")]
        await house.keep(void("W", "1"))
        await house.round()
        assert await house.state("W") == ("parked", "voided-before") and await house.total("SUTURE") == 5

    @pytest.mark.parametrize("verb", ["post", "correct", "dismiss"])
    async def test_a_credit_of_a_part_takes_nothing_back_until_a_person_says_what_it_is(
        self, house: House, verb: str
    ) -> None:
        await house.stock.opening("OR-1", "SUTURE", 9)
        await house.keep(use("1", "SUTURE", 5))
        await house.round()
        await house.keep(void("V", "1", amount=2, amount_stated=True))
        await house.round()
        kept = await house.stock.event("V")
        assert (kept.state, kept.finding) == ("parked", "partial-void") and kept.reason.endswith(": 2 of 5")
        assert await house.total("SUTURE") == 4 and len(await house.stock.charges()) == 1
        await house.decide("V", verb, **({"amount": "5"} if verb == "correct" else {}))
        await house.round()
        whole = verb != "dismiss"
        assert await house.total("SUTURE") == (9 if whole else 4)
        assert (await house.state("1"))[0] == ("voided" if whole else "posted")
        assert len(await house.stock.charges()) == (2 if whole else 1)

    async def test_a_credit_in_another_unit_that_is_all_of_it_takes_it_back(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 300)
        await house.keep(use("1", amount=1, unit="BX"))
        await house.round()
        await house.keep(void("V", "1", amount=100, unit="EA", amount_stated=True))
        await house.round()
        assert await house.total("GLOVE") == 300 and (await house.state("1"))[0] == "voided"

    @pytest.mark.parametrize("waits", ["with it", "parked", "before it"])
    async def test_a_use_that_was_not_posted_ends_with_its_void_and_nothing_moves(
        self, house: House, waits: str
    ) -> None:
        await house.stock.opening("OR-1", "SUTURE", 5)
        one = use("1", "SUTURE", 2 if waits != "parked" else 50)
        if waits == "parked":
            await house.keep(one)
            await house.round()
            assert (await house.state("1"))[0] == "review"
            await house.keep(void("V", "1"))
        elif waits == "with it":
            await house.keep(one, void("V", "1"))
        else:
            await house.keep(void("V", "1"), one)
        recorded = await house.round()
        assert recorded.posted == 0 and house.erp.booked == {}
        assert (await house.state("1"))[0] == "voided" and (await house.state("V"))[0] == "voided"
        assert await house.total("SUTURE") == 5 and await house.stock.charges() == []
        void_ = await house.stock.event("V")
        assert (await house.stock.event("1")).voided_by == void_.id and void_.voids

    async def test_a_use_under_way_is_taken_back_once_its_round_has_ended(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 5)
        await house.keep(use("1", amount=2))
        first, _ = await house.take()
        await house.keep(void("V", "1"))
        await house.take()
        assert await house.state("V") == ("parked", "unknown-use")
        await house.post(first)
        await house.book.record(first)
        assert (await house.state("V"))[0] == "waiting"
        await house.round()
        assert await house.total("GLOVE") == 5 and (await house.state("1"))[0] == "voided"

    async def test_what_its_void_gave_back_is_there_for_the_next(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 1)
        await house.keep(use("1"), void("V", "1"), use("2"))
        await house.round()
        assert (await house.state("2"))[0] == "posted" and await house.total("GLOVE") == 0
