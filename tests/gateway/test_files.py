"""The mailbox door: everything a partner leaves is kept, answered as it deserves, and brought to its case or to a person."""

from __future__ import annotations

from canonical.errors import Rejected
from canonical.messages import NewMessage
from tests.formats.x12_files import sample
from tests.gateway.fakes import ORDER_CASE, stands
from tests.gateway.files_house import ANSWER, House, codes


async def test_a_byte_order_mark_before_an_interchange_is_passed_over_and_makes_no_second_one() -> None:
    house, data = House(), sample(ANSWER)
    await house.leave(b"\xef\xbb\xbf" + data)
    await house.leave(data)
    assert len(house.engine.delivered) == 1


async def test_an_acknowledgement_is_answered_with_a_997_and_reaches_its_order() -> None:
    house = House()
    await house.leave(sample(ANSWER))
    (message,) = house.received()
    assert (message.state, message.case, message.control_number) == ("routed", ORDER_CASE, "000000101")
    assert message.data == sample(ANSWER), "kept as it came"
    assert [codes(answer) for answer in house.answers()] == [[("PR", "A")]]
    ((case, document),) = house.engine.delivered
    assert case == ORDER_CASE
    assert document.acknowledgement is not None
    assert document.message == message.id


async def test_the_answer_is_kept_before_it_leaves_and_linked_to_what_it_answers() -> None:
    house = House()
    await house.leave(sample(ANSWER))
    (message,) = house.received()
    answer = house.journal.messages[message.answer]
    assert (answer.direction, answer.kind, answer.state) == ("out", "997", "sent")
    assert house.mailbox.put_files == {f"997_{answer.control_number}.x12": answer.data}


async def test_an_interchange_that_comes_again_gets_the_very_same_answer_and_nothing_happens_twice() -> None:
    house = House()
    await house.leave(sample(ANSWER))
    first = dict(house.mailbox.put_files)
    house.mailbox.put_files.clear()
    await house.leave(sample(ANSWER), "again.x12")
    await house.leave(sample(ANSWER).rstrip() + b"\r\n\r\n", "padded.x12")
    assert house.mailbox.put_files == first
    assert len(house.mailbox.puts) == 3
    assert len(house.engine.delivered) == 1
    assert not house.cases.unmatched


async def test_the_same_document_in_another_interchange_has_the_same_key_so_its_case_takes_it_once() -> None:
    house = House()
    await house.leave(sample(ANSWER))
    await house.leave(sample(ANSWER).replace(b"000000101", b"000000999"))
    keys = [document.key for _, document in house.engine.delivered]
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_an_answer_that_may_be_given_twice_in_the_same_words_reaches_its_order_each_time() -> None:
    """A change asked again is refused again on the same day; an order is held, released and held again."""
    without_sequence = sample("865_change_answered").replace(b"BCA*00*AC*PO-20001**1*", b"BCA*00*RJ*PO-20001***")
    held = sample(ANSWER).replace(b"BAK*00*AD*", b"BAK*00*AH*")
    for data, control in ((without_sequence, b"000000104"), (held, b"000000101")):
        house = House()
        await house.leave(data)
        await house.leave(data.replace(control, b"000000999"))
        assert len({document.key for _, document in house.engine.delivered}) == 2
    numbered = House()
    await numbered.leave(sample("865_change_answered"))
    await numbered.leave(sample("865_change_answered").replace(b"000000104", b"000000999"))
    assert len({document.key for _, document in numbered.engine.delivered}) == 1, "BCA05 tells that it is the same"


async def test_what_a_case_can_never_take_is_listed_and_the_rest_of_its_file_goes_on() -> None:
    house = House()
    data = sample(ANSWER)
    house.engine.breaks = Rejected("Temporal does not take it: too large", code="data-invalid")
    await house.leave(data)
    (message,) = house.received()
    assert message.state == "routed", "the sweep has nothing to repeat"
    (listed,) = house.cases.unmatched.values()
    assert (listed.case, listed.kind, listed.message) == (ORDER_CASE, "order_acknowledgement", message.id)
    assert "too large" in listed.reason and listed.document


async def test_the_same_bill_in_another_interchange_reaches_the_match_to_be_refused_there() -> None:
    house = House()
    await house.leave(sample("810_freight_and_tax"))
    control = house.received()[0].control_number.encode()
    await house.leave(sample("810_freight_and_tax").replace(control, b"000000999"))
    assert len({document.key for _, document in house.engine.delivered}) == 2


async def test_the_same_number_with_other_content_is_refused_and_listed_for_a_person() -> None:
    house = House()
    await house.leave(sample(ANSWER))
    other = sample(ANSWER).replace(b"SO-88120", b"SO-99999")
    await house.leave(other)
    first, second = house.received()
    assert (first.state, second.state) == ("routed", "refused")
    assert second.data == other
    ta1 = house.answers()[1].answers[0]
    assert (ta1[4], ta1[5]) == ("R", "025")
    assert [one.kind for one in house.cases.unmatched.values()] == ["conflict"]
    assert len(house.engine.delivered) == 1
    await house.leave(other)
    assert len(house.cases.unmatched) == 1, "and again changes nothing"


