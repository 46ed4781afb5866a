"""Replaying by the router's own code, in memory: in order, through outages and a kill, with the effect of once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from canonical.cases import Actor
from canonical.catalogue import MasterFile
from canonical.errors import Unavailable
from canonical.messages import Kept, NewMessage
from canonical.parties import Partner
from canonical.replays import CONFLICT, DONE, NEW, NOT_REPLAYED, UNREADABLE, Difference, ReplayItem, ReplayJob
from canonical.senders import Mapping as Codes
from canonical.steps import ClaimRequest
from gateway.preview import Previewer
from gateway.preview_people import EventName, HeldEvent
from gateway.preview_ports import Held
from gateway.preview_uses import HeldUse, UseName
from gateway.registry import HL7_FEEDS
from store.foreseen import Held as StoredHeld
from store.replays import Result
from tests.gateway.hl7_house import WARD, House, house, order
from workers.loops.replay_jobs import ReplayJobs
from workers.replaying import Replayer

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BEDS = WARD.changed(department="surgery", cost_centre="CC-4100", deliver_to="NGH-W3", requester="E-1001")
JOB = ReplayJob(id="j-1", actor=Actor(id="mito", known_by="os_user"), reason="mended", made_at=NOW)


class Foresight:
    """What the cases in memory say."""

    def __init__(self, at: House) -> None:
        self._at = at

    async def held(self, names: Sequence[str]) -> Mapping[str, Held]:
        claims = self._at.cases.claims
        return {
            name: StoredHeld(
                case=name,
                hash=claims[name].hash,
                message=self._at.cases.claim_messages.get(name, ""),
                started=claims[name].run is not None,
            )
            for name in names
            if name in claims
        }

    async def hr_events(self, names: Sequence[EventName]) -> Mapping[EventName, HeldEvent]:
        return {}

    async def kept(self, names: Sequence[str]) -> Mapping[str, Kept]:
        return {name: self._at.journal.messages[name] for name in names if name in self._at.journal.messages}

    async def brought(self, message: str) -> Mapping[str, bool]:
        return {}

    async def closed(self, names: Sequence[str]) -> Sequence[str]:
        return []

    async def drifts(self, file: MasterFile, message: str, as_of: date) -> tuple[int, Sequence[Difference]]:
        return 0, []

    async def drifts_by_row(self, file: MasterFile, message: str, as_of: date) -> Mapping[str, Sequence[Difference]]:
        return {}

    async def uses(self, names: Sequence[UseName]) -> Mapping[UseName, HeldUse]:
        return {}

    async def apart(self, message: str) -> Mapping[int, str]:
        kept = await self._at.journal.kept_under(f"{message}/rows/")
        return {int(one.key.rpartition("/")[2]): one.state for one in kept}


class Jobs:
    """One job in memory; ``dies`` before what was done is written down."""

    def __init__(self, at: House, messages: Sequence[Kept]) -> None:
        self._at = at
        self.now = NOW
        self.items = [
            ReplayItem(job="j-1", message=one.id, position=place, stream=one.stream, before=one.state)
            for place, one in enumerate(messages, start=1)
        ]
        self.results: dict[str, Result] = {}
        self.again: dict[str, datetime] = {}
        self.dies = False

    async def at_work(self) -> Sequence[ReplayJob]:
        return [JOB] if len(self.results) < len(self.items) else []

    async def due(self, job: str, at: datetime, limit: int = 100) -> Sequence[ReplayItem]:
        return [one for one in self.items if one.message not in self.results and self.again.get(one.message, at) <= at][
            :limit
        ]

    async def begin(self, message: str, job: ReplayJob) -> None: ...

    async def settle(self, job: ReplayJob, results: Sequence[Result]) -> None:
        if self.dies:
            raise Unavailable("killed here")
        await self._at.journal.mark_many([one.move for one in results if one.move])
        self.results |= {one.item.message: one for one in results}
        for one in results:
            if one.unpark:
                await self._at.journal.unpark(one.item.stream)

    async def later(self, job: ReplayJob, items: Sequence[ReplayItem], reason: str, again_at: datetime) -> None:
        self.again |= {one.message: again_at for one in items}

    def came_to(self, at: House) -> dict[str, str]:
        return {at.journal.messages[name].control_number: one.outcome for name, one in self.results.items()}


async def nobody(code: str) -> Partner | None:
    return None


async def ward() -> House:
    at = await house(BEDS)
    at.feeds = {kind: feed for (_, kind), feed in HL7_FEEDS.items()}
    at.register.tables = [Codes(sender="WARD", table="item", rows={"ITM-1": "ITM-1001"})]
    await at.directory.refresh()
    start = at.engine.start_requisition

    async def begins(case: str, data: bytes, *, trace: str = "") -> str:
        run = await start(case, data, trace=trace)
        await at.cases.claim(ClaimRequest(case=case, run=run, data=data, as_of=NOW))
        return run

    at.engine.start_requisition = begins  # type: ignore[method-assign]
    return at


def unknown(control: str, number: str) -> bytes:
    return order(control, number).replace(b"ITM-1^Glove", b"NEW-9^Glove")


async def sent(at: House, *messages: bytes) -> None:
    for message in messages:
        assert (await at.answer(message)).accepted
    await at.router().once()


async def mend(at: House) -> None:
    at.register.tables = [Codes(sender="WARD", table="item", rows={"ITM-1": "ITM-1001", "NEW-9": "ITM-1002"})]
    await at.directory.refresh()


def previewer(at: House) -> Previewer:
    routing = at.routing()
    return Previewer(routing.reader, Foresight(at), at.cases, nobody, at.intake.routes)


def loop(at: House, jobs: Jobs) -> ReplayJobs:
    routing = at.routing()
    replayer = Replayer(
        jobs, Foresight(at), at.journal, at.intake, routing, lambda: previewer(at), clock=lambda: jobs.now
    )
    return ReplayJobs(jobs, replayer, clock=lambda: jobs.now)


def dead(at: House) -> list[Kept]:
    return [one for one in at.journal.messages.values() if one.state == "dead"]


async def test_dead_letters_go_through_their_router_and_their_streams_go_on() -> None:
    at = await ward()
    await sent(at, unknown("W-1", "REQ-1"), unknown("W-2", "REQ-1"), unknown("W-3", "REQ-3"), order("W-4", "REQ-4"))
    assert [one.control_number for one in dead(at)] == ["W-1", "W-3"] and len(at.journal.parked) == 2
    jobs = Jobs(at, [*dead(at), at.journal.kept("W-4")])
    await mend(at)
    await loop(at, jobs).once()
    assert jobs.came_to(at) == {"W-1": NEW, "W-3": NEW, "W-4": DONE} and at.journal.parked == {}
    await at.router().once()
    assert at.journal.kept("W-2").state == "routed"
    assert [case.rpartition("/")[2] for case, _ in at.engine.started] == ["REQ-4", "REQ-1", "REQ-3"]


async def test_what_cannot_be_read_still_stays_dead_and_its_stream_waits_on() -> None:
    at = await ward()
    await sent(at, unknown("W-1", "REQ-1"), order("W-2", "REQ-1"))
    jobs = Jobs(at, dead(at))
    await loop(at, jobs).once()
    assert jobs.came_to(at) == {"W-1": UNREADABLE} and len(at.journal.parked) == 1
    assert at.journal.kept("W-2").state == "received"


async def test_killed_before_it_was_written_down_it_is_done_again_with_the_effect_of_once() -> None:
    at = await ward()
    await sent(at, unknown("W-1", "REQ-1"), unknown("W-2", "REQ-2"))
    jobs = Jobs(at, dead(at))
    await mend(at)
    jobs.dies = True
    with pytest.raises(Unavailable):
        await loop(at, jobs).once()
    assert len(at.engine.started) == 2 and jobs.results == {}
    jobs.dies = False
    await loop(at, jobs).once()
    assert jobs.came_to(at) == {"W-1": DONE, "W-2": DONE} and len(at.engine.started) == 2
    assert {one.state for one in at.journal.messages.values() if one.direction == "in"} == {"routed"}


async def test_what_is_away_is_asked_again_later_and_nothing_of_its_stream_goes_first() -> None:
    at = await ward()
    await sent(at, unknown("W-1", "REQ-1"))
    at.journal.parked.clear()
    await sent(at, unknown("W-2", "REQ-1"))
    jobs = Jobs(at, dead(at))
    await mend(at)
    at.engine.away = True
    await loop(at, jobs).once()
    assert jobs.results == {} and set(jobs.again) == {one.message for one in jobs.items}
    at.engine.away = False
    await loop(at, jobs).once()
    assert jobs.results == {}, "it is left in peace for a moment"
    jobs.now += timedelta(seconds=2)
    await loop(at, jobs).once()
    assert jobs.came_to(at) == {"W-1": NEW, "W-2": DONE} and len(at.engine.started) == 1


async def test_a_conflict_is_told_with_what_differs_and_routed_nowhere() -> None:
    at = await ward()
    await sent(at, order("W-1", "REQ-1"), order("W-2", "REQ-1", quantity="9"))
    refused = at.journal.kept("W-2")
    (told,) = await previewer(at).preview([refused])
    assert told.outcome == CONFLICT
    assert [(one.was, one.now) for one in told.differences] == [("4 BX", "9 BX")]
    jobs = Jobs(at, [refused])
    await loop(at, jobs).once()
    assert jobs.came_to(at) == {"W-2": CONFLICT} and at.journal.kept("W-2") == refused


async def test_a_correction_that_conflicts_is_refused_so_that_a_person_can_correct_it_or_pass_it_over() -> None:
    at = await ward()
    await sent(at, order("W-1", "REQ-1"), unknown("W-2", "REQ-2"))
    (original,) = dead(at)
    new = NewMessage(door=original.door, data=order("W-2", "REQ-1", quantity="9"), sender="WARD", kind=original.kind)
    about = {"key": "correction/1", "stream": original.stream, "version_of": original.id, "control_number": "W-2"}
    (kept,) = await at.journal.keep_many([new.model_copy(update=about)])
    jobs = Jobs(at, [kept.message])
    await loop(at, jobs).once()
    (result,) = jobs.results.values()
    assert (result.outcome, result.state, result.unpark) == (CONFLICT, "refused", False)
    assert at.journal.messages[kept.message.id].state == "refused" and len(at.engine.started) == 1


async def test_what_its_door_refused_goes_on_only_where_it_would_take_it_today() -> None:
    at = await ward()
    await at.answer(order("W-1", "REQ-1", quantity="many"))
    await at.answer(order("W-2", "REQ-2"))
    refused = at.journal.kept("W-1")
    assert refused.state == "refused"
    told = await previewer(at).preview([refused, at.journal.kept("W-2")])
    assert [one.outcome for one in told] == [NOT_REPLAYED, NOT_REPLAYED]
    assert "heard no" in told[0].detail and "its router brings it" in told[1].detail
    await at.answer(order("W-2", "REQ-3"))  # the number of another
    (conflict,) = [one for one in at.journal.messages.values() if one.reason.startswith("AR")]
    (said,) = await previewer(at).preview([conflict])
    assert said.outcome == CONFLICT and "other content" in said.detail
    at.register.rows[0] = BEDS.changed(check="off", kinds=("ADT^A08",))
    await at.directory.refresh()
    assert (await previewer(at).preview([refused]))[0].outcome == NOT_REPLAYED
