"""The hiring wave: clinicians come by every door HR has, are verified, privileged and given what they need; and some are not.

The ends are counted in the identity provider's accounts, the ERP's employees, the schedule and the EHR's directory.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from canonical.people import access_case, onboarding_case, revocation_case
from demo import hr_systems
from demo.people_made import exclude, register
from demo.people_office import BY_PEOPLE, COMMAND_EVERY, Found, Office, Word, until
from demo.people_wave import HIRES, ORDINARY, Hire, Wave, today, wave
from demo.stage import FACILITY, fascia
from demo.stage_people import ASKED_SOURCE, COMMITTEE, FILES, HOOK, HR, STAFF_OFFICE
from demo.story_doors import StoryError
from demo.story_outside import Ending
from demo.story_scene import Scenario, Scene

SOURCES: Final = {"hl7": "hris", "csv": FILES, "hook": HOOK}  # what the register calls each door's system
FIRST, SECOND = COMMITTEE[:2]
WITHIN_A_MINUTE: Final = 60.0


@dataclass
class Crew:
    """The wave as it is played."""

    scene: Scene
    wave: Wave
    office: Office
    keys: dict[str, str]  # our keys by HR's numbers of the events
    asked: str = ""  # of whom HR's own database says alone

    def key(self, one: Hire) -> str:
        return self.keys[one.number]

    def words(self, *hires: Hire, verb: str, **more: Any) -> list[Word]:
        """The same word about each of them."""
        return [{"person": self.key(one), "verb": verb, **more} for one in hires]


async def hiring_wave(scene: Scene) -> None:
    """From the first offer to the last account."""
    crew = Crew(scene, wave(scene.playing), Office(scene.stage, scene.tag), {})
    await _told(crew)
    asked = asyncio.create_task(_asked(crew))
    twice = asyncio.create_task(_told_twice(crew))
    try:
        await _file_complete(crew)
        decided = asyncio.create_task(_rescinded(crew))
        await _committee_meets(crew)
        ends = await asyncio.gather(
            *(_everywhere(crew), _left_out(crew), _cost_centre(crew), twice, decided, _for_a_time(crew), _leaver(crew)),
            asked,
        )
    finally:
        twice.cancel()
        asked.cancel()
    scene.also += [line for lines in ends for line in lines]
    stands, people = await crew.office.headlines(), sorted({*crew.keys.values(), crew.asked})
    counted = Counter(stands[person] for person in people)
    scene.said = ", ".join(f"{count} {headline}" for headline, count in sorted(counted.items()))
    scene.others += [name for person in people for name in (onboarding_case(FACILITY, person), access_case(person))]
    scene.others.append(revocation_case(crew.key(crew.wave.leaver)))


# -- in ---------------------------------------------------------------------------------------------------------------


async def _told(crew: Crew) -> None:
    """The sources know who they are; then HR tells, by three doors at once."""
    stage, hires = crew.scene.stage, crew.wave
    register(stage.home, *(one.one for one in hires.first))
    edition = exclude(stage.home, hires.excluded.one)
    await fascia(stage, "exclusions", "load", str(edition))
    signed = hires.by("hook")
    request = f"{crew.scene.playing}-hires"
    hr_systems.drop(
        stage.home, f"{request}.csv", [hr_systems.hire_row(h.one, today(), h.number) for h in hires.by("csv")]
    )
    await hr_systems.by_mllp(stage, *(hr_systems.hire_message(h.number, h.one, today()) for h in hires.by("hl7")))
    await hr_systems.signed(stage, request, *(one.one.event("hire", today()) for one in signed))
    names = {(SOURCES[one.door], one.number): one.number for one in hires.first if one.door != "hook"}
    names |= {(HOOK, f"{request}/{place}"): one.number for place, one in enumerate(signed, start=1)}
    crew.keys |= {names[event]: key for event, key in (await crew.office.known(names)).items()}


async def _told_twice(crew: Crew) -> list[str]:
    """A file tells of somebody we know, without an NPI and under another number: perhaps the same. A person says that it is so."""
    stage, again, first = crew.scene.stage, crew.wave.again, crew.wave.ordinary[0]
    name = f"{crew.scene.playing}-again.csv"
    hr_systems.drop(stage.home, name, [hr_systems.hire_row(again.one, today(), again.number)])
    source = SOURCES["csv"]

    async def possible() -> dict[str, Any] | None:
        command = ("person", "events", "--state", "possible", "--source", source, "--limit", "1000")
        rows = (await fascia(stage, *command))["items"]
        return next((row for row in rows if row["number"] == again.number), None)

    event = await until(possible, "an event that may be somebody we know", COMMAND_EVERY)
    if crew.key(first) not in event["candidates"]:
        raise StoryError(f"event {event['id']} may be {event['candidates']}, not {crew.key(first)}")
    why = ("--same", crew.key(first), "--reason", "the passport was seen")
    await fascia(stage, "person", "match", event["id"], *why, who=HR)
    crew.keys[again.number] = (await crew.office.known([(source, again.number)]))[source, again.number]
    await crew.office.until_found([crew.key(first)], lambda one: one.everywhere, "there once, by both its numbers")
    people = len({*crew.keys.values()})
    return [f"{HIRES} hires by HL7, CSV and signed requests: {people} people, one of them told twice"]


async def _asked(crew: Crew) -> list[str]:
    """HR's own database tells nobody: somebody is employed there, and found because it is asked. No committee is needed for them."""
    stage, one = crew.scene.stage, crew.wave.asked
    await asyncio.to_thread(stage.hr_clerk.employ, one, today())
    person = crew.asked = await crew.office.known_as(one.number, ASKED_SOURCE)
    await crew.office.until_found([person], lambda found: all(found.sides) and found.accounts == 1, "on everywhere")
    await crew.office.stand({person: "active"})
    return ["one more, employed in HR's own database and found by asking, is active everywhere"]


