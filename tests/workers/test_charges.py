"""From a recorded use to what billing's channel is given, among fakes: once, in order, and with no name outside the message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from structlog.testing import capture_logs

from canonical.charges import Charge
from canonical.errors import Unavailable
from canonical.messages import Kept, NewMessage
from canonical.senders import Channel, Sender
from canonical.supply import Item
from canonical.usage import UsagePolicy
from tests.gateway.charge_house import BILLING, ITEM, NAME, PID, SENDER, charge, credit, kept, used
from workers.loops.charges import ChargeWriter

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


class FakeCharges:
    """Charges that are due, in memory."""

    def __init__(self, *waiting: Charge) -> None:
        self.waiting = list(waiting)
        self.outcomes: dict[str, str] = {}
        self.sent: list[tuple[str, NewMessage]] = []
        self.again_at: datetime | None = None
        self.broken: Exception | None = None

    async def due(self, at: datetime, limit: int = 50) -> list[Charge]:
        return [one for one in self.waiting if one.id not in self.outcomes][:limit]

    async def write(self, charge: str, channel: str, message: NewMessage) -> str:
        if self.broken is not None:
            raise self.broken
        self.sent.append((channel, message))
        self.outcomes[charge] = "written"
        return "m-out"

    async def needless(self, charge: str, reason: str, *, also: str = "") -> bool:
        self.outcomes |= dict.fromkeys([charge, also] if also else [charge], f"needless: {reason}")
        return True

    async def dead(self, charge: str, reason: str) -> None:
        self.outcomes[charge] = f"dead: {reason}"

    async def later(self, charge: str, reason: str, again_at: datetime) -> None:
        self.outcomes[charge] = f"later: {reason}"
        self.again_at = again_at


class FakeJournal:
    def __init__(self, message: Kept | None) -> None:
        self.message = message

    async def read(self, message: str) -> Kept | None:
        return self.message


class FakeTerms:
    """The register, as far as charges need it."""

    def __init__(self) -> None:
        self.rows: list[Channel] = [BILLING]
        self.items: dict[str, Item] = {ITEM.code: ITEM}
        self.bill_to = "BILLING"

    async def senders(self) -> Sequence[Sender]:
        return [SENDER]

    async def channels(self) -> Sequence[Channel]:
        return self.rows

    async def item(self, facility: str, code: str) -> Item | None:
        return self.items.get(code)

    async def usage_policy(self, facility: str, as_of: date) -> UsagePolicy:
        return UsagePolicy(facility=facility, bill_to=self.bill_to)


class Office:
    """What a test needs of billing's side of us."""

    def __init__(self, *due: Charge, message: Kept | None = None) -> None:
        self.charges = FakeCharges(*due)
        self.terms = FakeTerms()
        self.journal = FakeJournal(message or kept())
        self.loop = ChargeWriter(self.charges, self.journal, self.terms, clock=lambda: NOW)

    async def writes(self) -> dict[str, str]:
        await self.loop.once()
        return self.charges.outcomes


async def test_each_charge_goes_to_the_channel_of_the_facilitys_policy() -> None:
    office = Office(charge(), charge(id="0191", event_id="other", charge="0191"))
    assert await office.writes() == {"0190-charge": "written", "0191": "written"}
    assert [(to, message.key) for to, message in office.charges.sent] == [
        ("BILLING", "charge/0190-charge"),
        ("BILLING", "charge/0191"),
    ]


async def test_the_charges_own_channel_goes_before_the_policys() -> None:
    office = Office(charge(channel="OTHER"))
    office.terms.rows.append(BILLING.changed(code="OTHER", kind="fhir"))
    await office.writes()
    assert [(to, message.kind) for to, message in office.charges.sent] == [("OTHER", "r5/ChargeItem")]


async def test_what_was_taken_back_before_billing_heard_of_it_is_told_to_nobody() -> None:
    office = Office(charge(taken_back="0190-credit"), credit(charge_state="due"))
    outcomes = await office.writes()
    assert set(outcomes) == {"0190-charge", "0190-credit"} and not office.charges.sent
    assert all(said.startswith("needless: taken back before") for said in outcomes.values())


async def test_the_credit_of_a_charge_that_could_not_be_written_ends_both() -> None:
    office = Office(credit(charge="0190-charge", charge_state="dead"))
    assert set(await office.writes()) == {"0190-charge", "0190-credit"} and not office.charges.sent


async def test_the_credit_of_what_was_never_charged_is_needless() -> None:
    office = Office(credit(charge="", charge_state=""))
    assert await office.writes() == {"0190-credit": "needless: billing was told of no charge to take back"}


async def test_an_item_without_a_charge_code_is_shown_to_billing_and_keeps_no_other_waiting() -> None:
    office = Office(charge(item="ITM-2"), charge(id="0191", event_id="other", charge="0191"))
    office.terms.items["ITM-2"] = ITEM.changed(code="ITM-2", charge_code="")
    with capture_logs() as logs:
        assert await office.writes() == {"0190-charge": "dead: item ITM-2 has no charge code", "0191": "written"}
    assert [(entry["alert"], entry["owner"]) for entry in logs] == [(True, "billing")]


async def test_a_facility_that_bills_elsewhere_tells_nobody_and_an_unknown_channel_is_shown() -> None:
    office = Office(charge())
    office.terms.bill_to = ""
    assert (await office.writes())["0190-charge"].startswith("needless: the facility's usage policy names no channel")
    office = Office(charge())
    office.terms.rows = []
    assert await office.writes() == {"0190-charge": "dead: channel BILLING is not in the register"}


async def test_what_is_away_is_waited_for_and_the_credit_with_its_charge() -> None:
    office = Office(charge(), credit())
    office.charges.broken = Unavailable("our own database does not answer", system="store")
    assert await office.writes() == {"0190-charge": "later: our own database does not answer"}
    assert office.charges.again_at == NOW + timedelta(seconds=5)


async def test_no_name_is_in_what_is_logged_or_said_of_a_charge_whatever_goes_wrong() -> None:
    two = kept(used(PID, PID.replace("900001", "900002")))
    glued = kept(used() + used())
    with capture_logs() as logs:
        for message in (two, glued, kept(f"no HL7 {NAME}".encode(), kind="DFT^P03")):
            office = Office(charge(), message=message)
            (said,) = (await office.writes()).values()
            assert said.startswith("dead: ") and NAME not in said
        office = Office(charge())
        office.charges.broken = KeyError(f"a mistake of ours at {NAME}")
        assert await office.writes() == {"0190-charge": "later: unexpected KeyError"}
    assert len(logs) == 4 and NAME not in repr(logs)


async def test_the_name_is_in_what_billing_is_sent() -> None:
    office = Office(charge())
    await office.writes()
    ((_, message),) = office.charges.sent
    assert NAME.encode() in message.data and NAME not in repr(message.model_dump(exclude={"data"}))
