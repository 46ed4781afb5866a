"""Days of a clinician's working life, played in the virtual time of their two cases: what each deed and quiet day adds to a history.

HR speaks by our store's own inbox, whose clock is the day that is played; the licence is asked about each month as the monthly run
asks; everything else is done by the real processes. Temporal skips the time in which nothing happens (about a second of ours for each
time something does); a case is wound to its day before each deed, so that its clock goes wrong nowhere.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from temporalio.testing import TimeSkipper

from activities.monitoring import MonitoringActivities
from bench.clinicians import ROLE, SENDER, Clinic, Say
from bench.figures import Deeds
from bench.replaying import replayed
from bench.stand import time_now
from canonical.credentials import ClinicianRole
from canonical.monitoring import MonitoringBatch
from canonical.people import HrEvent, access_case, onboarding_case
from store.clinician_register import StoredClinicianRegister
from store.exclusions import StoredExclusions
from store.monitoring import StoredMonitoring
from store.people_inbox import StoredHrInbox
from store.source_states import StoredSourceStates
from tests import build
from workers.exclusion_lists import ListFetcher
from workers.verifiers import Sources
from workflows.clinician_access import ClinicianAccess
from workflows.clinician_onboarding import ClinicianOnboarding

YEAR, MONTH = 365, 30
SETTLES = 3  # days after a deed in which what was written is looked at oftener: no quiet ones
QUIET = 1.5  # seconds without a new event after which a deed is over
PATIENCE = 60.0
LEAD = "lead"
ONBOARDING, ACCESS = "onboarding", "access"


@dataclass(frozen=True)
class Deed:
    """What HR says on a day."""

    day: int
    what: str
    kind: str
    fields: Mapping[str, Any]


MARRIED = {"name": {"family": "Married", "given": "Givena"}, "former_family": "Familya"}  # of who is hired first
DEEDS = (
    Deed(20, "another family name", "update", {"record": MARRIED}),
    Deed(50, "on leave", "leave", {}),
    Deed(80, "back from leave", "return", {}),
    Deed(110, "another role", "update", {"position": {"role": LEAD}}),
    Deed(140, "another department", "update", {"position": {"department": "surgery", "cost_centre": "CC-4100"}}),
    Deed(200, "a privilege more", "grant", {"scope": {"service": "cardiology"}}),
    Deed(230, "a privilege less", "revoke", {"scope": {"service": "cardiology"}}),
    Deed(290, "half of a position", "update", {"position": {"fte": "0.5"}}),
)
RENEWED = 170  # the day on which the board knows of a longer licence


class Life:
    """One person, the two cases, and the day it is for them."""

    def __init__(self, clinic: Clinic, person: str, number: str, board: Path, began: datetime) -> None:
        self._clinic, self._person, self._number, self._board, self._began = clinic, person, number, board, began
        self._skipper = TimeSkipper(clinic.stand.client)
        self.names = {ONBOARDING: onboarding_case(build.FACILITY, person), ACCESS: access_case(person)}
        self.today = began
        self.inbox = StoredHrInbox(clinic.stand.database, lambda: self.today)

    async def wind(self, day: int) -> None:
        """Let both cases come to this day, the one that writes access last."""
        self.today = self._began + timedelta(days=day)
        for name in self.names.values():
            handle = self._clinic.stand.client.get_workflow_handle(name)
            ahead = self.today - await self._skipper.get_current_time(handle)
            if ahead > timedelta():
                await self._skipper.fast_forward(handle, ahead)

    async def hr(self, deed: Deed) -> None:
        """HR says it, today."""
        told: dict[str, Any] = {"facility": build.FACILITY, "source": SENDER, "number": f"life-{deed.day}"}
        told |= {"person": self._number, "kind": deed.kind, "said_at": self.today, "effective": self.today.date()}
        await self.inbox.keep([HrEvent.model_validate(told | dict(deed.fields))], "", SENDER)

    async def check(self) -> None:
        """The monthly run asks about the licence."""
        engine = self._clinic.stand.database
        lists, register = StoredExclusions(engine), StoredClinicianRegister(engine)
        sources = Sources(Path("/nonexistent"), StoredSourceStates(engine), lists)
        steps = MonitoringActivities(
            StoredMonitoring(engine), register, sources.verifier_for, ListFetcher(register, sources, lists)
        )
        asked = await steps.ask_batch(MonitoringBatch(as_of=self.today, after="", many=50))
        assert not asked.owed, asked
        await sources.close()

    async def renewed(self) -> None:
        """The board knows of a longer licence."""
        file = self._board / "registries" / "licences.json"
        books = json.loads(file.read_text(encoding="utf-8"))
        books[f"IL/L-{int(self._number.removeprefix('E-'))}"]["expires"] = "2033-07-31"
        file.write_text(json.dumps(books), encoding="utf-8")
        await asyncio.sleep(1.5)  # it looks at its file twice a second

    async def events(self) -> dict[str, int]:
        """Of all runs of each case."""
        found = {}
        for what, name in self.names.items():
            lengths = await self.lengths(name)
            found[what] = sum(lengths.values())
        return found

    async def lengths(self, name: str) -> dict[str, int]:
        """Events of each run."""
        client = self._clinic.stand.client
        run = (await client.get_workflow_handle(name).describe()).run_id
        found: dict[str, int] = {}
        while run and run not in found:  # from the newest backwards, as each says whom it goes on from
            handle = client.get_workflow_handle(name, run_id=run)
            found[run] = (await handle.describe()).history_length
            first = await anext(handle.fetch_history_events(page_size=1))
            run = first.workflow_execution_started_event_attributes.continued_execution_run_id
        return found

    async def settled(self) -> dict[str, int]:
        """Events once nothing more comes of what was done."""
        ends, found, since = time.monotonic() + PATIENCE, await self.events(), time.monotonic()
        while time.monotonic() - since < QUIET or await self._clinic.stirred():
            assert time.monotonic() < ends, "what was done comes to no end"
            await asyncio.sleep(0.3)
            now = await self.events()
            if now != found:
                found, since = now, time.monotonic()
        return found


async def measure(clinic: Clinic, board: Path, *, days: int, minutes: float, say: Say) -> Deeds:
    """Play up to so many days, but begin none after so many minutes."""
    lead = ClinicianRole(code=LEAD, checks=("licence",), least=("staff", "lead"), clinical=("clinical",))
    await clinic.load("clinician_role", lead)
    began = time.monotonic()
    await clinic.hire(1)
    assert await clinic.active(1, say), "one clinician is not active"
    ((person, number),) = (await clinic.people(1)).items()
    life = Life(clinic, person, number, board, datetime.now(UTC))
    brought: dict[str, Counter[str]] = {}
    quiet, quiet_days, last, settles = Counter[str](), 0, 0, SETTLES
    before = await life.settled()
    brought["opened"] = Counter(before)
    planned: list[tuple[int, str, Callable[[], Awaitable[None]]]] = [
        (one.day, one.what, partial(life.hr, one)) for one in DEEDS
    ]
    planned += [(day, "a month's look at the licence", life.check) for day in range(MONTH, YEAR + 1, MONTH)]
    planned += [(RENEWED, "the board knows of a longer licence", life.renewed), (min(days, YEAR), "", _nothing)]
    planned += [(day + SETTLES, "", _nothing) for day in (0, *(one.day for one in DEEDS))]
    for day, what, do in sorted(planned, key=lambda one: one[0]):
        if day > days or time.monotonic() - began > 60 * minutes:
            say(f"a working life: {last} of {days} days played in {(time.monotonic() - began) / 60:.1f} minutes")
            break
        if day > last:
            await life.wind(day)
            now = await life.settled()
            if last >= settles:
                quiet.update({case: now[case] - before[case] for case in now})
                quiet_days += day - last
            before, last = now, day
        if do is _nothing:
            continue
        await do()
        settles = day + SETTLES if do != life.check else settles
        now = await life.settled()
        name = "the licence found renewed" if what.startswith("a month") and RENEWED < day <= RENEWED + MONTH else what
        if name:
            brought.setdefault(name, Counter()).update({case: now[case] - before[case] for case in now})
        before = now
    return await _found(clinic, life, last, time.monotonic() - began, brought, quiet, quiet_days, say)


async def _nothing() -> None:
    """The last day."""


async def _found(
    clinic: Clinic,
    life: Life,
    days: int,
    took: float,
    brought: Mapping[str, Mapping[str, int]],
    quiet: Mapping[str, int],
    quiet_days: int,
    say: Say,
) -> Deeds:
    longest, bytes_, replays, runs, steps = {}, {}, {}, {}, Counter[str]()
    all_of_it = Counter[str]()
    for what, name in life.names.items():
        lengths = await life.lengths(name)
        runs[what] = len(lengths)
        one = max(lengths, key=lambda run: lengths[run])
        history, replays[what] = await replayed(clinic.stand.client, name, one, ClinicianOnboarding, ClinicianAccess)
        longest[what], bytes_[what] = len(history.events), sum(event.ByteSize() for event in history.events)
        for run in lengths:
            held = await clinic.stand.client.get_workflow_handle(name, run_id=run).fetch_history()
            all_of_it[what] += sum(event.ByteSize() for event in held.events)
            steps.update(
                event.activity_task_scheduled_event_attributes.activity_type.name
                for event in held.events
                if event.HasField("activity_task_scheduled_event_attributes")
            )
    found = Deeds(
        at=time_now(),
        temporals_store=clinic.stand.temporals_store,
        what=f"a {ROLE} with {len(life.names)} cases",
        days=days,
        seconds=took,
        events=await life.events(),
        runs=runs,
        longest=longest,
        bytes=bytes_,
        held=dict(all_of_it),
        replayed=replays,
        deeds={what: dict(events) for what, events in brought.items()},
        quiet={case: events / max(quiet_days, 1) for case, events in quiet.items()},
        steps=dict(steps),
    )
    say(
        f"a working life: {found.days} days, events {dict(found.events)}, runs {runs}, longest {longest}, a quiet day {found.quiet}"
    )
    return found
