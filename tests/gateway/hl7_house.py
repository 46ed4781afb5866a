"""The HL7 door and what stands behind it, in memory; messages as a ward would send them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from canonical.base import Canonical
from canonical.errors import Unavailable
from canonical.messages import KeepResult, Kept, Move, NewMessage
from canonical.purchasing import Requisition
from canonical.senders import Mapping, Mappings, Sender
from formats import hl7
from gateway.directory import Directory
from gateway.hl7_door import Hl7Door
from gateway.intake import Intake
from gateway.mllp_peer import Certificate, Peer
from gateway.registry import Hl7Feed
from gateway.routing import Routing, Taker, TakerOfAll, requisitions
from tests.fakes.store import FakeCases, FakeJournal
from tests.gateway.fakes import FakeEngine
from workers.loops.router import Router

HERE = Peer("10.2.0.7", 4000)
WARD = Sender(
    code="WARD",
    facility="NGH",
    addresses=("10.2.0.0/16",),
    applications=("WARDSYS",),
    kinds=("OMS^O05", "ADT^*", "MFN^M05"),
    owner="Ward integration",
    source="ward-desk",
)


def head(
    control: str = "W-1", kind: str = "OMS^O05^OMS_O05", *, app: str = "WARDSYS", version: str = "2.5.1", rest: str = ""
) -> str:
    return f"MSH|^~\\&|{app}|NGH|FASCIA|NGH|20261102081500||{kind}|{control}|P|{version}{rest}"


def order(control: str = "W-1", number: str = "REQ-1", quantity: str = "4", **about: str) -> bytes:
    """A requisition of one line."""
    rqd = f"RQD|1|ITM-1^Glove^NGH||ITM-1^Glove^NGH|{quantity}|BX^Box^L"
    return text(head(control, **about), "PID|1||900001^^^NGH^MR||TEST^A", f"ORC|NW|{number}", rqd)


def text(*segments: str) -> bytes:
    return "".join(f"{one}\r" for one in segments).encode()


class Senders:
    """The register, as far as senders go."""

    def __init__(self, *senders: Sender) -> None:
        self.rows = list(senders)
        self.tables: list[Mapping] = []

    async def senders(self) -> Sequence[Sender]:
        return self.rows

    async def mappings(self) -> Sequence[Mapping]:
        return self.tables


class Journal(FakeJournal):
    """``away``: our database does not answer; ``hold``: it has not answered yet. ``commits`` has what was kept by each."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.hold: asyncio.Event | None = None
        self.commits: list[int] = []

    async def keep_many(self, messages: Sequence[NewMessage]) -> Sequence[KeepResult]:
        if self.hold is not None:
            await self.hold.wait()
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        self.commits.append(len(messages))
        return await super().keep_many(messages)

    async def mark_many(self, moves: Sequence[Move]) -> None:
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        await super().mark_many(moves)

    def kept(self, control: str = "W-1") -> Kept:
        """The one message of this number."""
        (found,) = [one for one in self.messages.values() if one.control_number == control]
        return found


def read_order(message: hl7.Message, sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
    """A feed, as simple as one can be: the first line of a requisition."""
    line = message.groups("RQD")[0]
    lines = [
        {
            "id": "1",
            "item": mappings.of("item", line.value("RQD-2.1")),
            "quantity": {"value": str(line.all("RQD")[0].number(5)), "unit": line.value("RQD-6.1")},
        }
    ]
    made: dict[str, Any] = {
        "number": message.value("ORC-2"),
        "facility": sender.facility,
        "source": sender.source,
        "department": "surgery",
        "cost_centre": "CC-1",
        "deliver_to": "NGH-OR",
        "requester": "E-1",
        "lines": lines,
    }
    return (Requisition.model_validate(made),)


class House:
    """Everything behind a door. ``feeds`` by kind."""

    def __init__(self, *senders: Sender, patience: float = 60.0) -> None:
        self.journal = Journal()
        self.cases = FakeCases(self.journal)
        self.engine = FakeEngine()
        self.register = Senders(*(senders or (WARD,)))
        self.directory = Directory(self.register)
        self.feeds: dict[str, Hl7Feed] = {"OMS^O05": read_order}
        self.door = Hl7Door(
            self.journal, self.directory, self.cases, secret=b"secret", patience=patience, feed_for=self._feed
        )
        self.intake = Intake(self.journal, self.cases, self.engine)
        self.takers: dict[type[Canonical], Taker] = {Requisition: requisitions(self.intake)}
        self.takers_of_all: dict[type[Canonical], TakerOfAll] = {}
        self.now = 0.0

    def _feed(self, kind: str, sender: str) -> Hl7Feed | None:
        return self.feeds.get(kind)

    def routing(self) -> Routing:
        return Routing(
            *(self.journal, self.intake, self.directory, self.takers),
            feed_for=self._feed,
            takers_of_all=self.takers_of_all,
        )

    def router(self) -> Router:
        return Router(self.journal, self.routing(), 0, 1, clock=lambda: self.now)

    async def answers(self, data: bytes, peer: Peer = HERE) -> tuple[bytes, ...]:
        return await self.door.take(data, peer)

    async def answer(self, data: bytes, peer: Peer = HERE) -> hl7.Acknowledgement:
        """The one answer to a message."""
        (one,) = await self.answers(data, peer)
        return hl7.read_acknowledgement(one)

    def listed(self) -> list[str]:
        return [row.kind for row in self.cases.unmatched.values()]


async def house(*senders: Sender, patience: float = 60.0) -> House:
    made = House(*senders, patience=patience)
    await made.directory.refresh()
    return made


def shown(fingerprint: str, host: str = "10.9.9.9") -> Peer:
    """A sender that shows a certificate."""
    return Peer(host, 4000, certificate=Certificate("CN=ward", fingerprint))
