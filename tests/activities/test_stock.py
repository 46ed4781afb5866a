"""A round is told to the ERP document by document; a step cut short between two of them tells no document twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import cast

import pytest

from activities.stock import StockActivities
from canonical.errors import Rejected, Unavailable
from canonical.ports import Register
from canonical.stock import RoundKey, StockLine, StockPosted, StockPosting
from canonical.stock_ports import UsagePlaces
from tests.fakes.erp_stock import FakeStock
from tests.fakes.rounds import FakeRounds

KEY = RoundKey(facility="NGH", location="OR-1", round=3, as_of=datetime(2026, 11, 22, 9, tzinfo=UTC))


def posting(kind: str, *items: str) -> StockPosting:
    key = f"{KEY.key}/{kind}"
    lines = [StockLine(key=f"{key}/{item}", item=item, quantity=1) for item in items]
    return StockPosting.model_validate(
        {
            "facility": "NGH",
            "key": key,
            "kind": kind,
            "location": "OR-1",
            "posted_on": date(2026, 11, 22),
            "lines": lines,
        }
    )


class Book(FakeRounds):
    """A round's postings, and what was kept of each."""

    def __init__(self, *postings: StockPosting) -> None:
        super().__init__()
        self.all = postings
        self.outcomes: dict[str, StockPosted] = {}

    async def postings(self, key: RoundKey) -> Sequence[StockPosting]:
        return [one for one in self.all if one.key not in self.outcomes]

    async def posted(self, key: RoundKey, posting: str, outcome: StockPosted) -> None:
        assert posting not in self.outcomes, "told once"
        self.outcomes[posting] = outcome


def steps(book: Book, erp: FakeStock) -> StockActivities:
    nobody = cast(Register, None)
    return StockActivities(book, cast(UsagePlaces, None), nobody, lambda _: erp)


@pytest.fixture
def erp() -> FakeStock:
    erp = FakeStock()
    for item in ("A", "B"):
        erp.put_in("OR-1", item, 10)
    return erp


async def test_every_document_of_a_round_is_posted_and_what_the_erp_said_is_kept(erp: FakeStock) -> None:
    book = Book(posting("consign", "C"), posting("consume", "A", "B", "MISSING"))
    told = await steps(book, erp).post_round(KEY)
    assert (told.posted, told.refused, len(told.receipts)) == (3, 1, 2)
    assert [line.key for line in book.outcomes[f"{KEY.key}/consume"].refused] == [f"{KEY.key}/consume/MISSING"]
    assert erp.stock("OR-1") == {("A", ""): 9, ("B", ""): 9, ("C", ""): 1}


async def test_a_step_cut_short_between_two_documents_goes_on_with_the_second(erp: FakeStock) -> None:
    book = Book(posting("consign", "C"), posting("consume", "A"))
    asked: list[str] = []
    post = erp.post_stock

    async def dies_at_the_second(one: StockPosting) -> StockPosted:
        asked.append(one.kind)
        if len(asked) == 2:
            raise Unavailable("the worker was killed")
        return await post(one)

    erp.post_stock = dies_at_the_second  # type: ignore[method-assign,assignment]
    with pytest.raises(Unavailable):
        await steps(book, erp).post_round(KEY)
    await steps(book, erp).post_round(KEY)
    assert asked == ["consign", "consume", "consume"]
    assert erp.stock("OR-1") == {("A", ""): 9, ("B", ""): 10, ("C", ""): 1}


async def test_an_answer_that_was_lost_posts_nothing_twice(erp: FakeStock) -> None:
    book = Book(posting("consume", "A"))
    erp.lost["post_stock"] = 1
    with pytest.raises(Unavailable):
        await steps(book, erp).post_round(KEY)
    await steps(book, erp).post_round(KEY)
    assert erp.stock("OR-1")["A", ""] == 9


async def test_a_document_the_erp_refuses_as_a_whole_leaves_the_rounds_others_standing(erp: FakeStock) -> None:
    book = Book(posting("consume", "A"), posting("transfer", "B"))
    erp.closed_until = date(2026, 11, 22)
    told = await steps(book, erp).post_round(KEY)
    assert (told.posted, told.refused) == (0, 2)
    erp.closed_until, post = None, erp.post_stock

    async def no_transfers(one: StockPosting) -> StockPosted:
        if one.kind == "transfer":
            raise Rejected("no transfers today", code="business-rule", system="erp")
        return await post(one)

    erp.post_stock = no_transfers  # type: ignore[method-assign,assignment]
    book.outcomes.clear()
    told = await steps(book, erp).post_round(KEY)
    assert (told.posted, told.refused, erp.stock("OR-1")["A", ""]) == (1, 1, 9)
    (line,) = book.outcomes[f"{KEY.key}/transfer"].refused
    assert (line.reason, line.code) == ("no transfers today", "business-rule")