async def test_other_content_whose_door_stopped_before_it_looked_is_refused_by_the_sweep() -> None:
    house = House()
    await house.leave(sample(ANSWER))
    (first,) = house.received()
    other = sample(ANSWER).replace(b"SO-88120", b"SO-99999")
    kept = await house.journal.keep(
        NewMessage(door="mailbox", kind="x12", data=other, key=first.key, partner="ALPINE", sender=first.sender)
    )
    assert await house.intake.route(kept.message)
    assert house.received()[1].state == "refused" and len(house.engine.delivered) == 1


async def test_garbage_is_kept_as_a_dead_letter_and_listed_since_nobody_can_be_answered() -> None:
    house = House()
    await house.leave(b"\x00\xff this is no X12 at all")
    (message,) = house.received()
    assert (message.state, message.data) == ("dead", b"\x00\xff this is no X12 at all")
    assert not house.mailbox.puts
    assert [one.kind for one in house.cases.unmatched.values()] == ["unreadable"]
    await house.leave(b"\x00\xff this is no X12 at all")
    assert len(house.received()) == 1
    assert len(house.cases.unmatched) == 1


async def test_a_file_cut_short_gets_a_ta1_with_the_reason() -> None:
    house = House()
    await house.leave(sample(ANSWER)[: len(sample(ANSWER)) // 2])
    (message,) = house.received()
    assert message.state == "refused"
    ta1 = house.answers()[0].answers[0]
    assert (ta1[1], ta1[4], ta1[5]) == ("000000101", "R", "023")
    assert len(house.cases.unmatched) == 1
    assert not house.engine.delivered


async def test_a_document_with_a_wrong_count_is_refused_by_its_997_and_listed() -> None:
    house = House()
    await house.leave(sample(ANSWER).replace(b"SE*13*", b"SE*12*"))
    assert [codes(answer) for answer in house.answers()] == [[("PR", "R")]]
    assert house.received()[0].state == "refused"
    assert "SE01" in next(iter(house.cases.unmatched.values())).reason
    assert not house.engine.delivered


async def test_a_stranger_in_this_mailbox_gets_a_ta1_and_is_not_read() -> None:
    house = House()
    await house.leave(sample(ANSWER).replace(b"*ZZ*ALPINEMED      *", b"*ZZ*SOMEONEELSE    *"))
    assert house.answers()[0].answers[0][5] == "006"
    assert not house.engine.delivered


async def test_each_interchange_of_a_file_is_kept_and_answered_on_its_own() -> None:
    house = House()
    await house.leave(sample("taught_two_interchanges"))
    assert sorted(one.kind for one in house.received()) == ["x12", "x12", "x12_file"]
    assert {one.state for one in house.received()} == {"routed"}
    assert sorted(codes(answer)[0][0] for answer in house.answers()) == ["IN", "PR"]
    whole = next(one for one in house.received() if one.kind == "x12_file")
    assert whole.data == sample("taught_two_interchanges")


async def test_a_997_is_never_answered_and_goes_to_the_case_whose_group_it_names() -> None:
    house = House()
    for _ in range(17):
        numbers = await house.numbering.control_numbers("ALPINE", f"order/{_}", case=ORDER_CASE, kind="850")
    assert numbers.group == 17
    await house.leave(sample("997_order_rejected"))
    assert not house.mailbox.puts
    ((case, document),) = house.engine.delivered
    assert case == ORDER_CASE
    assert document.functional is not None
    assert document.functional.code == "R"
    assert house.journal.acknowledgements == [("ALPINE", "997", "17", "997 says R")]


async def test_a_good_997_that_comes_after_its_case_has_closed_bothers_nobody() -> None:
    house = House()
    house.engine.open.clear()
    await house.cases.record(stands(ORDER_CASE, closed=True))
    for number in range(17):
        await house.numbering.control_numbers("ALPINE", f"order/{number}", case=ORDER_CASE, kind="850")
    good = sample("997_order_rejected").replace(b"AK9*R*1*1*0", b"AK9*A*1*1*1")
    lines = [one for one in good.split(b"~\n") if one[:3] not in (b"AK3", b"AK4")]
    whole = b"~\n".join(lines).replace(b"AK5*R*5", b"AK5*A").replace(b"SE*8*", b"SE*6*")
    await house.leave(whole)
    assert house.received()[0].state == "routed"
    assert not house.cases.unmatched
    assert [one[3] for one in house.journal.acknowledgements] == [""]


async def test_a_997_for_nothing_we_sent_goes_to_the_list() -> None:
    house = House()
    await house.leave(sample("997_order_rejected"))
    (row,) = house.cases.unmatched.values()
    assert (row.kind, row.number, row.supplier) == ("functional_acknowledgement", "17", "ALPINE")
    assert not house.engine.delivered
