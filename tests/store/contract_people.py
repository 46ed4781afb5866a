"""What the port People promises, whoever keeps them: the same suite for our store and for the fake in memory."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from canonical.credentials import ClinicianPolicy
from canonical.errors import Rejected
from canonical.people import Position
from tests.store.case_house import CANARY, NOON, POLICY, TODAY, CaseHouse


class StandingContract:
    async def test_whom_a_facility_does_not_know_has_no_case(self, house: CaseHouse) -> None:
        house.person = "person-nobody"
        assert not (await house.stands()).known
        with pytest.raises(Rejected):
            await house.people.record_of("person-nobody")

    async def test_who_is_hired_is_verified_and_people_get_their_tasks_once(self, house: CaseHouse) -> None:
        standing = await house.hired()
        assert (standing.headline, standing.role, standing.department) == ("provisional", "surgeon", "surgery")
        assert [one.name for one in standing.checks] == ["npi", "licence:IL", "exclusion", "dea:IL"]
        assert await house.task_kinds() == ["education", "reference", "request"]
        assert (await house.stands()).open_tasks == 3
        assert await house.task_kinds() == ["education", "reference", "request"]

    async def test_a_hire_heard_late_gives_its_people_their_days_from_when_they_are_asked(
        self, house: CaseHouse
    ) -> None:
        long_ago = {"said_at": NOON - timedelta(days=200), "effective": TODAY - timedelta(days=190)}
        standing = await house.hired(**long_ago)
        asked = NOON + timedelta(days=POLICY.task_days)
        assert {one.kind: one.due for one in await house.open_tasks()} == dict.fromkeys(
            ("education", "reference", "request"), asked
        )
        assert standing.overdue == 0 and {one.due for one in standing.facets if one.owner} == {asked}
        assert (await house.stands(asked - timedelta(seconds=1))).overdue == 0
        assert (await house.stands(asked)).overdue == 3

    async def test_what_ran_out_while_nobody_looked_is_asked_for_with_time_to_answer(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        await house.granted()
        await house.stands()
        later = NOON + timedelta(days=POLICY.privileged_years * 366)
        await house.stands(later)  # ends what was granted
        await house.stands(later)
        due = {one.kind: one.due for one in await house.open_tasks()}
        assert due.pop("notice") == NOON + timedelta(days=POLICY.notice_within), "the applicant was to hear by then"
        assert "request" in due and set(due.values()) == {later + timedelta(days=POLICY.task_days)}

    async def test_a_standing_says_nothing_of_who_it_is_and_the_record_does(self, house: CaseHouse) -> None:
        standing = await house.hired()
        assert CANARY not in standing.model_dump_json() and "1234567893" not in standing.model_dump_json()
        assert (await house.people.record_of(house.person)).name.family == CANARY

    async def test_a_task_ends_by_itself_when_what_it_asks_for_is_there(self, house: CaseHouse) -> None:
        await house.hired()
        await house.say("verify", check="education", outcome="confirmed", reference="diploma 17")
        await house.stands()
        assert await house.task_kinds() == ["reference", "request"]

    async def test_a_lapse_opens_a_task_each_time_it_comes(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        await house.granted()
        await house.answers("licence", "IL", expires_on=TODAY)
        later = NOON + timedelta(days=1)
        assert (await house.stands(later)).headline == "suspended"
        assert "stop" in await house.task_kinds()
        await house.answers("licence", "IL", at=later, expires_on=TODAY + timedelta(days=30))
        assert (await house.stands(later)).headline != "suspended" and "stop" not in await house.task_kinds()
        again = NOON + timedelta(days=31)
        await house.stands(again)
        assert "stop" in await house.task_kinds()

    async def test_an_end_known_before_comes_by_itself_and_ends_what_was_granted(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.granted()
        await house.hr("terminate", "T-1", effective=TODAY + timedelta(days=5))
        last, after = NOON + timedelta(days=5), NOON + timedelta(days=6)
        assert (await house.stands(last)).headline != "terminated"
        left = await house.stands(after)
        assert (left.headline, left.taken_back) == ("terminated", True)
        assert ((await house.privilege(name)).state, (await house.privilege(name)).ended_why) == ("ended", "left")
        assert await house.open_tasks() == []

    async def test_a_withdrawn_offer_takes_back_whatever_was_given(self, house: CaseHouse) -> None:
        await house.hired(effective=TODAY + timedelta(days=20))
        await house.all_verified()
        await house.granted()
        standing = await house.hr("delete", "D-1")
        assert (standing.headline, standing.taken_back) == ("withdrawn", True)


class PrivilegesContract:
    async def test_privileges_are_granted_by_two_who_did_not_ask_for_them(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.requested(by="E-MSO")
        with pytest.raises(Rejected, match="who asked"):
            await house.say("approve", "E-MSO", privilege=name)
        assert (await house.say("approve", "E-1", privilege=name)).message == "one of two said yes"
        with pytest.raises(Rejected, match="another person"):
            await house.say("approve", "E-1", privilege=name)
        assert (await house.stands()).headline == "committee pending"
        assert (await house.say("approve", "E-2", privilege=name)).message == "granted until 2029-11-20"
        granted = await house.privilege(name)
        assert (granted.state, granted.seconded_by, granted.decided_by) == ("granted", "E-1", "E-2")

    async def test_a_state_that_says_two_years_gets_two(self, house: CaseHouse) -> None:
        await house.filed.policy(POLICY.changed(privileged_years=2))
        await house.hired()
        await house.all_verified()
        assert (await house.privilege(await house.granted())).until.date() == date(2028, 11, 20)

    async def test_nothing_is_granted_by_what_was_verified_too_long_ago(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name, late = await house.requested(), NOON + timedelta(days=121)
        with pytest.raises(Rejected, match="too long ago"):
            await house.say("approve", "E-1", late, privilege=name)
        assert (await house.say("approve", "E-1", NOON + timedelta(days=120), privilege=name)).taken

    async def test_a_hard_stop_stops_the_committee_too(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.requested()
        await house.answers("exclusion", state="refuted")
        with pytest.raises(Rejected, match="exclusion is denied"):
            await house.say("approve", "E-1", privilege=name)
        with pytest.raises(Rejected, match="exclusion"):
            await house.say("temporary", "E-1", privilege=name)

    async def test_the_scope_has_its_days(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.granted(starts=TODAY + timedelta(days=3), ends=TODAY + timedelta(days=9))
        assert (await house.stands()).headline == "committee pending"
        assert (await house.stands(NOON + timedelta(days=3))).headline in ("privileged", "active")
        await house.stands(NOON + timedelta(days=10))
        assert ((await house.privilege(name)).state, (await house.privilege(name)).ended_why) == ("ended", "time")

    async def test_temporary_privileges_end_by_themselves_unless_granted(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.requested()
        await house.say("temporary", "E-1", privilege=name)
        with pytest.raises(Rejected, match="another person"):
            await house.say("temporary", "E-1", privilege=name)
        await house.say("temporary", "E-2", privilege=name)
        standing = await house.stands()
        assert standing.headline == "temporary privileges"
        until = NOON + timedelta(days=120)
        assert standing.next_at is not None and standing.next_at <= until
        assert (await house.stands(until - timedelta(seconds=1))).headline == "temporary privileges"
        assert (await house.stands(until)).headline != "temporary privileges"
        with pytest.raises(Rejected, match="once"):
            await house.say("temporary", "E-1", until, privilege=name)

    async def test_a_policys_seconds_and_asked_days_shorten_them(self, house: CaseHouse) -> None:
        await house.filed.policy(ClinicianPolicy(facility="NGH", temporary_seconds=20))
        await house.hired()
        await house.all_verified()
        name = await house.requested()
        for by in ("E-1", "E-2"):
            await house.say("temporary", by, privilege=name, days=30)
        assert (await house.stands()).next_at == NOON + timedelta(seconds=20)

    async def test_of_two_lengths_the_shorter_holds(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.requested()
        await house.say("temporary", "E-1", privilege=name, days=5)
        message = (await house.say("temporary", "E-2", privilege=name, days=10)).message
        assert message == "temporary privileges until 2026-11-25 12:00 UTC"

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    async def test_the_committees_word_ends_what_was_temporary(self, house: CaseHouse, verb: str) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.requested()
        for by in ("E-1", "E-2"):
            await house.say("temporary", by, privilege=name)
        for by in ("E-1", "E-2")[: 2 if verb == "approve" else 1]:
            await house.say(verb, by, privilege=name)
        file = await house.people.file("NGH", house.person, NOON)
        assert file is not None
        ended = next(one for one in file.privileges if one.temporary)
        assert (ended.state, ended.ended_why) == ("ended", "granted" if verb == "approve" else "rejected")
        expected = {"approve": ("privileged", "active"), "reject": ("provisional",)}[verb]
        assert (await house.stands()).headline in expected

    async def test_the_applicant_hears_of_it_and_late_is_said(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.granted()
        assert (await house.stands()).notices_due == (name,) and "notice" in await house.task_kinds()
        late = await house.say("noticed", at=NOON + timedelta(days=31), privilege=name, reason="")
        assert late.message.endswith("after its time")
        assert (await house.stands()).notices_due == () and "notice" not in await house.task_kinds()
        with pytest.raises(Rejected):
            await house.say("noticed", privilege=name)

    async def test_what_is_revoked_holds_no_more(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.granted()
        await house.say("revoke", privilege=name)
        assert (await house.privilege(name)).state == "ended"
        assert (await house.stands()).headline == "committee pending"


class WordsContract:
    async def test_the_same_word_twice_is_one_and_another_under_its_id_is_a_conflict(self, house: CaseHouse) -> None:
        await house.hired()
        said: dict[str, Any] = {"id": "W-1", "scope": {"service": "surgery"}}
        first, again = [await house.say("request", **said) for _ in range(2)]
        assert first == again
        with pytest.raises(Rejected, match="other content"):
            await house.say("request", id="W-1", scope={"service": "cardiology"})
        file = await house.people.file("NGH", house.person, NOON)
        assert file is not None and len(file.privileges) == 1

    async def test_nobody_decides_about_themselves(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        name = await house.requested()
        with pytest.raises(Rejected, match="themselves"):
            await house.say("approve", "4711", privilege=name)

    async def test_evidence_says_by_what_and_is_asked_of_the_role(self, house: CaseHouse) -> None:
        await house.hired()
        with pytest.raises(Rejected, match="not asked of this role"):
            await house.say("verify", check="board", outcome="confirmed", reference="r")
        with pytest.raises(Rejected, match="by what"):
            await house.say("verify", check="education", outcome="confirmed")
        with pytest.raises(Rejected, match="expired"):
            await house.say(
                "verify", check="reference", outcome="confirmed", reference="r", expires_on=TODAY - timedelta(days=1)
            )

    async def test_a_person_says_whether_a_possible_hit_is_this_person(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        await house.answers("exclusion", state="possible", hits=("12",))
        await house.stands()
        assert "say-who-it-is" in await house.task_kinds()
        await house.say("verify", check="exclusion", outcome="confirmed", reference="another birth date")
        assert (await house.stands()).headline == "committee pending"

    async def test_no_word_overrules_a_source_that_says_no(self, house: CaseHouse) -> None:
        await house.hired()
        await house.answers("exclusion", state="refuted")
        with pytest.raises(Rejected, match="says no"):
            await house.say("verify", check="exclusion", outcome="confirmed", reference="I know them")

    async def test_who_is_suspended_comes_back_by_two(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        await house.granted()
        await house.say("suspend", "E-1")
        assert (await house.stands()).headline == "suspended"
        await house.say("reinstate", "E-1")
        assert (await house.stands()).headline == "suspended"
        with pytest.raises(Rejected, match="another person"):
            await house.say("reinstate", "E-1")
        await house.say("reinstate", "E-2")
        assert (await house.stands()).headline in ("privileged", "active")

    async def test_nobody_is_reinstated_while_a_stop_stands(self, house: CaseHouse) -> None:
        await house.hired()
        await house.all_verified()
        await house.say("suspend", "E-1")
        await house.answers("licence", "IL", state="refuted")
        with pytest.raises(Rejected, match="licence:IL"):
            await house.say("reinstate", "E-1")

    async def test_a_last_day_and_a_withdrawal_are_said_to_the_case(self, house: CaseHouse) -> None:
        await house.hired()
        assert (await house.say("leave", on=TODAY + timedelta(days=7))).message == "the last day is 2026-11-27"
        assert (await house.stands(NOON + timedelta(days=8))).headline == "terminated"

    async def test_a_withdrawn_person_takes_no_more_words(self, house: CaseHouse) -> None:
        await house.hired(effective=TODAY + timedelta(days=20))
        await house.say("withdraw", "E-HR")
        assert (await house.stands()).headline == "withdrawn"
        with pytest.raises(Rejected, match="withdrawn"):
            await house.say("request", scope={"service": "surgery"})

    async def test_a_task_is_done_by_its_own_word_where_it_has_one(self, house: CaseHouse) -> None:
        await house.hired()
        (education,) = [one for one in await house.open_tasks() if one.kind == "education"]
        with pytest.raises(Rejected, match="its own word"):
            await house.say("done", task=education.id)
        with pytest.raises(Rejected, match="no task"):
            await house.say("done", task="nothing")
        await house.answers("licence", "IL", state="refuted")
        await house.stands()
        (stop,) = [one for one in await house.open_tasks() if one.kind == "stop"]
        assert (await house.say("done", task=stop.id)).message == "done"
        await house.stands()
        assert "stop" not in await house.task_kinds()

    async def test_who_needs_no_privileges_is_asked_for_none(self, house: CaseHouse) -> None:
        await house.hired(position=Position(role="clerk"))
        with pytest.raises(Rejected, match="needs no privileges"):
            await house.say("request", scope={"service": "surgery"})
        await house.answers("exclusion")
        assert (await house.stands()).headline in ("provisional", "active")
