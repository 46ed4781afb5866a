"""People find their cases, see everything on them, and follow a line from the bytes that came in to the ERP's document."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Money
from canonical.cases import (
    REASON_KEPT,
    Actor,
    Attention,
    BusinessEvent,
    Decision,
    DecisionToCheck,
    DocumentRef,
    LineState,
    State,
    Trouble,
)
from canonical.errors import Rejected
from canonical.messages import NewMessage
from store.authority import ERP
from store.cases import StoredCases
from store.journal import StoredJournal
from store.queries import StoredQueries
from store.query_models import CaseQuery, MessageQuery
from store.register import StoredRegister
from tests.store.build import NOW, SEAL_KEY, change, opened, order, requisition, start
from tests.store.test_register import ALPINE, GLOVES


@pytest.fixture
def cases(engine: AsyncEngine) -> StoredCases:
    return StoredCases(engine, SEAL_KEY)


@pytest.fixture
def queries(engine: AsyncEngine) -> StoredQueries:
    return StoredQueries(engine)


async def test_a_list_goes_on_where_the_page_before_ended(cases: StoredCases, queries: StoredQueries) -> None:
    for number in range(5):
        at = NOW + timedelta(minutes=number // 2)
        await cases.record(change(requisition(f"R-{number}").case_id, changed_at=at))
    first = await queries.cases(CaseQuery(), limit=2)
    await cases.record(change(requisition("R-new").case_id, changed_at=NOW + timedelta(hours=1)))
    second = await queries.cases(CaseQuery(), after=first.next, limit=2)
    third = await queries.cases(CaseQuery(), after=second.next, limit=2)
    found = [row.case[-1] for page in (first, second, third) for row in page.cases]
    assert found == ["4", "3", "2", "1", "0"] and third.next == ""
    with pytest.raises(Rejected):
        await queries.cases(CaseQuery(), after="somewhere")


async def test_what_needs_a_person_is_listed_by_how_long_it_does_whatever_reminders_changed_since(
    cases: StoredCases, queries: StoredQueries
) -> None:
    for number, (parked, changed) in enumerate([(3, 4), (1, 9), (2, 5)]):
        attention = tuple(
            Attention(kind="price", reason="too dear", since=NOW + timedelta(minutes=minute)) for minute in (parked, 8)
        )
        at = NOW + timedelta(minutes=changed)
        await cases.record(change(requisition(f"R-{number}").case_id, changed_at=at, attention=attention))
    asked = CaseQuery(attention=True)
    first = await queries.cases(asked, limit=2)
    second = await queries.cases(asked, after=first.next, limit=2)
    rows = [*first.cases, *second.cases]
    assert [row.case[-1] for row in rows] == ["1", "2", "0"]
    assert [row.attention_since for row in rows] == [NOW + timedelta(minutes=minute) for minute in (1, 2, 3)]


async def test_a_list_says_which_cases_wait_for_an_outside_system_and_since_when(
    cases: StoredCases, queries: StoredQueries
) -> None:
    waits, goes_on = requisition("R-1").case_id, requisition("R-2").case_id
    for name in (waits, goes_on):
        await cases.record(change(name))
    for minute, system in ((5, "supplier"), (2, "erp")):
        since = NOW + timedelta(minutes=minute)
        await cases.trouble(Trouble(case=waits, system=system, step="send", since=since, message="no answer"))
    rows = {row.case: row for row in (await queries.cases(CaseQuery())).cases}
    assert (rows[waits].waiting_for, rows[waits].waiting_since) == ("erp", NOW + timedelta(minutes=2))
    assert (rows[goes_on].waiting_for, rows[goes_on].waiting_since) == ("", None)
    assert [row.case for row in (await queries.cases(CaseQuery(waiting=True))).cases] == [waits]


async def test_each_filter_of_the_list_lets_only_its_own_through(cases: StoredCases, queries: StoredQueries) -> None:
    one, two = requisition("R-1").case_id, requisition("R-2").case_id
    attention = (Attention(kind="price", reason="too dear"),)
    amount = Money(amount=Decimal("9.50"))
    await cases.claim(start(requisition("R-1")))
    await cases.record(
        change(one, owner="buyers", supplier="ALPINE", attention=attention, summary="gloves for 100 %", amount=amount)
    )
    await cases.record(
        change(
            two,
            process="purchase_order",
            facility="OTHER",
            state=State.POSTED,
            business_state="closed",
            parent=one,
            closed=True,
            changed_at=NOW + timedelta(days=3),
        )
    )
    filters: dict[str, list[dict[str, object]]] = {
        one: [
            {"process": "procure_to_pay"},
            {"facility": "NGH"},
            {"owner": "buyers"},
            {"supplier": "ALPINE"},
            {"attention": True},
            {"attention_kind": "price"},
            {"open_only": True},
            {"state": "received"},
            {"unchanged_since": NOW + timedelta(days=1)},
            {"search": "100 %"},
            {"search": "r-1"},
        ],
        two: [{"process": "purchase_order"}, {"state": "closed"}, {"state": "posted"}, {"parent": one}],
    }
    for case, wanted in filters.items():
        for which in wanted:
            page = await queries.cases(CaseQuery.model_validate(which))
            assert [row.case for row in page.cases] == [case], which
    (row,) = (await queries.cases(CaseQuery(facility="NGH"))).cases
    assert (row.source, row.number, row.amount, row.needs_attention) == ("surgery", "R-1", amount, True)
    assert row.amount is not None and str(row.amount.amount) == str(amount.plain().amount), "as people write it"
    assert (await queries.cases(CaseQuery(search="1%"))).cases == ()


async def test_a_case_is_found_by_a_requisitions_or_orders_number(cases: StoredCases, queries: StoredQueries) -> None:
    await cases.claim(start(requisition("R-1")))
    await cases.record(change(requisition("R-1").case_id))
    await opened(cases, order())
    await cases.record(change(order().case_id, process="purchase_order"))
    for name, case in (
        ("R-1", requisition("R-1").case_id),
        (requisition("R-1").case_id, requisition("R-1").case_id),
        ("po000001", order().case_id),
        ("PO000001", order().case_id),
    ):
        assert [row.case for row in await queries.find(name)] == [case]
    assert await queries.find("R-9") == [] and await queries.find("") == []


async def test_a_case_shows_its_whole_way(engine: AsyncEngine, cases: StoredCases, queries: StoredQueries) -> None:
    """From the byte that came in to the ERP's document, with everything a person needs on the way."""
    journal, root, child = StoredJournal(engine), requisition(), order()
    claimed = await cases.claim(start(root, trace="trace-1"))
    requisition_line = LineState(line="1", item="ITM-1001", order=child.number, state="ordered")
    await cases.record(
        change(root.case_id, lines=(requisition_line,), documents=(DocumentRef(kind="requisition", number="R-1"),))
    )
    sent = await journal.keep(NewMessage(direction="out", door="sftp", data=b"ISA...", control_number="000000001"))
    came = await journal.keep(NewMessage(door="sftp", data=b"ISA..855", partner="ALPINE"))
    await opened(cases, child)
    papers = (
        DocumentRef(kind="order", number=child.number, message=sent.message.id, lines=("1",), amount=child.amount),
        DocumentRef(kind="erp_order", number="42", system="tryton", parent=f"order:{child.number}"),
        DocumentRef(
            kind="order_acknowledgement",
            number="A1",
            message=came.message.id,
            lines=("1",),
            parent=f"order:{child.number}",
        ),
        DocumentRef(kind="receipt", number="RC-1", lines=("2",)),
    )
    await cases.record(
        change(
            child.case_id,
            process="purchase_order",
            parent=root.case_id,
            lines=(LineState(line="1", requisition_line="1", item="ITM-1001", state="sent to supplier"),),
            documents=papers,
            decision="accepted by E-1",
        )
    )
    await cases.trouble(Trouble(case=child.case_id, system="erp", step="receive", since=NOW, message="refused"))
    detail = await queries.case(child.case_id)
    assert detail is not None and [trouble.system for trouble in detail.troubles] == ["erp"]
    assert [one.what for one in detail.decisions] == ["accepted by E-1"]
    parent = await queries.case(root.case_id)
    assert parent is not None and [one.case for one in parent.children] == [child.case_id]
    assert (parent.trace, parent.message) == ("trace-1", claimed.message)
    expected = [
        (0, "message in", claimed.message),
        (0, "procure_to_pay", root.case_id),
        (1, "requisition", "R-1"),
        (1, "purchase_order", child.case_id),
        (2, "order", child.number),
        (3, "message out", sent.message.id),
        (3, "erp_order", "42"),
        (3, "message in", came.message.id),
        (3, "order_acknowledgement", "A1"),
    ]
    for case in (root.case_id, child.case_id):
        shown = await queries.case(case)
        assert shown is not None
        (way,) = shown.way
        assert [(step.depth, step.kind, step.name) for step in way.steps] == expected
    stated = await queries.links(child.case_id)
    document = f"document:{child.case_id}#order:{child.number}"
    assert (document, f"message:{sent.message.id}") in stated
    assert (f"message:{came.message.id}", f"document:{child.case_id}#order_acknowledgement:A1") in stated
    assert (document, f"document:{child.case_id}#erp_order:42") in stated
    assert (f"line:{root.case_id}#1", f"line:{child.case_id}#1") in stated
    assert (f"message:{claimed.message}", f"case:{root.case_id}") in await queries.links(root.case_id)


