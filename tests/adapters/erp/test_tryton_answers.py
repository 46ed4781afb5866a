"""What Tryton's answers mean to us, told by a server that only plays the part."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.erp.tryton.changes import Changes
from adapters.erp.tryton.records import Records, terms_of
from adapters.erp.tryton.rpc import AsksFirst, TrytonRpc
from canonical.errors import FasciaError, Rejected, Throttled, Unavailable

AT = {
    "__class__": "datetime",
    "year": 2026,
    "month": 3,
    "day": 2,
    "hour": 9,
    "minute": 0,
    "second": 0,
    "microsecond": 0,
}
ANSWERS = {"common.db.login": [1, "token", None], "model.res.user.get_preferences": {"company": 4}}


class Played:
    """Answers log-ins, then whatever the test wants; remembers what it was asked."""

    def __init__(self) -> None:
        self.next: dict[str, Any] = {"result": None}
        self.text: str | None = None
        self.refuse_sessions = 0
        self.asked: list[dict[str, Any]] = []
        self.told: dict[str, Any] = {}  # by method, before ``next``

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append(body)
        await asyncio.sleep(0)
        if body["method"] in ANSWERS:
            return httpx.Response(200, json={"id": 1, "result": ANSWERS[body["method"]]})
        if self.refuse_sessions:
            self.refuse_sessions -= 1
            return httpx.Response(401)
        if body["method"] in self.told:
            return httpx.Response(200, json={"id": 1, "result": self.told[body["method"]]})
        return httpx.Response(200, text=self.text) if self.text else httpx.Response(200, json={"id": 1, **self.next})

    def methods(self) -> list[str]:
        return [body["method"] for body in self.asked]


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
async def rpc(played: Played) -> AsyncIterator[TrytonRpc]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(played)) as client:
        yield TrytonRpc(client, "http://erp.invalid", "hospital", "fascia", "a password")


@pytest.mark.parametrize(
    ("error", "failure", "code"),
    [
        (["UserError", ["You may not.", "", None]], Rejected, "business-rule"),
        (["UserWarning", ["name.of.it", "Sure?", ""]], AsksFirst, "warning"),
        (["DatabaseOperationalError", ["gone"]], Unavailable, "unavailable"),
        (["DatabaseTimeoutError", []], Unavailable, "unavailable"),
        (["ConcurrencyException", "changed"], Unavailable, "unavailable"),
        (["RateLimitException", []], Throttled, "throttled"),
        (["'nope'", ""], Rejected, "erp-fault"),
    ],
)
async def test_an_error_in_a_good_answer_becomes_its_failure(
    rpc: TrytonRpc, played: Played, error: list[Any], failure: type[FasciaError], code: str
) -> None:
    played.next = {"error": error}
    with pytest.raises(failure) as raised:
        await rpc.call("model.party.party.read", [1], ["name"])
    assert (type(raised.value), raised.value.code) == (failure, code)


async def test_of_a_refusal_only_the_text_is_kept(rpc: TrytonRpc, played: Played) -> None:
    played.next = {"error": ["UserError", ["Wrong domain", "described", "x" * 100_000]]}
    with pytest.raises(Rejected) as raised:
        await rpc.call("model.party.party.read", [1], ["name"])
    assert raised.value.message == "the ERP refused: Wrong domain"


async def test_an_answer_that_cannot_be_read_says_nothing_about_the_outcome(rpc: TrytonRpc, played: Played) -> None:
    played.text = "<html>proxy</html>"
    with pytest.raises(Unavailable):
        await rpc.call("model.party.party.read", [1], ["name"])


async def test_many_calls_at_once_sign_in_once(rpc: TrytonRpc, played: Played) -> None:
    await asyncio.gather(*(rpc.call("model.party.party.read", [n], ["name"]) for n in range(8)))
    assert played.methods().count("common.db.login") == 1


async def test_the_users_context_goes_along_with_every_call(rpc: TrytonRpc, played: Played) -> None:
    await rpc.call("model.party.party.read", [1], ["name"], context={"active_test": False})
    assert played.asked[-1]["params"] == [[1], ["name"], {"company": 4, "active_test": False}]
    assert set(played.asked[-1]) == {"id", "method", "params"}  # any other key and errors come as HTTP statuses


async def test_a_dropped_session_is_opened_again_once(rpc: TrytonRpc, played: Played) -> None:
    played.refuse_sessions = 1
    await rpc.call("model.party.party.read", [1], ["name"])
    assert played.methods().count("common.db.login") == 2
    played.refuse_sessions = 9
    with pytest.raises(Rejected):
        await rpc.call("model.party.party.read", [1], ["name"])
    assert played.methods().count("common.db.login") == 3


async def test_a_question_is_answered_only_when_it_is_one_we_know(rpc: TrytonRpc, played: Played) -> None:
    played.next = {"error": ["UserWarning", ["similar.invoice", "Same number again?", ""]]}
    with pytest.raises(AsksFirst):
        await rpc.press("account.invoice", "post", [1], accept=("invoice_date_future",))
    assert "model.res.user.warning.skip" not in played.methods()


async def test_money_and_days_cross_the_wire_exactly(rpc: TrytonRpc, played: Played) -> None:
    day = {"__class__": "date", "year": 2026, "month": 2, "day": 28}
    played.next = {"result": {"amount": {"__class__": "Decimal", "decimal": "0.10"}, "day": day}}
    answer = await rpc.call("model.x.y", Decimal("1E+2"), date(2026, 2, 28))
    assert answer == {"amount": Decimal("0.10"), "day": date(2026, 2, 28)}
    assert played.asked[-1]["params"][:2] == [{"__class__": "Decimal", "decimal": "100"}, day]


def test_terms_are_read_from_their_name() -> None:
    read = terms_of("2/10 net 30")
    assert read is not None
    assert (read.discount_percent, read.discount_days, read.net_days) == (Decimal(2), 10, 30)
    assert terms_of("Net 45") is not None
    assert terms_of("when we feel like it") is None


@pytest.mark.parametrize(
    ("quantity", "moves", "made_anew", "ended"),
    [
        (10, [], [], False),  # amended or just confirmed: Tryton has yet to plan its goods
        (10, [("draft", 1)], [], False),
        (10, [("done", 1)], [], False),
        (10, [("cancelled", 1)], [1], False),  # to be made anew
        (10, [("cancelled", 1)], [], True),
        (0, [], [], True),  # amended to nothing
        (0, [("done", 1)], [], False),  # it came before the rest was ended
    ],
)
async def test_an_order_between_two_transactions_of_tryton_is_not_ended(
    rpc: TrytonRpc, played: Played, quantity: int, moves: list[tuple[str, int]], made_anew: list[int], ended: bool
) -> None:
    """An amendment takes the moves away, another transaction plans them anew; asked between, nothing was cancelled."""
    played.next = {"result": []}
    order = {"id": 7, "reference": "PO000007", "state": "processing", "last_modified_at": AT}
    line = {"id": 1, "purchase": 7, "quantity": quantity, "moves_recreated": made_anew}
    line["moves."] = [{"state": state, "id": number} for state, number in moves]
    played.told = {"model.purchase.purchase.search_read": [order], "model.purchase.line.search_read": [line]}
    changes = await Changes(Records(rpc)).since("NGH", datetime(2026, 1, 1, tzinfo=UTC))
    assert changes.cancelled_orders == (("PO000007",) if ended else ())
