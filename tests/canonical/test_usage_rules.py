"""Each finding of a use is reached, goes its way, and is passed over once a person allowed it; rules decide in their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.parties import Location
from canonical.shelves import Parcel, Shelf
from canonical.supply import Item, Packaging, SupplierItem
from canonical.udi import Udi
from canonical.usage import DEFAULT_ROUTES, FINDINGS, OWNER, UsageEvent, UsagePolicy, UsageRule
from canonical.usage_rules import IMPOSSIBLE, Circumstances, Use, judge

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ITEM = Item(
    code="SCREW",
    tracking="lot",
    chargeable=True,
    packagings=(Packaging(unit="BX", base_units=10, gtin="10000000000007"), Packaging(unit="DZ", base_units=12)),
    suppliers=(SupplierItem(supplier="ALPINE", catalogue_number="1", order_unit="CA", packagings=(
        Packaging(unit="CA", base_units=100, gtin="20000000000004"),)),),
)  # fmt: skip
PLACE = Location(code="OR-1", facility="NGH", cost_centre="CC-1", service_line="surgery")
POSTED = Use(id="U1", state="posted", location="OR-1", item="SCREW", quantity=3, lot="L-1", chargeable=True)


def use(**fields: Any) -> UsageEvent:
    about = {"facility": "NGH", "source": "orsys", "number": "1", "location": "OR-1", "item": "SCREW", "lot": "L-1"}
    return UsageEvent.model_validate(about | {"used_at": NOW, "amount": Decimal(1)} | fields)


def around(**fields: Any) -> Circumstances:
    shelf = Shelf([Parcel(10, "L-1", "", date(2026, 12, 31))])
    known: dict[str, Any] = {"item": ITEM, "location": PLACE, "shelf": shelf, "reported_at": NOW}
    return Circumstances(**{"policy": UsagePolicy(facility="NGH"), **known, **fields})


def void(**fields: Any) -> UsageEvent:
    return use(kind="void", voids_number="1", number="V", item="", lot="", **fields)


REACHED: dict[str, tuple[UsageEvent, Circumstances]] = {
    "unknown-item": (use(), around(item=None)),
    "inactive-item": (use(), around(item=ITEM.model_copy(update={"active": False}))),
    "unknown-unit": (use(unit="CA"), around()),
    "not-integral": (use(amount=Decimal("0.25"), unit="BX"), around()),
    "unknown-location": (use(), around(location=None)),
    "inactive-location": (use(), around(location=PLACE.model_copy(update={"active": False}))),
    "unreadable-barcode": (use(lot="", barcode_unread=True), around()),
    "lot-missing": (use(lot=""), around()),
    "expired": (use(expires=date(2026, 3, 1)), around()),
    "recalled": (use(), around(recall="Z-0815-2026")),
    "serial-used-before": (use(serial="S"), around(used_before=True)),
    "beyond-balance": (use(amount=11), around()),
    "unknown-use": (void(), around()),
    "voided-before": (void(), around(use=replace(POSTED, voided_by="U9"))),
    "partial-void": (void(amount_stated=True, amount=2), around(use=replace(POSTED, amount=Decimal(3)))),
    "in-the-future": (use(used_at=NOW + timedelta(minutes=16)), around()),
    "too-old": (use(used_at=NOW - timedelta(days=7, minutes=1)), around()),
    "no-cost-centre": (use(), around(location=PLACE.model_copy(update={"cost_centre": None}))),
    "by-rule": (use(amount=9), around(policy=UsagePolicy(facility="NGH", rules=(UsageRule(over=Decimal(8), route="review"),)))),
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "was", "part"),
    [
        ({"amount": 2}, {"amount": Decimal(5), "quantity": 5}, False),
        ({"amount": 2, "amount_stated": True}, {"amount": Decimal(5), "quantity": 5}, True),
        ({"amount": 5, "amount_stated": True}, {"amount": Decimal(5), "quantity": 5}, False),
        ({"amount": 1, "amount_stated": True}, {"amount": Decimal(1), "unit": "BX", "quantity": 10}, False),
        (
            {"amount": 10, "unit": "EA", "amount_stated": True},
            {"amount": Decimal(1), "unit": "BX", "quantity": 10},
            False,
        ),
        (
            {"amount": 9, "unit": "EA", "amount_stated": True},
            {"amount": Decimal(1), "unit": "BX", "quantity": 10},
            True,
        ),
        ({"amount": 1, "unit": "BX", "amount_stated": True}, {"amount": Decimal(10), "quantity": None}, False),
        ({"amount": 50, "unit": "CASK", "amount_stated": True}, {"amount": Decimal(5), "quantity": 5}, True),
    ],
)
def test_a_void_of_less_than_was_used_is_a_persons_to_decide(
    said: dict[str, Any], was: dict[str, Any], part: bool
) -> None:
    judged = judge(void(**said), around(use=replace(POSTED, **was), used_item=ITEM))
    assert (judged.finding == "partial-void", judged.route) == (part, "park" if part else "post")
    allowed = judge(void(**said), around(use=replace(POSTED, **was), used_item=ITEM, allowed=("partial-void",)))
    assert (allowed.route, allowed.quantity) == ("post", was["quantity"])


def test_every_finding_is_reached_but_the_erps_own() -> None:
    assert set(REACHED) | {"refused-by-erp"} == set(FINDINGS) == set(DEFAULT_ROUTES)


@pytest.mark.parametrize("finding", sorted(REACHED))
def test_a_finding_goes_its_way_with_its_owner_and_says_why(finding: str) -> None:
    event, known = REACHED[finding]
    judged = judge(event, known)
    assert (judged.finding, judged.route) == (finding, DEFAULT_ROUTES[finding])
    assert finding in judged.findings and judged.reason.startswith(FINDINGS[finding])
    assert judged.owner == ("" if judged.route == "post" else OWNER)


@pytest.mark.parametrize("finding", sorted(REACHED))
def test_what_a_person_allowed_is_passed_over_unless_nothing_can_be_posted_without_it(finding: str) -> None:
    event, known = REACHED[finding]
    judged = judge(event, replace(known, allowed=("expired", finding)))
    assert judged.route == ("park" if finding in IMPOSSIBLE else "post") and judged.finding == finding


def test_of_several_findings_the_gravest_decides_and_all_are_told() -> None:
    judged = judge(use(amount=50, expires=date(2026, 1, 1), used_at=NOW - timedelta(days=9)), around())
    assert (judged.route, judged.finding) == ("park", "expired")
    assert judged.findings == ("too-old", "expired", "beyond-balance")
    assert "50 used, 10 there" in judged.reason and "9 days" in judged.reason
    assert judge(use(amount=50, expires=date(2026, 1, 1)), around(allowed=("expired",))).finding == "beyond-balance"


@pytest.mark.parametrize(
    ("rule", "route"),
    [
        (UsageRule(finding="expired", route="post"), "post"),
        (UsageRule(finding="expired", item="SCREW", location="OR-1", tracking="lot", source="orsys", route="post"), "post"),
        (UsageRule(finding="expired", item="OTHER", route="post"), "park"),
        (UsageRule(finding="expired", location="OR-2", route="post"), "park"),
        (UsageRule(finding="expired", tracking="serial", route="post"), "park"),
        (UsageRule(finding="expired", source="lab", route="post"), "park"),
        (UsageRule(finding="expired", over=Decimal(1), route="post"), "park"),
        (UsageRule(finding="recalled", route="post"), "park"),
        (UsageRule(route="review", owner="pharmacy"), "review"),
    ],
)  # fmt: skip
def test_a_rule_decides_where_all_it_says_fits(rule: UsageRule, route: str) -> None:
    policy = UsagePolicy(facility="NGH", rules=(rule, UsageRule(finding="expired", route="park")))
    judged = judge(use(expires=date(2026, 1, 1)), around(policy=policy))
    assert judged.route == route and judged.owner == {"post": "", "park": OWNER}.get(route, "pharmacy")


def test_no_rule_posts_what_cannot_be_posted() -> None:
    policy = UsagePolicy(facility="NGH", rules=(UsageRule(route="post"),))
    assert judge(use(), around(item=None, policy=policy)).route == "park"
    assert judge(use(expires=date(2026, 1, 1)), around(policy=policy)).route == "post"


def test_an_item_expires_by_the_day_it_was_used_where_it_was_used() -> None:
    late = use(used_at=datetime(2026, 3, 2, 3, tzinfo=UTC), expires=date(2026, 3, 1))
    assert judge(late, around()).finding == "expired"
    assert judge(late, around(zone=ZoneInfo("America/Chicago"))).finding == "", "there it is still the first"
    own = use(used_at=datetime(2026, 3, 2, 3, tzinfo=timezone(timedelta(hours=-6))), expires=date(2026, 3, 2))
    assert judge(own, around(reported_at=NOW + timedelta(days=1))).finding == ""


def test_a_lots_day_is_known_from_the_books_where_nobody_scanned_it() -> None:
    shelf = Shelf([Parcel(5, "L-1", "", date(2026, 2, 28))])
    judged = judge(use(), around(shelf=shelf))
    assert (judged.finding, judged.expires) == ("expired", date(2026, 2, 28))


@pytest.mark.parametrize(
    ("fields", "quantity"),
    [
        ({}, 1),
        ({"amount": "2", "unit": "BX"}, 20),
        ({"amount": "0.5", "unit": "BX"}, 5),
        ({"device": Udi(agency="GS1", device="10000000000007")}, 10),
        ({"device": Udi(agency="GS1", device="20000000000004")}, None),
        ({"device": Udi(agency="GS1", device="10000000000007"), "unit": "EA"}, 1),
    ],
)
def test_a_use_is_counted_in_base_units_exactly(fields: dict[str, Any], quantity: int | None) -> None:
    assert judge(use(**fields), around()).quantity == quantity


@given(st.integers(1, 10**8), st.integers(0, 6))
def test_no_fraction_of_a_base_unit_is_ever_posted(digits: int, places: int) -> None:
    amount = Decimal(digits).scaleb(-places)
    judged = judge(use(amount=amount, unit="DZ"), around(shelf=None))
    whole = amount * 12
    assert judged.quantity == (int(whole) if whole == int(whole) else None)
    assert (judged.finding == "not-integral") == (whole != int(whole))


def test_what_is_charged_and_where_is_the_events_own_word_before_the_registers() -> None:
    known = judge(use(), around())
    assert (known.chargeable, known.cost_centre, known.service_line) == (True, "CC-1", "surgery")
    own = judge(use(chargeable=False, cost_centre="CC-9", service_line="cardio"), around())
    assert (own.chargeable, own.cost_centre, own.service_line) == (False, "CC-9", "cardio")


def test_a_void_is_of_its_use() -> None:
    judged = judge(void(), around(use=POSTED))
    assert (judged.route, judged.quantity, judged.lot, judged.chargeable) == ("post", 3, "L-1", True)


class TestShelves:
    def test_a_lot_beyond_its_own_draws_on_what_came_without_a_lot(self) -> None:
        shelf = Shelf([Parcel(3, "A"), Parcel(5), Parcel(2, "B")])
        assert (shelf.available("A", ""), shelf.available("C", ""), shelf.available("", "")) == (8, 5, 5)
        shelf.move("A", "", -6)
        assert (shelf.available("A", ""), shelf.available("B", ""), shelf.total) == (2, 4, 4)

    def test_a_serial_is_its_own_or_one_of_its_lot_that_nobody_noted(self) -> None:
        shelf = Shelf([Parcel(1, "A", "S-1"), Parcel(2, "A")])
        assert (shelf.available("A", "S-1"), shelf.available("A", "S-2"), shelf.lot_of("S-1")) == (3, 2, "A")
        shelf.move("A", "S-2", -1)
        assert shelf.available("A", "S-3") == 1 and shelf.total == 2

    @given(st.lists(st.tuples(st.sampled_from(["", "A", "B"]), st.integers(1, 5)), max_size=20))
    def test_what_is_available_is_never_more_than_is_there(self, uses: list[tuple[str, int]]) -> None:
        shelf = Shelf([Parcel(6, "A"), Parcel(4, "B"), Parcel(7)])
        for lot, quantity in uses:
            if quantity <= shelf.available(lot, ""):
                shelf.move(lot, "", -quantity)
            assert shelf.total >= 0 and all(shelf.available(one, "") >= 0 for one in ("", "A", "B"))

    def test_what_expires_first_is_given_first_and_nothing_recalled_or_past_its_day(self) -> None:
        parcels = [Parcel(2, "A", "", date(2027, 1, 1)), Parcel(2, "B", "", date(2026, 6, 1)), Parcel(9, "C")]
        shelf = Shelf([*parcels, Parcel(5, "OLD", "", date(2026, 1, 1)), Parcel(5, "R", "", date(2026, 5, 1))])
        given_ = shelf.first_to_expire(6, NOW.date(), {("R", "")})
        assert [(one.lot, one.quantity) for one in given_] == [("B", 2), ("A", 2), ("C", 2)]
