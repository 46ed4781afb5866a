"""Many at once are decided by the database, never by luck."""

from __future__ import annotations

import asyncio
from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import content_hash
from canonical.messages import NewMessage
from canonical.parties import CostCentre
from canonical.steps import InvoiceCheck, OpenOrder, OrdersRequest
from store.cases import StoredCases
from store.journal import StoredJournal
from store.numbering import StoredNumbering
from store.register import StoredRegister
from store.tables import messages
from tests.store.build import NOW, SEAL_KEY, change, invoice, numbered, order, put, requisition, start
from tests.store.contract_orders import usd


async def test_of_twenty_starts_at_once_one_claims(engine: AsyncEngine) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    starts = [start(requisition(), f"run-{n}") for n in range(20)]
    found = await asyncio.gather(*(cases.claim(one) for one in starts))
    assert Counter(one.outcome for one in found) == {"claimed": 1, "duplicate": 19}


async def test_of_starts_with_other_content_at_once_one_claims_and_the_rest_are_listed(engine: AsyncEngine) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    starts = [start(requisition(note=f"number {n}"), f"run-{n}") for n in range(20)]
    found = await asyncio.gather(*(cases.claim(one) for one in starts))
    assert Counter(one.outcome for one in found) == {"claimed": 1, "conflict": 19}
    listed = await cases.unmatched()
    assert {(one.kind, one.number, one.case) for one in listed} == {("requisition", "R-1", requisition().case_id)}
    assert {one.message for one in listed} == {one.message for one in found if one.outcome == "conflict"}


async def test_the_same_run_tried_twice_at_once_claims_once(engine: AsyncEngine) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    found = await asyncio.gather(*(cases.claim(start(requisition())) for _ in range(10)))
    assert {(one.outcome, one.message) for one in found} == {("claimed", found[0].message)}


async def test_a_door_and_a_start_at_once_make_one_case(engine: AsyncEngine) -> None:
    cases, one = StoredCases(engine, SEAL_KEY), requisition()
    announced, claimed = await asyncio.gather(
        cases.announce(one.case_id, content_hash(one), ""), cases.claim(start(one))
    )
    assert announced.outcome in ("new", "same") and claimed.outcome == "claimed"


async def test_of_twenty_same_messages_at_once_one_is_kept(engine: AsyncEngine) -> None:
    journal = StoredJournal(engine)
    found = await asyncio.gather(
        *(journal.keep(NewMessage(door="sftp", data=b"a" if n % 2 else b"b", key="k")) for n in range(20))
    )
    assert Counter(one.outcome for one in found) == {"kept": 1, "duplicate": 9, "conflict": 10}
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(messages)) == 2


async def test_numbers_given_at_once_have_no_gap_and_no_double(engine: AsyncEngine) -> None:
    numbering, cases = StoredNumbering(engine), StoredCases(engine, SEAL_KEY)
    given = await asyncio.gather(
        *(numbering.control_numbers("ALPINE", f"key-{n % 10}", case="c", kind="850") for n in range(20))
    )
    assert sorted({one.interchange for one in given}) == list(range(1, 11))
    asked = [
        OrdersRequest(case=f"case-{n % 5}", requisition=requisition(), lines=(), currency="USD", dated=NOW.date())
        for n in range(20)
    ]
    amounts, contents = {"a": usd("1"), "b": usd("1")}, {"a": "", "b": ""}
    numbers = await asyncio.gather(*(cases.order_numbers(one, amounts, contents) for one in asked))
    assert sorted({number for one in numbers for number in one.numbers}) == [f"PO{n:06d}" for n in range(1, 11)]


async def test_of_twenty_that_race_for_the_last_money_as_many_get_it_as_there_is_for(engine: AsyncEngine) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    await put(engine, "cost_centre", "NGH", "CC-4100", CostCentre(code="CC-4100", facility="NGH", budget=usd("100")))
    asked = [
        OrdersRequest(case=f"case-{n}", requisition=requisition(), lines=(), currency="USD", dated=NOW.date())
        for n in range(20)
    ]
    given = await asyncio.gather(*(cases.order_numbers(one, {"a": usd("30")}, {"a": ""}) for one in asked))
    assert Counter(bool(one.numbers) for one in given) == {True: 3, False: 17}
    assert await StoredRegister(engine).committed("NGH", "CC-4100") == usd("90")


async def test_control_numbers_start_again_after_nine_digits(engine: AsyncEngine) -> None:
    numbering = StoredNumbering(engine)
    await numbering.control_numbers("ALPINE", "a", case="first", kind="850")
    async with engine.begin() as connection:
        await connection.exec_driver_sql("update counters set last = 999999998")
    last = await numbering.control_numbers("ALPINE", "b", case="last", kind="850")
    again = await numbering.control_numbers("ALPINE", "c", case="again", kind="850")
    assert (last.interchange, again.interchange, again.group) == (999_999_999, 1, 1)
    assert await StoredCases(engine, SEAL_KEY).case_of_control_number("ALPINE", "997", "1") == "again"


async def test_an_order_opened_twice_at_once_is_one_case(engine: AsyncEngine) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    await numbered(cases, order())
    opens = [OpenOrder(order=order(), run=f"run-{n}", as_of=NOW) for n in range(10)]
    found = await asyncio.gather(*(cases.open_order(one) for one in opens))
    assert Counter(one.outcome for one in found) == {"claimed": 1, "duplicate": 9}


async def test_of_two_invoices_of_one_number_that_come_at_once_one_is_said_to_come_after_the_other(
    engine: AsyncEngine,
) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    for number in range(20):
        first = invoice().changed(number=f"INV-{number}")
        other = first.changed(total=first.total + first.total)
        pair = [InvoiceCheck(case="c", invoice=one, message=one.key) for one in (first, other)]
        found = await asyncio.gather(*(cases.check_invoice(check) for check in pair))
        assert sorted(bool(seen.reason) for seen in found) == [False, True]


async def test_of_one_invoice_in_many_messages_at_once_one_is_the_first(engine: AsyncEngine) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    checks = [InvoiceCheck(case=f"case-{n}", invoice=invoice(), message=f"m{n}") for n in range(10)]
    found = await asyncio.gather(*(cases.check_invoice(one) for one in checks))
    assert Counter(one.duplicate for one in found) == {False: 1, True: 9}


async def test_changes_written_at_once_leave_the_newest(engine: AsyncEngine) -> None:
    cases = StoredCases(engine, SEAL_KEY)
    await asyncio.gather(*(cases.record(change("c", revision)) for revision in range(1, 21)))
    status = await cases.status("c")
    assert status is not None and status.revision == 20


async def test_two_resumes_at_once_raise_two_generations(engine: AsyncEngine) -> None:
    cases, one = StoredCases(engine, SEAL_KEY), requisition()
    await cases.claim(start(one))
    assert sorted(await asyncio.gather(*(cases.raise_generation(one.case_id) for _ in range(2)))) == [2, 3]
    found = await asyncio.gather(*(cases.claim(start(one, f"next-{n}")) for n in range(5)))
    assert Counter(claimed.outcome for claimed in found) == {"resumed": 1, "duplicate": 4}