async def _file_complete(crew: Crew) -> None:
    """The medical staff office: diplomas and letters, and who is to be put before the committee; the sources do the rest."""
    hires = crew.wave
    to_verify = (*hires.ordinary, hires.later, hires.rescinded, hires.leaver)
    words = [
        word
        for one in to_verify
        for check, document in BY_PEOPLE.get(one.one.role, ())
        for word in crew.words(one, verb="verify", check=check, outcome="confirmed", reference=document)
    ]
    for one in (*to_verify, hires.temporary, hires.lapsed):
        scope = {"service": one.one.department}
        words += crew.words(one, verb="request", scope=scope, reason="a new colleague")
    await crew.office.said(STAFF_OFFICE, words)
    await crew.office.stand({crew.key(one): "committee pending" for one in to_verify})


async def _committee_meets(crew: Crew) -> None:
    """Two of the committee say yes, one after the other; to one of them for a time only."""
    hires = crew.wave
    to_grant = (*hires.ordinary, hires.later, hires.leaver)
    for who in (FIRST, SECOND):
        words = crew.words(*to_grant, verb="approve", reason="the file is complete")
        words += crew.words(
            hires.temporary, verb="temporary", reason="a patient needs them before the file is complete"
        )
        await crew.office.said(who, words)


# -- how it ends ------------------------------------------------------------------------------------------------------


async def _everywhere(crew: Crew) -> list[str]:
    people = [crew.key(one) for one in crew.wave.ordinary]
    await crew.office.until_found(people, lambda one: one.everywhere, "active everywhere")
    await crew.office.stand(dict.fromkeys(people, "active"))
    return [f"{ORDINARY} privileged by two people, with account, schedule, EHR and payroll"]


async def _left_out(crew: Crew) -> list[str]:
    """Who is excluded, or has no licence in force, gets nothing, or loses it; and nobody's yes helps."""
    hires, office = crew.wave, crew.office
    excluded, without = crew.key(hires.excluded), crew.key(hires.lapsed)
    refused = await office.say(FIRST, crew.words(hires.lapsed, verb="approve", reason="they are needed"))
    if refused[0]["taken"]:
        raise StoryError("privileges were granted without a licence in force")
    await office.until_found(
        [excluded, without], lambda one: one.nowhere, "without anything, being refused by a source"
    )
    return [
        "the excluded one has nothing anywhere",
        "the one with a lapsed licence was refused privileges, and has nothing anywhere",
    ]


def _least(one: Found) -> bool:
    return bool(one.account and one.ehr and one.payroll) and not one.schedule and not one.clinical


