"""What HR events come to: whatever order they came in, as of a day."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from canonical.appointments import Folded, fold, may_change_access, standing
from canonical.employments import Told
from canonical.onboarding import Appointment
from canonical.people import ClinicianRecord, HrEvent, Licence, PersonName, Position
from canonical.person_records import pay_days, record_of

BEGIN = datetime(2026, 1, 1, 9, tzinfo=UTC)


def said(day: int, kind: str, effective: str, **fields: Any) -> Told:
    """An event said on a day of January 2026 (or later: day 40 is in February)."""
    position = {name: fields.pop(name) for name in ("role", "cost_centre", "starts", "ends", "fte") if name in fields}
    about = {"id": f"{kind}-{day}", "source": "hr", "kind": kind, "said_at": BEGIN + timedelta(days=day - 1)}
    return Told.model_validate(about | {"effective": date.fromisoformat(effective), "position": position} | fields)


def on(day: str, *events: Told) -> Appointment:
    found = folded(day, *events).appointment
    assert found is not None
    return found


def folded(day: str, *events: Told) -> Folded:
    return fold("NGH", "person-1", events, date.fromisoformat(day))


HIRE = said(1, "hire", "2026-03-01", role="rn", cost_centre="CC-1")
TRANSFER = said(5, "update", "2026-04-01", cost_centre="CC-2")
LEAVE = said(10, "leave", "2026-05-01")
RETURN = said(60, "return", "2026-06-01")
END = said(90, "terminate", "2026-09-30", reason="RESIGN")


def test_a_contract_until_the_last_day_there_is_has_no_end() -> None:
    """Many HR systems say 9999-12-31 where they mean none."""
    hire = said(1, "hire", "2026-03-01", role="rn", ends="9999-12-31")
    assert (on("2026-03-01", hire).state, on("2026-03-01", hire).ends_on) == ("working", date.max)
    assert on("2026-10-01", hire, END).state == "ended"
    assert on("2026-10-01", hire, END, said(95, "activate", "2026-10-01")).state == "working"
    assert [one.field for one in pay_days([], [hire], date(2026, 4, 1))]


def test_a_working_life_day_by_day() -> None:
    life = (HIRE, TRANSFER, LEAVE, RETURN, END)
    told = [
        (day, on(day, *life))
        for day in ("2026-02-28", "2026-03-01", "2026-04-01", "2026-05-01", "2026-06-01", "2026-09-30")
    ]
    assert [(one.state, one.position.cost_centre) for _, one in told] == [
        ("offered", "CC-1"),
        ("working", "CC-1"),
        ("working", "CC-2"),
        ("away", "CC-2"),
        ("working", "CC-2"),
        ("working", "CC-2"),
    ]
    assert [one.next_change for _, one in told] == [
        date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1), date(2026, 6, 1), date(2026, 10, 1), date(2026, 10, 1)
    ]  # fmt: skip
    gone = on("2026-10-01", *life)
    assert (gone.state, gone.ends_on, gone.ended_why, gone.next_change) == ("ended", date(2026, 9, 30), "RESIGN", None)


def test_the_order_of_arrival_does_not_matter() -> None:
    life = (HIRE, TRANSFER, LEAVE, RETURN, END)
    days = ("2026-02-01", "2026-04-15", "2026-05-15", "2026-07-01", "2026-12-01")
    for day in days:
        assert len({folded(day, *order).model_dump_json() for order in itertools.permutations(life)}) == 1


def test_a_transfer_waits_for_its_hire_and_is_in_force_after_it() -> None:
    alone = folded("2026-04-15", TRANSFER)
    assert alone.appointment is None and alone.waiting == (TRANSFER.id,)
    assert alone.states == {TRANSFER.id: "matched"}
    early = said(1, "update", "2026-04-01", cost_centre="CC-2")
    late_hire = said(3, "hire", "2026-03-01", role="rn", cost_centre="CC-1")
    assert on("2026-04-15", early, late_hire).position.cost_centre == "CC-2"


def test_an_end_before_the_hire_gives_nothing() -> None:
    alone = on("2026-10-15", END)
    assert (alone.state, alone.starts, alone.position.role) == ("ended", None, "")
    assert on("2026-10-15", END, HIRE).state == "ended"


def test_an_end_before_the_first_day_leaves_nothing_to_work() -> None:
    never = said(5, "terminate", "2026-02-15")
    assert {on(day, HIRE, never).state for day in ("2026-02-16", "2026-03-01", "2026-04-01")} == {"ended"}


def test_who_comes_back_after_an_end_works_again() -> None:
    again = said(300, "hire", "2026-11-01", role="rn", cost_centre="CC-9")
    life = (HIRE, END, again)
    assert [on(day, *life).state for day in ("2026-09-30", "2026-10-15", "2026-11-01")] == [
        "working",
        "offered",
        "working",
    ]
    back = folded("2026-11-01", *life)
    assert (
        back.appointment
        and back.appointment.position.cost_centre == "CC-9"
        and back.appointment.starts == date(2026, 11, 1)
    )
    assert back.states == {HIRE.id: "superseded", END.id: "superseded", again.id: "applied"}


def test_an_end_of_an_employment_nobody_told_us_of_does_not_touch_the_next() -> None:
    old = said(1, "terminate", "2025-12-31")
    assert on("2026-03-01", old, said(5, "hire", "2026-03-01", role="rn")).state == "working"


def test_a_withdrawn_offer_is_withdrawn_at_once_and_may_be_made_anew() -> None:
    gone = said(5, "delete", "2026-03-01", reason="RESCINDED")
    assert (on("2026-01-05", HIRE, gone).state, on("2026-04-01", HIRE, gone).ended_why) == ("withdrawn", "RESCINDED")
    assert on("2026-05-01", HIRE, gone, said(20, "hire", "2026-05-01", role="rn")).state == "working"


def test_an_emergency_ends_at_once_whatever_its_day() -> None:
    now = said(61, "terminate", "2026-12-31", emergency=True)
    found = on("2026-03-02", HIRE, now)
    assert (found.state, found.ends_on) == ("ended", date(2026, 3, 2))
    told_again = said(62, "hire", "2026-03-01", role="rn", source="other")
    assert on("2026-03-05", HIRE, now, told_again).state == "ended"
    softer = said(63, "terminate", "2026-12-31")
    assert on("2026-03-05", HIRE, now, softer).state == "ended"


def test_a_hire_told_by_another_system_is_the_same_employment() -> None:
    other = said(2, "hire", "2026-03-01", role="rn", cost_centre="CC-1", source="roster")
    assert on("2026-04-01", HIRE, other).state == "working"
    late = other.model_copy(update={"id": "late", "said_at": END.said_at + timedelta(days=1)})
    assert on("2026-10-01", HIRE, END, late).state == "ended"


def test_a_planned_end_is_taken_back_by_activating() -> None:
    stays = said(100, "activate", "2026-09-01")
    found = folded("2026-10-15", HIRE, END, stays)
    assert found.appointment and found.appointment.state == "working" and found.states[END.id] == "superseded"


def test_a_change_of_the_past_does_not_undo_a_later_one_said_before() -> None:
    backdated = said(100, "update", "2026-03-10", cost_centre="CC-3")
    life = (HIRE, TRANSFER, backdated)
    told = [on(day, *life).position.cost_centre for day in ("2026-03-09", "2026-03-10", "2026-04-01")]
    assert told == ["CC-1", "CC-3", "CC-2"]


def test_a_future_change_waits_for_its_day_and_says_when() -> None:
    before = folded("2026-03-15", HIRE, TRANSFER)
    assert before.states == {HIRE.id: "applied", TRANSFER.id: "matched"}
    assert before.appointment and before.appointment.next_change == date(2026, 4, 1)
    assert folded("2026-04-01", HIRE, TRANSFER).states[TRANSFER.id] == "applied"


def test_what_was_said_anew_is_superseded() -> None:
    again = said(20, "update", "2026-04-10", cost_centre="CC-4")
    assert folded("2026-05-01", HIRE, TRANSFER, again).states[TRANSFER.id] == "superseded"


def test_a_leave_taken_back_before_it_began_never_was() -> None:
    stays = said(20, "return", "2026-04-20")
    assert on("2026-05-10", HIRE, LEAVE, stays).state == "working"


def test_a_return_said_before_its_leave_still_ends_it() -> None:
    early = said(9, "return", "2026-06-01")
    told = [on(day, HIRE, early, LEAVE).state for day in ("2026-04-30", "2026-05-01", "2026-06-01")]
    assert told == ["working", "away", "working"]


def test_a_second_leave_stands_when_the_first_is_over() -> None:
    soon = said(20, "leave", "2026-03-15")
    back = said(30, "return", "2026-03-20")
    told = [on(day, HIRE, LEAVE, soon, back).state for day in ("2026-03-15", "2026-03-20", "2026-05-01")]
    assert told == ["away", "working", "away"]


def test_a_contract_ends_by_itself_and_may_be_made_longer() -> None:
    locum = said(1, "hire", "2026-03-01", role="rn", ends="2026-03-31")
    assert [on(day, locum).state for day in ("2026-03-31", "2026-04-01")] == ["working", "ended"]
    longer = said(70, "update", "2026-03-20", ends="2026-06-30")
    assert on("2026-04-01", locum, longer).state == "working"


FIRST = date(2026, 1, 1)
KINDS = ("hire", "update", "leave", "return", "terminate", "activate", "deactivate", "delete", "grant", "revoke")


def any_events(seed: int) -> list[Told]:
    """One to nine events of any kind, said and in force in any order."""
    chance = random.Random(seed)
    events = []
    for number in range(chance.randint(1, 9)):
        kind = chance.choice(KINDS)
        fields: dict[str, Any] = {
            "cost_centre": f"CC-{number}",
            "emergency": kind == "terminate" and chance.random() < 0.3,
        }
        fields |= {"scope": {"service": "s"}} if kind in ("grant", "revoke") else {}
        fields |= (
            {"ends": (FIRST + timedelta(days=chance.randint(0, 110))).isoformat()} if chance.random() < 0.2 else {}
        )
        day = FIRST + timedelta(days=chance.randint(0, 90))
        events.append(
            said(chance.randint(1, 60), kind, day.isoformat(), **fields).model_copy(update={"id": f"{number:02}"})
        )
    return events


@pytest.mark.parametrize("seed", range(60))
def test_any_events_in_any_order_come_to_one_thing_and_who_has_left_does_not_work(seed: int) -> None:
    events, chance = any_events(seed), random.Random(seed)
    last = max(events, key=lambda one: (one.said_at, one.kind != "hire", one.id))
    for day in (FIRST + timedelta(days=step) for step in range(0, 120, 7)):
        found = folded(day.isoformat(), *events)
        for _ in range(4):
            assert folded(day.isoformat(), *chance.sample(events, len(events))) == found
        assert set(found.states) == {one.id for one in events}
        if (appointment := found.appointment) is not None and appointment.state in ("working", "away"):
            assert appointment.starts and appointment.starts <= day
            assert appointment.ends_on is None or day <= appointment.ends_on
            assert not (last.kind == "terminate" and last.effective < day), "it was said last that it ended"


@pytest.mark.parametrize("seed", range(60))
def test_nothing_changes_on_a_day_that_was_not_told_before(seed: int) -> None:
    events = any_events(seed)
    for day in (FIRST + timedelta(days=step) for step in range(115)):
        following = day + timedelta(days=1)
        now, then = folded(day.isoformat(), *events), folded(following.isoformat(), *events)
        if now.appointment is not None and now.appointment.next_change != following:
            assert now == then, f"on {following}"
            assert now.appointment.next_change is None or now.appointment.next_change > following


def test_privileges_are_granted_and_revoked_by_scope() -> None:
    cardiac = {"service": "cardiac", "procedures": "pci"}
    grant = said(10, "grant", "2026-03-01", scope=cardiac)
    revoke = said(50, "revoke", "2026-06-01", scope={"service": "cardiac"}, reason="LAPSED")
    for order in ((HIRE, grant, revoke), (revoke, grant, HIRE)):
        found = folded("2026-05-01", *order)
        assert [(one.event, one.revoked_on, one.revoked_why) for one in found.grants] == [
            (grant.id, date(2026, 6, 1), "LAPSED")
        ]
        assert found.states[revoke.id] == "matched"
    other = said(50, "revoke", "2026-06-01", scope={"service": "renal"})
    assert folded("2026-07-01", HIRE, grant, other).grants[0].revoked_on is None
    after = said(60, "grant", "2026-07-01", scope=cardiac)
    assert folded("2026-08-01", HIRE, grant, revoke, after).grants[1].revoked_on is None


def heard(number: str, day: int, kind: str = "update", effective: str = "2026-03-01", **record: Any) -> HrEvent:
    about = {"facility": "NGH", "source": "hr", "number": number, "person": "P-1", "kind": kind}
    more: dict[str, Any] = {"scope": {}} if kind in ("grant", "revoke") else {}
    more |= {"position": {"role": "rn"}} if kind == "hire" else {}
    when = {"said_at": BEGIN + timedelta(days=day - 1), "effective": effective, "record": record}
    return HrEvent.model_validate(about | when | more)


def test_a_record_is_what_was_said_last_and_holds_by_then() -> None:
    hired = heard("1", 1, "hire", name=PersonName(family="Okafor", given="Anna"), email="a@example.org")
    married = heard("2", 30, effective="2026-06-01", name=PersonName(family="Brandt", given="Anna"))
    before, after = (record_of([married, hired], date.fromisoformat(day)) for day in ("2026-01-05", "2026-06-01"))
    assert (before.name.family, before.email) == ("Okafor", "a@example.org")
    assert (after.name.family, after.former_family, after.email) == ("Brandt", "Okafor", "a@example.org")


def test_no_name_of_somebody_is_forgotten() -> None:
    names = [PersonName(family=family, given="Anna") for family in ("Okafor", "Brandt", "Costa", "Brandt")]
    said = [
        heard(str(day), day, "hire" if day == 1 else "update", name=name) for day, name in enumerate(names, start=1)
    ]
    said.append(heard("9", 9, other_names=[PersonName(family="Nnamdi")]))
    now = record_of(said, date(2026, 6, 1))
    assert (now.name, now.former_family) == (names[1], "Costa")
    assert {name.family for name in now.names} == {"Okafor", "Brandt", "Costa", "Nnamdi"}
    assert record_of([*said, *said], date(2026, 6, 1)) == now


def test_a_granted_licence_comes_beside_the_others_and_a_revoked_one_goes() -> None:
    illinois, ohio = Licence(state="IL", number="1"), Licence(state="OH", number="2")
    hired = heard("1", 1, "hire", name=PersonName(family="Okafor"), licences=(illinois,))
    granted = heard("2", 2, "grant", licences=(ohio,))
    revoked = heard("3", 3, "revoke", licences=(illinois,))
    assert record_of([hired, granted], date(2026, 3, 2)).licences == (illinois, ohio)
    assert record_of([hired, granted, revoked], date(2026, 3, 2)).licences == (ohio,)
    assert record_of([hired], date(2026, 1, 2)) == ClinicianRecord(
        name=PersonName(family="Okafor"), licences=(illinois,)
    )


def test_folded_once_for_many_days_it_says_of_each_what_folding_for_that_day_says() -> None:
    again = said(95, "hire", "2026-12-01", role="md", cost_centre="CC-9")
    everything = [HIRE, TRANSFER, LEAVE, RETURN, END, again, said(130, "delete", "2026-12-01")]
    days = [date(2026, 2, 1) + timedelta(days=number) for number in range(0, 400, 3)]
    for many in range(1, len(everything) + 1):
        for some in itertools.combinations(everything, many):
            stands = standing(some)
            for day in days:
                found = fold("NGH", "person-1", some, day).appointment
                by_fold = (found.state, found.position) if found is not None else ("", Position())
                assert stands(day) == by_fold, (some, day)


def test_a_change_of_the_past_says_which_days_were_paid_otherwise() -> None:
    backdated = said(100, "update", "2026-03-10", cost_centre="CC-3", fte="0.5")
    found = pay_days([HIRE, TRANSFER], [HIRE, TRANSFER, backdated], date(2026, 4, 10))
    told = [(one.field, one.was, one.now, one.first.isoformat(), one.last.isoformat(), one.days) for one in found]
    assert told == [
        ("cost_centre", "CC-1", "CC-3", "2026-03-10", "2026-03-31", 22),
        ("fte", "", "0.5", "2026-03-10", "2026-04-09", 31),
    ]


def test_an_end_of_the_past_says_which_days_were_paid_for_nothing() -> None:
    late = said(120, "terminate", "2026-04-15")
    assert [(one.field, one.was, one.now, one.days) for one in pay_days([HIRE], [HIRE, late], date(2026, 4, 30))] == [
        ("paid", "yes", "no", 14)
    ]


@pytest.mark.parametrize("later", [TRANSFER, said(5, "terminate", "2026-12-31")])
def test_a_change_of_the_future_touches_no_day_that_is_paid(later: Told) -> None:
    assert pay_days([HIRE], [HIRE, later], date(2026, 3, 20)) == []


STANDS = Appointment(
    person="person-1",
    facility="NGH",
    state="working",
    position=Position(role="rn", practice_states=("IL",), cost_centre="CC-1"),
    offered_at=BEGIN,
    starts=date(2026, 3, 1),
    ends_on=date(2026, 12, 31),
)
LICENSED = ClinicianRecord(
    name=PersonName(family="Vance", given="Ana"),
    licences=(Licence(state="IL", number="1"), Licence(state="WI", number="2")),
)
TELLS: dict[str, Any] = {"facility": "NGH", "source": "hr", "number": "U-1", "person": "P-1", "kind": "update"}
TELLS |= {"said_at": BEGIN, "effective": date(2026, 4, 1)}


@pytest.mark.parametrize(
    "said_too",
    [
        {"position": {"role": "clerk"}},
        {"position": {"ends": date(2026, 3, 31)}},
        {"position": {"starts": date(2027, 1, 1)}},
        {"position": {"practice_states": ("IL", "WI")}},
        {"record": {"licences": ({"state": "IL", "number": "1"},)}},
        {"record": {"licences": ({"state": "WI", "number": "2", "expires": date(2026, 3, 1)},)}, "kind": "grant"},
        {"record": {"npi": "1234567893"}},
    ],
    ids=["role", "last day", "first day", "states of practice", "fewer licences", "a licence that ran out", "NPI"],
)
def test_an_event_of_any_kind_that_says_another_role_day_or_licence_may_take_access_away(said_too: Any) -> None:
    kind: dict[str, Any] = {"scope": {}} if said_too.get("kind") == "grant" else {}
    assert may_change_access(HrEvent.model_validate(TELLS | kind | said_too), STANDS, LICENSED)


def test_what_says_the_same_again_or_only_another_cost_centre_takes_nothing_away() -> None:
    position = {"role": "rn", "practice_states": ("IL",), "ends": date(2026, 12, 31), "starts": date(2026, 3, 1)}
    record = {"name": {"family": "Vance"}, "licences": [one.model_dump() for one in reversed(LICENSED.licences)]}
    again = HrEvent.model_validate(TELLS | {"position": position | {"cost_centre": "CC-2"}, "record": record})
    assert not may_change_access(again, STANDS, LICENSED)