async def test_documents_that_name_each_other_as_parents_end_somewhere(
    cases: StoredCases, queries: StoredQueries
) -> None:
    papers = tuple(DocumentRef(kind="order", number=n, parent=f"order:{p}") for n, p in (("1", "2"), ("2", "1")))
    await cases.record(change("c", lines=(LineState(line="1", state="ordered"),), documents=papers))
    shown = await queries.case("c")
    assert shown is not None and len(shown.way) == 1


async def test_decisions_are_listed_as_they_were_given_with_what_became_of_them(
    cases: StoredCases, queries: StoredQueries
) -> None:
    given = Decision(verb="approve", line="1", reason="needed", actor=Actor(id="mito", known_by="os_user"), id="d1")
    for _ in range(2):
        await cases.check(DecisionToCheck(case="c", facility="NGH", decision=given, as_of=NOW))
    await cases.keep_unreadable_decision("c", b"{", "not a decision", NOW + timedelta(minutes=1))
    checked, unreadable = await queries.decisions("c")
    assert (checked.what, checked.actor, checked.known_by, checked.verified) == (
        "approve line 1",
        "mito",
        "temporal",
        False,
    )
    assert (checked.reason, unreadable.kind, unreadable.what) == ("needed", "unreadable", "not a decision")


async def test_what_was_refused_is_listed_once_and_as_refused(cases: StoredCases, queries: StoredQueries) -> None:
    await cases.record(change("c", 1))
    why, later = "approve: who asks may not approve", NOW + timedelta(minutes=5)
    for _ in range(2):  # a step taken again; nothing changed, so its revision is the last one's
        await cases.record(change("c", 1, declined=why, changed_at=later))
    await cases.record(change("c", 2, decision="hold by E-1: on hold", changed_at=NOW + timedelta(minutes=6)))
    at = NOW + timedelta(minutes=7)
    await cases.keep_unreadable_decision("c", b"{}", "release: is not open now", at, read=True)
    assert [(row.kind, row.what) for row in await queries.decisions("c")] == [
        ("refused", "approve: who asks may not approve"),
        ("taken", "hold by E-1: on hold"),
        ("refused", "release: is not open now"),
    ]


