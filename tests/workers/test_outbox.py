"""Each event reaches each subscriber, signed, in order, until it is taken or a person must look."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from canonical.cases import BusinessEvent
from store.outbox import Delivery, Subscriber
from workers.loops.outbox import MOST_ATTEMPTS, OutboxSender

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SECRET = b"between us"


class Held:
    """Deliveries in memory."""

    def __init__(self, *waiting: Delivery) -> None:
        self.waiting = list(waiting)
        self.delivered_: list[int] = []
        self.failed_: list[tuple[int, str, datetime | None]] = []

    async def claim(self, at: datetime, until: datetime, limit: int = 50) -> Sequence[Delivery]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def delivered(self, delivery: int, at: datetime) -> None:
        self.delivered_.append(delivery)

    async def failed(self, delivery: int, error: str, at: datetime, again_at: datetime | None) -> None:
        self.failed_.append((delivery, error, again_at))


def delivery(number: int, to: str = "stock", attempts: int = 1, secret_file: str = "stock") -> Delivery:
    event = BusinessEvent(
        type="order.issued.v1", key=f"c/order.issued/{number}", case="c", facility="NGH", occurred_at=NOW
    )
    subscriber = Subscriber(name=to, url=f"http://{to}.example/hook", secret_file=secret_file)
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
        await OutboxSender(held, client, folder, clock=lambda: NOW).once()
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


async def test_a_subscriber_that_fails_gets_its_events_later_and_in_order(tmp_path: Path) -> None:
    held = Held(delivery(1), delivery(2))
    requests = await sent(held, tmp_path, status={"stock.example": 503})
    assert len(requests) == 1, "what comes after waits for what came before"
    assert held.failed_ == [
        (1, "HTTP 503", NOW + timedelta(seconds=5)),
        (2, "HTTP 503", NOW + timedelta(seconds=5)),
    ]


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


async def test_more_than_one_handful_is_sent_in_one_round(tmp_path: Path) -> None:
    held = Held(*(delivery(number) for number in range(120)))
    await sent(held, tmp_path)
    assert len(held.delivered_) == 120
