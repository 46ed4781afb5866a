"""A CSV file comes by REST: kept before it is answered, refused with row and column, and told what became of it row by row."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from canonical.senders import Sender
from gateway.rest import MOST_BYTES_OF_A_FILE
from tests.gateway.csv_house import CATALOGUE, REQUISITIONS
from tests.gateway.rest_house import House, problem
from tests.gateway.test_csv_files import BAD_ROWS

TERMS = {"cost_centre": "CC-4100", "deliver_to": "NGH-W3", "requester": "E-1001"}


async def uploaded(
    house: House,
    data: bytes,
    feed: str = "catalogue",
    key: str | None = "k-1",
    by: str = "system",
    kind: str = "text/csv",
) -> httpx.Response:
    return await house.post(data, key, by=by, path=f"/v1/files/{feed}", **{"Content-Type": kind})


async def test_a_file_is_kept_answered_with_a_place_to_look_and_taken(house: House) -> None:
    answer = await uploaded(house, CATALOGUE)
    said = answer.json()
    assert (answer.status_code, said["status"], said["rows"]) == (202, "kept", 3)
    assert answer.headers["location"] == said["href"] == f"/v1/files/{said['message']}"
    assert len(said["sha256"]) == 64
    (message,) = [one for one in house.messages if one.direction == "in"]
    assert (message.id, message.kind, message.state, message.data) == (
        said["message"],
        "csv_catalogue",
        "routed",
        CATALOGUE,
    )
    seen = (await house.get(said["href"])).json()
    assert (seen["status"], seen["rows"], seen["taken"]) == ("taken", 3, 3) and "faults" not in seen
    assert house.drifts.rows == ["2", "3", "4"]


async def test_each_row_that_is_not_taken_is_told_with_its_column_and_reason(house: House) -> None:
    said = (await uploaded(house, BAD_ROWS)).json()
    seen = (await house.get(said["href"])).json()
    assert (seen["status"], seen["rows"], seen["taken"], seen["refused"]) == ("taken in part", 6, 3, 3)
    assert seen["faults"][0] == {"row": 5, "column": "price", "reason": "this is no number like 12.50"}
    assert house.results.files == {}, "nobody looks into a folder"


async def test_a_column_nobody_reads_is_named_where_its_sender_looks(house: House) -> None:
    said = (await uploaded(house, CATALOGUE.replace(b"base_units", b"base_unit"))).json()
    seen = (await house.get(said["href"])).json()
    assert seen["unread"] == ["base_unit"]


async def test_a_key_used_for_something_else_changes_nothing_of_it(house: House) -> None:
    house.rows = [house.rows[0].changed(**TERMS)]
    said = (await uploaded(house, REQUISITIONS, "requisitions")).json()
    before = [(one.id, one.state, one.reason) for one in house.messages]
    as_requisition = await house.post(REQUISITIONS, "k-1")
    as_catalogue = await uploaded(house, REQUISITIONS)
    for answer in (as_requisition, as_catalogue):
        problem(answer, 422, "idempotency-key-reused")
    assert [(one.id, one.state, one.reason) for one in house.messages] == before
    assert (await house.get(said["href"])).json()["status"] == "taken"


async def test_requisitions_start_and_their_cases_are_told(house: House) -> None:
    house.rows = [house.rows[0].changed(**TERMS)]
    said = (await uploaded(house, REQUISITIONS, "requisitions")).json()
    seen = (await house.get(said["href"])).json()
    assert [(one["row"], one["case"]) for one in seen["requisitions"]] == [
        (2, "procure_to_pay/NGH/surgery-app/R-1"),
        (3, "procure_to_pay/NGH/surgery-app/R-2"),
    ]
    assert len(house.engine.started) == 2


async def test_the_same_key_is_the_same_file_and_never_another(house: House) -> None:
    first, again = (await uploaded(house, CATALOGUE)).json(), (await uploaded(house, CATALOGUE)).json()
    assert first["message"] == again["message"] and house.drifts.rows == ["2", "3", "4"]
    problem(await uploaded(house, BAD_ROWS), 422, "idempotency-key-reused")
    assert (await uploaded(house, BAD_ROWS, key="k-2")).status_code == 202


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (b"item,item,unit\nA,A,EA\n", "row 1", "twice"),
        (b"H,C-1,2026-11-21\nitem,unit\nA,EA\nT,2\n", "T", "T says 2 rows, there are 1"),
        (b"", "file", "empty"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_at_once_and_kept(
    house: House, data: bytes, path: str, reason: str
) -> None:
    for _ in range(2):
        answer = await uploaded(house, data)
        told = problem(answer, 422, answer.json()["code"])
        assert reason in str(told["detail"])
    ((message),) = house.messages
    assert (message.state, message.data) == ("refused", data)
    seen = (await house.get(f"/v1/files/{message.id}")).json()
    assert seen["status"] == "refused" and reason in seen["reason"]
    first = (await uploaded(house, data, key="k-2")).json()
    assert first["errors"][0]["path"] == path


async def test_who_may_not_and_what_is_no_file_is_refused_in_the_one_form(house: House) -> None:
    problem(await uploaded(house, CATALOGUE, key=None), 400, "data-missing")
    problem(await uploaded(house, CATALOGUE, kind="application/json"), 415, "parse")
    problem(await uploaded(house, CATALOGUE, "payroll"), 404, "not-found")
    problem(await uploaded(house, CATALOGUE, by="free"), 403, "not-allowed")
    house.rows = [house.rows[0].changed(source="pharmacy-app", **TERMS)]
    problem(await uploaded(house, REQUISITIONS, "requisitions"), 403, "not-allowed")
    house.rows = [house.rows[0].changed(facility="SGH")]
    problem(await uploaded(house, CATALOGUE), 403, "not-allowed")
    house.rows = [house.rows[0].changed(facility="NGH", kinds=("csv_requisitions",))]
    problem(await uploaded(house, CATALOGUE), 403, "not-allowed")
    problem(await house.get("/v1/files/nothing"), 404, "not-found")
    assert {one.state for one in house.messages} == {"refused"}


async def test_a_file_of_another_sender_is_nobody_elses(house: House) -> None:
    said = (await uploaded(house, CATALOGUE)).json()
    problem(await house.get(said["href"], by="free"), 404, "not-found")


async def test_a_file_may_be_larger_than_a_request_of_a_case_and_has_its_own_end(house: House) -> None:
    row = b"ITM-1,ALP-1," + b"x" * 500 + b",BX,1,1,\n"
    large = CATALOGUE + row * 4000
    assert len(large) > 2_000_000 and (await uploaded(house, large)).status_code == 202
    problem(await uploaded(house, b" " * (MOST_BYTES_OF_A_FILE + 1), key="k-2"), 413, "too-large")


async def test_while_our_store_is_away_nothing_is_said_to_be_kept(house: House) -> None:
    house.journal.away = True
    problem(await uploaded(house, CATALOGUE), 503, "unavailable")
    house.journal.away = False
    assert (await uploaded(house, CATALOGUE)).status_code == 202


async def test_a_file_that_waits_says_so_until_it_is_taken(house: House) -> None:
    house.drifts.away = True
    said = (await uploaded(house, CATALOGUE)).json()
    assert (await house.get(said["href"])).json()["status"] == "kept"
    house.drifts.away = False
    await house.intake.route(house.journal.messages[said["message"]])
    assert (await house.get(said["href"])).json()["status"] == "taken"


def test_a_sender_of_files_needs_no_address() -> None:
    assert Sender(code="orplan", facility="NGH", dialect="rest").bad_rows == "apart"


async def test_while_a_file_is_worked_on_its_place_says_how_far_and_a_repeat_begins_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.csv_files.ENTRIES_AT_ONCE", 1)
    monkeypatch.setattr("gateway.csv_work.OFTEN", 0.0)
    compare, seen = house.drifts.compare, []

    async def slow(*args: Any) -> Any:
        (message,) = [one for one in house.messages if one.direction == "in"]
        again = (await uploaded(house, CATALOGUE)).json()
        assert again["message"] == message.id
        view = (await house.get(again["href"])).json()
        seen.append((view["status"], view["rows"], view.get("done", 0)))
        return await compare(*args)

    monkeypatch.setattr(house.drifts, "compare", slow)
    said = (await uploaded(house, CATALOGUE)).json()
    assert seen == [("kept", 3, 0), ("kept", 3, 1), ("kept", 3, 2)]
    assert house.drifts.rows == ["2", "3", "4"]
    view = (await house.get(said["href"])).json()
    assert (view["status"], "done" in view) == ("taken", False)
