"""A decision's seal: exactly what a door vouches for, for exactly one case."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from canonical.base import Quantity
from canonical.cases import Actor, Correction, Decision, LineCorrection, seal_is_valid

KEY, CASE = b"a key of the doors", "procure_to_pay/NGH/or-desk/R-1"
DECISION = Decision(
    verb="correct",
    line="1",
    reason="wrong item",
    actor=Actor(id="E-200", known_by="os_user"),
    revision=4,
    id="d-1",
    correction=Correction(lines=(LineCorrection(line="1", quantity=Quantity(value=Decimal("2.50"), unit="BX")),)),
)


def test_what_a_door_sealed_is_known() -> None:
    assert seal_is_valid(DECISION.sealed(CASE, KEY), CASE, KEY)


def test_the_seal_holds_after_the_way_through_temporal() -> None:
    there_and_back = Decision.model_validate_json(DECISION.sealed(CASE, KEY).model_dump_json())
    assert seal_is_valid(there_and_back, CASE, KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "approve"},
        {"line": "2"},
        {"line": None},
        {"document": "INV-1"},
        {"id": "d-2"},
        {"revision": 5},
        {"revision": None},
        {"actor": Actor(id="E-201", known_by="os_user")},
        {"actor": Actor(id="E-200", known_by="api_key")},
        {"correction": None},
        {"correction": Correction(cost_centre="CC-4200")},
    ],
)
def test_whatever_is_changed_after_sealing_breaks_the_seal(change: dict[str, Any]) -> None:
    assert not seal_is_valid(DECISION.sealed(CASE, KEY).model_copy(update=change), CASE, KEY)


def test_a_seal_is_good_for_one_case_and_one_key() -> None:
    sealed = DECISION.sealed(CASE, KEY)
    assert not seal_is_valid(sealed, "procure_to_pay/NGH/or-desk/R-2", KEY)
    assert not seal_is_valid(sealed, CASE, b"another key")


@pytest.mark.parametrize("seal", ["", "0" * 64, "not hex", "ünsealed"])
def test_a_made_up_seal_is_no_seal(seal: str) -> None:
    assert not seal_is_valid(DECISION.model_copy(update={"seal": seal}), CASE, KEY)


def test_who_decided_is_unknown_unless_a_door_says_so() -> None:
    assert Decision(verb="hold").actor == Actor(id="unknown", known_by="temporal")
