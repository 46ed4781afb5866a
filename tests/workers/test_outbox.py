"""Each event reaches each subscriber, signed, in order, until it is taken or a person must look."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from canonical.cases import BusinessEvent
from store.outbox import Delivery, Subscriber
from store.standing import Standing
from tests.gateway.test_hooks import receiver
from workers.loops import outbox
from workers.loops.outbox import MOST_ATTEMPTS, OutboxSender

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SECRET = b"between us"


class Held:
    """Deliveries in memory, oldest first."""

    def __init__(self, *waiting: Delivery) -> None:
        self.waiting = list(waiting)
        self.next_at: dict[int, datetime] = {}
        self.tries: dict[int, int] = {one.id: one.attempts - 1 for one in waiting}
        self.delivered_: list[int] = []
        self.failed_: list[tuple[int, str, datetime | None]] = []

    def _head(self, name: str, at: datetime) -> Delivery | None:
        first = next((one for one in self.waiting if one.subscriber.name == name), None)
        return first if first is not None and self.next_at.get(first.id, at) <= at else None

    async def due(self, at: datetime) -> Sequence[str]:
        return sorted({one.subscriber.name for one in self.waiting if self._head(one.subscriber.name, at)})

    async def claim(
        self, at: datetime, until: datetime, limit: int = 50, *, subscriber: str = ""
    ) -> Sequence[Delivery]:
        head = self._head(subscriber, at)
        if head is None:
            return []
        self.tries[head.id] = self.tries.get(head.id, 0) + 1
        self.next_at[head.id] = until
        return [head.model_copy(update={"attempts": self.tries[head.id]})]

    async def delivered(self, delivery: int, at: datetime) -> None:
        self._drop(delivery)
        self.delivered_.append(delivery)

    async def failed(self, delivery: int, error: str, at: datetime, again_at: datetime | None) -> None:
        self.failed_.append((delivery, error, again_at))
        if again_at is None:
            self._drop(delivery)
        else:
            self.next_at[delivery] = again_at

    async def put_off(self, delivery: int, error: str, at: datetime, again_at: datetime) -> None:
        self.tries[delivery] -= 1
        self.next_at[delivery] = again_at

    def _drop(self, delivery: int) -> None:
        self.waiting = [one for one in self.waiting if one.id != delivery]


class Known:
    """How webhooks stand, in memory."""

    def __init__(self, **standing: Any) -> None:
        self.said: dict[str, Standing] = {}
        self.begins = standing

    async def lease(self, channel: str, holder: str, lease: timedelta) -> Standing | None:
        return self.said.setdefault(channel, Standing(channel=channel, **self.begins))

    async def say(self, standing: Standing, holder: str) -> bool:
        self.said[standing.channel] = standing
        return True

    async def release(self, channel: str, holder: str) -> None:
        return


def delivery(
    number: int, to: str = "stock", attempts: int = 1, secret_file: str = "stock", per_second: int = 0
) -> Delivery:
    event = BusinessEvent(
        type="order.issued.v1", key=f"c/order.issued/{number}", case="c", facility="NGH", occurred_at=NOW
    )
    subscriber = Subscriber(name=to, url=f"http://{to}.example/hook", secret_file=secret_file, per_second=per_second)
    return Delivery(id=number, subscriber=subscriber, event=event, attempts=attempts)


async def sent(held: Held, folder: Path, *, status: dict[str, int] | None = None) -> list[httpx.Request]:
    """Send what waits; ``status`` is what each host answers (0: nothing)."""
    requests: list[httpx.Request] = []
    (folder / "stock").write_bytes(SECRET + b"\n")

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        code = (status or {}).get(request.url.host, 200)
        if code == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(code)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        await OutboxSender(held, Known(), client, folder, "one", clock=lambda: NOW).once()
    return requests


async def test_an_event_is_sent_with_its_name_and_our_signature(tmp_path: Path) -> None:
    held = Held(delivery(1))
    (request,) = await sent(held, tmp_path)
    assert held.delivered_ == [1]
    assert BusinessEvent.model_validate_json(request.content).key == "c/order.issued/1"
    assert request.headers["fascia-event"] == "c/order.issued/1"
    assert request.headers["fascia-event-type"] == "order.issued.v1"
    stamp, _, given = request.headers["fascia-signature"].partition(",v1=")
    signed = stamp.removeprefix("t=").encode() + b"." + request.content
    assert given == hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    headers = {name: request.headers[name] for name in ("Webhook-Id", "Webhook-Timestamp", "Webhook-Signature")}
    assert headers["Webhook-Id"] == request.headers["fascia-event"]
    seconds = float(headers["Webhook-Timestamp"])
    assert receiver()(headers, request.content, SECRET, set(), lambda: seconds), "as docs/webhooks.md has it"


async def test_a_subscriber_that_fails_gets_its_events_later_and_in_order(tmp_path: Path) -> None:
    held = Held(delivery(1), delivery(2))
    requests = await sent(held, tmp_path, status={"stock.example": 503})
    assert len(requests) == 1, "what comes after waits for what came before"
    assert held.failed_ == [(1, "HTTP 503", NOW + timedelta(seconds=5))]
    assert held.tries[2] == 0, "what was never tried has spent no try"


async def test_each_failure_makes_the_pause_longer(tmp_path: Path) -> None:
    held = Held(delivery(1, attempts=4))
    await sent(held, tmp_path, status={"stock.example": 0})
    assert held.failed_ == [(1, "no answer (ConnectError)", NOW + timedelta(seconds=40))]


async def test_one_subscriber_in_trouble_keeps_no_other_waiting(tmp_path: Path) -> None:
    held = Held(delivery(1), delivery(2, to="analytics", secret_file=""))
    requests = await sent(held, tmp_path, status={"stock.example": 0})
    assert held.delivered_ == [2]
    assert "fascia-signature" not in next(r for r in requests if r.url.host == "analytics.example").headers


async def test_what_nobody_takes_is_given_up_and_left_to_a_person(tmp_path: Path) -> None:
    held = Held(delivery(1, attempts=MOST_ATTEMPTS))
    await sent(held, tmp_path, status={"stock.example": 500})
    assert held.failed_ == [(1, "HTTP 500", None)]


async def test_without_its_secret_nothing_is_sent_unsigned(tmp_path: Path) -> None:
    held = Held(delivery(1, secret_file="missing"))
    assert await sent(held, tmp_path) == []
    assert "secret" in held.failed_[0][1]


async def _call(answer: Callable[[], AsyncIterator[bytes]], folder: Path) -> Held:
    """Send one event to a webhook that says 200 and then this."""
    held = Held(delivery(1, secret_file=""))

    def ok(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=answer())

    async with httpx.AsyncClient(transport=httpx.MockTransport(ok)) as client:
        await OutboxSender(held, Known(), client, folder, "one", clock=lambda: NOW).once()
    return held


async def test_of_an_answer_without_end_little_is_read(tmp_path: Path) -> None:
    parts = itertools.count()

    async def endless() -> AsyncIterator[bytes]:
        for _ in parts:
            yield b"x" * 1024

    assert (await _call(endless, tmp_path)).delivered_ == [1]
    assert next(parts) < 100


async def test_an_answer_that_drips_is_none_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drips() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.02)
            yield b"x"

    monkeypatch.setattr(outbox, "PATIENCE", timedelta(seconds=0.1))
    held = await _call(drips, tmp_path)
    assert held.failed_ == [(1, "no answer (TimeoutError)", NOW + timedelta(seconds=5))]


async def test_a_slow_subscriber_keeps_no_other_waiting_and_is_told_on_beside_the_next_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(*(delivery(number, secret_file="") for number in range(3)))
    answers = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.url.host == "stock.example":
            await answers.wait()
        return httpx.Response(200)

    monkeypatch.setattr(outbox, "ROUND", 0.05)
    async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as client:
        sender = OutboxSender(held, Known(), client, tmp_path, "one", clock=lambda: NOW)
        await sender.once()
        held.waiting.append(delivery(1000, to="analytics", secret_file=""))
        await until(sender, lambda: bool(held.delivered_))
        assert held.delivered_ == [1000]
        answers.set()
        await until(sender, lambda: len(held.delivered_) == 4)
        assert held.delivered_ == [1000, 0, 1, 2]
        await sender.close()


async def until(sender: OutboxSender, so: Callable[[], bool]) -> None:
    """Rounds, until it is so: a round waits a moment only, which a busy machine may spend elsewhere."""
    async with asyncio.timeout(60):
        while True:
            await sender.once()
            if so():
                return


async def test_when_it_stops_an_answer_that_comes_soon_counts_and_nothing_more_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(*(delivery(number, secret_file="") for number in range(3)))

    asked, answers = asyncio.Event(), asyncio.Event()

    async def soon(_: httpx.Request) -> httpx.Response:
        asked.set()
        await answers.wait()
        return httpx.Response(200)

    monkeypatch.setattr(outbox, "ROUND", 0.05)
    async with httpx.AsyncClient(transport=httpx.MockTransport(soon)) as client:
        sender = OutboxSender(held, Known(), client, tmp_path, "one", clock=lambda: NOW)
        await sender.once()
        await asyncio.wait_for(asked.wait(), 60)
        closing = asyncio.create_task(sender.close())
        await asyncio.sleep(0)
        answers.set()
        await closing
    assert held.delivered_ == [0]


async def test_more_than_one_handful_is_sent_in_one_round(tmp_path: Path) -> None:
    held = Held(*(delivery(number) for number in range(120)))
    await sent(held, tmp_path)
    assert len(held.delivered_) == 120


class Target:
    """A webhook with a temper, and the time it lives in. ``answers`` says what it answers at a second."""

    def __init__(self, answers: Callable[[float], httpx.Response]) -> None:
        self.answers = answers
        self.now = NOW
        self.calls: list[tuple[float, int, str]] = []

    @property
    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers(self.seconds)
        self.calls.append((self.seconds, answer.status_code, request.headers["fascia-event"]))
        return answer

    async def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def live(self, held: Held, folder: Path, seconds: float, **standing: Any) -> Known:
        """Rounds, two seconds apart, for so long."""
        (folder / "stock").write_bytes(SECRET)
        known = Known(**standing)
        async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as client:
            sender = OutboxSender(held, known, client, folder, "one", clock=lambda: self.now, sleep=self.sleep)
            while self.seconds < seconds and held.waiting:
                await sender.once()
                await self.sleep(2)
        return known


async def test_through_half_an_hour_of_429_and_503_no_limit_is_passed_and_the_backlog_drains_in_order(
    tmp_path: Path,
) -> None:
    def answers(second: float) -> httpx.Response:
        if second < 1800:
            status = 429 if int(second / 300) % 2 else 503
            return httpx.Response(status, headers={"Retry-After": "10"})
        return httpx.Response(204)

    target, ids = Target(answers), list(range(1, 1001))
    held = Held(
        *(delivery(number, per_second=4) for number in ids)
    )  # what came in meanwhile, at ten times what it takes
    await target.live(held, tmp_path, 3600)
    assert held.delivered_ == ids and held.failed_ == [], "all, once, in order, none given up"
    asked_to_wait = [second for second, status, _ in target.calls if status != 204]
    assert all(later - first >= 10 for first, later in itertools.pairwise(asked_to_wait))
    assert 1800 / 13 < len(asked_to_wait) <= 180, "it was asked again when it said, and no sooner"
    moments = [second for second, *_ in target.calls]
    assert all(moments[place + 4] - moments[place] >= 1 for place in range(len(moments) - 4)), "four a second at most"
    assert moments[-1] < 1800 + 300, "and its rate is used"


async def test_a_webhook_that_fails_again_and_again_is_left_in_peace_and_one_event_finds_out(tmp_path: Path) -> None:
    target = Target(lambda second: httpx.Response(500 if second < 400 else 204))
    held = Held(delivery(1), delivery(2))
    known = await target.live(held, tmp_path, 300)
    standing = known.said["webhook/stock"]
    assert (standing.breaker, standing.openings, standing.error) == ("open", 1, "HTTP 500")
    assert len({event for *_, event in target.calls}) == 1, "what comes after waits"
    late = [second for second, *_ in target.calls if second > 80]
    assert all(later - first >= 60 for first, later in itertools.pairwise(late))
    known = await target.live(held, tmp_path, 3600)
    assert held.delivered_ == [1, 2] and known.said["webhook/stock"].breaker == "closed"


async def test_a_paused_webhook_is_not_called(tmp_path: Path) -> None:
    target = Target(lambda _: httpx.Response(204))
    held = Held(delivery(1))
    await target.live(held, tmp_path, 60, paused_at=NOW)
    assert target.calls == [] and held.tries[1] == 0


async def test_a_sender_that_stood_still_while_another_took_over_sends_nothing_old(tmp_path: Path) -> None:
    moments = iter([0.0, 60.0])  # between its claim and its call
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    (tmp_path / "stock").write_bytes(SECRET)
    held = Held(delivery(1))
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        clock, ticks = (lambda: NOW), (lambda: next(moments))
        await OutboxSender(held, Known(), client, tmp_path, "one", clock=clock, ticks=ticks).once()
        assert not requests and not held.delivered_ and not held.failed_
