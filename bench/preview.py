"""How long a preview takes: what 10,000 kept orders would come to today, each read again and held against the cases there are.

Of a hundred orders 70 are dead by a code their ward's table knows by now, 15 have their case, 8 disagree with theirs and 7 still
name a code nobody knows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, cast

from bench.figures import Previewed
from bench.own_postgres import own_postgres
from bench.stand import time_now
from canonical.base import content_hash
from canonical.cases import Actor
from canonical.messages import Move, NewMessage
from canonical.parties import Facility
from canonical.purchasing import Requisition
from canonical.senders import Mapping, Sender
from canonical.steps import ClaimRequest
from cli.again import OurReplays
from cli.house import MessageFilter
from store import migrate
from store.authority import HOSPITAL
from store.database import open_engine
from workers.settings import Settings
from workers.wiring import Wiring

MANY = 10_000
WARD = Sender(
    code="WARD", facility="NGH", addresses=("10.0.0.0/8",), source="ward-desk", department="surgery", cost_centre="CC-4100",
    deliver_to="NGH-W3", requester="E-1001", owner="Ward integration",
)  # fmt: skip
ITEMS = {f"OLD-{n}": f"ITM-{n}" for n in range(500)} | {f"NEW-{n}": f"ITM-{n}" for n in range(500)}


def order(number: int, code: str, quantity: int = 4, control: str = "") -> bytes:
    """An order of three lines."""
    lines = [
        f"ORC|NW|R-{number}^WARD||G-{number}\rRQD|{line}|||{code}-{number % 500}^Gloves^NGH|{quantity + line}|BX^Box^L"
        for line in (1, 2, 3)
    ]
    head = f"MSH|^~\\&|WARDSYS|NGH|FASCIA|NGH|20261102081500||OMS^O05^OMS_O05|{control or f'W-{number}'}|P|2.5.1"
    return "".join(f"{one}\r" for one in (head, f"PID|1||{900000 + number}^^^NGH^MR||TEST^A", *lines)).encode()


async def measure(*, rounds: int, many: int = MANY, say: Callable[[str], None]) -> Previewed:
    """Preview so many dead letters and others, some times over."""
    async with own_postgres() as (address, _):
        engine = open_engine(f"{address}/fascia", pool=5)
        await migrate.upgrade(engine)
        wiring = Wiring(Settings(home=Path("/nonexistent")), engine, cast(Any, None))
        await fill(wiring, many)
        say(f"{many} messages are kept")
        seconds, counted = [], Counter[str]()
        for _ in range(rounds):
            began = time.perf_counter()
            found = await OurReplays(wiring, Actor(id="bench", known_by="os_user")).preview_all(
                MessageFilter(sender="WARD"), many
            )
            seconds.append(time.perf_counter() - began)
            counted = Counter(one.outcome for one in found)
            say(f"{len(found)} previewed in {seconds[-1]:.1f} s: {dict(counted)}")
        await engine.dispose()
    return Previewed(at=time_now(), temporals_store="none", messages=many, seconds=seconds, outcomes=counted)


async def fill(wiring: Wiring, many: int) -> None:
    """A ward, its table of items, and orders in their states."""
    await wiring.register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
    await wiring.register.load("sender", [WARD], HOSPITAL, "NGH")
    table = Mapping(sender="WARD", table="item", rows=ITEMS, valid_from=date(2020, 1, 1))
    await wiring.register.load("mapping", [table], HOSPITAL, "NGH")
    for first in range(0, many, 500):
        numbers = range(first, min(first + 500, many))
        kept = await wiring.journal.keep_many([_message(number) for number in numbers])
        await wiring.journal.mark_many(
            [
                Move(message=one.message.id, state="dead", reason="unknown-code", owner="Ward integration")
                for one in kept
            ]
        )
        for number, one in zip(numbers, kept, strict=True):
            if 70 <= number % 100 < 93:  # its case is there
                await _begin(wiring, number, one.message.id)


def _message(number: int) -> NewMessage:
    place = number % 100
    data = order(number, "NEW" if place < 70 else "OLD" if place < 93 else "WHO")
    return NewMessage(
        door="mllp", data=data, sender="WARD", kind="OMS^O05", control_number=f"W-{number}", key=f"hl7/WARD/W-{number}",
        stream=f"hl7/WARD/order/R-{number}^WARD",
    )  # fmt: skip


async def _begin(wiring: Wiring, number: int, message: str) -> None:
    reader = wiring.routing().reader
    sender = await reader.sender("WARD")
    kept = await wiring.journal.read(message)
    assert sender is not None and kept is not None
    feed = reader.feed(kept, sender)
    assert feed is not None
    (noun,) = await reader.read(feed, sender)
    assert isinstance(noun, Requisition)
    if number % 100 >= 85:  # under its number something else was asked for first
        noun = noun.model_copy(update={"note": "other"})
    await wiring.cases.announce(noun.case_id, content_hash(noun), message)
    data = noun.model_dump_json().encode()
    await wiring.cases.claim(ClaimRequest(case=noun.case_id, run="run-1", data=data, as_of=kept.at))
    await wiring.journal.mark(message, "dead", reason="unknown-code")
