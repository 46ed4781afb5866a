"""The router: kept messages go on in order, one bad message parks its own stream only, nothing that is away loses its place."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest

from canonical.base import Canonical
from canonical.errors import Malformed, Throttled, Unavailable
from canonical.messages import Kept
from canonical.purchasing import Requisition
from canonical.senders import Mapping, Mappings, Sender
from formats import hl7
from tests.gateway.hl7_house import WARD, House, house, order, read_order, text
from tests.gateway.hl7_house import head as msh


async def kept(at: House, *messages: bytes) -> None:
    for message in messages:
        assert (await at.answer(message)).accepted


def states(at: House) -> dict[str, str]:
    return {one.control_number: one.state for one in at.journal.messages.values()}


def taking(at: House, away: set[str] | None = None, error: Exception | None = None) -> list[tuple[str, str]]:
    """Requisitions are noted instead of started; those of a number in ``away`` wait."""
    taken: list[tuple[str, str]] = []

    async def take(message: Kept, sender: Sender, noun: Canonical) -> str:
        assert isinstance(noun, Requisition)
        await asyncio.sleep(0)
        if noun.number in (away or ()):
            raise error or Unavailable("away")
        taken.append((message.control_number, noun.number))
        return f"case of {noun.number}"

    at.takers[Requisition] = take
    return taken


async def test_a_requisition_that_was_kept_starts_its_case() -> None:
    at = await house()
    await kept(at, order())
    await at.router().once()
    ((case, data),) = at.engine.started
    assert case == "procure_to_pay/NGH/ward-desk/REQ-1"
    read = Requisition.model_validate_json(data)
    assert (read.number, str(read.lines[0].quantity)) == ("REQ-1", "4 BX")
    found = at.journal.kept()
    assert (found.state, found.case) == ("routed", case)


async def test_what_was_routed_and_not_written_down_is_routed_again_with_the_effect_of_once() -> None:
    at = await house()
    await kept(at, order())
    routing = at.router()
    at.journal.away = True
    with pytest.raises(Unavailable):
        await routing.once()
    at.journal.away = False
    at.journal.messages = {
        name: one.model_copy(update={"state": "received"}) for name, one in at.journal.messages.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(at.cases.claims[at.engine.started[0][0]].__dict__, "run", "run-1")
        await at.router().once()
    assert len(at.engine.started) == 1 and states(at) == {"W-1": "routed"}


async def test_a_kind_nothing_reads_is_routed_and_says_so() -> None:
    at = await house()
    await kept(at, text(msh(kind="ADT^A08"), "EVN||20261102", "PID|1||7^^^NGH^MR||TEST^A", "PV1|1|I"))
    await at.router().once()
    assert (at.journal.kept().state, at.journal.kept().reason) == ("routed", "kept, nothing reads it")


async def test_a_message_that_cannot_be_read_is_a_dead_letter_with_an_owner_and_parks_its_own_stream_only() -> None:
    at = await house()
    taken = taking(at)
    bad = order("W-1").replace(b"|BX^Box^L", b"|not a unit")
    await kept(at, bad, order("W-2"), order("W-3", "REQ-2"))
    await at.router().once()
    assert states(at) == {"W-1": "dead", "W-2": "received", "W-3": "routed"}
    assert taken == [("W-3", "REQ-2")]
    (row,) = at.cases.unmatched.values()
    assert (row.kind, row.facility, row.supplier) == ("unreadable", "NGH", "WARD")
    assert "Ward integration" in row.reason and "unit" in row.reason
    await at.journal.unpark("hl7/WARD/order/REQ-1")
    await at.router().once()
    assert states(at)["W-2"] == "routed"


async def test_by_policy_a_stream_goes_on_past_a_dead_letter() -> None:
    at = await house(WARD.changed(on_dead="go on"))
    taken = taking(at)
    await kept(at, order("W-1").replace(b"|BX^Box^L", b"|not a unit"), order("W-2"), order("W-3"))
    await at.router().once()
    assert states(at) == {"W-1": "dead", "W-2": "routed", "W-3": "routed"}
    assert [control for control, _ in taken] == ["W-2", "W-3"]


async def test_what_is_away_holds_its_own_stream_in_order_and_no_other() -> None:
    at = await house()
    away = {"REQ-1"}
    taken = taking(at, away)
    await kept(at, order("W-1"), order("W-2"), order("W-3", "REQ-2"))
    router = at.router()
    await router.once()
    assert taken == [("W-3", "REQ-2")] and states(at)["W-1"] == "received"
    away.clear()
    await router.once()
    assert len(taken) == 1  # it waits a moment before it asks again
    at.now += 1.1
    await router.once()
    assert taken[1:] == [("W-1", "REQ-1"), ("W-2", "REQ-1")]


async def test_who_says_when_to_come_back_is_left_in_peace_until_then() -> None:
    at = await house()
    away = {"REQ-1"}
    taken = taking(at, away, Throttled("slower", retry_after=20.0))
    await kept(at, order())
    router = at.router()
    await router.once()
    away.clear()
    at.now += 19.0
    await router.once()
    assert not taken
    at.now += 2.0
    await router.once()
    assert taken


async def test_many_that_wait_hide_none_that_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.loops.router.AT_MOST", 5)
    at = await house()
    taken = taking(at, {f"REQ-{n}" for n in range(12)})
    await kept(at, *(order(f"W-{n}", f"REQ-{n}") for n in range(12)))
    router = at.router()
    await router.once()
    await kept(at, order("W-99", "REQ-99"))
    for _ in range(4):
        await router.once()
    assert taken == [("W-99", "REQ-99")]


async def test_streams_that_wait_are_not_even_fetched_until_their_pause_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = await house()
    away = {"REQ-1"}
    taken = taking(at, away)
    await kept(at, *(order(f"W-{n}", "REQ-1") for n in range(50)))
    fetched: list[int] = []
    ask = at.journal.next_to_route

    async def counted(
        shard: int | Collection[int], of: int, limit: int = 500, *, without: Collection[str] = ()
    ) -> Sequence[Kept]:
        found = await ask(shard, of, limit, without=without)
        fetched.append(len(found))
        return found

    monkeypatch.setattr(at.journal, "next_to_route", counted)
    router = at.router()
    for _ in range(5):
        await router.once()
    assert fetched == [50, 0, 0, 0, 0, 0]
    away.clear()
    at.now += 1.1
    await router.once()
    assert [control for control, _ in taken] == [f"W-{n}" for n in range(50)]


async def test_where_more_streams_wait_than_we_remember_no_more_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.loops.router.AT_MOST", 5)
    monkeypatch.setattr("workers.loops.router.MOST_WAITING", 10)
    at = await house()
    away = {f"REQ-{n}" for n in range(40)}
    taken = taking(at, away)
    await kept(at, *(order(f"W-{n}", f"REQ-{n}") for n in range(40)))
    router = at.router()
    for _ in range(10):
        await router.once()
    assert len(router._waits) == 10
    away.clear()
    for _ in range(20):
        at.now += 31
        await router.once()
    assert len(taken) == 40


async def test_what_was_used_overtakes_a_catalogue_that_waits() -> None:
    at = await house(WARD.changed(kinds=("*",), check="off"))
    routed: list[str] = []

    def note(message: hl7.Message, *_: object) -> tuple[()]:
        routed.append(message.header.control)
        return ()

    at.feeds = dict.fromkeys(("MFN^M05", "DFT^P03", "OMS^O05"), note)
    master = [text(msh(f"M-{n}", "MFN^M05"), "MFI|LOC||UPD|||AL", "MFE|MAD|||X|PL", "LOC|X||D") for n in range(20)]
    usage = text(msh("U-1", "DFT^P03"), "EVN||20261102", "PID|1||7^^^NGH^MR||TEST^A", "FT1|1|||20261102||CG|X")
    await kept(at, *master, order("W-1"), usage)
    await at.router().once()
    assert routed == ["U-1", "W-1", *(f"M-{n}" for n in range(20))]


async def test_urgent_messages_go_first() -> None:
    urgent = WARD.changed(code="OR", applications=("ORSYS",), priority=0)
    at = await house(WARD, urgent)
    taken = taking(at)
    await kept(at, order("W-1"), order("W-2", "REQ-2"), order("O-1", "REQ-9", app="ORSYS"))
    await at.router().once()
    assert [control for control, _ in taken] == ["O-1", "W-1", "W-2"]


async def test_a_stream_keeps_the_order_its_messages_came_in_while_others_go_on_beside_it() -> None:
    at = await house()
    taken = taking(at)
    await kept(at, *(order(f"W-{n}", f"REQ-{n % 3}") for n in range(30)))
    await at.router().once()
    for number in range(3):
        mine = [control for control, of in taken if of == f"REQ-{number}"]
        assert mine == [f"W-{n}" for n in range(30) if n % 3 == number]


async def test_a_code_that_was_just_mapped_is_known_before_anything_is_called_dead() -> None:
    at = await house()

    def strict(message: hl7.Message, sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
        if mappings.find("item", "ITM-1") is None:
            raise Malformed("no such item", path="RQD-2", code="unknown-code")
        return read_order(message, sender, mappings)

    at.feeds["OMS^O05"] = strict
    taking(at)
    await kept(at, order())
    at.register.tables = [Mapping(sender="WARD", table="item", rows={"ITM-1": "GLOVE"})]
    await at.router().once()
    assert states(at) == {"W-1": "routed"}


async def test_other_content_under_a_requisitions_number_is_for_a_person_and_parks_its_stream() -> None:
    at = await house()
    await kept(at, order("W-1"), order("W-2", quantity="9"), order("W-3", quantity="9"))
    await at.router().once()
    assert states(at) == {"W-1": "routed", "W-2": "refused", "W-3": "received"}
    assert [row.kind for row in at.cases.unmatched.values()] == ["requisition"]


async def test_a_conflict_its_door_could_not_refuse_any_more_is_never_routed() -> None:
    at = await house()
    taken = taking(at)
    await kept(at, order("W-1"))
    from canonical.messages import NewMessage

    first = at.journal.kept()
    same = NewMessage(door="mllp", data=order("W-1", quantity="5"), key=first.key, sender="WARD", kind="OMS^O05",
                      control_number="W-1b", stream=first.stream)  # fmt: skip
    await at.journal.keep(same)
    await at.router().once()
    assert taken == [("W-1", "REQ-1")] and states(at) == {"W-1": "routed", "W-1b": "refused"}


async def test_a_batch_as_it_came_is_not_routed_twice() -> None:
    at = await house()
    taken = taking(at)
    await at.answers(b"BHS|^~\\&|WARDSYS|NGH\r" + order("W-1") + order("W-2", "REQ-2") + b"BTS|2\r")
    await at.router().once()
    assert len(taken) == 2 and set(states(at).values()) == {"routed"}


async def test_a_feed_that_breaks_makes_a_dead_letter_and_stops_nobody() -> None:
    at = await house()
    taken = taking(at)

    def broken(message: hl7.Message, sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
        if message.header.control == "W-1":
            raise ZeroDivisionError
        return read_order(message, sender, mappings)

    at.feeds["OMS^O05"] = broken
    await kept(at, order("W-1"), order("W-2", "REQ-2"))
    await at.router().once()
    assert states(at) == {"W-1": "dead", "W-2": "routed"} and taken == [("W-2", "REQ-2")]


async def test_a_router_that_stood_still_writes_nothing_over_what_others_said_meanwhile_and_begins_nothing_more() -> (
    None
):
    at = await house()
    await kept(at, order("W-1", "REQ-1"), order("W-2", "REQ-2"), order("W-3", "REQ-2"))
    taken: list[str] = []

    async def take(message: Kept, sender: Sender, noun: Canonical) -> str:
        taken.append(message.control_number)
        if (
            len(taken) == 2
        ):  # SIGSTOP; another router had W-1, which could not be read, and a person passed it over; SIGCONT
            await at.journal.mark(at.journal.kept("W-1").id, "skipped", reason="passed over")
            at.now += 3600
        return ""

    at.takers[Requisition] = take
    await at.router().once()
    assert taken == ["W-1", "W-2"], "W-3 is asked for anew, if its stream is still ours"
    assert states(at) == {"W-1": "skipped", "W-2": "routed", "W-3": "received"}
    await at.router().once()
    assert states(at) == {"W-1": "skipped", "W-2": "routed", "W-3": "routed"}
