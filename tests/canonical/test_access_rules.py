"""What somebody may reach, as of a moment: least first, clinical with privileges only, nothing after the last day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from canonical.access import AccessTarget, TargetSeen, Wanted
from canonical.access_plan import ENABLED_OUTSIDE, TargetState, look_again_at, opened_outside, plan, tried_again_at
from canonical.access_rules import next_change, wanted
from canonical.credentials import ClinicianPolicy, ClinicianRole, Privilege, Verification
from canonical.onboarding import Appointment, OnboardingFile
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


def test_what_stands_is_looked_at_more_and_more_seldom_and_soon_where_a_grant_may_still_come() -> None:
    want = wants(file(state="ended"))["idp"]
    hour = timedelta(hours=1)
    assert look_again_at(IDP, stands(want, "off")) == NOON + hour
    old = stands(want, "off", since=NOON - timedelta(days=30))
    assert look_again_at(IDP, old) == NOON + 6 * hour
    late = stands(want, "off", asked_at=NOON - timedelta(seconds=5))
    assert look_again_at(IDP, late) == NOON + timedelta(seconds=65)


def test_what_was_off_and_is_on_was_opened_outside() -> None:
    want = wants(file(state="ended"))["idp"]
    on = TargetSeen(present=True, active=True)
    assert opened_outside(stands(want, "off"), on) == ENABLED_OUTSIDE
    assert opened_outside(stands(want, "off"), TargetSeen(present=True, groups=("staff",))) == ENABLED_OUTSIDE
    assert opened_outside(stands(want, "off"), TargetSeen(present=True)) == ""
    assert opened_outside(stands(want, "due"), on) == ""
