"""865, 997 and TA1: answers to a change, to a group and to an envelope of ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.errors import Malformed
from canonical.purchasing import FunctionalAcknowledgement, OrderAcknowledgement
from formats.x12 import Document, check, read, segment
from formats.x12_sets import FUNCTIONAL_IDS, segment_names
from gateway.registry import FEEDS, OVERRIDES, feed_for, read_x12, read_x12_ta1
from tests.gateway.feeds.x12_files import ALPINE, SAMPLES, noun


def test_the_answer_to_a_change_names_the_change_and_what_happens_to_each_line() -> None:
    answer = noun(OrderAcknowledgement, "865_change_answered")
    assert (answer.to_change, answer.change_sequence, answer.code, answer.order) == (True, "1", "AC", "PO-20001")
    assert [(line.number, line.change_code, line.acknowledgements[0].code) for line in answer.lines] == [
        (1, "DI", "ID"),
        (2, "QD", "IQ"),
    ]
    assert str(answer.lines[1].quantity) == "12 EA"


def test_a_997_says_which_group_was_refused_and_why() -> None:
    answer = noun(FunctionalAcknowledgement, "997_order_rejected")
    assert (answer.kind, answer.control_number, answer.functional_id, answer.code) == ("997", "17", "PO", "R")
    assert not answer.accepted
    (one,) = answer.sets
    assert (one.set_id, one.control_number, one.code) == ("850", "0001", "R")
    assert one.errors == ("PO1 at 6: segment error 8", "PO1 at 6, element 3: error 7", "document error 5")


def test_a_997_for_a_whole_group_needs_no_word_about_each_document() -> None:
    answer = noun(
        FunctionalAcknowledgement,
        "997_order_rejected",
        ("AK2*850*0001~\nAK3*PO1*6**8~\nAK4*3*355*7*XX~\nAK5*R*5~\nAK9*R*1*1*0~", "AK9*A*1*1*1~"),
    )
    assert answer.accepted and answer.sets == ()


def test_a_ta1_says_which_interchange_was_refused() -> None:
    answer = noun(FunctionalAcknowledgement, "ta1_rejected")
    assert (answer.kind, answer.control_number, answer.code, answer.note) == ("TA1", "17", "R", "006")


def test_a_kind_nobody_reads_is_refused_by_name() -> None:
    (interchange,) = read((SAMPLES / "850_order.x12").read_bytes())
    with pytest.raises(Malformed, match="850"):
        read_x12(interchange, interchange.documents[0][1], ALPINE)


def test_a_sender_that_breaks_its_standard_can_have_a_feed_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OVERRIDES, ("x12", "855", "BOREAL"), FEEDS["x12", "865"])
    assert feed_for("x12", "855", "BOREAL") is FEEDS["x12", "865"]
    assert feed_for("x12", "855", "ALPINE") is FEEDS["x12", "855"]


PIECES = st.text("0123456789ABCXYZ-. ", max_size=8)
NAMES = st.sampled_from(sorted(frozenset[str]().union(*map(segment_names, FUNCTIONAL_IDS))))
SEGMENTS = st.lists(st.tuples(NAMES, st.lists(PIECES, max_size=9)), max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["855", "856", "810", "865", "997"]), SEGMENTS)
def test_any_segments_become_a_noun_or_a_refusal(code: str, segments: list[tuple[str, list[str]]]) -> None:
    (interchange,) = read((SAMPLES / "850_order.x12").read_bytes())
    document = Document(segment("ST", code, "0001"), [segment(name, *values) for name, values in segments])
    try:
        read_x12(interchange, document, ALPINE)
    except Malformed as refused:
        assert refused.path


FULL = {
    code: f"{code}_{rest}"
    for code, rest in [
        ("855", "partly_backordered"),
        ("856", "lots"),
        ("810", "freight_and_tax"),
        ("865", "change_answered"),
        ("997", "order_rejected"),
    ]
}


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(FULL)),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9), PIECES), max_size=4),
    st.sets(st.integers(0, 40), max_size=3),
)
def test_any_element_may_be_strange_and_any_segment_missing(
    code: str, strange: list[tuple[int, int, str]], missing: set[int]
) -> None:
    (interchange,) = read((SAMPLES / f"{FULL[code]}.x12").read_bytes())
    ((_, document),) = interchange.documents
    for at, number, value in strange:
        one = document.body[at % len(document.body)]
        elements = [*one.elements, *[""] * 10]
        elements[number] = value
        document.body[at % len(document.body)] = segment(one.name, *elements)
    document.body = [one for at, one in enumerate(document.body) if at not in missing]
    try:
        read_x12(interchange, document, ALPINE)
    except Malformed as refused:
        assert refused.path


def test_what_we_read_was_checked_before() -> None:
    for name in ("855_partly_backordered", "856_lots", "810_freight_and_tax", "865_change_answered"):
        (interchange,) = read((SAMPLES / f"{name}.x12").read_bytes())
        assert check(interchange).refused == []
        assert read_x12_ta1(interchange, ALPINE) == ()
