"""How a clinician's case stands: every headline, hard stops, ages at decision, ends by themselves, notices and warnings."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from canonical.credentials import CheckKind, ClinicianPolicy, ClinicianRole, Privilege, Verification
from canonical.onboarding import OnboardingFile, OnboardingStanding, PersonTask, TargetStanding
from canonical.onboarding_checks import judged, needed, why_not_decide
from canonical.onboarding_rules import in_force, stand, warnings
from canonical.people import Position, PrivilegeScope

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.date()
WHO = "person-0001"
SURGEON = ClinicianRole(code="surgeon", prescriber=True)
CLERK = ClinicianRole(code="clerk", clinical_role=False, checks=("exclusion",))
ASKED: tuple[tuple[CheckKind, str], ...] = (
    ("npi", ""), ("licence", "IL"), ("exclusion", ""), ("education", ""), ("reference", ""), ("dea", "IL")
)  # fmt: skip


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def verified(kind: CheckKind, subject: str = "", state: str = "confirmed", **fields: Any) -> Verification:
    told = {"person": WHO, "kind": kind, "subject": subject, "state": state}
    return Verification.model_validate(told | {"verified_on": TODAY, "checked_at": NOON} | fields)


ALL = tuple(verified(kind, subject) for kind, subject in ASKED)


def but(kind: CheckKind, *, drop: bool = False, **fields: Any) -> tuple[Verification, ...]:
    """All of a surgeon's verifications, and one of them otherwise."""
    kept = tuple(one for one in ALL if one.kind != kind)
    subject = "IL" if kind in ("licence", "dea") else ""
    return kept if drop else (*kept, verified(kind, subject, **fields))


def asked_for(**fields: Any) -> Privilege:
    told: dict[str, Any] = {"id": "p-1", "person": WHO, "facility": "NGH", "scope": PrivilegeScope(service="surgery")}
    return Privilege.model_validate(told | {"requested_by": "E-MSO", "requested_at": NOON - timedelta(days=9)} | fields)


def granted(**fields: Any) -> Privilege:
    decided = {"state": "granted", "decided_by": "E-2", "decided_at": NOON - timedelta(days=2)}
    decided |= {"noticed_at": NOON, "starts": NOON - timedelta(days=2), "until": NOON + timedelta(days=1000)}
    return asked_for(**(decided | fields))


def target(kind: str, state: str = "confirmed", *, active: bool = True, reason: str = "") -> TargetStanding:
    return TargetStanding.model_validate(
        {"target": kind, "kind": kind, "state": state, "active": active, "reason": reason}
    )


GIVEN = tuple(target(kind) for kind in ("identity", "directory", "scheduling", "erp"))


def file(state: str = "working", *, role: ClinicianRole = SURGEON, **fields: Any) -> OnboardingFile:
    appointed = {
        name: fields.pop(name)
        for name in ("starts", "ends_on", "next_change", "changed_at", "position")
        if name in fields
    }
    appointment: dict[str, Any] = {
        "person": WHO,
        "facility": "NGH",
        "state": state,
        "offered_at": NOON - timedelta(days=30),
    }
    told = {"appointment": appointment | appointed, "role": role, "policy": ClinicianPolicy(facility="NGH")}
    return OnboardingFile.model_validate(told | {"dea_numbers": 1} | fields)


def says(told: OnboardingFile, as_of: datetime = NOON) -> str:
    return stand(told, as_of).headline


def kinds(standing: OnboardingStanding) -> list[str]:
    return sorted(one.kind for one in standing.tasks)


def facet(standing: OnboardingStanding, name: str) -> str:
    return next(one.state for one in standing.facets if one.name == name)


REQUESTED = (asked_for(),)


