"""The sender's own list says what was sent and what was heard, whatever the listener does."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.synthetic import http_sender
from cli.synthetic.faults import Faults
from cli.synthetic.ledger import Ledger, Summary
from cli.synthetic.mllp_sender import Target, acknowledged, send
from cli.synthetic.traffic import Plan
from tests.cli.synthetic.listener import Heard, Says, listening

PLAN = Plan(kinds=("ADT^A08", "ORU^R01"), many=60, connections=4)
Rows = list[dict[str, str]]


async def sent(
    folder: Path, says: Says | None = None, *faults: str, plan: Plan = PLAN, limit: int = 2**24, **target: Any
) -> tuple[Heard, Summary, Rows]:
    """Send it to a listener; what that heard, the summary, and the ledger's rows."""
    ledger = Ledger(folder / "ledger.csv")
    async with listening(says or (lambda control, _: [control]), limit) as heard:
        where = Target("127.0.0.1", heard.port, **target)
        await send(plan, where, Faults.read(faults, 50_000), ledger)
    summary = ledger.close()
    with (folder / "ledger.csv").open(encoding="utf-8", newline="") as file:
        return heard, summary, list(csv.DictReader(file))


async def test_every_message_is_sent_once_and_listed_with_its_answer_and_its_bytes(tmp_path: Path) -> None:
    heard, summary, rows = await sent(tmp_path)
    letters = {letter.control: letter for letter in PLAN.letters()}
    assert sorted(heard.controls) == sorted(letters) and len(rows) == 60
    assert {row["answer"] for row in rows} == {"AA"} and {row["problem"] for row in rows} == {""}
    for row in rows:
        assert row["sha256"] == hashlib.sha256(letters[row["control"]].data).hexdigest()
        assert float(row["ms"]) >= 0 and row["connection"] == str(letters[row["control"]].connection)
    assert (summary.sent, summary.answers, summary.unanswered) == (60, {"AA": 60}, 0)
    assert 0 < summary.p50_ms <= summary.p99_ms <= summary.longest_ms


async def test_each_connection_sends_in_order(tmp_path: Path) -> None:
    heard, _, _ = await sent(tmp_path, in_flight=5)
    assert len(heard.raw) == 4
    for letter in PLAN.letters():
        assert letter.data in heard.raw[[letter.data in raw for raw in heard.raw].index(True)]
    for raw in heard.raw:
        own = [letter.control for letter in PLAN.letters() if letter.data in raw]
        assert [raw.index(control.encode()) for control in own] == sorted(
            raw.index(control.encode()) for control in own
        )


async def test_an_answer_is_credited_to_the_message_it_names_and_to_no_other(tmp_path: Path) -> None:
    waiting: list[str] = []

    def swapped(control: str, _: int) -> Sequence[str]:
        waiting.append(control)
        if len(waiting) < 2:
            return []
        answers = [*reversed(waiting), "NOBODYS"]
        waiting.clear()
        return answers

    plan = Plan(kinds=("ADT^A08",), many=10)
    _, summary, rows = await sent(tmp_path, swapped, plan=plan, in_flight=2)
    assert summary.problems == {"answered out of turn": 5, "answers nothing that waits": 5}
    assert {row["control"] for row in rows if row["answer"]} == {letter.control for letter in plan.letters()} | {
        "NOBODYS"
    }
    assert summary.answers == {"AA": 10}


async def test_what_was_not_answered_is_said_to_be_so_and_sent_again_where_that_is_wanted(tmp_path: Path) -> None:
    _, summary, rows = await sent(tmp_path, lambda control, many: None if many % 20 == 7 else [control])
    lost = [row for row in rows if not row["answer"]]
    assert (summary.unanswered, len(lost)) == (3, 3)
    assert {row["problem"] for row in lost} == {"connection closed, no answer"}
    heard, summary, rows = await sent(tmp_path, lambda control, many: None if many % 20 == 7 else [control], tries=3)
    assert summary.unanswered == 0 and summary.answers == {"AA": 60}
    again = {row["control"] for row in rows if row["try"] == "2"}
    assert len(again) >= 3 and all(heard.controls.count(control) == 2 for control in again)


