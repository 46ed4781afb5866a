"""Cutting HL7 messages: every letter is in a segment, a field, a component, or the message is refused."""

from __future__ import annotations

import contextlib
import random
from datetime import date
from decimal import Decimal

import pytest

from canonical.errors import Malformed
from formats.hl7 import (
    Message,
    Price,
    Unreadable,
    acknowledge,
    check,
    header,
    is_batch,
    read,
    read_acknowledgement,
    split,
)
from formats.hl7_message import lines
from tests.formats.hl7_files import ALL, CLEAN, MSH, ORDER, PUBLIC, WHEN, message, sample


def joined(found: Message) -> str:
    """The message put together again from its smallest parts, segments ended with CR."""
    marks = found.header.marks
    texts = []
    for segment in found:
        fields = []
        for number, text in enumerate(segment.fields):
            whole = marks.repetition.join(
                marks.component.join(
                    marks.subcomponent.join(component.split(marks.subcomponent) if marks.subcomponent else [component])
                    for component in (one.split(marks.component) if marks.component else [one])
                )
                for one in segment.repetitions(number)
            )
            fields.append(whole if number else segment.name)
            assert segment.raw(number, repetition=1) in text
        if segment.name == "MSH":
            del fields[1]
        texts.append(marks.field.join(fields))
    return "\r".join(texts)


@pytest.mark.parametrize("name", CLEAN)
def test_every_sample_of_our_own_is_cut_and_nothing_is_lost(name: str) -> None:
    data = sample(name)
    found = read(data)
    assert found.data is data
    codec = found.header.codec
    text = data.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").decode(codec)
    ends = "\r" if "\r" in text else "\n"
    assert joined(found).split("\r") == [line.strip("\n") for line in text.split(ends) if line.strip("\n")]


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with hl7 samples")
def test_every_public_sample_is_read_and_checked_or_refused_with_a_reason() -> None:
    refused = {
        "bal_siu_s12": {"SCH-9.2", "SCH-11.1.1"},
        "simhosp_first3": {"PID-22.2"},
        "tshl7_pmu_b01": {"EDU-4.1.1", "PID", "PID-5"},
    }
    files = sorted(PUBLIC.glob("*.hl7"))
    assert len(files) >= 14
    for path in files:
        data = path.read_bytes()
        whole = split(data)
        assert whole.faults == []
        assert b"".join(whole.messages).count(b"MSH|") == data.count(b"MSH|")
        for one in whole.messages:
            found = read(one)
            assert joined(found).split("\r") == lines(one.decode(), "|")
            report = check(found)
            assert report.known
            wrong = {fault.path for fault in report.errors}
            assert wrong >= refused.get(path.stem, set()) if path.stem in refused else not wrong, (path.stem, wrong)


def test_segment_ends_of_all_kinds_give_the_same_message() -> None:
    plain = [segment.text for segment in read(sample("oms_o05"))]
    for name in ("taught_lf_ends", "taught_crlf_ends"):
        assert [segment.text for segment in read(sample(name))] == plain
    assert len(read(sample("taught_no_last_end"))) == len(read(sample("omn_o07")))
    mixed = sample("oms_o05").replace(b"\rORC", b"\nORC").replace(b"\rRQD", b"\n\n\rRQD")
    assert [segment.text for segment in read(mixed)] == plain