@pytest.mark.parametrize(
    ("told", "headline"),
    [
        (file("offered"), "offer accepted"),
        (file("working"), "provisional"),
        (file("away"), "provisional"),
        (file("offered", verifications=(verified("npi"),)), "in verification"),
        (file("working", verifications=but("reference", drop=True)), "in verification"),
        (file("working", verifications=ALL), "committee pending"),
        (file("working", verifications=ALL, privileges=REQUESTED), "committee pending"),
        (file("working", verifications=ALL, privileges=(asked_for(state="rejected"),)), "provisional"),
        (file(verifications=ALL, privileges=(*REQUESTED, granted(id="p-2", temporary=True))), "temporary privileges"),
        (
            file("working", verifications=ALL, privileges=(granted(),), targets=(target("identity", "due"),)),
            "privileged",
        ),
        (file("offered", verifications=ALL, privileges=(granted(),), targets=GIVEN), "privileged"),
        (file("away", verifications=ALL, privileges=(granted(),), targets=GIVEN), "privileged"),
        (file("working", verifications=ALL, privileges=(granted(),), targets=GIVEN), "active"),
        (file("working", role=CLERK, verifications=(verified("exclusion"),), targets=GIVEN), "active"),
        (
            file("working", role=CLERK, verifications=(verified("exclusion"),), targets=(target("erp", "due"),)),
            "provisional",
        ),
        (file("working", verifications=ALL, privileges=(granted(),), suspended=True), "suspended"),
        (file("working", verifications=ALL, privileges=(granted(),), blocked=True), "suspended"),
        (file("ended", verifications=ALL, privileges=(granted(),)), "terminated"),
        (file("withdrawn", verifications=ALL), "withdrawn"),
    ],
)
def test_each_headline_has_its_facts(told: OnboardingFile, headline: str) -> None:
    assert says(told) == headline


# ---- what is needed ----------------------------------------------------------------------------------------------------------


def test_a_prescriber_needs_a_licence_and_a_registration_for_each_state_of_practice() -> None:
    asked = needed(file(position=Position(role="surgeon", practice_states=("IL", "WI"))))
    assert [one for one in asked if one[0] in ("licence", "dea")] == [
        ("licence", "IL"), ("licence", "WI"), ("dea", "IL"), ("dea", "WI")
    ]  # fmt: skip


def test_without_states_of_practice_it_is_the_facilitys_own_and_who_prescribes_nothing_needs_no_registration() -> None:
    asked = needed(file(role=ClinicianRole(code="nurse"), policy=ClinicianPolicy(facility="NGH", state="OH")))
    assert ("licence", "OH") in asked and not any(kind == "dea" for kind, _ in asked)


def test_sources_are_asked_at_once_and_people_get_tasks() -> None:
    standing = stand(file("offered"), NOON)
    assert [one.name for one in standing.checks] == ["npi", "licence:IL", "exclusion", "dea:IL"]
    assert kinds(standing) == ["education", "reference", "request"]


def test_a_prescriber_without_a_number_is_stopped_and_nobody_is_asked_about_it() -> None:
    standing = stand(file("working", verifications=but("dea", drop=True), dea_numbers=0), NOON)
    assert standing.stopped == ("dea:IL: missing",) and standing.checks == ()
    assert "missing" in kinds(standing)


# ---- hard stops ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "state"),
    [("exclusion", "refuted"), ("licence", "refuted"), ("licence", "unknown"), ("dea", "refuted"), ("dea", "unknown")],
)
def test_a_hard_stop_suspends_who_was_privileged_the_same_day(kind: CheckKind, state: str) -> None:
    standing = stand(file(verifications=but(kind, state=state), privileges=(granted(),), targets=GIVEN), NOON)
    assert (standing.headline, len(standing.stopped)) == ("suspended", 1)
    assert standing.stopped[0].endswith(state) and "stop" in kinds(standing)
    assert next(one.stops for one in standing.facets if one.name == "verification")


def test_a_licence_is_good_on_its_last_day_and_lapses_with_it() -> None:
    told = file(verifications=but("licence", expires_on=TODAY), privileges=(granted(),), targets=GIVEN)
    assert (says(told), stand(told, NOON).next_at) == ("active", datetime(2026, 11, 21, tzinfo=UTC))
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    lapsed = stand(told, midnight)
    assert (lapsed.headline, lapsed.stopped) == ("suspended", ("licence:IL: expired",))
    assert [one.name for one in lapsed.checks] == ["licence:IL"]  # it may have been renewed
    assert [(one.kind, one.episode) for one in lapsed.tasks] == [("stop", "expired:2026-11-20")]
    assert not lapsed.taken_back