async def _cost_centre(crew: Crew) -> list[str]:
    """Payroll waits for a cost centre the ERP does not have yet, and nothing else does."""
    person, erp = crew.key(crew.wave.later), crew.scene.stage.erp
    await crew.office.until_found([person], _all_but_payroll, "everywhere but on payroll")
    await asyncio.to_thread(erp.open_cost_centre, crew.wave.new_centre, f"Day surgery {crew.scene.playing}")
    await crew.office.until_found([person], lambda one: one.everywhere, "on payroll, the cost centre being there")

    async def charged() -> bool:
        return await asyncio.to_thread(erp.cost_centre_of, person) == crew.wave.new_centre

    await until(charged, "payroll charging the new cost centre")  # the employee is made first, then described
    await crew.office.stand({person: "active"})
    return ["a cost centre that came later held up payroll alone"]


def _all_but_payroll(one: Found) -> bool:
    return bool(one.account and one.schedule and one.ehr and one.clinical) and one.payroll is None


async def _rescinded(crew: Crew) -> list[str]:
    """One of the two has said yes; then the offer is withdrawn, and what was given is taken back."""
    office, one = crew.office, crew.wave.rescinded
    person = crew.key(one)
    await office.said(FIRST, crew.words(one, verb="approve", reason="the file is complete"))
    await office.until_found([person], _least, "at work, not yet privileged")
    await office.said(HR, crew.words(one, verb="withdraw", reason="rescinded-offer"))
    await office.until_found([person], lambda found: found.nowhere, "without anything, the offer being withdrawn")
    return ["rescinded at the committee: account, EHR and payroll taken back"]


async def _for_a_time(crew: Crew) -> list[str]:
    """Temporary privileges end by themselves."""
    person = crew.key(crew.wave.temporary)
    await crew.office.until_found([person], lambda one: one.everywhere, "privileged for a time")
    await crew.office.until_found([person], _least, "without temporary privileges, their time being over")
    return ["temporary privileges ended by themselves: least access, off the schedule"]


async def _leaver(crew: Crew) -> list[str]:
    """One call ends it all: blocked at once, off in every system, and seen off twice."""
    scene, office, person = crew.scene, crew.office, crew.key(crew.wave.leaver)
    await office.until_found([person], lambda one: one.everywhere, "at work, before they must go")
    began, reason = time.monotonic(), {"reason": "their badge was found with somebody else"}
    answer = await scene.doors.ask(HR, "POST", f"/v1/people/{person}/revocations", reason, key=f"{scene.tag}-revoked")
    if answer.status_code != httpx.codes.ACCEPTED:
        raise StoryError(f"a revocation was answered {answer.status_code} {answer.text[:300]}")
    await office.until_found([person], lambda one: one.nowhere, "off everywhere")
    off = time.monotonic() - began

    async def confirmed() -> dict[str, Any] | None:
        trace = await fascia(scene.stage, "person", "trace", person)
        return next((entry["content"] for entry in trace["entries"] if entry["did"] == "confirmed off"), None)

    took = float((await until(confirmed, "in the trace that access is off, seen twice", COMMAND_EVERY))["seconds"])
    scene.told(f"the emergency leaver was off everywhere after {off:.0f} s, seen off twice after {took:.0f} s")
    return [f"an emergency leaver was off everywhere, seen twice, {_within(took)}"]


def _within(seconds: float) -> str:
    return "within a minute" if seconds <= WITHIN_A_MINUTE else f"after {seconds:.0f} s"


def endings() -> Sequence[str]:
    """What must be found, in order."""
    return (
        f"{ORDINARY} privileged by two people, with account, schedule, EHR and payroll",
        "the excluded one has nothing anywhere",
        "the one with a lapsed licence was refused privileges, and has nothing anywhere",
        "a cost centre that came later held up payroll alone",
        f"{HIRES} hires by HL7, CSV and signed requests: {HIRES - 1} people, one of them told twice",
        "rescinded at the committee: account, EHR and payroll taken back",
        "temporary privileges ended by themselves: least access, off the schedule",
        "an emergency leaver was off everywhere, seen twice, within a minute",
        "one more, employed in HR's own database and found by asking, is active everywhere",
    )


PEOPLE_SCENES: tuple[Scenario, ...] = (
    Scenario(
        "hiring_wave",
        f"{HIRES} hires by HL7, files and signed requests: verified, privileged by two, active; seven otherwise; one more by asking",
        hiring_wave,
        Ending("20 active, 1 in verification, 3 suspended, 1 withdrawn", also=tuple(endings())),
        process="clinician_onboarding",
    ),
)