def test_a_line_break_within_a_field_is_text() -> None:
    assert read(sample("taught_line_feed_in_text")).value("NTE(2)-3") == "Repeat\nin 24 h"


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert read(sample("taught_byte_order_mark")).header.control == "ADM-88"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("refused_glued", "glued"),
        ("refused_lower_case_name", "not-a-segment"),
        ("refused_junk_line", "not-a-segment"),
        ("refused_latin1_as_utf8", "character-set"),
    ],
)
def test_what_would_be_lost_in_silence_is_refused(name: str, kind: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(sample(name))
    assert refused.value.code == kind
    assert header(sample(name)).control


@pytest.mark.parametrize("between", ["", "\r", "\n", "\r\n\r\n", " "])
def test_two_messages_glued_together_are_never_read_as_one(between: str) -> None:
    one = message(*ORDER).rstrip(b"\r")
    with pytest.raises(Unreadable) as refused:
        read(one + between.encode() + one)
    assert refused.value.code in ("glued", "not-a-segment")


def test_a_second_msh_with_other_marks_is_a_glued_message_too() -> None:
    with pytest.raises(Unreadable, match="second MSH"):
        read(message(*ORDER, "MSH|*~\\&|WARD"))


@pytest.mark.parametrize("name", ["FHS", "BHS", "BTS", "FTS"])
def test_an_envelope_segment_within_a_message_is_refused(name: str) -> None:
    with pytest.raises(Unreadable, match="batch"):
        read(message(*ORDER, f"{name}|1"))


@pytest.mark.parametrize(("sign", "name"), [("\0", "NUL"), ("\x0b", "VT"), ("\x1c", "FS")])
def test_what_no_store_takes_or_a_frame_ends_with_is_not_text(sign: str, name: str) -> None:
    data = message(f"NTE|1||aé{sign}b")
    with pytest.raises(Unreadable, match=f"Byte {data.index(sign.encode())} is {name}") as refused:
        read(data)
    assert refused.value.path == "NTE-3"


def test_a_fault_never_repeats_what_the_message_says() -> None:
    for wrong in ("secret line", "pid|SECRET", "NTE|1||secret \0"):
        with pytest.raises(Unreadable) as refused:
            read(message(wrong))
        assert "secret" not in f"{refused.value.message} {refused.value.path}".lower()
    assert "TEST" not in repr(read(sample("oms_o05")).segments)


def test_a_path_reads_any_place() -> None:
    found = read(sample("oms_o05"))
    assert found.value("PID-3(1).1") == "900001"
    assert found.value("PID-3.4") == found.value("PID(1)-3(1).4.1") == "NGH"
    assert found.value("RQD(2)-5") == "2.5"
    assert found.value("MSH-1") == "|"
    assert found.value("MSH-9.2") == "O05"
    assert found.raw("MSH-2") == "^~\\&"
    assert found.value("PID-3(2).1") == found.value("PV2-1") == found.value("PID-77") == found.value("PID-5.9") == ""
    assert found.value("RQD") == "RQD"
    with pytest.raises(ValueError, match="no path"):
        found.value("PID.3")


def test_a_field_asked_for_whole_is_given_whole() -> None:
    found = read(message("NTE|1||Smith & Sons^Ltd"))
    assert found.value("NTE-3") == "Smith & Sons^Ltd"
    assert found.value("NTE-3.1") == "Smith & Sons"
    assert found.value("NTE-3.1.2") == " Sons"


def test_every_repetition_and_every_segment_can_be_asked_for() -> None:
    found = read(sample("rds_o13"))
    assert found.values("RXD-18") == ["LOT-7A", "LOT-7B"]
    assert found.values("RXD-19(2)") == ["20280731"]
    assert read(sample("oms_o05")).values("RQD-5") == ["4", "2.5"]


def test_groups_are_found_by_the_segment_they_begin_with() -> None:
    orders = read(sample("oms_o05")).groups("ORC")
    assert [order.value("ORC-2.1") for order in orders] == ["REQ-20177", "REQ-20178"]
    assert [len(order) for order in orders] == [4, 3]
    assert orders[0].value("NTE-3") == "Line one\nline two"
    assert orders[1].first("NTE") is None
    (item,) = read(sample("mfn_m16")).groups("MFE")
    (vendor,) = item.groups("VND", until=("IVT",))
    assert [pack.value("PKG-2.1") for pack in vendor.groups("PKG")] == ["EA", "BX", "CA"]
    assert vendor.first("ILT") is None


def test_a_segment_of_the_senders_own_neither_ends_a_group_nor_is_lost() -> None:
    found = read(message("ORC|NW|1", "ZOR|own", ORDER[1], "NTE|1||of the order", *ORDER))
    first, second = found.groups("ORC")
    assert [segment.name for segment in first] == ["ORC", "ZOR", "RQD", "NTE"]
    assert len(second) == 2
    assert [fault.kind for fault in check(found).faults] == ["segment-z"]


def test_what_must_be_there_is_asked_for_by_its_place() -> None:
    line = read(sample("oms_o05")).all("RQD")[1]
    assert line.required(2) == "ITM-2050"
    for field, path in ((3, "RQD(2)-3.1"), (6, "RQD(2)-6.9")):
        with pytest.raises(Unreadable) as refused:
            line.required(field, 9 if field == 6 else 1)
        assert (refused.value.path, refused.value.fault.code) == (path, "101")


def test_null_is_not_the_same_as_not_sent() -> None:
    found = read(sample("mfn_m05"))
    assert found.is_null("LDP-9")
    assert found.value("LDP-9") == ""
    assert not found.is_null("LDP-8")
    assert not found.is_null("LDP(2)-9")


def test_values_are_exact() -> None:
    found = read(sample("mfn_m16"))
    pack = found.all("PKG")[1]
    assert pack.number(4) == Decimal("100")
    assert pack.price(5) == Price(Decimal("18.75"), "USD")
    assert pack.price(6) == Price(Decimal("19.10"), "USD")
    assert str(found.all("PKG")[2].price(5)) == "Price(amount=Decimal('180.00'), currency='USD')"
    assert pack.day(7) == date(2027, 1, 1)
    assert pack.whole(1) == 2
    assert pack.number(8) is None
    assert pack.day(8) is None
    assert pack.price(8) is None
    lot = found.first("ILT")
    assert lot is not None
    assert lot.money(7) == Price(Decimal("18.75"), "USD")
    charge = read(sample("dft_p03")).first("FT1")
    assert charge is not None
    assert charge.price(11) == Price(Decimal("1250.00"), "USD")
    sent = read(sample("oms_o05")).segments[0].moment(7)
    assert sent is not None
    assert sent.at.isoformat() == "2026-11-02T08:15:00-05:00"
    assert sent.precision == "second"


@pytest.mark.parametrize("wrong", ["four", "1,5", "1e3", "0x1", "4 ", "--4", "٤", "NaN", "1.2.3"])
def test_what_is_no_number_is_refused_with_its_place(wrong: str) -> None:
    found = read(message("ORC|NW", f"RQD|1|||A~B^{wrong}"))
    with pytest.raises(Malformed) as refused:
        found.segments[2].number(4, 2, repetition=2)
    assert refused.value.path == "RQD-4(2).2.1"
    assert wrong not in refused.value.message


@pytest.mark.timeout(120)  # a reader that is quadratic does not end by then; a slow machine does
def test_a_message_of_any_size_is_read_in_its_time() -> None:
    many = message(*(f"OBX|{number}|ST|A^B^C||{'x' * 60}" for number in range(1, 20_001)))
    found = read(many)
    assert len(found) == 20_001
    assert found.segments[-1].sequence == 20_000
    for sign in ("\n", "\r\n", "\\", "~", "^&", "\nPID", "MSH|^~\\& ", "\x1b$B"):
        for data in (message(f"NTE|1||{sign * 300_000}x"), (MSH + sign * 300_000 + "x\r").encode()):
            with contextlib.suppress(Unreadable):
                check(read(data))
                read(data).value("NTE-3")
            with contextlib.suppress(Unreadable):
                split(data)


def _survives(data: bytes) -> None:
    """Read or refused with a place, checked, answered; and what was read is all there."""
    try:
        head = header(data)
    except Malformed as refused:
        assert refused.path
        head = None
    answer = acknowledge(head, "AE", control="1", when=WHEN)
    try:
        split(data) if is_batch(data) else None
        found = read(data)
    except Malformed as refused:
        assert refused.path
        assert refused.message
    else:
        assert head is not None
        report = check(found)
        answer = acknowledge(head, "AA" if report.ok else "AE", control="1", when=WHEN, faults=report.faults)
        whole = [line for line in joined(found).split("\r") if line]
        text = (
            data.removeprefix(b"\xef\xbb\xbf").decode(head.codec)
            if head.codec[:3] != "utf-" or data[:1] == b"M"
            else None
        )
        if text is not None and head.codec[:6] not in ("utf-16", "utf-32"):
            assert "".join(whole) == "".join(lines(text, head.marks.field))
            assert sum(map(len, whole)) >= len(text.replace("\r", "").replace("\n", "").rstrip()) - text.count(" ")
    if head is not None and head.control.strip(" ") and not head.faults:
        assert read_acknowledgement(answer).control == head.control.strip(" ")
    else:
        assert "MSA" in answer.decode("utf-8", "ignore").replace("\0", "")


def _damaged(chance: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(found) + 1)
        what = chance.randrange(6)
        if what == 0:
            found[at : at + chance.randint(0, 8)] = chance.randbytes(chance.randint(0, 4))
        elif what == 1:
            found[at:at] = chance.choice(
                [b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b'""', b"\r\n", b"\x1b$B", b"\0"]
            )
        elif what == 2:
            del found[at : at + chance.randint(1, 30)]
        elif what == 3:
            end = min(len(found), at + chance.randint(1, 60))
            found[at:at] = found[at:end]
        elif what == 4:
            found = bytearray(found.replace(b"\r", chance.choice([b"\n", b"\r\n", b"", b"\r\r"]), chance.randint(1, 3)))
        else:
            found[at:at] = chance.choice(
                [b"\rMSH|^~\\&|", b"\rZZZ|1", b"\rpid|1", b"\rBTS|1", b"\xc3", b"\xe9", b"\\X41\\"]
            )
    return bytes(found)


def test_random_bytes_are_read_or_refused_never_anything_else() -> None:
    chance = random.Random(20261102)
    for _ in range(1500):
        noise = chance.randbytes(chance.randint(0, 120))
        _survives(noise)
        _survives(b"MSH|^~\\&|" + noise)
        _survives(MSH.encode() + b"\r" + noise)
        _survives(b"MSH" + noise)


@pytest.mark.parametrize("name", ALL)
def test_any_damage_to_a_message_is_read_or_refused(name: str) -> None:
    chance = random.Random(name)
    data = sample(name)
    for _ in range(150):
        _survives(_damaged(chance, data))


@pytest.mark.prove
@pytest.mark.parametrize("name", ALL)
def test_much_damage_to_every_message_is_read_or_refused(name: str) -> None:
    chance = random.Random(f"prove {name}")
    data = sample(name)
    for _ in range(35_000):
        _survives(_damaged(chance, data))
