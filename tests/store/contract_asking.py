"""What is kept and announced in one step is what it would be in two, for our database and for the fakes."""

from __future__ import annotations

from typing import Any

from canonical.base import content_hash
from canonical.messages import Asking
from canonical.purchasing import Requisition
from tests.store.build import requisition, start
from tests.store.contract_journal import Stores


def asking(one: Requisition, key: str, **about: Any) -> Asking:
    """A requisition as the REST door brings it."""
    data = one.model_dump_json().encode()
    given = {"door": "rest", "sender": "key-1", "kind": "requisition", "trace": "ab" * 16} | about
    return Asking(data=data, key=key, asks=one.case_id, content_hash=content_hash(one), **given)


class AskingContract:
    async def test_what_asks_for_a_case_is_kept_and_announced_in_one_step(self, stores: Stores) -> None:
        many = [requisition(f"R-{n}") for n in range(3)]
        results = await stores.cases.keep_asking([asking(one, one.number) for one in many])
        for one, result in zip(many, results, strict=True):
            assert (result.outcome, result.message.state, result.message.case) == ("kept", "validated", one.case_id)
            read = await stores.journal.read(result.message.id)
            assert read == result.message
            assert read.data == one.model_dump_json().encode()
            claimed = await stores.cases.claim(start(one))
            assert (claimed.outcome, claimed.message) == ("claimed", result.message.id)

    async def test_the_same_key_again_is_the_first_message_and_another_body_a_conflict(self, stores: Stores) -> None:
        one, other = asking(requisition(), "k"), asking(requisition(note="two more"), "k")
        (first,) = await stores.cases.keep_asking([one])
        again, apart = await stores.cases.keep_asking([one, other])
        assert (again.outcome, again.message) == ("duplicate", first.message)
        assert apart.outcome == "conflict" and apart.first is not None and apart.first.id == first.message.id
        assert (await stores.cases.announce(one.asks, one.content_hash, first.message.id)).outcome == "same"

    async def test_one_key_twice_at_once_is_one_message(self, stores: Stores) -> None:
        one = asking(requisition(), "k")
        assert [one.outcome for one in await stores.cases.keep_asking([one, one])] == ["kept", "duplicate"]

    async def test_a_number_that_was_asked_under_before_is_kept_and_left_to_be_announced(self, stores: Stores) -> None:
        same, other = asking(requisition(), "b"), asking(requisition(note="two more"), "c")
        results = await stores.cases.keep_asking([asking(requisition(), "a"), same, other])
        assert [one.message.state for one in results] == ["validated", "received", "received"]
        said = [
            await stores.cases.announce(one.asks, one.content_hash, result.message.id)
            for one, result in zip((same, other), results[1:], strict=True)
        ]
        assert [one.outcome for one in said] == ["same", "conflict"]

    async def test_what_says_more_of_itself_is_kept_with_all_of_it(self, stores: Stores) -> None:
        one = asking(requisition(), "k", stream="WARD/1", note="as it came")
        (result,) = await stores.cases.keep_asking([one])
        assert (result.outcome, result.message.stream, result.message.note) == ("kept", "WARD/1", "as it came")
        assert [waits.id for waits in await stores.journal.next_to_route(0, 1)] == [result.message.id]
        if result.message.state == "received":
            assert (await stores.cases.announce(one.asks, one.content_hash, result.message.id)).outcome == "new"
