"""What is large is looked at beside the loop: its connection keeps its order, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from formats import hl7
from gateway import hl7_verdict
from gateway.checking import LARGE
from gateway.mllp_peer import Peer
from tests.gateway.hl7_house import WARD, head, house, order, text

ONE, OTHER = Peer("10.2.0.7", 4000, "test", 1), Peer("10.2.0.7", 4001, "test", 2)


class Judge:
    """The door's own, which notes in which thread it looks at what, and waits where a test wants it to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.beside: dict[str, bool] = {}
        self.broken: set[str] = set()  # by control number
        self.go_on = threading.Event()
        self.go_on.set()
        self._judge = hl7_verdict.judge
        patch.setattr("gateway.hl7_door.judge", self)

    def __call__(self, data: bytes, given: hl7.Header, *more: object) -> hl7_verdict.Verdict:
        beside = threading.current_thread() is not threading.main_thread()
        self.beside[given.control] = beside
        if beside:
            assert self.go_on.wait(120)
        if given.control in self.broken:
            raise RuntimeError("a bug")
        return self._judge(data, given, *more)  # type: ignore[arg-type]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    made = Judge(monkeypatch)
    yield made
    made.go_on.set()


def large(control: str) -> bytes:
    return order(control, f"REQ-{control}") + b"NTE|1|L|words of a note\r" * (LARGE // 20)


async def test_a_large_message_is_checked_beside_the_loop_and_a_small_one_at_once(judge: Judge) -> None:
    at = await house()
    for data in (large("L-1"), order("W-1")):
        assert (await at.answer(data, ONE)).accepted
    assert judge.beside == {"L-1": True, "W-1": False}


async def test_others_are_answered_while_a_large_message_is_being_looked_at(judge: Judge) -> None:
    at = await house()
    judge.go_on.clear()
    waits = asyncio.create_task(at.answer(large("L-1"), ONE))
    for number in range(20):
        assert (await at.answer(order(f"W-{number}", f"REQ-{number}"), OTHER)).accepted
    assert not waits.done()
    judge.go_on.set()
    assert (await waits).accepted


async def test_who_sends_many_large_messages_goes_through_in_turn_with_the_others(judge: Judge) -> None:
    at = await house()
    judge.go_on.clear()
    many = [asyncio.create_task(at.answer(large(f"L-{n}"), ONE)) for n in range(10)]
    await asyncio.sleep(0.05)
    other = asyncio.create_task(at.answer(large("O-1"), OTHER))
    await asyncio.sleep(0.05)
    judge.go_on.set()
    assert (await other).accepted
    assert all([(await one).accepted for one in many])
    assert list(judge.beside).index("O-1") < 3, "not after the other's ten"
    assert [name for name in judge.beside if name != "O-1"] == [f"L-{n}" for n in range(10)]


async def test_what_comes_behind_a_large_message_on_its_connection_stays_behind_it(judge: Judge) -> None:
    at = await house()
    judge.go_on.clear()
    sent = [order("A-1"), large("L-1"), order("A-2"), large("L-2"), order("A-3"), order("A-4")]
    waits = []
    for data in sent:  # begun one after the other, as a connection does
        waits.append(asyncio.create_task(at.answer(data, ONE)))
        await asyncio.sleep(0.01)
    judge.go_on.set()
    assert all([(await one).accepted for one in waits])
    assert [one.control_number for one in at.journal.messages.values()] == ["A-1", "L-1", "A-2", "L-2", "A-3", "A-4"]
    assert judge.beside["A-2"] is False
    await at.answer(order("A-5"), ONE)
    assert judge.beside["A-5"] is False


async def test_a_large_message_that_breaks_what_looks_at_it_holds_up_nobody_behind_it(judge: Judge) -> None:
    at = await house()
    judge.broken.add("L-1")
    judge.go_on.clear()
    broken = asyncio.create_task(at.answers(large("L-1"), ONE))
    await asyncio.sleep(0.02)
    behind = asyncio.create_task(at.answer(order("A-1", "REQ-9"), ONE))
    await asyncio.sleep(0.02)
    assert not behind.done()
    judge.go_on.set()
    with pytest.raises(RuntimeError):
        await broken
    assert (await behind).accepted


async def test_a_large_batch_is_cut_and_checked_beside_the_loop_and_what_follows_it_is_kept_after_it(
    judge: Judge,
) -> None:
    at = await house()
    count = LARGE // len(order("B-000"))
    messages = [order(f"B-{n}", f"REQ-{n}") for n in range(count + 10)]
    file = text("BHS|^~\\&|WARDSYS") + b"".join(messages) + text(f"BTS|{len(messages)}")
    waits = asyncio.create_task(at.answers(file, ONE))
    await asyncio.sleep(0)
    behind = asyncio.create_task(at.answer(order("A-1", "REQ-X"), ONE))
    (answer,) = await waits
    assert answer.count(b"MSA|AA|") == len(messages) and (await behind).accepted
    assert judge.beside["B-0"] and not judge.beside["A-1"]
    numbers = [one.control_number for one in at.journal.messages.values() if one.control_number]
    assert numbers == [*(f"B-{n}" for n in range(len(messages))), "A-1"]


async def test_a_large_message_is_read_beside_the_loop_too_where_its_sender_asks_for_that(judge: Judge) -> None:
    at = await house(WARD)
    threads = []

    def read(*_: object) -> tuple[()]:
        threads.append(threading.current_thread() is threading.main_thread())
        return ()

    at.feeds["OMS^O05"] = read
    data = large("L-1").replace(head("L-1").encode(), head("L-1", rest="|||AL|AL").encode())
    answers = [hl7.read_acknowledgement(one).code for one in await at.answers(data, ONE)]
    assert (answers, threads) == (["CA", "AA"], [False])