async def test_the_words_of_a_reason_are_shown_with_the_decision_and_go_no_further(
    queries: StoredQueries, cases: StoredCases
) -> None:
    given = Decision(verb="cancel", id="d1", reason=REASON_KEPT)
    for words in ("A. Patient is discharged", "another try"):  # the first stays
        await cases.keep_reason("c", "d1", words)
    checked = await cases.check(DecisionToCheck(case="c", facility="NGH", decision=given, as_of=NOW))
    assert checked.decision.reason == REASON_KEPT
    typed = Decision(verb="reject", id="d2", reason="B. Patient")  # by Temporal's own tools
    checked = await cases.check(DecisionToCheck(case="c", facility="NGH", decision=typed, as_of=NOW))
    assert checked.decision.reason == REASON_KEPT
    shown = [(row.verb, row.what, row.reason) for row in await queries.decisions("c")]
    assert [(what, reason) for _, what, reason in shown] == [
        ("cancel", "A. Patient is discharged"),
        ("reject", "B. Patient"),
    ]


async def test_a_forged_decision_does_not_hide_the_true_one_of_the_same_id(
    cases: StoredCases, queries: StoredQueries
) -> None:
    given = Decision(verb="approve", actor=Actor(id="mito", known_by="os_user"), id="d1")
    for one in (given, given.sealed("c", SEAL_KEY), given.sealed("c", SEAL_KEY)):
        await cases.check(DecisionToCheck(case="c", facility="NGH", decision=one, as_of=NOW))
    assert [one.verified for one in await queries.decisions("c")] == [False, True]


