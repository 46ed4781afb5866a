"""The corridor of mailbox files among fakes."""

from __future__ import annotations

from dataclasses import dataclass, field

from canonical.messages import Kept
from canonical.parties import Partner
from formats import x12
from gateway.files import FilesDoor
from gateway.intake import Intake
from tests.fakes.register import FakeRegister
from tests.fakes.store import FakeCases, FakeNumbering
from tests.fakes.supplier import FakeMailbox
from tests.gateway.fakes import ORDER, ORDER_CASE, FakeEngine, NotingJournal

ALPINE = Partner(code="ALPINE", supplier="ALPINE", id="ALPINEMED", our_id="FASCIANGH")


ANSWER = "855_partly_backordered"


@dataclass
class House:
    """One partner's mailbox, and everything behind the door."""

    journal: NotingJournal = field(default_factory=NotingJournal)
    numbering: FakeNumbering = field(default_factory=FakeNumbering)
    engine: FakeEngine = field(default_factory=FakeEngine)
    mailbox: FakeMailbox = field(default_factory=FakeMailbox)
    partner: Partner = ALPINE

    def __post_init__(self) -> None:
        self.cases = FakeCases(self.journal, numbering=self.numbering)
        self.cases.orders[ORDER_CASE] = (ORDER.replace("-", ""), "ALPINE")
        self.engine.open.add(ORDER_CASE)
        self.intake = Intake(self.journal, self.cases, self.engine)
        self.door = FilesDoor(
            self.intake, self.journal, self.numbering, FakeRegister(self.partner), lambda partner: self.mailbox
        )

    async def leave(self, data: bytes, name: str = "file.x12") -> None:
        await self.door.accept(self.partner, name, data)

    def received(self) -> list[Kept]:
        return [one for one in self.journal.messages.values() if one.direction == "in"]

    def answers(self) -> list[x12.Interchange]:
        return [x12.read(data)[0] for data in self.mailbox.put_files.values()]


def codes(answer: x12.Interchange) -> list[tuple[str, str]]:
    """What a 997 says of each group, as (AK101, AK901)."""
    said = []
    for _, document in answer.documents:
        segments = {one.name: one for one in document.segments}
        said.append((segments["AK1"][1], segments["AK9"][1]))
    return said
