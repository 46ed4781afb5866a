"""Where uses are kept in these tests: in memory, by the rules of our store; and a theatre that sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from canonical.base import content_hash
from canonical.errors import Unavailable
from canonical.senders import Sender
from canonical.stock_ports import UsageKept
from canonical.usage import UsageEvent
from gateway.preview_uses import MENDED, HeldUse, UseName, name_of
from gateway.registry import HL7_FEEDS
from gateway.usage import Procedures, UsageTaker
from store.foreseen import HeldUse as StoredUse
from tests.gateway.hl7_house import House, head, house, text

THEATRE = Sender(
    code="OR-SYS",
    facility="NGH",
    addresses=("10.2.0.0/16",),
    applications=("ORSYS",),
    kinds=("DFT^P03", "OMS^O05"),
    owner="OR integration",
    source="surgery-desk",
    deliver_to="NGH-OR",
)
PROCEDURES = Procedures(b"a secret of these tests")
CANARY = "ZZCANARY"


def charged(control: str, *charges: str, patient: str = CANARY, visit: str = "V-1") -> bytes:
    """A DFT^P03 of these FT1, about somebody whose name must not get further than the journal."""
    return text(
        head(control, "DFT^P03^DFT_P03", app="ORSYS"),
        "EVN||20261102",
        f"PID|1||900001^^^NGH^MR||{patient}^{patient}|||U|||{patient} ROAD",
        f"PV1|1|I|OR^3||||||||||||||||{visit}^^^NGH^VN",
        *charges,
    )


def ft1(number: str, item: str = "ITM-1001", amount: str = "4", kind: str = "CG") -> str:
    return f"FT1|1|{number}||20261102104500||{kind}|{item}^Some good^NGH|||{amount}"


@dataclass
class Inbox:
    """Uses by their names. ``away``: our database does not answer; ``calls`` has the numbers of each call; ``unknown``: items that
    are in no register, whose uses are parked."""

    kept: dict[UseName, StoredUse] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    away: bool = False
    unknown: tuple[str, ...] = ("NEW-9",)

    async def keep(
        self, events: Sequence[UsageEvent], message: str, sender: str, corrects: str = ""
    ) -> Sequence[UsageKept]:
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        assert not any(event.encounter for event in events), "an encounter went further than the door's process"
        self.calls.append([event.number for event in events])
        met: set[UseName] = set()
        return [self._keep(event, message, corrects, met) for event in events]

    def _keep(self, event: UsageEvent, message: str, corrects: str, met: set[UseName]) -> UsageKept:
        name, new = name_of(event), StoredUse(hash=content_hash(event), message=message, event=event)
        new = new.model_copy(update={"state": "parked" if event.item in self.unknown else "waiting"})
        held, outcome = self.kept.get(name), "new"
        if held is not None:
            by_it = held.message in (message, corrects) and held.state in MENDED and name not in met
            outcome = "same" if held.hash == new.hash else "new" if by_it else "conflict"
        if outcome == "new":
            self.kept[name] = new
        met.add(name)
        return UsageKept(id="/".join(map(str, name)), outcome=outcome, state=self.kept[name].state)

    async def uses(self, names: Sequence[UseName]) -> Mapping[UseName, HeldUse]:
        return {name: self.kept[name] for name in names if name in self.kept}

    @property
    def events(self) -> list[UsageEvent]:
        return [one.event for one in self.kept.values()]


async def theatre(*senders: Sender) -> tuple[House, Inbox]:
    """A hospital that takes uses."""
    at, inbox = await house(*(senders or (THEATRE,))), Inbox()
    at.feeds = {kind: feed for (_, kind), feed in HL7_FEEDS.items()}
    at.takers_of_all = {UsageEvent: UsageTaker(inbox, at.intake, PROCEDURES).take}
    return at, inbox
