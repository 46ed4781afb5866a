"""A document that waits for a person has a name of its own, however long its case's and its supplier's numbers are."""

from __future__ import annotations

from workflows.order_inbox import LONGEST_NAME, _listed_as


def test_two_documents_whose_names_begin_alike_are_listed_under_two() -> None:
    names = [f"late/purchase_order/NGH/PO000001/856/ALPINE/{'9' * 190}{end}" for end in ("1", "2")]
    listed = [_listed_as(name) for name in names]
    assert listed[0] != listed[1]
    assert all(len(one) == LONGEST_NAME for one in listed)


def test_a_short_name_stays_as_people_know_it() -> None:
    assert _listed_as("late/purchase_order/NGH/PO000001/k") == "late/purchase_order/NGH/PO000001/k"
