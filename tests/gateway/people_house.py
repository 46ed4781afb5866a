"""Where HR events are kept in these tests: in memory, by the rules of our store; and an HR system that sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from canonical.base import content_hash
from canonical.errors import Unavailable
from canonical.hr_ports import HrRowsApart
from canonical.people import HrEvent, HrKept
from canonical.senders import Mapping as Codes
from canonical.senders import Sender
from gateway.people import HrTaker, PersonHashes
from gateway.people_rows import rows_apart
from gateway.preview_people import EventName, event_name
from gateway.preview_people import HeldEvent as Held
from gateway.registry import HL7_FEEDS
from store.foreseen import HeldEvent
from tests.gateway.hl7_house import House, head, house, text

HR = Sender(
    code="HR",
    facility="NGH",
    addresses=("10.2.0.0/16",),
    applications=("HR",),
    kinds=("PMU^*", "MFN^M02"),
    owner="HR integration",
    source="workday",
    on_dead="go on",
)
ROLES = Codes(sender="HR", table="role", rows={"SURGEON": "surgeon"})
HASHES = PersonHashes(b"a secret of these tests")
CANARY = "ZZCANARY"
NATIONAL = "078051120"


def pmu(
    event: str, control: str, *, key: str = "S-77", family: str = CANARY, recorded: str = "20261102081500"
) -> bytes:
    """A PMU about somebody whose name and numbers must not get further than our store."""
    structure = {"B02": "PMU_B01", "B05": "PMU_B01", "B06": "PMU_B01"}.get(event, f"PMU_{event}")
    staff = f"STF|{key}|E-1^^^NGH^EI~{NATIONAL}^^^USSSA^SS|{family}^{family}|||19840307|A" + "|" * 12 + "SURGEON"
    return text(head(control, f"PMU^{event}^{structure}", app="HR"), f"EVN|{event}|{recorded}", staff)


@dataclass
class Inbox:
    """HR events by their names. ``away``: our database does not answer; ``calls`` has the numbers of each call."""

    kept: dict[EventName, HeldEvent] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    away: bool = False

    async def keep(self, events: Sequence[HrEvent], message: str, sender: str, corrects: str = "") -> Sequence[HrKept]:
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        assert not any(NATIONAL in one.record.national_id for one in events), "a national number went into the store"
        self.calls.append([event.number for event in events])
        return [self._keep(event, message, corrects) for event in events]

    def _keep(self, event: HrEvent, message: str, corrects: str) -> HrKept:
        name, new = (
            event_name(event),
            HeldEvent(hash=content_hash(event), state="applied", message=message, event=event),
        )
        held = self.kept.get(name)
        if held is not None and held.hash == new.hash:
            return HrKept(id="/".join(name), outcome="same")
        if held is not None and held.message not in (message, corrects):
            return HrKept(id="/".join(name), outcome="conflict")
        self.kept[name] = new
        return HrKept(id="/".join(name), outcome="new")

    async def hr_events(self, names: Sequence[EventName]) -> Mapping[EventName, Held]:
        return {name: self.kept[name] for name in names if name in self.kept}

    @property
    def events(self) -> list[HrEvent]:
        return [one.event for one in self.kept.values()]


async def hospital(sender: Sender = HR) -> tuple[House, Inbox]:
    """A hospital that takes HR events."""
    at, inbox = await house(sender), Inbox()
    at.register.tables = [ROLES]
    await at.directory.refresh()
    at.feeds = {kind: feed for (_, kind), feed in HL7_FEEDS.items()}
    at.takers[HrRowsApart] = rows_apart(at.intake)
    at.takers_of_all = {HrEvent: HrTaker(inbox, at.intake, HASHES).take}
    return at, inbox
