"""A CSV file is taken whole or in part, as was agreed: nothing of it is lost or doubled, wherever it is broken off."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from typing import Any

import pytest

from canonical.errors import Rejected, Unavailable
from canonical.senders import Mapping
from canonical.steps import ClaimRequest
from gateway.csv_files import MOST_BAD
from gateway.csv_results import result_name
from tests.gateway.csv_house import CATALOGUE, NOW, REQUISITIONS, SUPPLIER, WARD, House


async def test_a_catalogue_is_held_against_the_register_with_its_prices_and_days() -> None:
    house = House()
    message = await house.taken(CATALOGUE)
    ((file, name, _),) = house.drifts.files
    assert (name, file.source, file.facility, file.kind) == (message.id, "ALPINE", "NGH", "catalogue")
    glove = file.entries[0]
    assert (glove.item, glove.supplier, glove.catalogue_number) == ("ITM-1001", "ALPINE", "ALP-1")
    (price,) = glove.prices
    assert (str(price.price), price.unit, price.valid_from) == ("18.75 USD", "BX", date(2026, 12, 1))
    assert [(one.unit, one.base_units) for one in glove.packagings] == [("BX", 100)]
    assert file.entries[2].prices[0].valid_from == date(2027, 1, 1)
    assert message.state == "routed" and "3 of 3 rows taken" in message.reason and "differ" in message.reason
    assert house.result[1].startswith(",taken,,3 of 3 rows taken; sha-256 ")
    assert house.cases.unmatched == {} and house.started == []


async def test_rows_of_one_number_are_one_requisition_wherever_they_stand() -> None:
    house = House()
    message = await house.taken(REQUISITIONS, "requisitions")
    one, two = sorted(house.started, key=lambda asked: asked.number)
    assert (one.number, [line.id for line in one.lines], one.note) == ("R-1", ["1", "2"], "for Monday")
    assert (one.source, one.department, one.deliver_to, one.requester) == ("ward-desk", "surgery", "NGH-W3", "E-1001")
    assert (two.number, str(two.lines[0].quantity)) == ("R-2", "1 BX")
    assert message.state == "routed"
    assert house.result[2:] == [
        "2,taken,number,requisition R-1: procure_to_pay/NGH/ward-desk/R-1",
        "3,taken,number,requisition R-2: procure_to_pay/NGH/ward-desk/R-2",
    ]


BAD_ROWS = CATALOGUE + b"ITM-1004,ALP-4,Cap,BX,100,twelve,\nITM-1005,ALP-5\nITM-1006,ALP-6,Drape,BX,0,3,\n"


async def test_bad_rows_stand_apart_each_in_the_list_and_the_good_ones_are_taken() -> None:
    house = House()
    message = await house.taken(BAD_ROWS)
    assert house.drifts.rows == ["2", "3", "4"] and message.state == "routed"
    assert house.result[1].startswith(',taken in part,,"3 of 6 rows taken, 3 refused; sha-256')
    assert house.result[2:] == [
        "5,refused,price,this is no number like 12.50",
        '6,refused,,"it has 2 values, there are 7 columns"',
        "7,refused,base_units,this is no whole number above nothing",
    ]
    apart = house.of_kind("csv_catalogue_rows")
    assert [(one.state, one.control_number) for one in apart] == [("dead", f"row {number}") for number in (5, 6, 7)]
    title = CATALOGUE.splitlines()[0].decode()
    assert apart[0].data.decode().splitlines() == [title, "ITM-1004,ALP-4,Cap,BX,100,twelve,"], "with its content"
    assert apart[0].reason == "row 5 price: this is no number like 12.50"
    listed = list(house.cases.unmatched.values())
    assert [(one.kind, one.number, one.message) for one in listed] == [
        ("catalogue_row", f"row {number}", row.id) for number, row in zip((5, 6, 7), apart, strict=True)
    ]
    assert "[owner: purchasing]" in listed[0].reason and "price" in listed[0].reason


async def test_by_the_other_policy_one_bad_row_refuses_the_whole_file() -> None:
    for house in (House(SUPPLIER.changed(bad_rows="refuse all")), House()):
        house.policies["IN"] = "refuse all"
        message = await house.taken(BAD_ROWS)
        assert (message.state, house.drifts.files) == ("refused", [])
        assert house.result[1].startswith(",refused,,") and len(house.result) == 5
        assert house.of_kind("csv_catalogue_rows") == []
        (listed,) = house.cases.unmatched.values()
        assert (listed.kind, listed.number, listed.message) == ("unreadable", "file", message.id)
        assert "row 5" in listed.reason


async def test_a_source_may_take_the_good_rows_of_a_sender_that_else_is_refused_whole() -> None:
    house = House(SUPPLIER.changed(bad_rows="refuse all"))
    house.policies["IN"] = "apart"
    assert (await house.taken(BAD_ROWS)).state == "routed" and house.drifts.rows == ["2", "3", "4"]


async def test_a_requisition_with_a_bad_row_is_set_apart_with_all_its_rows_and_no_other() -> None:
    house = House()
    data = REQUISITIONS.replace(b"ITM-1003,10", b"ITM-1003,none")
    await house.taken(data, "requisitions")
    assert [asked.number for asked in house.started] == ["R-2"]
    assert house.result[2:] == [
        "2,refused,,it belongs with row 4",
        "3,taken,number,requisition R-2: procure_to_pay/NGH/ward-desk/R-2",
        "4,refused,quantity,this is no number like 12.50",
    ]
    (apart,) = house.of_kind("csv_requisitions_rows")
    assert apart.data.decode().count("R-1,") == 2


async def test_rows_set_apart_are_taken_once_their_code_has_a_row_in_the_table() -> None:
    house = House()
    house.tables = [Mapping(sender="WARD-FILES", table="item", rows={"ITM-1001": "ITM-1", "ITM-1003": "ITM-3"})]
    await house.taken(REQUISITIONS, "requisitions")
    assert [asked.number for asked in house.started] == ["R-1"]
    (apart,) = house.of_kind("csv_requisitions_rows")
    assert apart.state == "dead" and "no item for code ITM-1002" in apart.reason
    await house.intake.route(apart)
    assert house.now(apart).state == "refused" and len(house.started) == 1, "nothing was mended"
    house.tables = [house.tables[0].changed(rows={**house.tables[0].rows, "ITM-1002": "ITM-2"})]
    await house.intake.route(apart)
    assert [asked.number for asked in house.started] == ["R-1", "R-2"]
    assert house.now(apart).state == "routed" and house.now(apart).case.endswith("/R-2")


async def test_a_refused_file_that_is_replayed_tells_its_sender_what_became_of_it_then() -> None:
    house = House()
    house.policies["IN"] = "refuse all"
    message = await house.taken(BAD_ROWS)
    assert house.result[1].startswith(",refused,,")
    house.policies["IN"] = "apart"
    await house.intake.route(message)
    assert house.now(message).state == "routed" and house.result[1].startswith(",taken in part,,")
    (answer,) = [one for one in house.of_kind("csv_result") if one.id == house.now(message).answer]
    assert answer.data.decode().splitlines() == house.result


async def test_a_number_known_with_other_content_is_refused_alone_and_its_rows_are_told() -> None:
    house = House()
    await house.taken(REQUISITIONS, "requisitions")
    house.results.files.clear()
    other = REQUISITIONS.replace(b"ITM-1002,1", b"ITM-1002,2").replace(b"R-1", b"R-3")
    message = await house.taken(other, "requisitions", "second.csv")
    assert sorted(asked.number for asked in house.started) == ["R-1", "R-2", "R-3"] and message.state == "routed"
    assert house.result[3].startswith("3,refused,number,") and "known with other content" in house.result[3]
    assert "1 refused" in house.result[1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"item,unit\n", "no row"),
        (b"item,item,unit\nA,A,EA\n", "twice"),
        (b"thing,unit\nA,EA\n", "no column catalogue_number or item"),
        (b"H,C-1,2026-11-21\nitem,unit,price\nA,EA,1\nT,2,1\n", "T says 2 rows, there are 1"),
        (b"H,C-1,2026-11-21\nitem,unit,price\nA,EA,1\n", "cut off"),
        ("item,unit\nA,EA\n".encode("utf-16-le"), "UTF-16"),
    ],
)
async def test_a_file_that_cannot_be_read_is_kept_whole_listed_and_its_sender_told(data: bytes, reason: str) -> None:
    house = House()
    message = await house.taken(data)
    assert (message.state, message.data, house.drifts.files) == ("refused", data, [])
    (listed,) = house.cases.unmatched.values()
    assert reason in message.reason and reason in listed.reason and reason in house.result[1]


async def test_counts_that_a_sender_must_give_are_missed() -> None:
    house = House(SUPPLIER.changed(counts="required"))
    assert "no H record" in (await house.taken(CATALOGUE)).reason
    counted = b"H,C-1,2026-11-21,3\n" + CATALOGUE + b"T,3,29.85\n"
    assert (await house.taken(counted, name="counted.csv")).state == "routed"
    assert house.drifts.files[0][0].number == "C-1" and house.drifts.files[0][0].issued_on == date(2026, 11, 21)


async def test_a_counted_file_cut_anywhere_is_refused_and_one_without_counts_loses_only_what_was_cut() -> None:
    counted = b"H,C-1,2026-11-21,3\n" + CATALOGUE + b"T,3,29.85\n"
    for end in range(0, len(counted) - len(b"3,29.85\n"), 7):
        house = House()
        assert (await house.taken(counted[:end])).state == "refused"
        assert house.drifts.files == [] and len(house.cases.unmatched) == 1
    for end in range(len(CATALOGUE.splitlines()[0]) + 2, len(CATALOGUE), 3):
        house = House()
        message = await house.taken(CATALOGUE[:end])
        begun = CATALOGUE[:end].rstrip(b"\n").count(b"\n")
        apart = len(house.of_kind("csv_catalogue_rows"))
        assert message.state == "routed" and len(house.drifts.rows) + apart == begun


async def test_while_a_large_file_is_taken_the_sweep_does_not_take_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    message = await house.kept(CATALOGUE)
    compare = house.drifts.compare

    async def slow(*args: Any) -> Any:
        assert not await house.intake.route(message), "the sweep comes by"
        return await compare(*args)

    monkeypatch.setattr(house.drifts, "compare", slow)
    assert await house.intake.route(message)
    assert house.drifts.rows == ["2", "3", "4"] and house.now(message).state == "routed"


async def test_more_bad_rows_than_anybody_would_look_at_refuse_the_file() -> None:
    house = House()
    message = await house.taken(CATALOGUE + b"x\n" * (MOST_BAD + 1))
    assert message.state == "refused" and str(MOST_BAD) in message.reason
    assert len(house.cases.unmatched) == 1 and house.drifts.files == []


class Killed(BaseException):
    """The process ends here."""


STEPS = ("keep", "keep_many", "mark", "mark_many", "answered", "read")


@pytest.mark.parametrize("feed", ["catalogue", "requisitions"])
async def test_killed_at_any_step_and_begun_again_it_loses_and_doubles_no_row(
    feed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = BAD_ROWS if feed == "catalogue" else REQUISITIONS + b"R-9,1,ITM-1001,x,BX,\n"
    broken = 0
    for step in range(1, 60):
        house = House()
        message = await house.kept(data, feed)
        with monkeypatch.context() as killed:
            count = _dies_before(step, house, killed)
            try:
                await house.intake.route(message)
            except Killed:
                broken += 1
        for case, began in house.engine.started:  # as the case's first step does, whatever became of us
            await house.cases.claim(ClaimRequest(case=case, run="run-1", data=began, as_of=NOW))
        if house.now(message).state in ("received", "validated"):
            await house.intake.route(message)
        _all_of_it_once(house, feed, message.id)
        if count[0] < step:
            break
    assert broken == step - 1 > 8, "every step was tried"


def _dies_before(step: int, house: House, killed: pytest.MonkeyPatch) -> list[int]:
    """The process dies before (odd) or after (even) a step outside of itself."""
    done = [0]

    def dying(target: object, name: str) -> None:
        real = getattr(target, name)

        async def call(*args: object, **kwargs: object) -> object:
            done[0] += 1
            if done[0] == step:
                raise Killed
            found = await real(*args, **kwargs)
            done[0] += 1
            if done[0] == step:
                raise Killed
            return found

        killed.setattr(target, name, call)

    for name in STEPS:
        dying(house.journal, name)
    dying(house.cases, "put_unmatched")
    dying(house.engine, "start_requisition")
    dying(house.drifts, "compare")
    dying(house.results, "put")
    return done


def _all_of_it_once(house: House, feed: str, message: str) -> None:
    assert house.journal.messages[message].state == "routed"
    assert house.journal.messages[house.journal.messages[message].answer].state == "sent"
    apart = house.of_kind(f"csv_{feed}_rows")
    if feed == "catalogue":
        assert set(house.drifts.rows) == {"2", "3", "4"}, "held against the register twice is the same as once"
        assert len(apart) == len(house.cases.unmatched) == 3 and "3 of 6" in house.result[1]
    else:
        assert sorted({case for case, _ in house.engine.started}) == sorted(case for case, _ in house.engine.started)
        assert len(house.engine.started) == 2 and "3 of 4" in house.result[1]
        assert len(apart) == len(house.cases.unmatched) == 1
    assert {one.state for one in apart} == {"dead"}


async def test_what_is_away_makes_the_file_wait_and_nothing_is_told_before_it_is_taken() -> None:
    for away in ("drifts", "results", "engine"):
        house = House()
        feed, data = ("requisitions", REQUISITIONS) if away == "engine" else ("catalogue", CATALOGUE)
        getattr(house, away).away = True
        message = await house.taken(data, feed)
        assert message.state in ("received", "validated") and house.results.files == {}
        getattr(house, away).away = False
        await house.intake.route(message)
        assert house.now(message).state == "routed" and len(house.results.files) == 1


async def test_a_result_that_nobody_lets_us_put_is_kept_as_a_dead_letter_and_the_file_is_taken() -> None:
    house = House()
    house.results.refuses = True
    message = await house.taken(CATALOGUE)
    assert message.state == "routed" and house.journal.messages[message.answer].state == "dead"


async def test_a_file_out_of_its_senders_scope_is_refused() -> None:
    house = House(SUPPLIER.changed(kinds=("csv_requisitions",)))
    assert "not in the scope" in (await house.taken(CATALOGUE)).reason
    assert (await House(WARD).taken(CATALOGUE)).state == "dead", "whoever is in no row has nobody to be told"


def test_thirty_thousand_rows_take_the_memory_of_a_few_thousand() -> None:
    run = [sys.executable, "-m", "tests.gateway.csv_memory"]
    few, many = (_last_line([*run, rows]) for rows in ("3000", "30000"))
    assert many - few < 25_000_000, f"{many - few} bytes more, of which the file itself is two times 1.7 million"


def _last_line(run: list[str]) -> int:
    return int(subprocess.run(run, check=True, capture_output=True).stdout.splitlines()[-1])


async def test_journal_failures_name_no_row_twice_and_unknown_senders_rows_are_refused() -> None:
    house = House()
    await house.taken(BAD_ROWS)
    (apart, *_) = house.of_kind("csv_catalogue_rows")
    house.rows.clear()
    await house.intake.route(apart)
    assert house.now(apart).state == "refused"
    with pytest.raises(Rejected):
        await house.files.opened(CATALOGUE, "csv_nothing", SUPPLIER)
    with pytest.raises(Unavailable):
        await house.files._route(apart.model_copy(update={"id": "gone"}))


def test_a_file_of_a_very_long_name_has_a_result_of_a_name_that_fits() -> None:
    names = [result_name("ä" * 126 + ending) for ending in ("1.csv", "2.csv")]
    assert names[0] != names[1] and all(len(name.encode()) < 255 - 40 for name in names)
    assert result_name("stock.csv") == "stock.result.csv"
