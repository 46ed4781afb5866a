"""A count is held against what should be there, and each difference has its likeliest cause."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from canonical.counting import CAUSES, FAULTS, MOST_LINES, Counted, Standing, Variance, compared, postings
from canonical.shelves import Parcel, Shelf
from canonical.supply import Item, Packaging

GLOVE = Item(code="GLOVE", packagings=(Packaging(unit="BX", base_units=100),))
VALVE = Item(code="VALVE", tracking="implant")


def held(*lines: Counted, kind: str = "par", first: bool = False, **standing: Any) -> list[Variance]:
    known = Standing(**({"item": GLOVE} | standing))
    return compared(kind, lines, {known.item.code: known}, first=first)


def one(quantity: int, **standing: Any) -> Variance:
    (found,) = held(Counted(1, "GLOVE", quantity), **standing)
    return found


def test_what_is_there_as_it_should_be_is_matched() -> None:
    found = one(7, expected={("", ""): 5, ("L-1", ""): 2})
    assert (found.state, found.variance, found.adjusted, found.cause) == ("matched", 0, 0, "")


@pytest.mark.parametrize(
    ("quantity", "standing", "cause"),
    [
        (4, {}, "unscanned-use"),
        (9, {}, "found"),
        (107, {}, "unit-slip"),
        (8, {"late": 1}, "late-use"),
    ],
)
def test_a_difference_is_booked_with_its_likeliest_cause(quantity: int, standing: dict[str, int], cause: str) -> None:
    found = one(quantity, expected={("", ""): 7}, **standing)
    assert (found.state, found.cause, found.adjusted) == ("adjusted", cause, quantity - 7) and cause in CAUSES


@pytest.mark.parametrize(
    ("standing", "cause"), [({"waiting": 3}, "waiting-uses"), ({"to_put_away": 3}, "not-put-away")]
)
def test_what_is_on_its_way_into_the_books_is_explained_and_not_booked_twice(
    standing: dict[str, int], cause: str
) -> None:
    found = one(10, expected={("", ""): 7}, **standing)
    assert (found.state, found.cause, found.adjusted, found.variance) == ("explained", cause, 0, 3)


def test_boxes_counted_as_single_ones_wait_until_they_are_counted_so_again() -> None:
    for counted, expected in ((3, 300), (300, 3)):
        found = one(counted, expected={("", ""): expected})
        assert (found.state, found.cause, found.adjusted) == ("parked", "unit-slip", 0) and "unit-slip" in FAULTS
        (again,) = held(Counted(1, "GLOVE", counted, again=True), expected={("", ""): expected})
        assert (again.state, again.adjusted) == ("adjusted", counted - expected)
    assert one(0, expected={("", ""): 300}).state == "adjusted", "an empty shelf is no slip of a unit"


def test_a_used_serial_that_the_erp_has_as_a_lot_is_not_found_again_by_a_count() -> None:
    used = {("S-1", ""): 1, ("", "S-1"): -1, ("S-2", ""): 1}
    found = held(Counted(1, "VALVE", 0, "S-1"), Counted(2, "VALVE", 1, "S-2"), item=VALVE, expected=used)
    assert [(line.lot or line.serial, line.state, line.adjusted) for line in found] == [
        ("S-1", "matched", 0),
        ("S-2", "matched", 0),
    ]


def test_lots_taken_for_each_other_are_seen_as_that() -> None:
    expected = {("L-1", ""): 5, ("L-2", ""): 5}
    found = held(Counted(1, "GLOVE", 4, "L-1"), Counted(2, "GLOVE", 6, "L-2"), expected=expected)
    assert [(each.lot, each.adjusted, each.cause) for each in found] == [
        ("L-1", -1, "lot-swapped"),
        ("L-2", 1, "lot-swapped"),
    ]


def test_a_lot_nobody_names_is_not_there_where_lots_were_counted() -> None:
    expected = {("L-1", ""): 5, ("L-2", ""): 2, ("L-3", ""): 0}
    found = held(Counted(1, "GLOVE", 5, "L-1"), expected=expected, expires={"L-2": date(2027, 1, 1)})
    assert [(each.line, each.lot, each.adjusted, each.expires) for each in found] == [
        (1, "L-1", 0, None),
        (0, "L-2", -2, date(2027, 1, 1)),
    ]


def test_a_serial_is_counted_by_its_number_and_which_one_is_missing_is_not_guessed() -> None:
    expected = {("V1", "S-1"): 1, ("V1", "S-2"): 1}
    by_serial = held(Counted(1, "VALVE", 1, "S-1"), item=VALVE, expected=expected)
    assert [(each.lot, each.serial, each.adjusted) for each in by_serial] == [("V1", "S-1", 0), ("V1", "S-2", -1)]
    (by_lot,) = held(Counted(1, "VALVE", 1, "V1"), item=VALVE, expected=expected)
    assert (by_lot.state, by_lot.cause) == ("parked", "which-serial")


def test_the_erps_first_count_is_the_opening_and_later_ones_find_drift() -> None:
    lines = (Counted(1, "GLOVE", 90, "L-1", date(2027, 1, 1)), Counted(2, "GLOVE", 10))
    opening = held(*lines, kind="erp", first=True)
    assert [(each.lot, each.adjusted, each.cause, each.expires) for each in opening] == [
        ("L-1", 90, "opening", date(2027, 1, 1)),
        ("", 10, "opening", None),
    ]
    later = held(lines[0], kind="erp", expected={("L-1", ""): 90, ("", ""): 10})
    assert [(each.lot, each.adjusted, each.cause) for each in later] == [("L-1", 0, ""), ("", -10, "changed-outside")]
    assert [each.adjusted for each in held(kind="erp", expected={("L-1", ""): 4})] == [-4]


def test_a_serial_the_erp_holds_as_a_lot_comes_to_lie_where_its_lot_is_known() -> None:
    expected = {("", "S-1"): 1, ("V1", "S-1"): -1, ("V2", "S-2"): 1}
    found = held(Counted(1, "VALVE", 1, "S-2"), kind="erp", item=VALVE, expected=expected)
    assert [(each.lot, each.serial, each.adjusted) for each in found] == [
        ("V2", "S-2", 0),
        ("", "S-1", -1),
        ("V1", "S-1", 1),
    ]
    assert {each.cause for each in found if each.adjusted} == {"lot-swapped"}


def test_a_serial_the_erp_opened_may_be_used_under_its_lot() -> None:
    for opened in (Parcel(1, "S-1"), Parcel(1, "", "S-1")):
        shelf = Shelf([opened])
        assert shelf.available("V1", "S-1") == 1 and shelf.available("V1", "S-2") == 0
        shelf.move("V1", "S-1", -1)
        assert shelf.available("V1", "S-1") == 0


def test_the_erp_is_told_of_what_is_booked_under_keys_of_its_own() -> None:
    expected = {("L/1", ""): 5, ("L-2", ""): 5, ("L-3", ""): 1}
    found = held(
        Counted(1, "GLOVE", 4, "L/1"), Counted(2, "GLOVE", 8, "L-2"), Counted(3, "GLOVE", 1, "L-3"), expected=expected
    )
    (told,) = postings("CASE/7/adjust/C-1", "NGH", "OR-1", date(2026, 3, 2), "count 1", found)
    assert (told.kind, told.location) == ("adjust", "OR-1")
    assert [(line.key, line.lot, line.quantity, line.back) for line in told.lines] == [
        ("CASE/7/adjust/C-1/GLOVE/L%2F1/1", "L/1", 1, False),
        ("CASE/7/adjust/C-1/GLOVE/L-2/2", "L-2", 3, True),
    ]
    assert postings("K", "NGH", "OR-1", date(2026, 3, 2), "", held(Counted(1, "GLOVE", 0), expected={})) == []


def test_a_large_count_is_several_documents() -> None:
    found = [Variance(n, "GLOVE", f"L{n}", "", 1, 0, "adjusted", adjusted=1) for n in range(1, MOST_LINES + 3)]
    told = postings("K", "NGH", "OR-1", date(2026, 3, 2), "", found)
    assert [(one.key, len(one.lines)) for one in told] == [("K", MOST_LINES), ("K/2", 2)]
    assert len({line.key for one in told for line in one.lines}) == len(found)
