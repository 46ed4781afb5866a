"""What somebody may reach, as of a moment: least first, clinical with privileges only, nothing after the last day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from canonical.access import AccessStanding, AccessTarget, TargetSeen, Wanted
from canonical.access_plan import (
    ENABLED_OUTSIDE,
    TargetState,
    heard_no_more,
    look_again_at,
    opened_outside,
    plan,
    tried_again_at,
)
from canonical.access_rules import next_change, wanted
from canonical.credentials import ClinicianPolicy, ClinicianRole, Privilege, Verification
from canonical.onboarding import Appointment, OnboardingFile
from canonical.onboarding_rules import stand
from canonical.people import ClinicianRecord, PersonName, Position, PrivilegeScope

PERSON = "person-0001"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROLE = ClinicianRole(code="physician", checks=("licence", "exclusion"), least=("staff",), clinical=("clinical",))
RECORD = ClinicianRecord(name=PersonName(family="Okafor"))


def privilege(**fields: Any) -> Privilege:
    told = {"id": "p1", "person": PERSON, "facility": "NGH", "state": "granted", "requested_at": NOON}
    return Privilege.model_validate(told | fields)


def file(facility: str = "NGH", state: str = "working", *, privileges: Any = None, **fields: Any) -> OnboardingFile:
    about = {name: fields.pop(name) for name in ("starts", "ends_on", "position", "next_change") if name in fields}
    told: dict[str, Any] = {"person": PERSON, "facility": facility, "state": state, "offered_at": NOON}
    return OnboardingFile(
        appointment=Appointment.model_validate(told | about),
        role=fields.pop("role", ROLE),
        policy=ClinicianPolicy(facility=facility),
        privileges=(privilege(),) if privileges is None else privileges,
        **fields,
    )


def target(kind: str = "identity", code: str = "", **fields: Any) -> AccessTarget:
    return AccessTarget.model_validate({"code": code or kind, "kind": kind, "adapter": "fake"} | fields)


def of(*files: OnboardingFile, kind: str = "identity", as_of: datetime = NOON, blocked: bool = False) -> Wanted:
    return wanted(files, blocked, RECORD, target(kind), PERSON, as_of)


def test_the_privileged_have_clinical_access_and_others_the_least() -> None:
    assert of(file()).groups == ("clinical", "staff")
    assert of(file(privileges=())).groups == ("staff",)
    assert (of(file(), kind="scheduling").active, of(file(privileges=()), kind="scheduling").active) == (True, False)


@pytest.mark.parametrize(
    "stopped",
    [
        {"state": "away"},
        {"suspended": True},
        {"verifications": (Verification(person=PERSON, kind="licence", subject="IL", state="refuted"),)},
        {"verifications": (Verification(person=PERSON, kind="licence", subject="IL", state="unknown"),)},
        {
            "verifications": (
                Verification(
                    person=PERSON, kind="licence", subject="IL", state="confirmed", expires_on=date(2026, 11, 19)
                ),
            )
        },
        {"privileges": (privilege(until=NOON),)},
        {"privileges": (privilege(starts=NOON + timedelta(seconds=1)),)},
        {"privileges": (privilege(scope=PrivilegeScope(ends=date(2026, 11, 19))),)},
        {"privileges": (privilege(state="seconded"),)},
    ],
)
def test_whatever_stops_somebody_leaves_the_least(stopped: dict[str, Any]) -> None:
    assert of(file(**stopped)).groups == ("staff",)
    assert not of(file(**stopped), kind="scheduling").active


def test_access_is_stopped_by_what_stops_the_case_and_by_nothing_else() -> None:
    """One rule: a prescriber without a DEA number is stopped, somebody held against an old edition of a list is not."""
    prescriber = ROLE.model_copy(update={"prescriber": True})
    assert of(file(role=prescriber)).groups == ("staff",)
    registered = Verification(person=PERSON, kind="dea", subject="IL", state="confirmed")
    assert of(file(role=prescriber, verifications=(registered,))).groups == ("clinical", "staff")
    old = Verification(person=PERSON, kind="exclusion", state="confirmed", expires_on=date(2026, 1, 1))
    assert of(file(verifications=(old,))).groups == ("clinical", "staff")
    for files in (file(role=prescriber), file(verifications=(old,))):
        assert (of(files).groups == ("staff",)) == bool(stand(files, NOON).stopped)


def test_a_licence_of_a_state_where_nobody_is_seen_stops_nothing() -> None:
    elsewhere = Verification(person=PERSON, kind="licence", subject="WI", state="refuted")
    assert of(file(verifications=(elsewhere,))).groups == ("clinical", "staff")
    seen_there = Position(practice_states=("IL", "WI"))
    assert of(file(verifications=(elsewhere,), position=seen_there)).groups == ("staff",)


@pytest.mark.parametrize("kind", ["identity", "directory", "scheduling", "erp", "manual"])
@pytest.mark.parametrize(
    "gone",
    [
        {"state": "ended"},
        {"state": "withdrawn"},
        {"ends_on": date(2026, 11, 19)},
        {"state": "away", "ends_on": date(2026, 11, 19)},
        {"state": "offered", "ends_on": date(2026, 11, 19)},
    ],
)
def test_who_has_left_has_nothing_anywhere_whether_or_not_anybody_noticed(gone: dict[str, Any], kind: str) -> None:
    left = of(file(**gone), kind=kind)
    assert (left.active, left.exists, left.groups, left.record) == (False, False, (), ClinicianRecord())
    assert not any(one.employed or one.eligible or one.groups or one.privileges for one in left.held)
    until = [one.ends for one in left.held]  # payroll pays until then, whenever anybody heard of it
    assert until == ([gone["ends_on"]] if kind == "erp" and "ends_on" in gone else [])


EXCLUDED = (Verification(person=PERSON, kind="exclusion", state="refuted"),)
UNLICENSED = (Verification(person=PERSON, kind="licence", subject="IL", state="refuted"),)


def test_the_excluded_lose_all_access_and_stay_employed_until_hr_ends_it() -> None:
    for kind in ("identity", "directory", "scheduling", "manual"):
        assert not of(file(verifications=EXCLUDED), kind=kind).active
    assert of(file(verifications=EXCLUDED), kind="erp").active


def test_a_verification_that_fails_before_any_grant_takes_back_whatever_was_given() -> None:
    for kind in ("identity", "directory", "scheduling", "erp", "manual"):
        for failed in (EXCLUDED, UNLICENSED):
            assert not of(file(verifications=failed, privileges=()), kind=kind).active


def test_the_last_day_is_worked_until_its_end() -> None:
    last = file(ends_on=date(2026, 11, 20))
    assert of(last, as_of=NOON.replace(hour=23, minute=59)).active
    assert not of(last, as_of=NOON + timedelta(days=1)).active


def test_who_is_to_come_is_known_to_payroll_and_has_no_access_yet() -> None:
    to_come = file("NGH", "offered", starts=date(2026, 12, 1))
    assert of(to_come, kind="erp").active
    assert (of(to_come).active, of(to_come).exists) == (False, True)
    early = file("NGH", "working", starts=date(2026, 11, 21))
    assert not of(early).active
    assert of(early, as_of=NOON + timedelta(days=1)).active


def test_of_two_facilities_the_union_is_wanted_and_leaving_one_takes_what_that_one_gave() -> None:
    nurse = ClinicianRole(code="nurse", least=("staff",), clinical=("ward",))
    both = [file("NGH"), file("SGH", role=nurse)]
    assert of(*both).groups == ("clinical", "staff", "ward")
    assert of(both[0], file("SGH", "ended", role=nurse)).groups == ("clinical", "staff")
    only = wanted(both, False, RECORD, target(facility="SGH"), PERSON, NOON)
    assert (only.groups, len(only.held)) == (("staff", "ward"), 1)


def test_a_block_empties_everything_everywhere() -> None:
    for kind in ("identity", "directory", "scheduling", "erp", "manual"):
        blocked = of(file(), file("SGH"), kind=kind, blocked=True)
        assert (blocked.active, blocked.exists, blocked.groups, blocked.record) == (False, False, (), ClinicianRecord())
        assert not of(file(blocked=True), file("SGH"), kind=kind).active


def test_a_role_without_privileges_is_let_in_once_all_is_verified() -> None:
    clerk = ClinicianRole(code="scheduler", clinical_role=False, checks=("exclusion",), least=("staff",))
    good = Verification(person=PERSON, kind="exclusion", state="confirmed")
    assert not of(file(role=clerk, privileges=()), kind="scheduling").active
    assert of(file(role=clerk, privileges=(), verifications=(good,)), kind="scheduling").active


def test_the_next_moment_is_when_the_rules_say_something_else() -> None:
    about = file(ends_on=date(2026, 12, 24), privileges=(privilege(until=NOON + timedelta(days=3)),))
    assert next_change([about], NOON) == NOON + timedelta(days=3)
    assert next_change([about], NOON + timedelta(days=3)) == datetime(2026, 12, 25, tzinfo=UTC)
    assert next_change([about], datetime(2027, 1, 1, tzinfo=UTC)) is None


# -- what is due --------------------------------------------------------------------------------------------------------

IDP = target("identity", "idp", after=("erp",))
ERP = target("erp", "erp")
PLAN = target("scheduling", "plan", after=("idp",))
TARGETS = (PLAN, IDP, ERP)


def wants(*files: OnboardingFile, blocked: bool = False) -> dict[str, Wanted]:
    return {one.code: wanted(files, blocked, RECORD, one, PERSON, NOON) for one in TARGETS}


def stands(want: Wanted, state: str = "confirmed", **fields: Any) -> TargetState:
    told: dict[str, Any] = {"target": want.target, "state": state, "wanted": want.hash, "active": want.active}
    return TargetState.model_validate(told | {"since": NOON, "seen_at": NOON} | fields)


def due(states: dict[str, TargetState], want: dict[str, Wanted], as_of: datetime = NOON) -> list[str]:
    return [f"{one.do} {one.target}" for one in plan(TARGETS, states, want, as_of).due]


def test_what_is_given_follows_what_it_depends_on() -> None:
    want = wants(file())
    first = plan(TARGETS, {}, want, NOON)
    assert [one.target for one in first.due] == ["erp"]
    assert set(first.waiting) == {"idp", "plan"}
    one_done = {"erp": stands(want["erp"])}
    assert due(one_done, want) == ["write idp"]
    assert due(one_done | {"idp": stands(want["idp"])}, want) == ["write plan"]
    assert due({code: stands(want[code]) for code in want}, want) == []


def test_what_is_taken_goes_in_reverse_and_waits_for_nobody_that_was_tried() -> None:
    before, gone = wants(file()), wants(file(state="ended"))
    states = {code: stands(want) for code, want in before.items()}
    assert due(states, gone) == ["write idp"]
    down = stands(gone["idp"], "due", active=True, tries=1, again_at=NOON + timedelta(seconds=2))
    assert due(states | {"idp": down}, gone) == ["write plan"]
    off = {"idp": down, "plan": stands(gone["plan"], "off", active=False)}
    assert due(states | off, gone) == ["write erp"]


def test_what_was_never_given_is_not_taken() -> None:
    assert plan(TARGETS, {}, wants(file(state="ended")), NOON).due == ()


def test_other_news_do_not_wait_for_what_was_refused() -> None:
    want = wants(file())
    refused = stands(want["erp"], "refused", active=False, again_at=NOON + timedelta(hours=1))
    assert due({"erp": refused}, want) == []
    assert due({"erp": refused}, wants(file(), file("SGH"))) == ["write erp"]


def test_what_is_to_be_taken_is_tried_again_within_a_minute_however_long_it_fails() -> None:
    for tries in (0, 3, 50):
        assert tried_again_at("unavailable", tries, False, NOON) - NOON <= timedelta(minutes=1)
        assert tried_again_at("forbidden", tries, False, NOON) - NOON <= timedelta(minutes=1)
    assert tried_again_at("cost-centre-missing", 0, True, NOON) - NOON == timedelta(minutes=5)
    assert tried_again_at("cost-centre-missing", 12, True, NOON) - NOON == timedelta(hours=1)
    own = timedelta(seconds=5)
    assert [(tried_again_at("cost-centre-missing", tries, True, NOON, own) - NOON).seconds for tries in (0, 1, 12)] == [
        5,
        10,
        60,
    ]
    silent = [(tried_again_at("unavailable", tries, True, NOON, own) - NOON).seconds for tries in (0, 1, 12)]
    assert silent == [2, 4, 10] and tried_again_at("unavailable", 12, True, NOON) - NOON == timedelta(minutes=10)


def test_what_stands_is_looked_at_more_and_more_seldom_and_soon_where_a_grant_may_still_come() -> None:
    want = wants(file(state="ended"))["idp"]
    hour = timedelta(hours=1)
    assert look_again_at(IDP, stands(want, "off")) == NOON + hour
    old = stands(want, "off", since=NOON - timedelta(days=29))
    assert look_again_at(IDP, old) == NOON + 6 * hour
    left = stands(want, "off", since=NOON - timedelta(days=30))
    assert look_again_at(IDP, left) == NOON + timedelta(days=1)
    late = stands(want, "off", asked_at=NOON - timedelta(seconds=5))
    assert look_again_at(IDP, late) == NOON + timedelta(seconds=65)


def test_a_grant_whose_end_was_not_heard_of_is_looked_for_again_after_one_five_and_fifteen_minutes() -> None:
    """A target may take longer than its row says; what comes then is found in minutes, not at the next hour's look."""
    want, asked = wants(file(state="ended"))["idp"], NOON - timedelta(seconds=70)
    seen, looks = NOON, []
    while seen < NOON + timedelta(minutes=20):
        one = stands(want, "off", asked_at=asked, since=NOON, seen_at=seen)
        seen = look_again_at(IDP, one)
        looks.append(int((seen - NOON).total_seconds()) // 60)
    assert looks == [1, 5, 15, 75]
    assert [heard_no_more(IDP, asked, NOON + timedelta(minutes=minutes)) for minutes in (5, 15)] == [False, True]


def test_the_case_of_who_has_left_ends_once_all_is_off_for_long_and_looks_at_all_together() -> None:
    gone, hour, day = wants(file(state="ended")), timedelta(hours=1), timedelta(days=1)

    def off(seen: datetime, since: datetime) -> dict[str, TargetState]:
        return {code: stands(want, "off", active=False, since=since, seen_at=seen) for code, want in gone.items()}

    def planned(states: dict[str, TargetState], at: datetime, want: dict[str, Wanted] = gone) -> AccessStanding:
        return plan(TARGETS, states, want, at)

    assert not planned(off(NOON, NOON - 29 * day), NOON + hour).finished, "looked at often yet"
    rests = off(NOON, NOON - 30 * day)
    assert planned(rests, NOON + hour).finished
    assert planned(rests, NOON + hour).next_at == NOON + day, "and begins again for the next look"
    states = rests | {"plan": rests["plan"].model_copy(update={"seen_at": NOON + hour})}
    assert len(planned(states, NOON + day).due) == 3, "one run looks at all"
    assert not planned(rests | {"idp": stands(gone["idp"], "off", active=False, asked_at=NOON)}, NOON).finished
    assert not planned(rests, NOON + hour, wants(file("SGH"), file(state="ended"))).finished, "there they work on"


def test_looks_that_are_nearly_due_are_made_with_those_that_are_due() -> None:
    """A waking of the case costs more than a look; one by one, three targets woke it three times a day for ever."""
    given, minute = wants(file()), timedelta(minutes=1)

    def stood(code: str, seen: datetime, **more: Any) -> TargetState:
        return stands(given[code], "confirmed", active=True, since=NOON - timedelta(days=30), seen_at=seen, **more)

    states = {code: stood(code, NOON + place * 50 * minute) for place, code in enumerate(sorted(given))}
    day = timedelta(days=1)
    assert plan(TARGETS, states, given, NOON + day - 250 * minute).next_at == NOON + day
    assert [one.do for one in plan(TARGETS, states, given, NOON + day).due] == ["look"] * len(given)
    late = states | {"plan": stood("plan", NOON + day - minute, asked_at=NOON + day - minute)}
    assert "plan" not in {one.target for one in plan(TARGETS, late, given, NOON + day).due}, (
        "a grant on its way has its time"
    )


def test_looks_that_came_apart_by_a_change_are_made_together_again() -> None:
    """What is looked at once a day at noon and at eight would wake the case twice a day for ever."""
    given, hour, day = wants(file()), timedelta(hours=1), timedelta(days=1)

    def stood(code: str, seen: datetime) -> TargetState:
        return stands(given[code], "confirmed", active=True, since=NOON - 30 * day, seen_at=seen)

    states = {code: stood(code, NOON + (8 * hour if code == "idp" else timedelta())) for code in given}
    assert [one.target for one in plan(TARGETS, states, given, NOON + day).due] == ["idp", "plan", "erp"]
    assert plan(TARGETS, states, given, NOON + 21 * hour).due == (), "a waking for something else brings no looks along"
    assert len(plan(TARGETS, states | {"idp": stood("idp", NOON + 13 * hour)}, given, NOON + day).due) == 2


def test_while_looks_are_made_the_next_ones_are_known() -> None:
    """So the case sets its alarm once for both, and is not waiting for years where a look is never heard of."""
    given, day = wants(file()), timedelta(days=1)
    stood = {"since": NOON - 30 * day, "seen_at": NOON, "active": True}
    states = {code: stands(want, "confirmed", **stood) for code, want in given.items()}
    made = plan(TARGETS, states, given, NOON + day)
    assert len(made.due) == len(given) and made.next_at == NOON + 2 * day


def test_what_was_off_and_is_on_was_opened_outside() -> None:
    want = wants(file(state="ended"))["idp"]
    on = TargetSeen(present=True, active=True)
    assert opened_outside(stands(want, "off"), on) == ENABLED_OUTSIDE
    assert opened_outside(stands(want, "off"), TargetSeen(present=True, groups=("staff",))) == ENABLED_OUTSIDE
    assert opened_outside(stands(want, "off"), TargetSeen(present=True)) == ""
    assert opened_outside(stands(want, "due"), on) == ""
