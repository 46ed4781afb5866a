"""The EHR of the demonstration: whom it knows is on disk first, by key and without a name, and it misbehaves as it is told."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from canonical.access import Wanted
from canonical.senders import Channel
from demo.ehr import Books, Ehr, Told, practitioners
from demo.hl7_plain import Answer, NotHl7, frame, framed
from demo.trouble import behave
from formats.hl7_staff import Deed, mfn_m02, pmu
from stack.home import free_port
from tests.adapters.contract_targets import nobody_any_more, somebody

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)
CHANNEL = Channel(code="EHR", facility="NGH", host="127.0.0.1", port=1)
WHO = somebody()


def mfn(deed: Deed = "add", number: str = "M1", wanted: Wanted = WHO) -> str:
    return mfn_m02(wanted, deed, CHANNEL, number, AT).decode()


@asynccontextmanager
async def ehr(home: Path) -> AsyncIterator[Ehr]:
    one = Ehr(home, 0)
    await one.look()
    try:
        yield one
    finally:
        await one.close()


async def answered(port: int, *texts: str, answers: int = 1) -> list[str]:
    """What it says to each; empty where it hung up."""
    said = []
    for text in texts:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(text))
        try:
            said += [Answer.read(await frame(reader)).code for _ in range(answers)]
        except (asyncio.IncompleteReadError, ConnectionError):
            said.append("")
        writer.close()
    return said


async def test_who_is_told_and_ended_as_we_write_it_stands_there_by_key_and_without_a_name(tmp_path: Path) -> None:
    async with ehr(tmp_path) as one:
        assert await answered(one.port, mfn()) == ["AA"]
        held = practitioners(tmp_path)[WHO.person]
        assert (held["active"], held["departments"], held["privileges"]) == (True, ["surgery"], ["general@NGH"])
        assert await answered(one.port, mfn("deactivate", "M2", nobody_any_more(WHO))) == ["AA"]
    held = practitioners(tmp_path)[WHO.person]
    assert (held["active"], held["privileges"], held["told"], held["acts"]) == (False, [], 2, ["MAD", "MDC"])
    assert "Ashgrove" not in (tmp_path / "ehr" / "practitioners.json").read_text()


@pytest.mark.parametrize(("deed", "active"), [("add", True), ("terminate", False), ("deactivate", False)])
def test_personnel_events_say_the_same(tmp_path: Path, deed: Deed, active: bool) -> None:
    wanted = WHO if active else nobody_any_more(WHO)
    assert Books(tmp_path).take(Told.read(pmu(wanted, deed, CHANNEL, "P1", AT).decode())) == ("AA", "")
    assert practitioners(tmp_path)[WHO.person]["active"] is active


async def test_a_repeat_is_taken_once_and_counted_also_after_it_was_started_anew(tmp_path: Path) -> None:
    for _ in range(2):
        async with ehr(tmp_path) as one:
            assert await answered(one.port, mfn(), mfn()) == ["AA", "AA"]
    held = practitioners(tmp_path)[WHO.person]
    assert (held["told"], held["repeats"]) == (1, 3)


async def test_what_cannot_be_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    other = somebody()
    async with ehr(tmp_path) as one:
        assert await answered(one.port, mfn()) == ["AA"]
        before = practitioners(tmp_path)
        assert await answered(one.port, mfn("update", "M1")) == ["AR"], "another content under a known number"
        assert await answered(one.port, mfn("update", "M3", other)) == ["AR"], "an update of nobody"
        assert await answered(one.port, mfn(number="M4").replace("MFN^M02^MFN_M02", "ADT^A08^ADT_A01")) == ["AR"]
        assert practitioners(tmp_path) == before
    with pytest.raises(NotHl7):
        Told.read(mfn().replace("|MAD|", "|XXX|"))


@pytest.mark.parametrize(("word", "code"), [("error", "AE"), ("refuse", "AR"), ("down", "")])
async def test_in_trouble_about_one_person_it_takes_another(tmp_path: Path, word: str, code: str) -> None:
    other = somebody()
    behave(tmp_path, "ehr", f"{word} {WHO.person}")
    async with ehr(tmp_path) as one:
        assert await answered(one.port, mfn(), mfn(number="M2", wanted=other)) == [code, "AA"]
        behave(tmp_path, "ehr")
        assert list(practitioners(tmp_path)) == [other.person]
        assert await answered(one.port, mfn()) == ["AA"]


async def test_what_it_takes_without_an_answer_is_taken_and_late_it_takes_later(tmp_path: Path) -> None:
    async with ehr(tmp_path) as one:
        behave(tmp_path, "ehr", "lost")
        assert await answered(one.port, mfn()) == [""] and practitioners(tmp_path)[WHO.person]["told"] == 1
        behave(tmp_path, "ehr", "late 0.4")
        other = somebody()
        asking = asyncio.create_task(answered(one.port, mfn(number="M2", wanted=other)))
        await asyncio.sleep(0.2)
        assert other.person not in practitioners(tmp_path)
        assert await asking == [""] and other.person in practitioners(tmp_path)


async def test_slow_it_answers_later_and_twice_it_says_aa_two_times(tmp_path: Path) -> None:
    async with ehr(tmp_path) as one:
        behave(tmp_path, "ehr", "slow 0.4")
        began = time.monotonic()
        assert await answered(one.port, mfn()) == ["AA"] and time.monotonic() - began >= 0.4
        behave(tmp_path, "ehr", "twice")
        assert await answered(one.port, mfn(), answers=2) == ["AA", "AA"]
    assert practitioners(tmp_path)[WHO.person]["repeats"] == 1, "twice is said, once is taken"


async def test_while_it_is_down_nobody_listens(tmp_path: Path) -> None:
    async with ehr(tmp_path) as one:
        port = one.port
        behave(tmp_path, "ehr", "down")
        await one.look()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        behave(tmp_path, "ehr")
        await one.look()
        assert await answered(port, mfn()) == ["AA"]


async def test_the_program_listens_and_ends_when_told(tmp_path: Path) -> None:
    port = free_port(taken=set())
    program = (sys.executable, "-m", "demo.ehr", "serve", "--home", str(tmp_path), "--port", str(port))
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert (await process.stdout.readline()).decode() == f"EHR listens on mllp://127.0.0.1:{port}\n"
        assert await answered(port, mfn()) == ["AA"] and list(practitioners(tmp_path)) == [WHO.person]
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0
