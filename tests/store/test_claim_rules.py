"""Whatever starts a case, the answer is an outcome; and each row of the claim table holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.base import content_hash
from canonical.cases import Attention
from store.claim_rules import Held, judge, read_start
from tests.store.build import requisition, start

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
FIELDS = st.sampled_from([*json.loads(requisition().model_dump_json()), "urgent", "\x00"])


def check(data: bytes) -> None:
    found = read_start(start(requisition(), data=data))
    assert (found.outcome == "") == bool(found.hash and found.problem is None)
    if found.problem is not None:
        assert Attention.model_validate_json(found.problem.model_dump_json()) == found.problem
        assert found.problem.reason and found.problem.path


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    check(data)


@given(FIELDS, JSON)
@settings(max_examples=300, deadline=None)
def test_a_requisition_with_anything_in_any_field_is_read_or_refused(field: str, value: Any) -> None:
    content = json.loads(requisition().model_dump_json()) | {field: value}
    check(json.dumps(content).encode())


@given(st.sampled_from(["id", "item", "quantity", "unit_price", "deliver_to"]), JSON)
@settings(max_examples=300, deadline=None)
def test_a_line_with_anything_in_any_field_is_read_or_refused(field: str, value: Any) -> None:
    content = json.loads(requisition().model_dump_json())
    content["lines"][0][field] = value
    check(json.dumps(content).encode())


def test_a_field_given_twice_at_a_start_by_temporals_own_tools_waits_for_a_person_with_its_path() -> None:
    text = requisition().model_dump_json()
    line = text.replace('"item":', '"item":"ITM-9","item":', 1)
    assert line != text
    found = read_start(start(requisition(), data=line.encode()))
    assert found.outcome == "unreadable" and found.problem is not None and found.problem.path == "lines.0.item"


@pytest.mark.parametrize("number", ["1e999999999", "1" * 5000, "-0", "1e-400", "0.0000001", " 5 ", "٣", "1_000"])
@pytest.mark.parametrize("where", ["quantity", "unit_price"])
def test_every_spelling_of_a_number_is_read_or_refused(where: str, number: str) -> None:
    content = json.loads(requisition().model_dump_json())
    content["lines"][0][where] = {"value": number} if where == "quantity" else {"amount": number}
    check(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("run", "generation", "content", "outcome"),
    [
        ("me", 1, "same", "claimed"),
        ("me", 1, "other", "claimed"),
        ("me", 1, "", "unreadable"),
        ("me", 2, "same", "resumed"),
        ("me", 2, "other", "resumed"),
        ("me", 2, "", "resumed"),
        (None, 1, "same", "claimed"),
        (None, 1, "other", "conflict"),
        (None, 1, "", "unreadable"),
        (None, 2, "same", "resumed"),
        (None, 2, "other", "conflict"),
        (None, 2, "", "resumed"),
        ("another", 1, "same", "duplicate"),
        ("another", 1, "other", "conflict"),
        ("another", 1, "", "unreadable"),
        ("another", 2, "same", "duplicate"),
        ("another", 2, "other", "conflict"),
        ("another", 2, "", "unreadable"),
    ],
)
def test_the_claim_table(run: str | None, generation: int, content: str, outcome: str) -> None:
    assert judge(Held(run=run, generation=generation, hash="same"), "me", content) == outcome


def test_the_content_and_not_its_spelling_makes_the_hash() -> None:
    one = requisition()
    spelt = json.dumps(json.loads(one.model_dump_json(exclude_defaults=True)), indent=3).replace('"5"', '"5.00"')
    assert read_start(start(one, data=spelt.encode())).hash == content_hash(one)
    assert read_start(start(one, data=one.model_dump_json().encode(), door="rest")).hash == content_hash(one)
