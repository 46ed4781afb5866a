"""A department hears back what became of its order, in its own words, without a patient, and the same event in the same bytes."""

from __future__ import annotations

import pytest

from adapters.mllp_line import sendable
from canonical.cases import BusinessEvent
from canonical.errors import Malformed
from canonical.messages import NewMessage
from canonical.senders import Channel
from formats import hl7
from gateway.hl7_replies import reply
from tests.formats.hl7_files import WHEN, sample
from tests.gateway.feeds.hl7_senders import LINE, WARD, order

CHANNEL = Channel(code="WARD-REPLIES", facility="NGH", host="ward", port=2575)
TWO = order(
    "PID|1||900001^^^NGH^MR||DOE^JANE",
    *("ORC|NW|A-1^WARD||G-7", LINE, "ORC|NW|A-2^WARD||G-7", "RQD|2|||ITM-2^Masks|1|BX"),
)


def event(kind: str = "requisition.lines_changed.v1", **data: str) -> BusinessEvent:
    case = "procure_to_pay/NGH/ward-desk/G-7"
    return BusinessEvent(
        type=kind, key=f"{case}/x", case=case, facility="NGH", occurred_at=WHEN, data={"number": "G-7", **data}
    )


def written(data: bytes, of: BusinessEvent, orders: dict[str, str] | None = None) -> tuple[NewMessage, hl7.Message]:
    new = reply(data, of, orders or {}, WARD, CHANNEL)
    message = hl7.read(new.data)
    report = hl7.check(message)
    assert report.known and report.ok, report.errors
    return new, message


def test_the_order_number_goes_back_to_who_asked() -> None:
    ordered = event(orders="PO000001", state="ordered", lines="1:ordered 2:ordered")
    new, message = written(TWO, ordered, {"1": "PO000001", "2": "PO000001"})
    assert (new.direction, new.kind, new.channel, new.sender, new.key) == (
        *("out", "ORS^O06", "WARD-REPLIES", "WARD"),
        f"reply/{ordered.key}",
    )
    assert message.header.structure == "ORS_O06" and message.header.receiver == ("WARD", "NGH")
    assert (message.header.control, len(message.header.control)) == (new.control_number, 20)
    assert (message.value("MSA-1"), message.value("MSA-2")) == ("AA", "W-1")
    assert message.values("ORC-1") == ["OK", "OK"] and message.values("ORC-3.1") == ["PO000001", "PO000001"]
    assert message.values("ORC-2") == ["A-1^WARD", "A-2^WARD"] and message.values("RQD-4.1") == ["ITM-1001", "ITM-2"]


def test_of_several_orders_each_line_has_its_own() -> None:
    ordered = event(orders="PO1 PO2", state="ordered", lines="1:ordered 2:ordered")
    assert written(TWO, ordered, {"1": "PO1", "2": "PO2"})[1].values("ORC-3.1") == ["PO1", "PO2"]


def test_a_later_state_names_only_the_lines_of_its_order() -> None:
    later = event(orders="PO2", state="closed", lines="1:in_delivery 2:closed")
    _, message = written(TWO, later, {"1": "PO1", "2": "PO2"})
    assert message.values("ORC-1") == ["SC"] and message.values("ORC-5") == ["CM"]
    assert message.values("ORC-25.2") == ["closed"] and message.values("RQD-1") == ["2"]


def test_a_refusal_is_said_for_every_line_with_its_reason() -> None:
    _, message = written(TWO, event("requisition.refused.v1", reason="refused by the director"))
    assert message.values("ORC-1") == ["UA", "UA"] and message.values("ORC-16.2") == ["refused by the director"] * 2


def test_nothing_of_a_patient_goes_back() -> None:
    new, _ = written(TWO, event(orders="PO1", state="ordered", lines="1:ordered 2:ordered"))
    assert b"PID" not in new.data and b"DOE" not in new.data and b"900001" not in new.data


def test_the_same_event_is_the_same_bytes_and_another_has_another_number() -> None:
    ordered = event(orders="PO1", state="ordered", lines="1:ordered 2:ordered")
    first, again = reply(TWO, ordered, {}, WARD, CHANNEL), reply(TWO, ordered, {}, WARD, CHANNEL)
    assert first == again
    other = reply(TWO, ordered.changed(key="other"), {}, WARD, CHANNEL)
    assert other.control_number != first.control_number


def test_an_omn_is_answered_by_an_orn_and_the_channels_row_says_who_it_is_for() -> None:
    there = CHANNEL.changed(receiving_application="KITCHEN-IN", sending_application="SUPPLY")
    found = BusinessEvent.model_validate(
        event(orders="PO1", state="ordered", lines="1:ordered").model_dump() | {"data": {"number": "REQ-31"}}
    )
    message = hl7.read(reply(sample("omn_o07"), found, {}, WARD, there).data)
    assert message.header.structure == "ORN_O08" and message.header.receiver[0] == "KITCHEN-IN"
    assert message.header.sender[0] == "SUPPLY"


def test_what_is_no_order_or_holds_no_such_requisition_is_refused() -> None:
    for data in (sample("adt_a01_27"), order("ORC|NW|OTHER", LINE)):
        with pytest.raises(Malformed) as refused:
            reply(data, event(orders="PO1"), {}, WARD, CHANNEL)
        assert refused.value.path


NAMED = order("ORC|NW|A-1^WARD||G-7", "RQD|1|||GLV^Größe M|1|BX")


@pytest.mark.parametrize("charset", ["UNICODE UTF-16", "UNICODE UTF-32"])
def test_a_reply_is_never_in_a_set_whose_bytes_could_end_its_frame(charset: str) -> None:
    head, _, rest = NAMED.decode().partition("\r")
    asked = f"{head}||||||{charset}\r{rest}".encode(charset[8:].lower() + "-le")
    new = reply(asked, event(orders="PO1", state="ordered", lines="1:ordered"), {}, WARD, CHANNEL)
    assert sendable(new.data, new.control_number) == new.control_number.encode()
    message = hl7.read(new.data)
    assert (message.header.charset, message.value("RQD-4.2")) == ("UNICODE UTF-8", "Größe M")


def test_who_writes_a_set_without_naming_it_hears_its_own_words_in_that_set() -> None:
    latin = WARD.changed(character_set="8859/1")
    new = reply(
        NAMED.decode().encode("latin-1"), event(orders="PO1", state="ordered", lines="1:ordered"), {}, latin, CHANNEL
    )
    assert "Größe M".encode("latin-1") in new.data and hl7.read(new.data, default="8859/1").header.charset == ""


def test_a_reason_in_letters_the_department_cannot_read_is_heard_all_the_same() -> None:
    latin = WARD.changed(character_set="8859/1")
    new = reply(
        NAMED.decode().encode("latin-1"), event("requisition.refused.v1", reason="zu teuer – 5 €"), {}, latin, CHANNEL
    )
    message = hl7.read(new.data, default="8859/1")
    assert message.values("ORC-16.2") == ["zu teuer ? 5 ?"] and message.value("RQD-4.2") == "Größe M"