async def test_a_listener_that_says_nothing_is_left_after_the_time_given(tmp_path: Path) -> None:
    plan = Plan(kinds=("ADT^A08",), many=4)
    heard, summary, rows = await sent(
        tmp_path, lambda control, many: [] if many == 2 else [control], plan=plan, answer_within=0.2
    )
    assert summary.problems == {"no answer in time": 1} and len(heard.raw) == 2
    assert [row["answer"] for row in rows] == ["AA", "", "AA", "AA"]


async def test_nobody_there_is_said_of_every_message(tmp_path: Path) -> None:
    ledger = Ledger(None)
    await send(Plan(many=5), Target("127.0.0.1", 1, connect_within=0.1), Faults(), ledger)
    assert ledger.close().problems == {"not reachable": 5}


async def test_faults_reach_the_listener_as_they_are_meant(tmp_path: Path) -> None:
    plan = Plan(kinds=("ADT^A08",), many=40)
    heard, summary, _ = await sent(tmp_path, None, "reconnect/4", plan=plan)
    assert (len(heard.raw), summary.answers) == (10, {"AA": 40})
    heard, summary, _ = await sent(tmp_path, None, "half-close/8", plan=plan)
    assert (len(heard.raw), heard.half_closed, summary.answers) == (5, 5, {"AA": 40})
    heard, summary, _ = await sent(tmp_path, None, "pipelined/40", plan=plan)
    assert heard.largest_read > 10_000 and summary.answers == {"AA": 40}
    heard, summary, rows = await sent(tmp_path, None, "unclosed/10", plan=plan)
    assert heard.broken == ["truncated"] * 4
    assert (summary.unanswered, summary.problems) == (4, {"frame without an end": 4})
    assert [row["fault"] for row in rows].count("unclosed") == 4
    heard, summary, _ = await sent(tmp_path, None, "huge/20", plan=plan, limit=20_000)
    assert (heard.broken, summary.answers) == (["too_large"] * 2, {"AA": 38, "AR": 2})
    heard, summary, _ = await sent(tmp_path, None, "noise/2", "doubled/10", "swapped/7", plan=plan)
    assert (len(heard.frames), summary.answers) == (44, {"AA": 44})
    assert set(heard.broken) <= {"noise"}


async def test_a_rate_is_kept_and_what_comes_late_shows_as_late(tmp_path: Path) -> None:
    plan = Plan(kinds=("ADT^A08",), many=40, rate=100, connections=2)
    _, summary, rows = await sent(tmp_path, plan=plan)
    assert 0.3 < summary.seconds < 5
    assert all(float(row["sent"]) >= (int(row["number"]) - 1) / 100 - 0.01 for row in rows)
    assert summary.late_p99_ms >= summary.p99_ms


def test_an_acknowledgement_is_read_by_its_own_marks() -> None:
    assert acknowledged(b"MSH|^~\\&|A\rMSA|AA|17\r") == ("AA", "17")
    assert acknowledged(b"MSH#^~\\&#A\rMSA#AE#17#no") == ("AE", "17")
    assert acknowledged(b"MSH|^~\\&|A\rMSA|AR\r") == ("AR", "")
    assert acknowledged(b"MSH|^~\\&|MSA|AA|17\r") == ("", "") and acknowledged(b"") == ("", "")


async def test_over_http_each_goes_where_it_belongs_under_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503 if len(asked) == 3 else 201)

    real = httpx.AsyncClient
    monkeypatch.setattr(
        httpx,
        "AsyncClient",
        lambda **given: real(transport=httpx.MockTransport(answer), headers=given["headers"]),
    )
    ledger = Ledger(None)
    plan = Plan(kinds=("fhir", "requisition"), many=40)
    await http_sender.send(plan, "http://door/fhir/R4B", "the key", ledger)
    summary = ledger.close()
    assert summary.answers == {"201": 39, "503": 1}
    assert {request.url.path for request in asked} == {
        *("/fhir/R4B", "/fhir/R4B/SupplyRequest", "/fhir/R4B/SupplyDelivery", "/fhir/R4B/DeviceUseStatement")
    }
    assert {request.headers["Authorization"] for request in asked} == {"Bearer the key"}
    assert [request.headers["Idempotency-Key"] for request in asked] == [letter.control for letter in plan.letters()]
    assert {request.headers["Content-Type"] for request in asked} == {"application/fhir+json", "application/json"}
