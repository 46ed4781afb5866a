"""From a department's order over its requisition to the reply it hears, among fakes; and what an outage does to that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from canonical.base import content_hash
from canonical.cases import BusinessEvent, CaseChange, CaseStatus, LineState, State
from canonical.errors import Rejected, Unavailable
from canonical.messages import KeepResult, NewMessage
from canonical.senders import Channel, Sender
from formats import hl7
from store.replies import DueReply
from tests.fakes.store import FakeCases, FakeJournal
from tests.formats.hl7_files import sample
from tests.gateway.fakes import FakeEngine
from tests.gateway.feeds.hl7_senders import WARD, nouns
from workers.loops.replies import ReplyWriter

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CHANNEL = Channel(code="WARD-REPLIES", facility="NGH", host="ward", port=2575)


class KeptOnly:
    """Channels without a queue: what is put is only kept."""

    def __init__(self, keep: Callable[[NewMessage], Awaitable[KeepResult]]) -> None:
        self._keep = keep

    async def put(self, channel: str, message: NewMessage) -> KeepResult:
        """Keep it once.

        Raises:
            Rejected: another message has its key.
        """
        result = await self._keep(message.model_copy(update={"channel": channel}))
        if result.outcome == "conflict":
            raise Rejected(f"another message has the key {message.key}", code="conflict", system="store")
        return result


class FakeReplies:
    """Replies that are due, in memory."""

    def __init__(self) -> None:
        self.waiting: list[DueReply] = []
        self.outcomes: dict[int, str] = {}

    async def due(self, at: datetime, limit: int = 50) -> list[DueReply]:
        return [one for one in self.waiting if one.id not in self.outcomes][:limit]

    async def written(self, reply: int, message: str) -> None:
        self.outcomes[reply] = f"written {message}"

    async def needless(self, reply: int, reason: str) -> None:
        self.outcomes[reply] = "needless"

    async def dead(self, reply: int, reason: str) -> None:
        self.outcomes[reply] = f"dead: {reason}"

    async def later(self, reply: int, reason: str, again_at: datetime) -> None:
        self.later_at = again_at


class Terms:
    """The register, as far as the loop asks."""

    def __init__(self, sender: Sender = WARD, channel: Channel = CHANNEL) -> None:
        self._sender, self._channel = sender, channel

    async def senders(self) -> list[Sender]:
        return [self._sender]

    async def channels(self) -> list[Channel]:
        return [self._channel]


class Ward:
    """A ward that has sent an order, read by its feed and started as two requisitions."""

    def __init__(self, terms: Terms | None = None) -> None:
        self.journal = FakeJournal()
        self.cases = FakeCases(self.journal)
        self.engine = FakeEngine()
        self.replies = FakeReplies()
        self.outgoing = KeptOnly(self.journal.keep)
        self.loop = ReplyWriter(
            self.replies, self.journal, self.cases, terms or Terms(), self.outgoing, clock=lambda: NOW
        )

    async def asks(self) -> list[str]:
        kept = await self.journal.keep(
            NewMessage(door="mllp", data=sample("oms_o05"), kind="OMS^O05", sender="WARD", key="hl7/WARD/WARD-000017")
        )
        for requisition in nouns(kept.message.data):
            said = await self.cases.announce(requisition.case_id, content_hash(requisition), kept.message.id)
            assert said.outcome == "new"
            await self.engine.start_requisition(said.case, requisition.model_dump_json().encode())
        self.asked = kept.message.id
        return [case for case, _ in self.engine.started]

    async def is_ordered(self, case: str, order: str = "PO000001") -> BusinessEvent:
        line = LineState(line="1", order=order, state="ordered")
        event = BusinessEvent(
            type="requisition.lines_changed.v1",
            key=f"{case}/requisition.lines_changed/ordered",
            case=case,
            facility="NGH",
            occurred_at=NOW,
            data={"number": case.rpartition("/")[2], "orders": order, "state": "ordered", "lines": "1:ordered"},
        )
        await self.cases.record(
            CaseChange(
                case=case, process="procure_to_pay", facility="NGH", run="r", revision=1, state=State.POSTED,
                business_state="ordered", lines=(line,), events=(event,), changed_at=NOW,
            )
        )  # fmt: skip
        assert isinstance(await self.cases.status(case), CaseStatus)
        self.replies.waiting.append(DueReply(id=len(self.replies.waiting) + 1, event=event, asked=self.asked))
        return event

    @property
    def sent(self) -> list[hl7.Message]:
        return [hl7.read(one.data) for one in self.journal.messages.values() if one.direction == "out"]


async def test_a_department_asks_and_hears_the_order_number_back() -> None:
    ward = Ward()
    first, second = await ward.asks()
    assert first == "procure_to_pay/NGH/ward-desk/REQ-20177"
    await ward.is_ordered(first)
    await ward.is_ordered(second, "PO000002")
    await ward.loop.once()
    one, two = ward.sent
    assert (one.value("MSA-2"), one.value("ORC-2.1"), one.value("ORC-3.1")) == ("WARD-000017", "REQ-20177", "PO000001")
    assert (two.value("ORC-2.1"), two.value("RQD-1")) == ("REQ-20178", "2")
    states = [kept.state for kept in ward.journal.messages.values() if kept.direction == "out"]
    assert states == ["validated", "validated"] and len(ward.replies.outcomes) == 2


async def test_a_reply_that_was_kept_before_the_process_ended_is_not_kept_twice() -> None:
    ward = Ward()
    case, _ = await ward.asks()
    await ward.is_ordered(case)
    await ward.loop.once()
    ward.replies.outcomes.clear()
    await ward.loop.once()
    assert len(ward.sent) == 1 and ward.replies.outcomes[1].startswith("written")


async def test_who_has_no_channel_for_replies_is_told_nothing() -> None:
    for terms in (Terms(WARD.changed(reply_channel=None)), Terms(channel=CHANNEL.changed(active=False))):
        ward = Ward(terms)
        case, _ = await ward.asks()
        await ward.is_ordered(case)
        await ward.loop.once()
        assert ward.sent == [] and ward.replies.outcomes == {1: "needless"}


async def test_what_is_away_is_waited_for_and_its_cases_later_replies_with_it() -> None:
    ward = Ward()
    case, _ = await ward.asks()
    await ward.is_ordered(case)
    await ward.is_ordered(case)
    tried: list[str] = []

    async def away(message: NewMessage) -> None:
        tried.append(message.key)
        raise Unavailable("our own database does not answer", system="store")

    ward.outgoing._keep = away  # type: ignore[assignment]
    await ward.loop.once()
    assert ward.replies.outcomes == {} and len(tried) == 1
    assert ward.replies.later_at == NOW + timedelta(seconds=5)


async def test_a_mistake_of_ours_at_one_reply_keeps_no_other_case_waiting() -> None:
    ward = Ward()
    first, second = await ward.asks()
    await ward.is_ordered(first)
    await ward.is_ordered(second, "PO000002")
    keep = ward.outgoing._keep

    async def broken(message: NewMessage) -> KeepResult:
        if message.case == first:
            raise KeyError("a mistake of ours")
        return await keep(message)

    ward.outgoing._keep = broken
    with capture_logs() as logs:
        await ward.loop.once()
    assert list(ward.replies.outcomes) == [2] and ward.replies.later_at == NOW + timedelta(seconds=5)
    (said,) = [entry for entry in logs if entry["event"] == "reply could not be written"]
    assert said["alert"] and said["case"] == first


async def test_a_message_that_does_not_hold_the_requisition_is_shown_to_a_person() -> None:
    ward = Ward()
    case, _ = await ward.asks()
    await ward.is_ordered(f"{case}-other")
    await ward.loop.once()
    assert ward.sent == [] and ward.replies.outcomes[1].startswith("dead: ORC-2")