async def test_the_journal_is_listed_newest_first_without_bytes(engine: AsyncEngine, queries: StoredQueries) -> None:
    journal = StoredJournal(engine)
    kept = [
        await journal.keep(NewMessage(door="sftp", data=b"a", partner=partner, at=NOW + timedelta(seconds=n)))
        for n, partner in enumerate(("ALPINE", "BOREAL", "ALPINE"))
    ]
    await journal.mark(kept[0].message.id, "dead", reason="garbage")
    first = await queries.messages(MessageQuery(partner="ALPINE"), limit=1)
    second = await queries.messages(MessageQuery(partner="ALPINE"), after=first.next, limit=1)
    assert [row.id for row in (*first.messages, *second.messages)] == [kept[2].message.id, kept[0].message.id]
    assert second.next == "" and second.messages[0].reason == "garbage"
    assert len((await queries.messages(MessageQuery(state="dead"))).messages) == 1
    assert [(state, why) for state, why, _ in await journal.history(kept[0].message.id)] == [
        ("received", ""),
        ("dead", "garbage"),
    ]


async def test_what_came_again_is_in_the_history_of_the_first(engine: AsyncEngine) -> None:
    journal = StoredJournal(engine)
    first = await journal.keep(NewMessage(door="rest", data=b"a", key="k"))
    await journal.keep(NewMessage(door="sftp", data=b"a", key="k"))
    assert [why for _, why, _ in await journal.history(first.message.id)] == ["", "received again by sftp"]


async def test_the_register_is_searched_by_code_name_and_catalogue_number(
    engine: AsyncEngine, queries: StoredQueries
) -> None:
    register = StoredRegister(engine)
    await register.load("item", [GLOVES, {"code": "ITM-2", "description": "Masks"}], ERP, "NGH")
    await register.load("supplier", [ALPINE], ERP)
    for search, codes in (("glv", ["ITM-1001"]), ("mask", ["ITM-2"]), ("itm", ["ITM-1001", "ITM-2"]), ("item", [])):
        page = await queries.records("item", "NGH", search=search)
        assert [row.code for row in page.records] == codes
    first = await queries.records("item", "NGH", limit=1)
    second = await queries.records("item", "NGH", after=first.next, limit=1)
    assert (first.next, [row.code for row in second.records], second.next) == ("ITM-1001|NGH", ["ITM-2"], "")
    (supplier,) = (await queries.records("supplier", "NGH", code="ALPINE")).records
    assert (supplier.record["name"], supplier.source) == ("Alpine", ERP)