def test_a_lapsed_licence_is_asked_about_once_a_day() -> None:
    lapsed = verified("licence", "IL", expires_on=ago(3), checked_at=NOON)
    told = file(verifications=(*but("licence", drop=True), lapsed), privileges=(granted(),))
    assert stand(told, NOON + timedelta(hours=1)).checks == ()
    tomorrow = datetime(2026, 11, 21, tzinfo=UTC)
    assert stand(told, NOON).next_at == tomorrow
    assert [one.name for one in stand(told, tomorrow).checks] == ["licence:IL"]


def test_a_possible_hit_waits_for_a_person_and_stops_nobody_who_works() -> None:
    working = stand(
        file(verifications=but("exclusion", state="possible"), privileges=(granted(),), targets=GIVEN), NOON
    )
    assert (working.headline, working.stopped) == ("active", ())
    assert "say-who-it-is" in kinds(working)
    new = file("offered", verifications=but("exclusion", state="possible"))
    assert says(new) == "in verification" and "waits for a person" in why_not_decide(judged(new, NOON))


def test_who_is_excluded_has_everything_taken_back_at_any_time() -> None:
    before, after = (
        file(verifications=but("exclusion", state="refuted")),
        file(verifications=but("exclusion", state="refuted"), privileges=(granted(),)),
    )
    assert stand(before, NOON).taken_back and stand(after, NOON).taken_back
    assert says(before) == "suspended"


def test_what_a_source_denies_takes_back_all_that_was_given_before_any_grant_and_later_stops_only() -> None:
    denied = but("licence", state="refuted")
    assert stand(file(verifications=denied), NOON).taken_back
    later = stand(file(verifications=denied, privileges=(granted(),)), NOON)
    assert later.stopped and not later.taken_back
    assert not stand(file(verifications=but("licence", state="unknown")), NOON).taken_back


def test_nobody_waives_an_exclusion_but_other_checks_may_be() -> None:
    told = file(verifications=(*but("exclusion", state="waived"),))
    assert [one.name for one in stand(told, NOON).checks] == ["exclusion"]
    assert says(file(verifications=but("reference", state="waived"))) == "committee pending"


# ---- the age of what is decided by -----------------------------------------------------------------------------------------


def test_a_verification_decides_at_120_days_and_not_a_day_later() -> None:
    young, old = (file(verifications=but("licence", verified_on=ago(days))) for days in (120, 121))
    assert why_not_decide(judged(young, NOON)) == ""
    assert why_not_decide(judged(old, NOON)) == "licence:IL was verified too long ago"
    assert says(young) == "committee pending"
    assert stand(young, NOON).next_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert (says(old), [one.name for one in stand(old, NOON).checks]) == ("in verification", [])
    asked_before = but("licence", verified_on=ago(121), checked_at=NOON - timedelta(days=1))
    assert [one.name for one in stand(file(verifications=asked_before), NOON).checks] == ["licence:IL"]


def test_a_certified_body_has_90_days_by_its_policy() -> None:
    strict = ClinicianPolicy(facility="NGH", verified_within=90)
    assert why_not_decide(judged(file(policy=strict, verifications=but("npi", verified_on=ago(91))), NOON))


def test_age_asks_nothing_of_who_is_privileged_and_education_never_ages() -> None:
    old = tuple(one.changed(verified_on=ago(900)) for one in ALL)
    standing = stand(file(verifications=old, privileges=(granted(),), targets=GIVEN), NOON)
    assert (standing.headline, standing.checks, standing.tasks) == ("active", (), ())
    assert why_not_decide(judged(file(verifications=but("education", verified_on=ago(900))), NOON)) == ""


