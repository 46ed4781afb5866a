"""Who leaves, on the whole stack: planned, and at once by each door that revokes, while grants are held in flight, systems are down,
Temporal is away, and somebody outside switches an account on again. And that nobody's name is where none may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo import accounts
from demo.stage_parts import given_port
from demo.stage_people import COMMITTEE, HR
from demo.trouble import behave, trouble_file
from tests.decoded import decoded
from tests.journeys.clinicians import CANARY, WITHIN, Clinic, clinic_of, day, somebody
from tests.journeys.conftest import Hospital
from tests.journeys.people import targets_as
from tests.journeys.terminal import new_key
from tests.journeys.together import side_by_side, under_way
from tests.journeys.uses import until

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital

__all__ = ["under_way"]  # a fixture: it is asked for by name

BUYER = "E-6001"
WHY = "their badge was found with somebody else"
IN_FLIGHT = 30  # seconds a grant is held on its way
SETTLES = 35.0  # after which the accounts carry nothing out any more that we gave up waiting for
OPENED_AGAIN = "switched on outside"
TEMPORAL = "temporal"
PROCESSES = ("ClinicianOnboarding", "ClinicianAccess", "ClinicianRevocation")
_TROUBLES: dict[str, list[str]] = {}
_GONE: set[str] = set()  # whoever these stories are about, by key


@pytest.fixture(scope="module", autouse=True)
async def patient_accounts(hospital: Hospital) -> AsyncIterator[None]:
    """The row of the accounts says truly how long they may hold what they were asked."""
    await targets_as(hospital, accounts={"settles_within": SETTLES})
    yield
    await targets_as(hospital)


@contextlib.contextmanager
def trouble(clinic: Clinic, peer: str, line: str) -> Iterator[None]:
    """A peer misbehaves so; what other stories ask of it stands beside."""
    lines = _TROUBLES.setdefault(peer, [])
    lines.append(line)
    behave(clinic.home, peer, *lines)
    try:
        yield
    finally:
        lines.remove(line)
        behave(clinic.home, peer, *lines)
        if not lines:
            trouble_file(clinic.home, peer).unlink()


async def works(clinic: Clinic, role: str = "scheduler", **fields: Any) -> str:
    """Somebody who works here and is on everywhere; their key."""
    person = await clinic.hires(somebody(role, **fields))
    _GONE.add(person)
    await clinic.stand("confirmed", person, targets=("accounts", "roster", "ehr", "erp"))
    assert clinic.is_on(person)
    return person


async def revoked(clinic: Clinic, person: str, who: str = HR, *words: str) -> dict[str, Any]:
    """One command takes all access."""
    said: dict[str, Any] = await clinic.fascia("person", "revoke", person, "--reason", WHY, *words, who=who)
    return said


async def by_rest(clinic: Clinic, person: str, who: str, key: str = "") -> httpx.Response:
    """One call takes all access."""
    return await clinic.ask(who, f"/v1/people/{person}/revocations", {"reason": WHY}, key)


async def whole(clinic: Clinic, person: str, *deeds: str) -> list[str]:
    """Which deeds the trace has, in order; it is whole, and names nobody."""

    async def looked_at() -> list[dict[str, Any]] | None:
        checked = await clinic.fascia("person", "trace", person, "--check")
        found = await clinic.trace(person)
        assert checked["whole"] and checked["entries"] <= len(found), checked
        assert found[checked["entries"] - 1]["hash"] == checked["last"]
        return found if checked["entries"] == len(found) else None  # something was added between the two

    entries = await until(looked_at, lambda: f"the trace of {person} twice the same", WITHIN)
    assert CANARY.lower() not in json.dumps(entries).lower() and WHY not in json.dumps(entries)
    did = [str(entry["did"]) for entry in entries]
    assert set(deeds) <= set(did), did
    return did


# -- by each door -----------------------------------------------------------------------------------------------------


@side_by_side
async def test_one_call_by_rest_takes_all_access_and_only_who_may_makes_it(hospital: Hospital) -> None:
    clinic = clinic_of(hospital)
    narrow, machine, person = await asyncio.gather(
        new_key(hospital, "hr-narrow", "--person", HR, "--scope", "lookups"),
        new_key(hospital, "hr-machine", "--scope", "revocations"),
        works(clinic),
    )
    for who, why in ((narrow, "not made for revocations"), (machine, "belongs to no person"), (BUYER, "the roles")):
        answer = await by_rest(clinic, person, who)
        assert answer.status_code == 403 and why in answer.json()["detail"], answer.text
    assert clinic.is_on(person) and not (await clinic.revocation(person))[1]["blocked"]
    first, again = await asyncio.gather(*(by_rest(clinic, person, HR, f"call {person}") for _ in range(2)))
    assert (first.status_code, first.json()["begun"]) == (202, True) and again.json() == first.json()
    code, view = await clinic.revocation(person)
    assert (code, view["blocked"], view["by"]) == (int(not view["confirmed"]), True, HR)
    await clinic.off(person)
    view = await clinic.confirmed(person)
    seen = {one["target"]: one["confirmed_off"] for one in view["targets"] if one["kind"] != "manual"}
    assert seen == dict.fromkeys(("accounts", "roster", "ehr", "erp"), True)
    assert (await whole(clinic, person, "blocked", "confirmed off")).count("blocked") == 1
    employed = await asyncio.to_thread(hospital.stage.erp.employed)
    assert employed[person] is False
    runs = hospital.doors.temporal.list_workflows(f'WorkflowId = "clinician_revocation/{person}"')
    assert len([run async for run in runs]) == 1


@side_by_side
async def test_a_key_nobody_knows_is_blocked_and_stays_off(hospital: Hospital) -> None:
    clinic = clinic_of(hospital)
    stranger = f"nobody-{time.time_ns()}"
    _GONE.add(stranger)
    answer = await by_rest(clinic, stranger, HR)
    assert answer.status_code == 202, answer.text
    view = await clinic.confirmed(stranger)
    assert view["blocked"] and not clinic.is_on(stranger) and clinic.held(stranger) == {}
    assert (await by_rest(clinic, "short", HR)).status_code == 422


@side_by_side
async def test_two_people_lift_what_a_command_revoked_and_neither_is_whom_it_is_about(hospital: Hospital) -> None:
    clinic, (first, own, second) = clinic_of(hospital), COMMITTEE
    person = await works(clinic, number=own)  # HR's number of the person is an approver's own
    call = await revoked(clinic, person)
    assert call["begun"] and call["by"] == HR
    again = await revoked(clinic, person, HR, "--id", call["id"])
    assert again["since"] == call["since"]
    await clinic.off(person)
    lift = ("person", "lift", person, "--reason", "the badge was lent")
    for who, why in ((HR, "lift is for the roles"), (own, "own access")):
        refused = await clinic.gives(*lift, who=who)
        assert refused.code != 0 and why in refused.out + refused.err
    for _ in range(2):
        assert not (await clinic.fascia(*lift, who=first))["lifted"]
    assert (await clinic.revocation(person))[1]["lift_asked_by"] == first
    asks = [row for row in await clinic.lines("block to be lifted") if row["name"] == person]
    assert len(asks) == 1 and not clinic.is_on(person)
    assert (await clinic.fascia(*lift, who=second))["lifted"]
    await clinic.account(person, "staff", on=True)
    await clinic.stand("confirmed", person, targets=("accounts", "roster", "ehr", "erp"))
    code, view = await clinic.revocation(person)
    assert (code, view["blocked"]) == (0, False)
    did = await whole(clinic, person, "blocked", "asked to lift", "lifted")
    assert did.index("blocked") < did.index("asked to lift") < did.index("lifted")


@side_by_side
async def test_an_emergency_of_hr_takes_all_access_and_a_planned_end_takes_it_after_its_day(hospital: Hospital) -> None:
    clinic = clinic_of(hospital)
    people = [somebody() for _ in range(3)]
    now, over, to_come = await asyncio.gather(*(clinic.hires(one) for one in people))
    _GONE.update((now, over, to_come))
    await clinic.stand("confirmed", now, over, to_come, targets=("accounts", "roster", "ehr", "erp"))
    told = [
        people[0].event("terminate", day(), emergency=True, reason="for-cause"),
        people[1].event("terminate", day(1)),
        people[2].event("terminate", day(-9)),
    ]
    await asyncio.gather(*(clinic.tell(event) for event in told))
    await asyncio.gather(clinic.off(now), clinic.off(over))
    assert (await clinic.confirmed(now))["by"] == "hr:hr-desk"
    assert (await clinic.is_as(over, headline="terminated"))["ends_on"] == day(1).isoformat()
    assert not (await clinic.revocation(over))[1]["blocked"], "a planned end is no block"
    await clinic.is_as(to_come, ends_on=day(-9).isoformat(), headline="active")
    assert clinic.is_on(to_come) and (await clinic.account(to_come, "staff", on=True))["count"] == 1
    await clinic.is_as(now, headline="terminated", blocked=True)
    for person in (now, over, to_come):
        await whole(clinic, person, "heard", "applied", "wrote")


def moment(text: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


# -- what crosses it, and who works against it ---------------------------------------------------------------------------


async def by_hand(hospital: Hospital, person: str, *, active: bool) -> None:
    """Somebody in the identity provider itself, with its own token."""
    url = f"http://127.0.0.1:{given_port(hospital.stage.stack, 'accounts')}/v2/Users"
    token = (hospital.stage.home / "secrets" / "target_accounts").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    change = {"op": "replace", "path": "active", "value": active}
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [change]}
    async with httpx.AsyncClient(timeout=60, headers=headers, trust_env=False) as client:
        found = (await client.get(url, params={"filter": f'externalId eq "{person}"'})).json()["Resources"]
        (user,) = found
        (await client.patch(f"{url}/{user['id']}", json=body)).raise_for_status()  # it is done when it is answered


@side_by_side
async def test_a_grant_held_in_flight_for_thirty_seconds_outlives_no_emergency(hospital: Hospital) -> None:
    """Its account was switched off by hand; what switches it on again is on its way when all access is taken."""
    clinic = clinic_of(hospital)
    person = await works(clinic)

    def switched(*, late: bool) -> list[float]:
        """When the account was written to: as asked, or as what was held on its way is carried out."""
        calls = [
            one for one in accounts.calls(clinic.home, person) if (one["method"], one["what"]) == ("PATCH", "Users")
        ]
        return [one["at"] + IN_FLIGHT * late for one in calls if (one.get("trouble") == "late") is late]

    async def held() -> list[float]:
        return switched(late=True)

    await by_hand(hospital, person, active=False)
    with trouble(clinic, "accounts", f"late {IN_FLIGHT} {person}"):
        await until(held, lambda: f"a grant of {person} on its way", WITHIN)
        # By REST, which waits for no other's command: no grant of ours comes in between, so what is held fits when it is carried out.
        call = await by_rest(clinic, person, HR)
        assert call.status_code == 202, call.text
    code, view = await clinic.revocation(person)
    comes = min(switched(late=True))
    assert view["blocked"] and code == int(not view["confirmed"])
    if time.time() < comes:  # a busy machine may be told later
        assert not view["confirmed"]
        assert not next(one for one in view["targets"] if one["target"] == "accounts")["confirmed_off"]
    await clinic.off(person)
    assert comes > moment(view["since"]), "it is carried out after the block"

    async def undone() -> bool:
        return any(at > comes for at in switched(late=False))

    await until(undone, lambda: "what was carried out late taken away again", IN_FLIGHT + WITHIN)
    after = await clinic.confirmed(person)
    assert all(one["confirmed_off"] for one in after["targets"] if one["kind"] != "manual")
    assert not clinic.is_on(person)
    confirmed = [entry["at"] for entry in await clinic.trace(person) if entry["did"] == "confirmed off"]
    assert moment(confirmed[0]) > comes, "nothing is confirmed while it may still come"
    did = await whole(clinic, person, "blocked", "seen off", "confirmed off")
    assert did.index("blocked") < did.index("confirmed off")


@side_by_side
async def test_an_account_switched_on_by_hand_after_it_was_revoked_is_found_taken_again_and_listed(
    hospital: Hospital,
) -> None:
    clinic = clinic_of(hospital)
    person = await works(clinic)
    await revoked(clinic, person)
    await clinic.confirmed(person)
    await by_hand(hospital, person, active=True)
    await clinic.off(person)

    async def taken() -> dict[str, Any] | None:
        rows = (await clinic.revocation(person))[1]["targets"]
        return next((one for one in rows if one["target"] == "accounts" and one["finding"] == "taken-again"), None)

    assert (await until(taken, lambda: f"what was found of {person}", WITHIN))["state"] == "off"
    (line,) = [one for one in await clinic.lines(OPENED_AGAIN) if one["name"] == "accounts"]
    assert line["owner"] == "support" and "nobody of ours switched it on" in line["why"]
    found = [entry["content"].get("finding") for entry in await clinic.trace(person)]
    assert found.index("enabled-outside") < found.index("taken-again")
    assert (await clinic.revocation(person))[1]["blocked"]
    await whole(clinic, person, "blocked", "confirmed off", "saw")


@side_by_side
async def test_it_takes_what_it_can_while_sources_and_targets_are_down_and_says_what_is_missing(
    hospital: Hospital,
) -> None:
    clinic = clinic_of(hospital)
    with trouble(clinic, "registries", "down"):
        stuck, person = await asyncio.gather(clinic.hires(somebody("registered_nurse")), works(clinic))
        _GONE.add(stuck)
        await clinic.account(stuck, "ehr-view", "staff", on=True)

        async def held_up() -> bool:
            return (await clinic.row(stuck)).get("headline") in ("provisional", "in verification")

        await until(held_up, lambda: f"{stuck} not verified", WITHIN)
        with (
            trouble(clinic, "scheduling", f"down {person}"),
            trouble(clinic, "ehr", f"slow {IN_FLIGHT} {person}"),
        ):
            await asyncio.gather(*(revoked(clinic, one) for one in (stuck, person)))
            await asyncio.gather(*(clinic.account(one, on=False) for one in (stuck, person)))

            async def named() -> dict[str, Any] | None:
                code, view = await clinic.revocation(person)
                assert code == 1 and not view["confirmed"]
                roster = next(one for one in view["targets"] if one["target"] == "roster")
                return roster if "unavailable" in roster["reason"] else None

            assert not (await until(named, lambda: "what is missing", WITHIN))["confirmed_off"]
            assert person in {row["name"] for row in await clinic.lines("revocation not confirmed")}
            await clinic.off(stuck)
            await clinic.confirmed(stuck)
            assert clinic.is_on(person), "the schedule cannot be reached"
        await clinic.off(person)
        await clinic.confirmed(person)
    assert person not in {row["name"] for row in await clinic.lines("revocation not confirmed")}
    for one in (stuck, person):
        await whole(clinic, one, "blocked", "confirmed off")


async def test_while_temporal_is_away_the_block_is_committed_and_all_is_taken_once_it_is_back(
    hospital: Hospital,
) -> None:
    clinic, stack = clinic_of(hospital), hospital.stage.stack
    one, other = await asyncio.gather(works(clinic), works(clinic))
    await stack.stop(TEMPORAL)
    try:
        command, call = await asyncio.gather(revoked(clinic, one), by_rest(clinic, other, HR))
        assert not command["begun"] and "Temporal is away" in command["message"]
        assert (call.status_code, call.json()["begun"]) == (202, False), call.text
        for person in (one, other):
            code, view = await clinic.revocation(person)
            assert (code, view["blocked"], view["confirmed"]) == (1, True, False)
        assert clinic.is_on(one) and clinic.is_on(other), "nobody takes anything while Temporal is away"
    finally:
        await stack.start(TEMPORAL)
    await asyncio.gather(*(clinic.off(person) for person in (one, other)))
    for person in (one, other):
        view = await clinic.confirmed(person)
        assert view["blocked"] and not clinic.is_on(person)
        await whole(clinic, person, "blocked", "confirmed off")


# -- nobody's name --------------------------------------------------------------------------------------------------------


async def test_nobodys_name_is_in_a_history_an_id_a_log_or_a_list(hospital: Hospital) -> None:
    clinic, temporal = clinic_of(hospital), hospital.doors.temporal
    types = ", ".join(f"'{name}'" for name in PROCESSES)
    told, runs = [], 0
    async for run in temporal.list_workflows(f"WorkflowType IN ({types})"):
        history = await temporal.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        told += [decoded(history), run.raw_info.SerializeToString().decode("utf-8", "replace")]
        runs += 1
    text = "\n".join(told)
    assert _GONE and runs >= 2 * len(_GONE) and all(person in text for person in _GONE), "every case was read"
    assert CANARY.lower() not in text.lower()
    logs = list((clinic.home / "logs").rglob("*"))
    assert len([path for path in logs if path.is_file()]) > 5
    assert [path.name for path in logs if path.is_file() and names_somebody(path)] == []
    most = ("--limit", "1000")
    for words in (
        ("attention", "list", *most),
        ("person", "list", "--all", *most),
        ("person", "events", "--all", *most),
        ("unmatched", "list", *most),
        ("journal", "list", *most),
        ("clinician", "list", "--all", *most),
    ):
        rows = (await clinic.looked(*words))["items"]
        assert CANARY.lower() not in json.dumps(rows).lower(), words
    event = next(row for row in await clinic.events() if row["person"] and row["facility"] == "NGH")
    message = (await clinic.fascia("person", "event", event["id"]))["message"]
    plain = await clinic.fascia("journal", "show", message)
    assert plain["data"] == "" and "tells of people" in plain["withheld"]
    shown = await clinic.fascia("journal", "show", message, who=HR)
    assert shown["data"], "names stand in the messages that carried them, and there alone"
    opened = [one for one in await clinic.trace(event["person"]) if one["what"] == f"message:{message}"]
    assert [(one["did"], one["by"]) for one in opened] == [("read", HR)], "who opened it is in the trace"


def names_somebody(path: Path) -> bool:
    return CANARY.lower().encode() in path.read_bytes().lower()
