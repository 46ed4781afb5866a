"""What stands still is found: cases without a run, orders whose requisition was not told, events nobody took."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import content_hash
from canonical.cases import Actor, BusinessEvent, LineState, Trouble
from canonical.errors import Rejected
from canonical.messages import NewMessage
from canonical.ports import Unmatched
from store.acts import Act
from store.cases import StoredCases
from store.channel_keeping import StoredChannelKeeping
from store.ids import now
from store.journal import StoredJournal
from store.marks import StoredMarks
from store.numbering import StoredNumbering
from store.open_cases import ClaimPlace
from store.outbox import StoredOutbox, Subscriber
from store.queries import StoredQueries
from store.standing import StoredStandings
from tests.store.build import NOW, SEAL_KEY, change, opened, order, requisition, start

LATER = NOW + timedelta(hours=1)
LONG_AGO = ClaimPlace(NOW - timedelta(days=30), "")


@pytest.fixture
def cases(engine: AsyncEngine) -> StoredCases:
    return StoredCases(engine, SEAL_KEY)


async def test_every_case_that_should_run_is_listed(cases: StoredCases) -> None:
    silent, running, closed, announced = (requisition(f"R-{n}") for n in range(4))
    await cases.claim(start(silent, "run-s"))
    await cases.claim(start(running, "run-r"))
    await cases.record(change(running.case_id, run="run-r"))
    await cases.claim(start(closed))
    await cases.record(change(closed.case_id, closed=True))
    await cases.announce(announced.case_id, content_hash(announced), "")
    await cases.record(change("unreadable"))
    shown = {one.case: one.run for one in await cases.open_page("", 10)}
    assert shown == {running.case_id: "run-r", "unreadable": "run-1"}
    quiet, end = await cases.silent_page(LONG_AGO, 10)
    assert end is None
    unheard = {one.case: one.run for one in quiet}
    assert unheard == {silent.case_id: "run-s", announced.case_id: ""}
    names = [silent.case_id, running.case_id, closed.case_id, announced.case_id, "unreadable", "nothing"]
    assert {one.case: one.run for one in await cases.open_among(names)} == shown | unheard
    assert await cases.open_among([closed.case_id]) == [] == await cases.open_among([])
    assert set(await cases.known_among(names)) == {*names} - {"nothing"} and await cases.known_among([]) == []


async def test_open_cases_come_a_page_at_a_time_each_once(cases: StoredCases) -> None:
    for number in range(5):
        await cases.record(change(f"c-{number}", closed=number == 2))
    pages, after = [], ""
    while page := await cases.open_page(after, 2):
        pages.append([one.case for one in page])
        after = page[-1].case
    assert pages == [["c-0", "c-1"], ["c-3", "c-4"]]


async def test_claims_without_a_word_are_found_among_many_a_page_at_a_time(cases: StoredCases) -> None:
    for number in range(5):
        one = requisition(f"R-{number}")
        await cases.claim(start(one))
        if number != 3:
            await cases.record(change(one.case_id))
    found: list[str] = []
    after: ClaimPlace | None = LONG_AGO
    looked = 0
    while after is not None:
        page, after = await cases.silent_page(after, 2)
        found += [one.case for one in page]
        looked += 1
    assert found == [requisition("R-3").case_id] and looked == 3


async def test_with_many_closed_cases_the_sweep_reads_open_ones_by_an_index(
    cases: StoredCases, engine: AsyncEngine
) -> None:
    """100,000 cases, of which one in a hundred is open: a page is a walk along an index of open ones, not a search."""
    many = """
        INSERT INTO cases ("case", closed, opened_at, changed_at, stopped)
        SELECT 'c-' || lpad(n::text, 6, '0'), n % 100 <> 0, now(), now(), CASE WHEN n % 10000 = 0 THEN 'engine fault' ELSE '' END
        FROM generate_series(1, 100000) n
    """
    async with engine.begin() as connection:
        await connection.execute(text(many))
        await connection.execute(text("ANALYZE cases"))
    page = await cases.open_page("c-050000", 200)
    assert [page[0].case, len(page), page[-1].case] == ["c-050100", 200, "c-070000"]
    assert [one.case for one in await cases.stopped_page("c-070000", 200)] == ["c-080000", "c-090000", "c-100000"]
    plan = 'EXPLAIN SELECT * FROM cases LEFT JOIN claims USING ("case") WHERE NOT closed AND cases."case" > \'c-05\' {} LIMIT 200'
    async with engine.connect() as connection:
        for more, index in (("", "ix_cases_standing"), ("AND stopped <> ''", "ix_cases_stopped")):
            asked = plan.format(f'{more} ORDER BY cases."case"')
            steps = "\n".join(await connection.scalars(text(asked)))
            assert index in steps and "Seq Scan on cases" not in steps, steps


async def test_a_stopped_case_is_shown_once_and_goes_on_when_it_writes_again(
    cases: StoredCases, engine: AsyncEngine
) -> None:
    one = requisition()
    await cases.claim(start(one))
    stop = {"owner": "support", "next_action": "fascia case resume"}
    assert await cases.mark_stopped(one.case_id, "stopped outside", **stop)
    assert not await cases.mark_stopped(one.case_id, "stopped outside", **stop)
    shown = await StoredQueries(engine).case(one.case_id)
    assert shown is not None
    assert (shown.stopped, shown.owner, shown.needs_attention) == ("stopped outside", "support", True)
    assert [was.business_state for was in shown.changes] == ["stopped outside"]
    await cases.record(change(one.case_id, 1))
    assert [case.stopped for case in await cases.open_page("", 10)] == [""]
    assert await cases.mark_stopped(one.case_id, "engine fault", **stop)
    await cases.mark_running(one.case_id)
    assert [case.stopped for case in await cases.open_page("", 10)] == [""]
    await cases.record(change(one.case_id, 2, closed=True))
    assert not await cases.mark_stopped(one.case_id, "stopped outside", **stop)
    assert not await cases.mark_stopped("nothing", "stopped outside", **stop)


async def test_a_parent_is_told_once_of_an_order_that_ended_unheard(cases: StoredCases) -> None:
    parent, child = requisition(), order()
    await cases.record(change(parent.case_id))
    await opened(cases, child)
    line = LineState(line="1", requisition_line="7", state="received")
    ended = change(
        child.case_id, process="purchase_order", parent=parent.case_id, lines=(line,), closed=True, changed_at=NOW
    )
    await cases.record(ended.model_copy(update={"closed": False, "revision": 0}))
    assert await cases.ended_children_not_told(LATER) == []
    await cases.record(ended)
    assert await cases.ended_children_not_told(NOW) == []
    (told,) = await cases.ended_children_not_told(LATER)
    assert (told.parent, told.ended.case, told.ended.order) == (parent.case_id, child.case_id, child.number)
    assert told.ended.lines == (("7", "received"),)
    await cases.child_told(child.case_id)
    assert await cases.ended_children_not_told(LATER) == []


async def test_a_parent_that_was_stopped_hears_of_its_order_when_it_goes_on(cases: StoredCases) -> None:
    await opened(cases, order())
    await cases.record(change("parent"))
    await cases.record(change(order().case_id, parent="parent", closed=True))
    await cases.mark_stopped("parent", "stopped outside", owner="support", next_action="")
    assert await cases.ended_children_not_told(LATER) == []
    await cases.mark_running("parent")
    assert [child.parent for child in await cases.ended_children_not_told(LATER)] == ["parent"]


async def test_a_closed_parent_needs_not_be_told(cases: StoredCases) -> None:
    await opened(cases, order())
    await cases.record(change("parent", closed=True))
    await cases.record(change(order().case_id, parent="parent", closed=True))
    assert await cases.ended_children_not_told(LATER) == []
    assert await cases.nobody_to_tell(NOW) == 0, "it closed only just"
    assert await cases.nobody_to_tell(LATER) == 1
    assert await cases.nobody_to_tell(LATER) == 0, "settled once, it is not looked at again"


async def test_an_order_of_an_open_requisition_is_never_settled_unheard(cases: StoredCases) -> None:
    await opened(cases, order())
    await cases.record(change("parent"))
    await cases.record(change(order().case_id, parent="parent", closed=True))
    assert await cases.nobody_to_tell(LATER) == 0
    assert len(await cases.ended_children_not_told(LATER)) == 1


async def test_trouble_ends_with_the_case(cases: StoredCases) -> None:
    await cases.trouble(Trouble(case="c", system="erp", step="create", since=NOW))
    await cases.record(change("c", closed=True))
    assert await cases.troubles("c") == []


async def test_of_two_people_who_give_a_document_away_at_once_one_does(cases: StoredCases) -> None:
    await cases.put_unmatched(Unmatched(id="u1", kind="invoice", at=NOW, document="{}", facility="NGH"))
    brought: list[str] = []

    async def attach(case: str) -> Unmatched:
        async def give(held: Unmatched) -> None:
            await asyncio.sleep(0.1)
            brought.append(case)

        return await cases.attach("u1", case, by="E-1", give=give)

    done = await asyncio.gather(attach("a"), attach("b"), return_exceptions=True)
    assert len(brought) == 1
    assert sorted(type(one).__name__ for one in done) == ["Rejected", "Unmatched"]


async def test_an_unmatched_document_is_given_to_one_case_or_set_aside(cases: StoredCases) -> None:
    for name in ("u1", "u2"):
        await cases.put_unmatched(Unmatched(id=name, kind="invoice", at=NOW, document="{}", facility="NGH"))
    brought: list[str] = []

    async def give(held: Unmatched) -> None:
        brought.append(held.id)

    async def fails(held: Unmatched) -> None:
        raise Rejected("this case is not open", code="not-open")

    with pytest.raises(Rejected, match="not open"):
        await cases.attach("u1", "closed", by="E-1", give=fails)
    listed = await cases.unmatched_document("u1")
    assert listed is not None and (listed.state, listed.case) == ("open", ""), "what no case took stays on the list"
    given = await cases.attach("u1", "c", by="E-1", give=give, why="theirs")
    assert (given.state, given.case) == ("attached", "c")
    assert await cases.attach("u1", "c", by="E-1", give=give) == given
    with pytest.raises(Rejected, match="attached to c"):
        await cases.attach("u1", "another", by="E-1", give=give)
    assert brought == ["u1", "u1"], "to c, and again; to no other"
    assert (await cases.set_aside("u2", by="E-1", why="advertising")).state == "set_aside"
    with pytest.raises(Rejected, match="set aside"):
        await cases.attach("u2", "c", by="E-1", give=give)
    with pytest.raises(Rejected, match="no unmatched"):
        await cases.set_aside("u3", by="E-1", why="gone")
    assert await cases.unmatched() == [] and len(await cases.unmatched("")) == 2
    assert (await cases.unmatched("", facility="OTHER")) == []


async def test_an_acknowledgement_finds_what_we_sent_by_its_control_number(engine: AsyncEngine) -> None:
    journal = StoredJournal(engine)
    given = await StoredNumbering(engine).control_numbers("ALPINE", "850/PO1", case="c", kind="850")
    number = f"{given.interchange:09d}"
    sent = await journal.keep(
        NewMessage(direction="out", door="sftp", data=b"ISA", partner="ALPINE", control_number=number)
    )
    await journal.mark(sent.message.id, "sent")
    assert await journal.acknowledged("ALPINE", "997", str(given.group), by="m-997") == sent.message.id
    found = await journal.read(sent.message.id)
    assert found is not None and (found.state, found.answer) == ("acknowledged", "m-997")
    assert await journal.acknowledged("ALPINE", "TA1", "77", by="m") is None
    assert await journal.acknowledged("ALPINE", "997", "x", by="m") is None


async def test_what_a_run_may_not_have_looked_at_is_routed_again(cases: StoredCases, engine: AsyncEngine) -> None:
    journal, one = StoredJournal(engine), order()
    case, other = one.case_id, order("PO000002").case_id
    await opened(cases, one)
    told = {"process": "purchase_order", "supplier": "ALPINE"}
    await cases.record(change(case, 1, **told))

    async def routed(key: str, of: str, kind: str = "x12", partner: str = "ALPINE") -> str:
        new = NewMessage(door="mailbox", data=key.encode(), key=key, kind=kind, partner=partner)
        message = (await journal.keep(new)).message.id
        await journal.mark(message, "routed", case=of)
        return message

    bill, receipt = await routed("810", case), await routed("receipt", case, "erp_document", "NGH")
    several = await routed("of several cases", "")
    await routed("another order's", other)
    await routed("another supplier's", "", partner="BETA")
    await routed("a decision", case, "decision")
    assert await cases.mark_stopped(case, "engine fault", owner="support", next_action="resume"), (
        "is no word of its own"
    )
    assert await journal.route_again(case) == 3
    waiting = await journal.unrouted(now() + timedelta(seconds=1))
    assert [message.id for message in waiting] == [bill, receipt, several]
    assert await journal.route_again(case) == 0
    await journal.mark(bill, "routed", case=case)
    await cases.record(change(case, 2, changed_at=now() + timedelta(hours=2), **told))
    assert await journal.route_again(case) == 0, "the case has spoken since"


def _event(number: int, kind: str = "order.issued.v1") -> BusinessEvent:
    return BusinessEvent(type=kind, key=f"k{number}", case="c", facility="NGH", occurred_at=NOW)


async def test_an_event_goes_to_each_who_wants_it_until_it_is_taken(cases: StoredCases, engine: AsyncEngine) -> None:
    outbox = StoredOutbox(engine)
    await outbox.subscribe(Subscriber(name="stock", url="https://stock.test", types=("order.*", "receipt.posted.v1")))
    await outbox.subscribe(Subscriber(name="money", url="https://money.test", types=("invoice.*",)))
    await cases.record(change("c", events=(_event(1), _event(2, "invoice.held.v1"), _event(3, "case.closed.v1"))))
    future = LATER + timedelta(days=36500)
    taken = await outbox.claim(future, future + timedelta(minutes=1))
    assert [(one.subscriber.name, one.event.key, one.attempts) for one in taken] == [
        ("stock", "k1", 1),
        ("money", "k2", 1),
    ]
    assert await outbox.claim(future, future + timedelta(minutes=1)) == []
    await outbox.delivered(taken[0].id, future)
    await outbox.failed(taken[1].id, "HTTP 500", future, future + timedelta(minutes=5))
    assert await outbox.claim(future + timedelta(minutes=4), future) == []
    (again,) = await outbox.claim(future + timedelta(minutes=5), future + timedelta(minutes=6))
    assert (again.id, again.attempts) == (taken[1].id, 2)
    await outbox.failed(again.id, "HTTP 500", future, None)
    assert await outbox.claim(future + timedelta(days=9), future) == []


async def test_what_is_behind_an_event_that_waits_for_another_try_waits_with_it(
    cases: StoredCases, engine: AsyncEngine
) -> None:
    outbox = StoredOutbox(engine)
    await outbox.subscribe(Subscriber(name="stock", url="https://stock.test", per_second=5))
    await outbox.subscribe(Subscriber(name="money", url="https://money.test"))
    await cases.record(change("c", events=(_event(1), _event(2))))
    future, soon = LATER + timedelta(days=36500), timedelta(minutes=1)
    assert sorted(await outbox.due(future)) == ["money", "stock"]
    (first,) = await outbox.claim(future, future + soon, 1, subscriber="stock")
    assert (first.event.key, first.subscriber.per_second) == ("k1", 5)
    await outbox.failed(first.id, "HTTP 500", future, future + 9 * soon)
    assert await outbox.claim(future, future + soon, 1, subscriber="stock") == []
    assert len(await outbox.claim(future, future + soon)) == 2, "another subscriber's go on"
    (again,) = await outbox.claim(future + 9 * soon, future + 10 * soon, 1, subscriber="stock")
    assert (again.id, again.attempts) == (first.id, 2)
    await outbox.put_off(again.id, "HTTP 429", future, future + 12 * soon)
    (asked_later,) = await outbox.claim(future + 12 * soon, future + 13 * soon, 1, subscriber="stock")
    assert (asked_later.id, asked_later.attempts) == (first.id, 2), "to be asked to wait is no try"


async def test_a_target_is_called_by_one_worker_at_a_time_and_a_pause_stops_it_before_its_next_call(
    engine: AsyncEngine,
) -> None:
    standings, lease = StoredStandings(engine), timedelta(minutes=5)
    held = await standings.lease("webhook/stock", "one", lease)
    assert held is not None and await standings.lease("webhook/stock", "two", lease) is None
    assert await standings.say(held.changed(failures=2, error="HTTP 500"), "one")
    assert not await standings.say(held, "two")
    await standings.release("webhook/stock", "two")
    assert await standings.lease("webhook/stock", "two", lease) is None, "one cannot give away another's"
    await standings.release("webhook/stock", "one")
    taken = await standings.lease("webhook/stock", "two", lease)
    assert taken is not None and (taken.failures, taken.error) == (2, "HTTP 500")
    actor = Actor(id="mito", known_by="os_user")
    act = Act(verb="channel pause", about="channel/webhook/stock", actor=actor, reason="they move")
    await StoredChannelKeeping(engine).pause("webhook/stock", act)
    assert not await standings.say(taken, "two")


async def test_senders_at_once_take_no_delivery_twice(cases: StoredCases, engine: AsyncEngine) -> None:
    outbox = StoredOutbox(engine)
    await outbox.subscribe(Subscriber(name="all", url="https://all.test"))
    await cases.record(change("c", events=tuple(_event(number) for number in range(40))))
    future = LATER + timedelta(days=36500)
    taken = await asyncio.gather(*(outbox.claim(future, future + timedelta(minutes=1), limit=10) for _ in range(8)))
    ids = [one.id for some in taken for one in some]
    assert ids and len(ids) == len(set(ids))
    unsent = ids
    while unsent:  # what is behind a delivery on its way waits for it, so the rest comes when these have arrived
        for one in unsent:
            await outbox.delivered(one, future)
        unsent = [one.id for one in await outbox.claim(future, future + timedelta(minutes=1))]
        ids += unsent
    assert len(ids) == len(set(ids)) == 40


async def test_a_subscriber_that_is_switched_off_hears_nothing(cases: StoredCases, engine: AsyncEngine) -> None:
    outbox = StoredOutbox(engine)
    await outbox.subscribe(Subscriber(name="all", url="https://all.test"))
    await outbox.subscribe(Subscriber(name="all", url="https://all.test", active=False))
    await cases.record(change("c", events=(_event(1),)))
    assert await outbox.subscribers() == []
    assert await outbox.claim(LATER + timedelta(days=36500), LATER) == []


async def test_a_mark_never_goes_back(engine: AsyncEngine) -> None:
    marks = StoredMarks(engine)
    assert await marks.mark("erp/NGH") is None
    await marks.set_mark("erp/NGH", LATER)
    await marks.set_mark("erp/NGH", NOW)
    assert await marks.mark("erp/NGH") == LATER