def test_a_reference_too_old_to_decide_by_is_asked_for_again_by_a_person() -> None:
    assert "reference" in kinds(stand(file(verifications=but("reference", verified_on=ago(121))), NOON))


def test_what_a_source_denied_is_asked_again_when_the_person_changed() -> None:
    denied = but("licence", state="unknown", checked_at=NOON - timedelta(days=2))
    assert stand(file(verifications=denied, changed_at=NOON - timedelta(days=3)), NOON).checks == ()
    changed = stand(file(verifications=denied, changed_at=NOON - timedelta(days=1)), NOON)
    assert [one.name for one in changed.checks] == ["licence:IL"]


# ---- privileges and their ends ------------------------------------------------------------------------------------------------


def test_temporary_privileges_end_by_themselves_at_their_moment() -> None:
    until = NOON + timedelta(days=120)
    temporary = granted(id="p-2", temporary=True, until=until)
    told = file(verifications=ALL, privileges=(*REQUESTED, temporary))
    assert stand(told, NOON).ended_privileges == ()
    assert says(told, until - timedelta(seconds=1)) == "temporary privileges"
    ended = stand(told, until)
    assert ended.headline != "temporary privileges" and ended.ended_privileges == ("p-2",)
    assert in_force(told, until) == ()


def test_the_end_of_temporary_privileges_is_a_moment_the_case_waits_for() -> None:
    until = NOON + timedelta(seconds=20)
    told = file(verifications=ALL, privileges=(granted(id="p-2", temporary=True, until=until), asked_for()))
    assert stand(told, NOON).next_at == until


def test_privileges_end_after_their_years_and_are_asked_for_anew_90_days_before() -> None:
    until = NOON + timedelta(days=91)
    told = file(verifications=ALL, privileges=(granted(until=until),), targets=GIVEN)
    early, due = stand(told, NOON), stand(told, until - timedelta(days=90))
    assert (kinds(early), early.next_at) == ([], until - timedelta(days=90))
    assert [(one.kind, one.subject, one.due) for one in due.tasks] == [("re-privilege", "p-1", until)]
    over = stand(told, until)
    assert over.ended_privileges == ("p-1",) and over.headline not in ("active", "privileged")
    renewed = told.model_copy(update={"privileges": (granted(until=until), granted(id="p-9"))})
    assert kinds(stand(renewed, until - timedelta(days=90))) == []


def test_a_privilege_of_a_future_day_is_not_in_force_before_it() -> None:
    begins = NOON + timedelta(days=3)
    told = file(verifications=ALL, privileges=(granted(starts=begins),), targets=GIVEN)
    assert (says(told), stand(told, NOON).next_at) == ("committee pending", begins)
    assert says(told, begins) == "active"


def test_leaving_ends_every_privilege_and_request() -> None:
    leaving = file(ends_on=TODAY, verifications=ALL, privileges=(granted(), asked_for(id="p-2")), targets=GIVEN)
    assert (says(leaving), stand(leaving, NOON).next_at) == ("active", datetime(2026, 11, 21, tzinfo=UTC))
    left = stand(leaving, datetime(2026, 11, 21, tzinfo=UTC))
    assert (left.headline, left.ended_privileges, left.taken_back) == ("terminated", ("p-1", "p-2"), True)
    assert (left.tasks, left.checks, left.finished) == ((), (), False)
    off = leaving.model_copy(
        update={"targets": tuple(target(kind, "off", active=False) for kind in ("identity", "erp"))}
    )
    assert stand(off, datetime(2026, 11, 21, tzinfo=UTC)).finished


def test_an_offer_begins_on_its_day_by_itself() -> None:
    told = file("offered", starts=TODAY + timedelta(days=1))
    assert (says(told), stand(told, NOON).next_at) == ("offer accepted", datetime(2026, 11, 21, tzinfo=UTC))
    assert says(told, datetime(2026, 11, 21, tzinfo=UTC)) == "provisional"


