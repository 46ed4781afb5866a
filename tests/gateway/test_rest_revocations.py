"""A call to revoke at the REST door, without a server: its Idempotency-Key is one call with one body."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from canonical.access import NOT_BLOCKED, Block, BlockWord
from canonical.cases import Actor
from canonical.errors import Rejected, Unavailable
from canonical.messages import KeepResult, NewMessage
from gateway import rest_revocations
from gateway.lookups import Caller
from gateway.replay_rules import refusal
from gateway.rest import make_app
from tests import build
from tests.gateway.fakes import FakeKeys
from tests.gateway.rest_house import House

HR = Caller(key="k-hr", sender="e-hr", facility="NGH", person="E-HR", roles=("hr",), scopes=("revocations",))
PERSON = "person-0123456789abcdef"
FIRST, OTHER = "their badge was found with somebody else", "a letter of Dr Maple says so"


class Blocks:
    """Blocks in memory, as our store keeps them: one stands at a time, and a call is one block for ever."""

    def __init__(self) -> None:
        self.kept: list[Block] = []
        self.begun: list[str] = []
        self.refuses = False

    async def block(self, word: BlockWord, actor: Actor, facility: str) -> Block:
        if self.refuses:
            raise Rejected("revoke is for other roles", code="not-allowed")
        for one in self.kept:
            if one.stands or one.id == word.id:
                return one
        since = build.NOW + timedelta(minutes=len(self.kept))
        self.kept.append(Block(person=word.person, since=since, by=actor.id, reason=word.reason, id=word.id))
        return self.kept[-1]

    async def begin(self, person: str, call: str) -> None:
        self.begun.append(call)

    async def gone_to(self, person: str) -> Sequence[str]:
        return ()

    def lift(self) -> None:
        self.kept = [one.model_copy(update={"lifted_at": build.NOW}) for one in self.kept]


class Desk:
    """The door, and who calls."""

    def __init__(self) -> None:
        self.house, self.blocks = House(), Blocks()
        doors = replace(self.house.doors, keys=FakeKeys(hr=HR), revoking=self.blocks)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(make_app(doors)), base_url="http://door")

    async def call(self, key: str = "k-1", **body: str) -> httpx.Response:
        headers = {"Authorization": "Bearer hr", "Idempotency-Key": key}
        path = f"/v1/people/{PERSON}/revocations"
        return await self.client.post(path, json=body or {"reason": FIRST}, headers=headers)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_key_used_with_another_reason_is_refused_and_neither_reason_is_told(desk: Desk) -> None:
    first = await desk.call()
    refused = await desk.call(reason=OTHER)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency-key-reused")
    assert refused.headers["content-type"] == "application/problem+json"
    assert FIRST not in refused.text and OTHER not in refused.text
    assert [one.reason for one in desk.blocks.kept] == [FIRST] and len(desk.blocks.begun) == 1
    assert (await desk.call()).json() == first.json(), "the same body again is the first call"
    listed = [one for one in desk.house.cases.unmatched.values() if one.kind == "conflict"]
    assert len(listed) == 1 and FIRST not in listed[0].reason and OTHER not in listed[0].reason


async def test_a_key_whose_call_found_a_block_of_another_is_its_own_too(desk: Desk) -> None:
    stands = (await desk.call()).json()
    assert (await desk.call("k-2", reason=OTHER)).json() == stands
    assert (await desk.call("k-2", reason=FIRST)).status_code == 422
    desk.blocks.lift()
    assert (await desk.call("k-3")).json()["id"] != stands["id"]


async def test_a_call_said_again_once_its_block_was_lifted_is_no_success_and_blocks_nobody_anew(desk: Desk) -> None:
    """Who uses one key for each person would else take 202 for a block, of somebody who has all their access."""
    await desk.call()
    await desk.call("k-2", reason=OTHER)  # answered with the block of the first
    desk.blocks.lift()
    begun = len(desk.blocks.begun)
    for key, why in (("k-1", FIRST), ("k-2", OTHER), ("k-2", OTHER)):
        again = await desk.call(key, reason=why)
        assert (again.status_code, again.json()["code"]) == (409, "lifted"), again.text
        assert "another Idempotency-Key" in again.json()["detail"]
    assert len(desk.blocks.kept) == 1 and len(desk.blocks.begun) == begun


async def test_a_body_that_cannot_be_read_takes_no_key_from_the_call_that_is_meant(desk: Desk) -> None:
    assert (await desk.call(why="x")).status_code == 422
    assert (await desk.call()).status_code == 202


async def test_a_call_that_may_not_is_kept_refused_and_the_same_call_counts_once_it_may(desk: Desk) -> None:
    desk.blocks.refuses = True
    assert (await desk.call()).status_code == 403
    assert [(one.kind, one.state) for one in desk.house.messages] == [("revocation", "refused")]
    desk.blocks.refuses = False
    assert (await desk.call()).status_code == 202
    assert [one.state for one in desk.house.messages] == ["routed"]


async def test_while_the_journal_is_away_the_block_comes_first(desk: Desk) -> None:
    desk.house.journal.away = True
    first = await desk.call()
    assert first.status_code == 202 and [one.reason for one in desk.blocks.kept] == [FIRST]
    desk.house.journal.away = False
    assert (await desk.call()).json() == first.json(), "the same call, and kept this time"
    assert [one.state for one in desk.house.messages] == ["routed"] and len(desk.blocks.kept) == 1


async def test_a_journal_that_is_held_up_holds_up_no_block(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(message: NewMessage) -> KeepResult:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(desk.house.journal, "keep", never)
    monkeypatch.setattr(rest_revocations, "PATIENCE", 0.01)
    assert (await asyncio.wait_for(desk.call(), 60)).status_code == 202
    assert len(desk.blocks.kept) == 1


async def test_while_all_our_database_is_away_nothing_is_answered_as_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> Block:
        raise Unavailable(NOT_BLOCKED, code="not-blocked", system="store")

    desk.house.journal.away = True
    monkeypatch.setattr(desk.blocks, "block", away)
    refused = await desk.call()
    assert (refused.status_code, refused.json()["code"]) == (503, "not-blocked")
    assert desk.blocks.begun == []


async def test_a_call_kept_just_before_its_door_stopped_blocks_nobody_later(desk: Desk) -> None:
    await desk.call()
    (kept,) = desk.house.messages
    await desk.house.journal.mark(kept.id, "received")
    assert await desk.house.intake.route(desk.house.messages[0])
    assert desk.house.messages[0].state == "refused" and "safe to repeat" in desk.house.messages[0].reason
    assert len(desk.blocks.kept) == 1
    never = refusal(desk.house.messages[0], [], readable=True)
    assert never is not None and "never given later" in never.message
