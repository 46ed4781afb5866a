"""What senders do wrong, to the MLLP door as a program on a real database: each is kept or refused with a reason."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.senders import Sender
from formats import hl7
from formats.mllp import END, VT, Frames, wrap
from stack.supervisor import Stack, running
from tests.formats.hl7_files import SAMPLES
from tests.gateway import fuzz
from tests.gateway.hl7_house import head
from tests.gateway.hl7_house import text as hl7_text
from tests.gateway.mllp_client import Sender as Wire
from tests.stack.departments import admit, counted, empty_journal

pytestmark = pytest.mark.server
PUBLIC = Path(os.environ.get("FASCIA_SAMPLES", "/nowhere"))
MB = 2**20
ANYBODY = Sender(code="ANY", facility="NGH", addresses=("127.0.0.1",), kinds=("*",))


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    env = {"FASCIA_MLLP_FRAME_SECONDS": "10"}  # in which fifteen megabytes come on a busy machine, too
    async with running(tmp_path_factory.mktemp("mllp"), ("database", "mllp"), env=env) as started:
        yield started
        assert started.status()["parts"]["mllp"]["restarts"] == 0, "the door has died in between"


@pytest.fixture
async def engine(stack: Stack) -> AsyncIterator[AsyncEngine]:
    async with empty_journal(stack, ANYBODY) as opened:
        yield opened


OPEN: list[Wire] = []


@pytest.fixture(autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


async def connected(stack: Stack) -> Wire:
    wire = await Wire.connect(("127.0.0.1", stack.settings.mllp_port))
    OPEN.append(wire)
    return wire


async def codes(wire: Wire, count: int) -> list[tuple[str, str]]:
    """What the next answers say, and of which message."""
    said = [hl7.read_acknowledgement(one) for one in await wire.answers(count)]
    return [(one.code, one.control) for one in said]


async def rows(engine: AsyncEngine, where: str = "direction = 'in'", **given: object) -> list[dict[str, Any]]:
    asked = f"SELECT id, kind, state, reason, size, control_number FROM messages WHERE {where} ORDER BY id"
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(asked), given)).mappings()]


# ---- what is wrong with frames and connections -----------------------------------------------------------------------


async def test_a_frame_that_is_never_closed_is_given_up_kept_as_far_as_it_came_and_holds_up_nobody(
    stack: Stack, engine: AsyncEngine
) -> None:
    stuck, well = await connected(stack), await connected(stack)
    await stuck.send(wrap(admit("N-0", "1")) + VT + admit("N-1", "1"))
    for number in range(20):
        await well.send(wrap(admit(f"W-{number}", "2")))
        assert await codes(well, 1) == [("AA", f"W-{number}")]
    answers = await stuck.until_closed()
    assert [hl7.read_acknowledgement(one).control for one in answers] == ["N-0"]
    (broken,) = await rows(engine, "kind = 'broken'")
    assert (broken["state"], broken["size"]) == ("refused", len(admit("N-1", "1")))
    assert "broken" in broken["reason"]
    assert (await counted(engine))["N-1"] == 0, "half a message is no message"


async def test_64_megabytes_are_refused_without_being_kept_whole_and_the_next_message_is_taken(
    stack: Stack, engine: AsyncEngine
) -> None:
    wire = await connected(stack)
    huge = admit("H-1", "1") + b"NTE|1|L|" + b"x" * (64 * MB)
    await wire.send(wrap(huge), wrap(admit("H-2", "1")))
    assert await codes(wire, 2) == [("AR", "H-1"), ("AA", "H-2")]
    (broken,) = await rows(engine, "kind = 'broken'")
    assert broken["state"] == "refused" and "too_large" in broken["reason"]
    assert broken["size"] <= 16 * MB


async def test_a_message_of_15_megabytes_is_taken_and_others_are_answered_meanwhile(
    stack: Stack, engine: AsyncEngine
) -> None:
    slow, well = await connected(stack), await connected(stack)
    large = admit("L-1", "1") + b"ZZZ|1|" + b"words of a note " * (15 * MB // 16) + b"\r"
    await slow.send(wrap(large))
    await slow.send(wrap(admit("L-2", "1")))
    for number in range(20):
        await well.send(wrap(admit(f"W-{number}", "2")))
        assert await codes(well, 1) == [("AA", f"W-{number}")]
    assert await codes(slow, 2) == [("AA", "L-1"), ("AA", "L-2")]
    first, second = await rows(engine, "control_number IN ('L-1', 'L-2')")
    assert (first["control_number"], first["size"]) == ("L-1", len(large)) and second["control_number"] == "L-2"


async def test_a_thousand_frames_in_one_write_are_kept_and_answered_in_their_order(
    stack: Stack, engine: AsyncEngine
) -> None:
    wire = await connected(stack)
    numbers = [f"P-{number}" for number in range(1000)]
    await wire.send(b"".join(wrap(admit(number, "1")) for number in numbers))
    assert await codes(wire, 1000) == [("AA", number) for number in numbers]
    assert [row["control_number"] for row in await rows(engine)] == numbers


async def test_a_sender_that_connects_anew_for_each_message_is_served(stack: Stack, engine: AsyncEngine) -> None:
    numbers = [f"C-{number}" for number in range(150)]
    for number in numbers:
        wire = await connected(stack)
        await wire.send(wrap(admit(number, "1")))
        assert await codes(wire, 1) == [("AA", number)]
        wire.close()
    assert [row["control_number"] for row in await rows(engine)] == numbers


async def test_a_sender_that_half_closes_hears_all_its_answers(stack: Stack, engine: AsyncEngine) -> None:
    wire = await connected(stack)
    numbers = [f"E-{number}" for number in range(20)]
    await wire.send(b"".join(wrap(admit(number, "1")) for number in numbers))
    wire.stop_sending()
    assert [hl7.read_acknowledgement(one).control for one in await wire.until_closed()] == numbers
    assert [row["control_number"] for row in await rows(engine)] == numbers


async def test_a_sender_that_goes_without_a_word_has_what_it_sent_whole_kept_once(
    stack: Stack, engine: AsyncEngine
) -> None:
    numbers = [f"G-{number}" for number in range(20)]
    gone = await connected(stack)
    await gone.send(b"".join(wrap(admit(number, "1")) for number in numbers))
    await gone.answers(1)
    gone.reset()
    again = await connected(stack)
    await again.send(b"".join(wrap(admit(number, "1")) for number in numbers))
    assert await codes(again, 20) == [("AA", number) for number in numbers]
    assert await counted(engine) == Counter(numbers)


async def test_noise_between_frames_costs_no_message_and_is_listed_with_what_it_was(
    stack: Stack, engine: AsyncEngine
) -> None:
    wire = await connected(stack)
    noise = [b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x00 ", b"\xff\xfe\xfd", b"**keep-alive**"]
    sent = b"".join(wrap(admit(f"O-{number}", "1")) + one for number, one in enumerate(noise))
    await wire.send(sent + wrap(admit("O-9", "1")))
    assert await codes(wire, 6) == [("AA", f"O-{number}") for number in (0, 1, 2, 3, 4, 9)]
    broken = await rows(engine, "kind = 'broken'")
    assert len(broken) == 3 and all(row["state"] == "refused" and row["reason"] for row in broken), "blanks are no loss"
    async with engine.connect() as connection:
        listed = await connection.scalar(text("SELECT count(*) FROM unmatched WHERE kind = 'broken_frame'"))
    assert listed


# ---- what is wrong with what is in them -------------------------------------------------------------------------------


async def given(stack: Stack, engine: AsyncEngine, name: str, data: bytes) -> None:
    """One file through the door, in one frame: it is there whole, taken or refused with a reason, and the door goes on."""
    assert VT not in data and END not in data, f"{name} cannot be one frame"
    wire = await connected(stack)
    await wire.send(wrap(data))
    await wire.answers(1)
    (kept,) = await rows(engine, "hash = :hash", hash=hashlib.sha256(data).hexdigest())
    assert kept["state"] == "received" or (kept["state"] == "refused" and kept["reason"]), (name, kept)
    await wire.send(wrap(admit(f"after {name}"[:60], "1")))
    assert (await codes(wire, 1))[0][0] == "AA", name
    wire.close()


async def test_every_sample_of_ours_is_kept_or_refused_with_a_reason(stack: Stack, engine: AsyncEngine) -> None:
    files = [path for path in sorted(SAMPLES.parent.rglob("*")) if path.is_file()]
    assert len(files) > 20
    for path in files:
        await given(stack, engine, path.name, path.read_bytes())


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with samples")
async def test_every_public_sample_is_kept_or_refused_with_a_reason(stack: Stack, engine: AsyncEngine) -> None:
    files = [path for path in sorted(PUBLIC.rglob("*")) if path.is_file()]
    assert files
    for path in files:
        await given(stack, engine, path.name, path.read_bytes())


async def test_of_damaged_messages_each_is_kept_as_it_came_or_listed_as_broken(
    stack: Stack, engine: AsyncEngine
) -> None:
    chance, whole = random.Random(2026), fuzz.corpus()
    for _ in range(15):
        data = b"".join(fuzz.stream(chance, whole) for _ in range(30))
        frames = Frames(16 * MB)
        expected = {hashlib.sha256(one.data).hexdigest() for one in [*frames.feed(data), *frames.end()]}
        wire = await connected(stack)
        await wire.send(data)
        wire.stop_sending()
        await wire.until_closed()
        async with engine.connect() as connection:
            found = await connection.execute(
                text("SELECT hash, state, reason FROM messages WHERE hash = ANY (:hashes)"), {"hashes": list(expected)}
            )
            there = {row.hash: (row.state, row.reason) for row in found}
        assert set(there) == expected, "dropped in silence"
        assert all(state == "received" or (state == "refused" and reason) for state, reason in there.values())


async def test_of_a_batch_cut_at_any_hundredth_byte_nothing_is_taken_and_whole_all_of_it_once(
    stack: Stack, engine: AsyncEngine
) -> None:
    messages = [admit(f"B-{number}", f"P{number}") for number in range(60)]
    batch = hl7_text("BHS|^~\\&|WARDSYS|NGH|FASCIA|NGH") + b"".join(messages) + hl7_text(f"BTS|{len(messages)}")
    cuts = range(100, len(batch), 100)
    assert len(cuts) > 50
    wire = await connected(stack)
    await wire.send(b"".join(wrap(batch[:cut]) for cut in cuts))
    for cut, answer in zip(cuts, await wire.answers(len(cuts)), strict=True):
        assert b"MSA|AR|" in answer, f"cut after {cut} bytes"
    kept = await rows(engine)
    assert len(kept) == len(cuts)
    assert {(row["kind"], row["state"]) for row in kept} == {("BATCH", "refused")} and all(
        row["reason"] for row in kept
    )
    for _ in range(2):  # and once more: the same batch again is the same messages
        await wire.send(wrap(batch))
        (answer,) = await wire.answers(1)
        assert answer.count(b"MSA|AA|") == len(messages)
    assert {number: count for number, count in (await counted(engine)).items() if number} == {
        f"B-{number}": 1 for number in range(len(messages))
    }


async def test_a_batch_cut_by_the_end_of_its_connection_is_no_batch(stack: Stack, engine: AsyncEngine) -> None:
    batch = hl7_text("BHS|^~\\&|WARDSYS") + admit("B-1", "1") + hl7_text("BTS|1")
    for cut in range(100, len(batch), 100):
        wire = await connected(stack)
        await wire.send(VT + batch[:cut])
        wire.stop_sending()
        await wire.until_closed()
    kept = await rows(engine)
    assert kept and all((row["kind"], row["state"]) == ("broken", "refused") for row in kept)


async def test_a_message_of_nobody_we_know_is_kept_refused_and_the_rest_goes_on(
    stack: Stack, engine: AsyncEngine
) -> None:
    wire = await connected(stack)
    other = hl7_text(head("S-1", "ADT^A08", app="NOBODY"), "PID|1||1")
    await wire.send(wrap(other), wrap(admit("S-2", "1")))
    said = await codes(wire, 2)
    assert said[1] == ("AA", "S-2") and said[0][1] == "S-1"