def test_the_committee_hears_of_a_request_once_all_is_verified() -> None:
    assert "decide" not in kinds(stand(file(verifications=but("npi", drop=True), privileges=REQUESTED), NOON))
    ready = stand(file(verifications=ALL, privileges=REQUESTED), NOON)
    assert [(one.kind, one.subject, one.owner) for one in ready.tasks] == [("decide", "p-1", "credentials committee")]


@pytest.mark.parametrize("state", ["granted", "rejected"])
def test_the_applicant_is_told_of_a_decision_within_30_days(state: str) -> None:
    decided = granted(state=state, noticed_at=None)
    standing = stand(file(verifications=ALL, privileges=(decided,)), NOON)
    assert standing.notices_due == ("p-1",)
    (notice,) = [one for one in standing.tasks if one.kind == "notice"]
    assert notice.due == NOON + timedelta(days=28)
    told = decided.changed(noticed_at=NOON)
    assert stand(file(verifications=ALL, privileges=(told,)), NOON).notices_due == ()


# ---- what stands elsewhere -----------------------------------------------------------------------------------------------------


def test_a_cost_centre_that_does_not_exist_yet_is_payrolls_to_see() -> None:
    waiting = (*GIVEN[:3], target("erp", "waiting", reason="cost-centre-missing"))
    standing = stand(file(verifications=ALL, privileges=(granted(),), targets=waiting), NOON)
    payroll = next(one for one in standing.facets if one.name == "payroll")
    assert (payroll.state, payroll.owner, payroll.reason) == ("waiting", "payroll", "erp: cost-centre-missing")
    assert standing.headline == "privileged"


def test_who_is_given_nothing_yet_in_a_system_is_not_active() -> None:
    least = (*GIVEN[:2], target("scheduling", active=False), GIVEN[3])
    assert says(file(verifications=ALL, privileges=(granted(),), targets=least)) == "privileged"


def test_the_facets_say_whose_it_is() -> None:
    standing = stand(file(verifications=but("reference", drop=True), privileges=REQUESTED, targets=GIVEN), NOON)
    said = {one.name: (one.state, one.owner) for one in standing.facets}
    assert said["verification"] == ("5 of 6 verified", "medical staff office")
    assert said["privileges"] == ("before the committee", "credentials committee")
    assert said["access"] == ("confirmed", "") and said["identity"] == ("matched", "")


def test_who_is_revoked_has_it_taken_back_everywhere() -> None:
    standing = stand(file(verifications=ALL, privileges=(granted(),), targets=GIVEN, blocked=True), NOON)
    assert standing.stopped == ("revoked",) and standing.taken_back
    assert facet(standing, "access") == "being taken back"


def test_open_tasks_are_counted_and_the_late_ones() -> None:
    tasks = tuple(
        PersonTask(id=name, person=WHO, facility="NGH", kind="notice", opened_at=NOON, due=due, state=state)
        for name, due, state in (("a", NOON, "open"), ("b", NOON + timedelta(days=1), "open"), ("c", NOON, "done"))
    )
    standing = stand(file(verifications=ALL, tasks=tasks), NOON)
    assert (standing.open_tasks, standing.overdue, standing.next_at) == (2, 1, NOON + timedelta(days=1))


@pytest.mark.parametrize(("left", "days"), [(91, None), (90, 90), (61, 90), (60, 60), (30, 30), (0, 30)])
def test_what_expires_is_warned_of_at_90_60_and_30_days(left: int, days: int | None) -> None:
    told = file(verifications=but("licence", expires_on=TODAY + timedelta(days=left)))
    found = [(one.name, one.days) for one in warnings(told, NOON)]
    assert found == ([("licence:IL", days)] if days else [])


def test_privileges_are_warned_of_too_and_what_has_lapsed_is_not() -> None:
    told = file(verifications=but("licence", expires_on=ago(1)), privileges=(granted(until=NOON + timedelta(days=45)),))
    assert [(one.name, one.days) for one in warnings(told, NOON)] == [("privilege:p-1", 60)]


def test_a_standing_names_nobody() -> None:
    record = {"family", "given", "birth_date", "email", "npi"}
    assert not record & set(OnboardingStanding.model_fields)
