"""An HR system that is asked: each change is kept once, who is new or back is hired, and it goes where every door's events go."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from canonical.appointments import fold
from canonical.employments import Told
from canonical.errors import Rejected, Throttled, Unavailable
from canonical.hr_ports import HrChanges, HrSaid, NotRead
from canonical.people import HrEvent
from canonical.senders import Sender
from gateway.people import HrTaker
from tests.fakes.hr import FakeHr
from tests.gateway.hl7_house import House
from tests.gateway.people_house import HASHES, Inbox, hospital
from workers.loops.hr_watcher import EVER, OVERLAP, HrWatcher

SENDER = Sender(
    code="HR", facility="NGH", dialect="rest", source="people-office", owner="HR integration", on_dead="go on"
)
T0 = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


@dataclass
class Marks:
    """How far it has come."""

    at: dict[str, datetime] = field(default_factory=dict)

    async def mark(self, name: str) -> datetime | None:
        return self.at.get(name)

    async def set_mark(self, name: str, at: datetime) -> None:
        self.at[name] = at


@dataclass
class Away:
    """The port :class:`canonical.hr_ports.HrAway`."""

    noted_: dict[str, tuple[str, str, datetime]] = field(default_factory=dict)

    async def noted(self, sender: str, why: NotRead, owner: str, at: datetime) -> None:
        since = self.noted_[sender][2] if sender in self.noted_ else at
        self.noted_[sender] = (why, owner, since)

    async def over(self, sender: str) -> None:
        self.noted_.pop(sender, None)

    async def only(self, *senders: str) -> None:
        self.noted_ = {sender: one for sender, one in self.noted_.items() if sender in senders}


def said(number: str, minutes: int, **more: Any) -> HrSaid:
    about: dict[str, Any] = {
        "number": number,
        "person": "E-1",
        "said_at": T0 + timedelta(minutes=minutes),
        "effective": date(2026, 11, 2),
        "record": {"name": {"family": "MAPLE", "given": "TEST"}},
        "position": {"role": "surgeon"},
    }
    return HrSaid.model_validate(about | more)


async def office(sender: Sender = SENDER) -> tuple[House, Inbox, FakeHr, HrWatcher]:
    at, inbox = await hospital(sender)
    at.takers_of_all = {HrEvent: HrTaker(inbox, at.intake, HASHES).take}
    hr = FakeHr()
    return at, inbox, hr, HrWatcher("HR", hr, at.journal, at.directory, Marks(), Away())


async def looked(at: House, watcher: HrWatcher) -> None:
    await watcher.once()
    await at.router().once()


async def test_who_is_new_is_hired_then_changed_then_leaves_and_comes_back() -> None:
    at, inbox, hr, watcher = await office()
    for step in (
        said("1", 0, starts=date(2026, 12, 1)),
        said("2", 5, position={"role": "surgeon", "department": "surgery"}),
        said("3", 9, kind="terminate", effective=date(2027, 1, 31)),
        said("4", 20, starts=date(2027, 6, 1)),
    ):
        hr.said = [step]
        await looked(at, watcher)
    assert [(one.kind, one.effective.isoformat()) for one in inbox.events] == [
        ("hire", "2026-12-01"),
        ("update", "2026-11-02"),
        ("terminate", "2027-01-31"),
        ("hire", "2027-06-01"),
    ]
    assert {(one.source, one.person) for one in inbox.events} == {("people-office", "E-1")}


async def test_an_end_that_is_gone_again_was_never_meant() -> None:
    """Their contract was made permanent: without a word of it they would lose all access on the day that stood there."""
    at, inbox, hr, watcher = await office()
    works: dict[str, Any] = {"starts": date(2026, 1, 1), "position": {"role": "surgeon", "starts": "2026-01-01"}}
    for step in (
        said("1", 0, **works),
        said("2", 5, kind="terminate", **works | {"effective": date(2027, 1, 31)}),
        said("3", 9, **works),
    ):
        hr.said = [step]
        await looked(at, watcher)
    told = [Told.of(one.number, one) for one in inbox.events]
    for day, state in ((date(2027, 1, 31), "working"), (date(2027, 2, 1), "working")):
        found = fold("NGH", "person-1", told, day).appointment
        assert found is not None and (found.state, found.ends_on) == (state, None)


async def test_what_is_seen_again_is_kept_once_also_by_another_process() -> None:
    at, inbox, hr, watcher = await office()
    hr.said = [said("1", 0), said("2", 1)]
    await looked(at, watcher)
    await looked(at, watcher)
    await looked(at, HrWatcher("HR", hr, at.journal, at.directory, Marks(), Away()))
    assert [one.number for one in inbox.events] == ["1", "2"] and len(at.journal.messages) == 2
    assert hr.asked == [EVER, T0 + timedelta(minutes=1) - OVERLAP, EVER]


async def test_while_the_hr_system_is_away_the_mark_stays_where_it_was() -> None:
    at, inbox, hr, watcher = await office()
    hr.said, hr.away = [said("1", 0)], True
    with pytest.raises(Unavailable):
        await watcher.once()
    hr.away = False
    await looked(at, watcher)
    assert hr.asked == [EVER] and len(inbox.events) == 1


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (Unavailable("no answer", system="hr"), "silent"),
        (Throttled("slow down", retry_after=5), "busy"),
        (Rejected("MAPLE may not", code="not-allowed"), "refuses"),
        (KeyError("MAPLE"), "unreadable"),
    ],
)
async def test_that_it_cannot_be_read_is_noted_as_a_code_since_when_and_with_its_owner_until_it_is_read(
    failure: Exception, why: str
) -> None:
    at, _, hr, _ = await office()
    away, clock = Away({"OLD-HR": ("silent", "", T0)}), [T0]

    class Failing(FakeHr):
        failures: tuple[Exception, ...] = (failure, failure)

        async def changes_since(self, since: datetime) -> HrChanges:
            if self.failures:
                one, *rest = self.failures
                self.failures = tuple(rest)
                raise one
            return await hr.changes_since(since)

    watcher = HrWatcher("HR", Failing(), at.journal, at.directory, Marks(), away, clock=lambda: clock[0])
    for _ in range(2):
        with pytest.raises(type(failure)):
            await watcher.once()
        clock[0] += timedelta(minutes=1)
        assert away.noted_ == {"HR": (why, "HR integration", T0)}, "and nobody waits for one that is not asked any more"
    await watcher.once()
    assert away.noted_ == {}


async def test_one_whose_row_takes_its_events_no_more_is_not_away() -> None:
    at, _, hr, _ = await office(SENDER.changed(kinds=("usage",)))
    away = Away({"HR": ("silent", "", T0)})
    await HrWatcher("HR", hr, at.journal, at.directory, Marks(), away).once()
    assert away.noted_ == {} and hr.asked == []


async def test_whose_hire_could_not_be_read_is_hired_by_what_mends_it() -> None:
    at, inbox, hr, watcher = await office()
    record = {"name": {"family": "MAPLE", "given": "TEST"}}
    hr.said = [said("1", 0, record=record | {"npi": "1234567890"})]
    await looked(at, watcher)
    (row,) = at.cases.unmatched.values()
    assert inbox.events == [] and "record.npi: this is no NPI" in row.reason and "Luhn" in row.reason
    assert "MAPLE" not in row.reason and "1234567890" not in row.reason
    hr.said = [said("2", 5, record=record | {"npi": "1234567893"})]
    await looked(at, watcher)
    hr.said = [said("3", 9, record=record | {"npi": "1234567893", "phone": "1"})]
    await looked(at, watcher)
    assert [(one.kind, one.number) for one in inbox.events] == [("hire", "2"), ("update", "3")]


async def test_a_record_that_can_be_no_event_is_kept_whole_listed_and_holds_up_nobody() -> None:
    at, inbox, hr, watcher = await office()
    hr.said = [said("1", 0, position={}), said("2", 1, person="E-2")]
    await looked(at, watcher)
    assert [one.person for one in inbox.events] == ["E-2"]
    (row,) = at.cases.unmatched.values()
    assert row.kind == "unreadable" and "role" in row.reason and "MAPLE" not in row.reason
    dead = next(one for one in at.journal.messages.values() if one.state == "dead")
    assert json.loads(dead.data)["record"]["name"]["family"] == "MAPLE", "kept as it came"
    assert not any("E-1" in one.key or "MAPLE" in one.key for one in at.journal.messages.values())


async def test_without_a_row_that_takes_its_events_the_hr_system_is_not_asked() -> None:
    at, _, hr, watcher = await office(SENDER.changed(kinds=("usage",)))
    await watcher.once()
    assert hr.asked == [] and at.journal.messages == {}
