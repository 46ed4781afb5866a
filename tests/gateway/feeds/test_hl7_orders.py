"""OMS^O05 and OMN^O07: what a department orders becomes requisitions, exactly, in our codes, and with nothing of a patient."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.errors import Malformed
from canonical.purchasing import Requisition
from canonical.senders import Sender
from formats import hl7
from tests.formats.hl7_files import MSH, PUBLIC, message, sample
from tests.gateway.feeds.hl7_senders import LINE, WARD, nouns, order


def refusal(data: bytes, *, sender: Sender = WARD, **tables: dict[str, str]) -> Malformed:
    with pytest.raises(Malformed) as refused:
        nouns(data, tables, sender=sender)
    assert refused.value.path and refused.value.path in refused.value.message
    return refused.value


def one(data: bytes, **tables: dict[str, str]) -> Requisition:
    (found,) = nouns(data, tables)
    assert isinstance(found, Requisition)
    return found


def test_a_stock_order_becomes_a_requisition_for_each_order_with_its_lines() -> None:
    first, second = nouns(sample("oms_o05"))
    assert (first.facility, first.source, first.number) == ("NGH", "ward-desk", "REQ-20177")
    assert (first.department, first.cost_centre, first.requester) == ("surgery", "CC-4100", "E-1001")
    assert (first.deliver_to, first.needed_by, first.emergency) == ("4EAST", date(2026, 11, 3), False)
    (line,) = first.lines
    assert (line.id, line.item, str(line.quantity)) == ("1", "ITM-1001", "4 BX")
    (other,) = second.lines
    assert (second.number, str(other.quantity), other.supplier, other.supplier_item, str(other.unit_price)) == (
        *("REQ-20178", "2.5 CA", "ALPINE", "ALP-2050"),
        "18.75 USD",
    )


def test_nothing_of_a_patient_is_taken_and_the_notes_of_the_order_are() -> None:
    patient = ("PID|1||900001^^^NGH^MR||DOE^JANE||19700101|F", "NTE|1||allergic to latex", "PV1|1|I|4EAST")
    found = one(order("NTE|1||call first", *patient, "ORC|NW|R-1", LINE, "NTE|1||sterile~not the blue ones"))
    assert found.note == "call first\nline 1: sterile not the blue ones"
    said = found.model_dump_json()
    assert not any(word in said for word in ("DOE", "JANE", "900001", "1970", "latex"))


def test_orders_of_one_group_are_lines_of_one_requisition() -> None:
    grouped = order("ORC|NW|A-1||G-7", LINE, "ORC|NW|A-2||G-7", LINE.replace("RQD|1", "RQD|2"))
    assert [(r.number, [line.id for line in r.lines]) for r in nouns(grouped)] == [("G-7", ["1", "2"])]
    repeated = order("ORC|NW|A-1", LINE, "ORC|NW|A-1", LINE.replace("RQD|1", "RQD|2"))
    assert [(r.number, [line.id for line in r.lines]) for r in nouns(repeated)] == [("A-1", ["1", "2"])]


def test_orders_of_a_group_that_each_count_from_one_are_told_apart_by_their_own_numbers() -> None:
    found = one(order("ORC|NW|A-1||G-7", LINE, "ORC|NW|A-2||G-7", LINE))
    assert [line.id for line in found.lines] == ["A-1", "A-2"]
    assert refusal(order("ORC|NW|A-1", LINE, "ORC|NW|A-1", LINE)).path == "RQD(2)-1"


def test_what_is_not_in_a_senders_table_is_refused_with_its_place_and_the_same_message_reads_once_it_is() -> None:
    data = order("ORC|NW|R-1", "RQD|1||GLV-M^Gloves||4|KAST")
    wrong = refusal(data, item={"MSK": "ITM-1004"})
    assert wrong.message == "RQD-3: no item for code GLV-M of sender WARD" and wrong.code == "unknown-code"
    assert refusal(data, item={"GLV-M": "ITM-1001"}, unit={"DOOS": "BX"}).message == (
        "RQD-6: no unit for code KAST of sender WARD"
    )
    line = one(data, item={"GLV-M": "ITM-1001"}, unit={"KAST": "CA"}).lines[0]
    assert (line.item, str(line.quantity)) == ("ITM-1001", "4 CA")


def test_of_several_item_codes_the_one_in_the_table_counts_else_the_hospitals_own() -> None:
    data = order("ORC|NW|R-1", "RQD|1|OWN-1|EXT-1|HOS-1|4|BX")
    assert one(data).lines[0].item == "HOS-1"
    assert one(data, item={"OWN-1": "ITM-1001"}).lines[0].item == "ITM-1001"
    assert one(order("ORC|NW|R-1", "RQD|1|OWN-1|EXT-1||4|BX")).lines[0].item == "EXT-1"


@pytest.mark.parametrize(
    ("orc", "tq1", "emergency"),
    [
        ("ORC|NW|R-1", "TQ1|1||||||||S^Stat", True),
        ("ORC|NW|R-1", "TQ1|1||||||||R", False),
        ("ORC|NW|R-1|||||^^^^^S", "", True),
        ("ORC|NW|R-1", "", False),
    ],
)
def test_a_stat_order_is_an_emergency(orc: str, tq1: str, emergency: bool) -> None:
    assert one(order(*filter(None, (orc, tq1, LINE)))).emergency is emergency


def test_a_senders_own_priorities_go_by_its_table() -> None:
    data = order("ORC|NW|R-1", "TQ1|1||||||||P1", LINE)
    assert not one(data).emergency
    assert one(data, priority={"P1": "emergency"}).emergency
    assert refusal(data, priority={"P2": "routine"}).path == "TQ1-9"
    assert refusal(data, priority={"P1": "quickly"}).path == "TQ1-9"


def test_an_order_says_its_own_department_place_and_people_over_the_senders_row() -> None:
    orc = "ORC|NW|R-1||||||||E-2041^NAME^NOT^TAKEN||||||| PHARM^Pharmacy"
    found = one(order(orc, "RQD|1|||ITM-1^x|4|BX||CC|W9|20261105".replace("BX||CC", "BX|77-1|CC")),
                department={"PHARM": "pharmacy"}, cost_centre={"77-1": "CC-4200"}, location={"W9": "NGH-PHARM"})  # fmt: skip
    assert (found.requester, found.department, found.cost_centre, found.deliver_to) == (
        *("E-2041", "pharmacy", "CC-4200"),
        "NGH-PHARM",
    )
    assert found.needed_by == date(2026, 11, 5) and "NAME" not in found.model_dump_json()


def test_lines_for_another_place_keep_it_and_two_cost_centres_are_refused() -> None:
    two = ("ORC|NW|R-1", LINE + "||| W1", "ORC|NW|R-1", LINE.replace("RQD|1", "RQD|2") + "|||W2")
    found = one(order(*two))
    assert found.deliver_to == "W1" and [line.deliver_to for line in found.lines] == [None, "W2"]
    charged = ("ORC|NW|R-1", LINE + "|C1", "ORC|NW|R-1", LINE.replace("RQD|1", "RQD|2") + "|C2")
    assert refusal(order(*charged)).path == "RQD-7"


@pytest.mark.parametrize("control", ["CA", "DC", "XO", "RP", "HD", "RL"])
def test_a_cancel_or_change_is_left_to_a_person_and_names_the_requisition(control: str) -> None:
    wrong = refusal(order("ORC|NW|R-0", LINE, f"ORC|{control}|R-1", LINE))
    assert (wrong.path, wrong.code) == ("ORC(2)-1", "not-automatic")
    assert "R-1 of ward-desk" in wrong.message and "a person decides" in wrong.message


@pytest.mark.parametrize(
    ("segments", "path"),
    [
        (("ORC|ZZ|R-1", LINE), "ORC-1"),
        (("ORC||R-1", LINE), "ORC-1"),
        (("ORC|NW", LINE), "ORC-2.1"),
        (("ORC|NW|R-1",), "ORC"),
        ((), "ORC"),
        (("ORC|NW|R-1", "RQD|1|||ITM-1||BX"), "RQD-5.1"),
        (("ORC|NW|R-1", "RQD|1|||ITM-1|0|BX"), "RQD-5"),
        (("ORC|NW|R-1", "RQD|1|||ITM-1|1,5|BX"), "RQD-5.1"),
        (("ORC|NW|R-1", "RQD|1|||ITM-1|1"), "RQD-6"),
        (("ORC|NW|R-1", "RQD|1|||ITM-1|1|box"), "RQD-6"),
        (("ORC|NW|R-1", "RQD|1|||ITM 1|1|BX"), "RQD-4"),
        (("ORC|NW|R-1", "RQD|1||||1|BX"), "RQD-2"),
        (("ORC|NW|R-1", "RQD|x|||ITM-1|1|BX"), "RQD-1"),
        (("ORC|NW|R-1", "RQD|1|||ITM-1|1|BX||||20261340"), "RQD-10"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(segments: tuple[str, ...], path: str) -> None:
    assert refusal(order(*segments)).path.startswith(path)


def test_a_sender_whose_row_says_nothing_must_say_it_itself() -> None:
    bare = Sender(code="BARE", facility="NGH", addresses=("10.0.0.1",))
    assert refusal(order("ORC|NW|R-1", LINE), sender=bare).path in ("ORC-17", "RQD-7", "ORC-10", "RQD-9")


def test_what_is_not_in_stock_needs_no_code_but_words_or_a_catalogue_number() -> None:
    head = MSH.replace("OMS^O05^OMS_O05", "OMN^O07^OMN_O07")
    found = one(message("ORC|NW|R-1", "RQD|1|||^Whiteboard, 120 cm|1|EA", head=head))
    assert (found.lines[0].item, found.lines[0].description) == (None, "Whiteboard, 120 cm")
    bought = one(message("ORC|NW|R-1", "RQD|1||||1|EA", "RQ1||||ALPINE|WB-120", head=head))
    assert (bought.lines[0].supplier, bought.lines[0].supplier_item) == ("ALPINE", "WB-120")
    assert refusal(order("ORC|NW|R-1", "RQD|1|||^Whiteboard, 120 cm|1|EA")).path == "RQD-2"
    assert "Café" in one(sample("omn_o07")).note


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with hl7 samples")
def test_every_public_order_is_read_or_refused_with_a_reason() -> None:
    found = sorted(path for path in PUBLIC.glob("*") if "_om" in path.name)
    assert len(found) >= 2
    for path in found:
        for requisition in nouns(path.read_bytes()):
            assert requisition.lines and requisition.case_id.startswith("procure_to_pay/NGH/ward-desk/")


PIECES = st.text("ABX12.^&~\\-|é ", max_size=9)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["ORC", "RQD", "RQ1", "TQ1", "NTE", "PID"]), PIECES), max_size=8))
def test_any_segments_become_requisitions_or_a_refusal_with_its_place(parts: list[tuple[str, str]]) -> None:
    data = order("ORC|NW|R-1", LINE, *(f"{name}|{rest}" for name, rest in parts))
    try:
        assert all(isinstance(noun, Requisition) for noun in nouns(data))
    except Malformed as refused:
        assert refused.path
    assert hl7.read(data)