async def test_a_code_of_several_facilities_stands_on_pages_of_any_size_once_for_each(
    engine: AsyncEngine, queries: StoredQueries
) -> None:
    for facility in ("NGH", "SGH", "WGH"):
        await StoredRegister(engine).load("item", [GLOVES, {"code": "ITM-2"}], ERP, facility)
    there = [(code, facility) for code in ("ITM-1001", "ITM-2") for facility in ("NGH", "SGH", "WGH")]
    for size in (1, 2, 4, 6):
        found, after = [], "|"
        while after:
            page = await queries.records("item", after=after, limit=size)
            found += [(row.code, row.facility) for row in page.records]
            after = page.next
        assert found == there


async def test_each_state_of_a_document_is_kept_with_its_owner(engine: AsyncEngine, cases: StoredCases) -> None:
    for revision, state in enumerate((State.RECEIVED, State.RECEIVED, State.POSTED), start=1):
        paper = DocumentRef(kind="invoice", number="I-1", state=state)
        await cases.record(change("c", revision, documents=(paper,), owner=f"owner {revision}"))
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql("select state, owner from document_states order by id")
        assert [tuple(row) for row in rows] == [("received", "owner 1"), ("posted", "owner 3")]


async def test_a_step_taken_again_shows_in_the_history_and_its_decision_once(
    cases: StoredCases, queries: StoredQueries, engine: AsyncEngine
) -> None:
    for revision, word in ((1, ""), (2, "hold by E-1: on hold"), (3, "")):
        await cases.record(change("c", revision, decision=word))
    later, event = (
        change("c", 9).changed_at,
        BusinessEvent(type="order.issued.v1", key="k", case="c", facility="NGH", occurred_at=NOW),
    )
    await cases.record(change("c", 2, decision="hold by E-1: on hold", changed_at=later))
    await cases.record(change("c", 3, business_state="otherwise", events=(event,), changed_at=later))
    assert [row.what for row in await queries.decisions("c")] == ["hold by E-1: on hold"]
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql("select revision, business_state from case_changes order by id")
        told = await connection.exec_driver_sql("select count(*) from events")
        assert [tuple(row) for row in rows] == [*((n, f"revision {n}") for n in (1, 2, 3)), (3, "otherwise")]
        assert told.scalar() == 1, "what the repeat tells others is told"


async def test_a_case_shown_as_stopped_is_shown_as_it_is_when_it_goes_on(cases: StoredCases) -> None:
    await cases.record(change("c", 2))
    await cases.mark_stopped("c", "engine fault", owner="support", next_action="look")
    await cases.record(change("c", 2, business_state="goes on"))  # begun before the mark, written after it
    found = await cases.status("c")
    assert found is not None and (found.business_state, found.owner) == ("goes on", "")


async def test_lines_that_come_later_are_linked_too(cases: StoredCases, queries: StoredQueries) -> None:
    one, two = (LineState(line=n, requisition_line=n, state="ordered") for n in ("1", "2"))
    await cases.record(change("c", 1, parent="p", lines=(one,)))
    await cases.record(change("c", 2, parent="p", lines=(one, two)))
    assert ("line:p#2", "line:c#2") in await queries.links("c")


async def test_what_a_case_carried_stays_until_it_carries_something_else(cases: StoredCases) -> None:
    await cases.claim(start(requisition()))
    await cases.record(change(requisition().case_id, 1, carried="so far"))
    await cases.record(change(requisition().case_id, 2))
    await cases.raise_generation(requisition().case_id)
    assert (await cases.claim(start(requisition(), "run-2"))).carried == "so far"


async def test_one_event_key_is_one_event_however_often_it_is_recorded(engine: AsyncEngine, cases: StoredCases) -> None:
    event = BusinessEvent(type="order.issued.v1", key="k", case="c", facility="NGH", occurred_at=NOW)
    await cases.record(change("c", 1, events=(event,)))
    await cases.record(change("c", 2, events=(event,)))
    async with engine.connect() as connection:
        count = (await connection.exec_driver_sql("select count(*) from events")).scalar()
    assert count == 1
