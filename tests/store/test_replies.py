"""A reply is due with the event it tells of, only to who asked by a message with replies, and in the order of its case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import content_hash
from canonical.cases import BusinessEvent
from canonical.messages import NewMessage
from store.cases import StoredCases
from store.journal import StoredJournal
from store.replies import StoredReplies
from tests.store import build

LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def cases(engine: AsyncEngine) -> StoredCases:
    return StoredCases(engine, build.SEAL_KEY)


@pytest.fixture
def replies(engine: AsyncEngine) -> StoredReplies:
    return StoredReplies(engine)


async def asked(engine: AsyncEngine, cases: StoredCases, number: str, kind: str) -> tuple[str, str]:
    """A requisition that came by a message of this kind; its case and the message."""
    wanted = build.requisition(number)
    kept = await StoredJournal(engine).keep(NewMessage(door="mllp", data=number.encode(), kind=kind, sender="WARD"))
    await cases.announce(wanted.case_id, content_hash(wanted), kept.message.id)
    return wanted.case_id, kept.message.id


def event(case: str, key: str, kind: str = "requisition.lines_changed.v1") -> BusinessEvent:
    return BusinessEvent(
        type=kind, key=f"{case}/{key}", case=case, facility="NGH", occurred_at=build.NOW, data={"number": "R-1"}
    )


async def tell(cases: StoredCases, case: str, *events: BusinessEvent, revision: int = 1) -> None:
    await cases.record(build.change(case, revision, events=events))


async def test_who_asked_by_an_order_message_is_due_a_reply_and_nobody_else(
    engine: AsyncEngine, cases: StoredCases, replies: StoredReplies
) -> None:
    case, message = await asked(engine, cases, "R-1", "OMS^O05")
    other, _ = await asked(engine, cases, "R-2", "requisition")
    await tell(cases, case, event(case, "ordered"), event(case, "approved", "requisition.approved.v1"))
    await tell(cases, other, event(other, "ordered"))
    (due,) = await replies.due(LATER)
    assert (due.event.key, due.asked) == (f"{case}/ordered", message)


async def test_the_same_event_again_is_one_reply(
    engine: AsyncEngine, cases: StoredCases, replies: StoredReplies
) -> None:
    case, _ = await asked(engine, cases, "R-1", "OMN^O07")
    await tell(cases, case, event(case, "ordered"))
    await tell(cases, case, event(case, "ordered"), revision=2)
    assert len(await replies.due(LATER)) == 1


async def test_nothing_overtakes_an_earlier_reply_of_its_case(
    engine: AsyncEngine, cases: StoredCases, replies: StoredReplies
) -> None:
    case, _ = await asked(engine, cases, "R-1", "OMS^O05")
    other, _ = await asked(engine, cases, "R-2", "OMS^O05")
    await tell(cases, case, event(case, "ordered"), event(case, "PO1"))
    await tell(cases, other, event(other, "ordered"))
    first, second, third = await replies.due(LATER)
    await replies.later(first.id, "the channel is away", LATER + timedelta(minutes=1))
    assert [due.id for due in await replies.due(LATER)] == [third.id]
    await replies.written(third.id, "m-9")
    both = await replies.due(LATER + timedelta(minutes=2))
    assert [(due.id, due.attempts) for due in both] == [(first.id, 1), (second.id, 0)]
    await replies.dead(first.id, "it cannot be written")
    await replies.needless(second.id, "nobody listens")
    assert await replies.due(LATER + timedelta(days=9)) == []
