"""The sources of the register as the steps ask them: at their rate, behind their breaker, with their token."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from canonical.credentials import ClinicianRole, Evidence, VerificationSource
from canonical.errors import FasciaError, Rejected, Throttled, Unavailable
from canonical.people import ClinicianRecord, Licence
from demo.registries import Sources as Registries
from demo.registries import licence, served
from store.source_states import Turn
from tests.fakes.verifiers import FakeVerifier
from workers.verifiers import AT_ONCE, PacedVerifier, Sources

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROLE = ClinicianRole(code="physician")
RECORD = ClinicianRecord(licences=(Licence(state="IL", number="036-1"),))
ROW = VerificationSource(code="IDFPR", kind="licence", adapter="licence_board", timeout=1.0)


class States:
    """What was noted of a source."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.noted = failures, list[str]()

    async def turn(self, source: str, per_second: float, timeout: float) -> Turn:
        return Turn(wait=0, failures=self.failures)

    async def answered(self, source: str) -> None:
        self.noted.append("answered")

    async def failed(self, source: str, error: str, at: datetime) -> None:
        self.noted.append("failed")

    async def told_to_wait(self, source: str, until: datetime) -> None:
        self.noted.append("told to wait")


async def noted(failure: FasciaError | None, failures: int = 0) -> tuple[list[str], FasciaError | None]:
    board, states = FakeVerifier("licence"), States(failures)
    board.failure = failure
    try:
        await PacedVerifier(board, ROW, states).check(RECORD, "IL", ROLE, NOON)
    except FasciaError as raised:
        return states.noted, raised
    return states.noted, None


async def test_an_answer_costs_no_word_unless_the_source_had_failed() -> None:
    assert await noted(None) == ([], None)
    assert await noted(None, failures=3) == (["answered"], None)


async def test_a_no_about_somebody_is_an_answer_and_a_no_to_us_is_a_failure_tried_later() -> None:
    said, raised = await noted(Rejected("no licence of IL", code="data-missing"), failures=1)
    assert said == ["answered"] and isinstance(raised, Rejected)
    said, raised = await noted(Rejected("does not accept our credentials", code="unauthenticated"))
    assert said == ["failed"] and isinstance(raised, Throttled) and raised.retry_after >= 60


async def test_silence_counts_against_the_source_and_a_plea_to_wait_does_not() -> None:
    assert (await noted(Unavailable("down")))[0] == ["failed"]
    assert (await noted(Throttled("slow", retry_after=9)))[0] == ["told to wait"]


async def test_a_slow_source_has_some_of_our_questions_open_and_the_others_come_later() -> None:
    class Slow(FakeVerifier):
        async def check(self, *arguments: Any) -> Evidence:
            self.asked += 1
            await asyncio.sleep(0.2)
            return await super().check(*arguments)

    board = Slow("licence")
    paced = PacedVerifier(board, ROW, States())
    asked = (paced.check(RECORD, "IL", ROLE, NOON) for _ in range(AT_ONCE + 3))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Throttled) for answer in answers) == 3


async def test_a_source_that_never_ends_its_answer_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(FakeVerifier):
        async def check(self, *arguments: Any) -> Evidence:
            await asyncio.sleep(60)
            raise AssertionError

    states = States()
    row = ROW.model_copy(update={"timeout": 0.05})
    with pytest.raises(Unavailable, match="in time"):
        await PacedVerifier(Endless("licence"), row, states).check(RECORD, "IL", ROLE, NOON)
    assert states.noted == ["failed"]


async def test_a_row_names_its_adapter_address_and_token(tmp_path: Path) -> None:
    registries = Registries(token="of the sandbox")
    registries.licences["IL/036-1"] = licence("IL", "036-1", "", "")
    (tmp_path / "idfpr.token").write_text("of the sandbox\n", encoding="utf-8")
    sources = Sources(tmp_path, States(), None)  # type: ignore[arg-type]
    async with served(registries) as base:
        row = ROW.model_copy(update={"url": f"{base}/licences", "token_file": "idfpr.token", "timeout": 60.0})
        assert (await sources.verifier_for(row).check(RECORD, "IL", ROLE, NOON)).finding == "name-differs"
        assert sources.verifier_for(row) is sources.verifier_for(row)
        changed = row.model_copy(update={"per_second": 1.0})
        assert sources.verifier_for(changed) is not sources.verifier_for(row)
        await sources.close()


async def test_a_row_that_names_nothing_we_speak_or_a_token_that_is_not_there_says_so(tmp_path: Path) -> None:
    sources = Sources(tmp_path, States(), None)  # type: ignore[arg-type]
    with pytest.raises(Rejected, match="carrier_pigeon"):
        sources.verifier_for(ROW.model_copy(update={"adapter": "carrier_pigeon"}))
    with pytest.raises(Throttled, match="no token"):
        sources.verifier_for(ROW.model_copy(update={"token_file": "gone"}))
