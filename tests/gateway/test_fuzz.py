"""Whatever comes: no crash, nothing dropped in silence, each kept or refused with a reason, and no yes to what was refused."""

from __future__ import annotations

import itertools
import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
import structlog

from canonical.base import Canonical
from canonical.catalogue import MasterFile
from canonical.hr_ports import HrRowsApart
from canonical.messages import KeepResult, Kept, NewMessage
from canonical.people import HrEvent
from canonical.purchasing import Requisition
from canonical.senders import Sender
from canonical.usage import UsageEvent
from formats import hl7
from formats.hl7 import Unreadable
from formats.mllp import Broken, Frames
from gateway import registry
from gateway.hl7_verdict import answered_no
from gateway.people import HrTaker
from gateway.people_rows import rows_apart
from gateway.routing import Routing, Taker, TakerOfAll
from gateway.usage import UsageTaker
from tests import proof
from tests.gateway import fuzz
from tests.gateway.hl7_house import HERE, WARD, House, house
from tests.gateway.people_house import HASHES
from tests.gateway.people_house import Inbox as PeopleInbox
from tests.gateway.usage_house import PROCEDURES, Inbox

ANYBODY = WARD.changed(code="ANY", applications=(), kinds=("*",), check="warn", later_version=True)
REFUSING = WARD.changed(kinds=("*",), department="surgery", cost_centre="CC-1", deliver_to="NGH-OR", requester="E-1")
ROOM = 2000  # inputs until the journal is thrown away: it is memory


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A million warnings would be the only thing measured, and strangers' messages would wait for their quota."""
    monkeypatch.setattr("gateway.hl7_door.UNKNOWN_PER_MINUTE", 0)
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


class Trial:
    """A door in memory with the feeds of the registry, and what became of all that came."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._results: list[KeepResult] = []

    async def begin(self) -> None:
        at = await house(ANYBODY, REFUSING)
        at.door._feed_for = registry.hl7_feed
        keep = at.journal.keep_many

        async def keep_many(messages: Sequence[NewMessage]) -> Sequence[KeepResult]:
            results = await keep(messages)
            self._results += results
            return results

        at.journal.keep_many = keep_many  # type: ignore[method-assign]
        self.at: House = at
        self.inbox = Inbox()
        uses = UsageTaker(self.inbox, at.intake, PROCEDURES)
        people = HrTaker(PeopleInbox(), at.intake, HASHES)
        takers: dict[type[Canonical], Taker] = {
            Requisition: _taken,
            MasterFile: _taken,
            HrRowsApart: rows_apart(at.intake),
        }
        of_all: dict[type[Canonical], TakerOfAll] = {UsageEvent: uses.take, HrEvent: people.take}
        self.routing = Routing(at.journal, at.intake, at.directory, takers, takers_of_all=of_all)

    async def put(self, chance: random.Random, data: bytes) -> None:
        """One piece of a connection, cut anywhere, from its beginning to its end."""
        frames, cut = Frames(1_000_000), chance.randrange(len(data) + 1)
        for found in [*frames.feed(data[:cut]), *frames.feed(data[cut:]), *frames.end()]:
            self._results = []
            if isinstance(found, Broken):
                answers = await self.at.door.broken(found, HERE)
            else:
                answers = await self.at.door.take(found.data, HERE)
            assert self._results, "dropped in silence"
            assert self._results[0].message.data == found.data, "not kept as it came"
            for result in self._results:
                await self._became(result)
            self._answered(found.data, answers, broken=isinstance(found, Broken))

    async def _became(self, result: KeepResult) -> None:
        kept = self.at.journal.messages[result.message.id]
        self.seen[result.outcome if result.outcome != "kept" else kept.state] += 1
        assert kept.state != "refused" or kept.reason, "refused without a reason"
        if kept.state == "received" and result.outcome == "kept":
            move = await self.routing.route(kept)
            self.seen[f"then {move.state}"] += 1
            assert move.state == "routed" or move.reason
            assert "unexpected" not in move.reason, move.reason
            assert "nobody takes" not in move.reason, move.reason

    def _answered(self, data: bytes, answers: Sequence[bytes], *, broken: bool) -> None:
        assert not any(b"We could not read it" in one for one in answers), "a feed has broken"
        if hl7.is_batch(data):
            return
        try:
            head = hl7.header(data)
        except Unreadable:
            head = None
        first = self.at.journal.messages[self._results[0].message.id]
        no = self._results[0].outcome == "conflict" or (first.state == "refused" and answered_no(first.reason))
        for code, control in map(_msa, answers):
            assert not (no and code in (b"AA", b"CA")), "yes to what was refused"
            named = head is not None and head.control.strip(" ")
            own = head.control.encode(head.codec or "utf-8", "backslashreplace") if head and named else b""
            odd = b"\0" in data  # two bytes a letter, some of them lost: no byte of it can be compared
            assert odd or control in (own, b""), f"credited to {control!r} and not to {own!r}"
            assert odd or control or code in (b"AR", b"CR"), "yes to nobody knows what"
        if head is not None and not broken and not head.enhanced:
            assert len(answers) == 1, "left to wait"


def _msa(answer: bytes) -> tuple[bytes, bytes]:
    """MSA-1 and MSA-2, byte for byte; the rest repeats what the message said of itself, readable or not. Sets of two or four
    bytes a letter are read as such: half a letter may look like the end of a segment."""
    sets = {b"M\0\0\0": "utf-32-le", b"\0\0\0M": "utf-32-be", b"M\0": "utf-16-le", b"\0M": "utf-16-be"}
    wide = sets.get(answer[:4]) or sets.get(answer[:2])
    plain = answer.decode(wide, "replace").encode() if wide else answer.replace(b"\0", b"")
    (msa,) = [one for one in plain.split(b"\r") if one.startswith(b"MSA")]
    _, code, control, *_ = [*msa.split(plain[plain.index(b"MSH") + 3 :][:1]), b"", b""]
    return code, control


async def _taken(message: Kept, sender: Sender, noun: Canonical) -> str:
    return "a case"


async def trial(seed: int, inputs: int) -> Counter[str]:
    chance, whole, one = random.Random(seed), fuzz.corpus(), Trial()
    for number in itertools.count():
        if number == inputs:
            return one.seen
        if number % ROOM == 0:
            await one.begin()
        data = fuzz.stream(chance, whole)
        try:
            await one.put(chance, data)
        except Exception as wrong:
            raise AssertionError(f"input {number} of seed {seed}: {repr(wrong)[:500]}\n{data!r}"[:2000]) from wrong
    raise AssertionError


@pytest.mark.parametrize("seed", range(4))
async def test_damaged_messages_are_kept_or_refused_with_a_reason(seed: int, quiet: None) -> None:
    seen = await trial(seed, 750)
    assert min(seen["received"], seen["refused"], seen["duplicate"], seen["conflict"]) > 0, seen


@pytest.mark.prove
@pytest.mark.timeout(3600)
async def test_of_a_million_damaged_messages_each_is_kept_or_refused_with_a_reason(quiet: None) -> None:
    began = datetime.now(UTC)
    seen = await trial(2026, 1_000_000)
    counted = ", ".join(f"{name} {count}" for name, count in sorted(seen.items()))
    proof.note(
        "damaged HL7 messages and frames", "1,000,000 inputs at the door, then routed", f"no crash; {counted}", began
    )
