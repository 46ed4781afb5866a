"""What Journal and Numbering promise, and the stores a contract is tried on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import pytest

from canonical.errors import Rejected
from canonical.messages import Kept, Move, NewMessage
from canonical.ports import Cases, Journal, Numbering
from tests.store.build import NOW


class CasesAndMore(Cases, Protocol):
    async def raise_generation(self, case: str) -> int: ...


@dataclass
class Stores:
    """The ports under test, and how this kind of store is filled and looked at."""

    journal: Journal
    numbering: Numbering
    cases: CasesAndMore
    committed: Any
    employ: Any
    budget: Any
    extra: dict[str, Any] = field(default_factory=dict)


class JournalContract:
    async def test_a_message_is_kept_byte_for_byte(self, stores: Stores) -> None:
        data = bytes(range(256)) * 3
        kept = await stores.journal.keep(NewMessage(door="sftp", data=data, partner="ALPINE", key="k"))
        read = await stores.journal.read(kept.message.id)
        assert kept.outcome == "kept" and read is not None
        assert (read.data, read.size, read.state, read.partner) == (data, 768, "received", "ALPINE")

    async def test_the_same_key_with_the_same_bytes_is_the_first_message(self, stores: Stores) -> None:
        first = await stores.journal.keep(NewMessage(door="rest", data=b"a", key="k"))
        again = await stores.journal.keep(NewMessage(door="sftp", data=b"a", key="k"))
        assert (again.outcome, again.message.id) == ("duplicate", first.message.id)

    async def test_the_same_key_with_other_bytes_is_kept_once_as_a_conflict(self, stores: Stores) -> None:
        first = await stores.journal.keep(NewMessage(door="rest", data=b"a", key="k"))
        other = await stores.journal.keep(NewMessage(door="rest", data=b"b", key="k"))
        again = await stores.journal.keep(NewMessage(door="rest", data=b"b", key="k"))
        assert (other.outcome, again.outcome) == ("conflict", "conflict")
        assert other.first is not None and other.first.id == first.message.id
        assert again.message.id == other.message.id != first.message.id
        assert other.message.data == b"b" and first.message.id in other.message.reason

    async def test_a_dead_letter_keeps_its_owner_and_a_message_what_its_door_noted(self, stores: Stores) -> None:
        kept = await stores.journal.keep(NewMessage(door="mllp", data=b"a", stream="s", note="ORC-1: is required"))
        dead = Move(message=kept.message.id, state="dead", reason="unknown-code", owner="Ward integration")
        await stores.journal.mark_many([dead, Move(message=kept.message.id, state="corrected", reason="by m-2")])
        read = await stores.journal.read(kept.message.id)
        assert read is not None and kept.message.note == read.note == "ORC-1: is required"
        assert (read.state, read.owner) == ("corrected", "Ward integration")

    async def test_messages_without_a_key_are_each_their_own(self, stores: Stores) -> None:
        one = await stores.journal.keep(NewMessage(door="rest", data=b"a"))
        two = await stores.journal.keep(NewMessage(door="rest", data=b"a"))
        assert one.outcome == two.outcome == "kept" and one.message.id < two.message.id

    async def test_a_key_in_and_a_key_out_do_not_meet(self, stores: Stores) -> None:
        await stores.journal.keep(NewMessage(direction="in", door="sftp", data=b"a", key="k"))
        out = await stores.journal.keep(NewMessage(direction="out", door="sftp", data=b"b", key="k"))
        assert (out.outcome, out.message.state) == ("kept", "validated")

    async def test_a_key_of_any_length_and_text_of_any_kind_are_kept(self, stores: Stores) -> None:
        long = NewMessage(door="sftp", data=b"a", key="\x00é" * 5000, sender="a\x00b", kind="x" * 9000)
        assert (await stores.journal.keep(long)).outcome == "kept"
        assert (await stores.journal.keep(long)).outcome == "duplicate"

    async def test_a_mark_moves_a_message_with_its_reason(self, stores: Stores) -> None:
        kept = (await stores.journal.keep(NewMessage(door="rest", data=b"a"))).message
        await stores.journal.mark(kept.id, "refused", reason="unknown facility", case="c", kind="requisition")
        await stores.journal.answered(kept.id, "another")
        read = await stores.journal.read(kept.id)
        assert read is not None
        found = (read.state, read.reason, read.case, read.kind, read.answer)
        assert found == ("refused", "unknown facility", "c", "requisition", "another")

    async def test_what_its_door_refuses_is_refused_from_the_start_and_waits_for_no_router(
        self, stores: Stores
    ) -> None:
        new = NewMessage(door="mllp", data=b"a", key="k", stream="s", refused="AR: no")
        kept = (await stores.journal.keep(new)).message
        read = await stores.journal.read(kept.id)
        assert read is not None and (read.state, read.reason) == ("refused", "AR: no")
        assert not await stores.journal.next_to_route(0, 1)
        await stores.journal.mark(kept.id, "received", reason="taken after all")
        assert [one.id for one in await stores.journal.next_to_route(0, 1)] == [kept.id]

    async def test_sent_again_does_not_undo_acknowledged(self, stores: Stores) -> None:
        kept = (await stores.journal.keep(NewMessage(direction="out", door="sftp", data=b"a"))).message
        for state in ("sent", "acknowledged", "sent"):
            await stores.journal.mark(kept.id, state)
        read = await stores.journal.read(kept.id)
        assert read is not None and read.state == "acknowledged"

    async def test_an_unknown_message_or_state_is_said_so(self, stores: Stores) -> None:
        with pytest.raises(Rejected):
            await stores.journal.mark("nothing", "routed")
        with pytest.raises(Rejected):
            await stores.journal.answered("nothing", "another")
        with pytest.raises(ValueError, match="lost"):
            await stores.journal.mark("nothing", "lost")
        assert await stores.journal.read("nothing") is None

    async def test_what_came_in_under_keys_that_begin_alike_is_found_in_order(self, stores: Stores) -> None:
        def new(key: str, data: bytes, direction: str = "in") -> NewMessage:
            return NewMessage(door="erp", direction=direction, key=key, data=data)

        for key, data in (("r%_1/b", b"1"), ("r%_1/a", b"2"), ("r%_1/a", b"other"), ("rxx1/a", b"3"), ("r%_2/a", b"4")):
            await stores.journal.keep(new(key, data))
        await stores.journal.keep(new("r%_1/c", b"5", "out"))
        assert [one.data for one in await stores.journal.kept_under("r%_1/")] == [b"1", b"2"]

    async def test_what_is_not_routed_is_found_oldest_first(self, stores: Stores) -> None:
        times = [NOW, NOW - timedelta(hours=1), NOW - timedelta(hours=2)]
        kept = [(await stores.journal.keep(NewMessage(door="rest", data=b"a", at=at))).message for at in times]
        await stores.journal.mark(kept[2].id, "routed")
        await stores.journal.keep(NewMessage(direction="out", door="sftp", data=b"a", at=times[1]))
        found = await stores.journal.unrouted(NOW + timedelta(seconds=1))
        assert [message.id for message in found] == [kept[1].id, kept[0].id]
        assert await stores.journal.unrouted(NOW - timedelta(hours=1)) == []

    async def test_many_are_kept_in_their_order_each_as_it_would_be_alone(self, stores: Stores) -> None:
        first = (await stores.journal.keep(NewMessage(door="mllp", data=b"0", key="known"))).message
        brought = [
            NewMessage(door="mllp", data=b"1", key="a"),
            NewMessage(door="mllp", data=b"1", key="a"),
            NewMessage(door="mllp", data=b"other", key="a"),
            NewMessage(door="mllp", data=b"2"),
            NewMessage(door="mllp", data=b"0", key="known"),
            NewMessage(door="mllp", data=b"3", key="b"),
        ]
        told = await stores.journal.keep_many(brought)
        assert [one.outcome for one in told] == ["kept", "duplicate", "conflict", "kept", "duplicate", "kept"]
        assert told[1].message.id == told[0].message.id and told[4].message.id == first.id
        assert told[2].first is not None and told[2].first.id == told[0].message.id
        new = [told[place].message.id for place in (0, 3, 5)]
        assert new == sorted(new)
        for one, message in zip(told, brought, strict=True):
            read = await stores.journal.read(one.message.id)
            assert read is not None and read.data == message.data == one.message.data
        assert await stores.journal.keep_many([]) == []

    async def test_what_a_message_says_of_itself_is_kept_with_it(self, stores: Stores) -> None:
        told = await stores.journal.keep(
            NewMessage(
                door="mllp",
                data=b"a",
                stream="WARD/4711",
                priority=2,
                occurred=NOW,
                channel="ward-out",
                version_of="earlier",
                replay_of="other",
            )
        )
        read = await stores.journal.read(told.message.id)
        for one in (told.message, read):
            assert one is not None
            found = (one.stream, one.priority, one.occurred, one.channel, one.version_of, one.replay_of)
            assert found == ("WARD/4711", 2, NOW, "ward-out", "earlier", "other")

    async def test_a_number_is_new_again_when_its_time_is_over(self, stores: Stores) -> None:
        def brought(days: float, data: bytes = b"a", remember: timedelta | None = timedelta(days=7)) -> NewMessage:
            return NewMessage(
                door="mllp", data=data, key="hl7/WARD/1", at=NOW + timedelta(days=days), remember=remember
            )

        first = await stores.journal.keep(brought(0))
        assert (await stores.journal.keep(brought(6.9))).outcome == "duplicate"
        assert (await stores.journal.keep(brought(6.9, b"b"))).outcome == "conflict"
        later = await stores.journal.keep(brought(7.1, b"b"))
        assert later.outcome == "kept" and later.message.id != first.message.id
        assert (await stores.journal.keep(brought(8, b"b"))).message.id == later.message.id
        assert (await stores.journal.keep(brought(8, b"a"))).outcome == "conflict"

    async def test_a_number_without_an_end_is_never_new_again(self, stores: Stores) -> None:
        await stores.journal.keep(NewMessage(door="sftp", data=b"a", key="x12/1", at=NOW))
        again = NewMessage(door="sftp", data=b"a", key="x12/1", at=NOW + timedelta(days=9000), remember=timedelta(1))
        assert (await stores.journal.keep(again)).outcome == "duplicate"

    async def test_many_moves_are_made_at_once_or_not_at_all(self, stores: Stores) -> None:
        kept = [
            one.message.id for one in await stores.journal.keep_many([_in_stream("s", b"1"), _in_stream("s", b"2")])
        ]
        await stores.journal.mark_many(
            [
                Move(message=kept[1], state="routed", case="c", kind="ADT^A01"),
                Move(message=kept[0], state="validated"),
                Move(message=kept[0], state="dead", reason="unreadable"),
            ]
        )
        one, two = [await stores.journal.read(name) for name in kept]
        assert one is not None and (one.state, one.reason) == ("dead", "unreadable")
        assert two is not None and (two.state, two.case, two.kind) == ("routed", "c", "ADT^A01")
        with pytest.raises(Rejected):
            await stores.journal.mark_many([Move(message=kept[0], state="routed"), Move(message="no", state="routed")])
        with pytest.raises(ValueError, match="lost"):
            await stores.journal.mark_many([Move(message=kept[0], state="lost")])
        still = await stores.journal.read(kept[0])
        assert still is not None and still.state == "dead"
        await stores.journal.mark_many([])

    async def test_urgent_streams_come_first_and_each_keeps_its_order(self, stores: Stores) -> None:
        brought = [
            _in_stream("bulk", b"b1", 9),
            _in_stream("usual", b"u1"),
            _in_stream("urgent", b"x1", 0),
            _in_stream("usual", b"u2"),
            NewMessage(door="rest", data=b"no stream"),
            _in_stream("bulk", b"urgent behind bulk", 0),
        ]
        await stores.journal.keep_many(brought)
        found = await stores.journal.next_to_route(0, 1)
        assert [one.data for one in found] == [b"b1", b"x1", b"urgent behind bulk", b"u1", b"u2"]
        assert [one.data for one in await stores.journal.next_to_route(0, 1, 2)] == [b"b1", b"x1"]
        await stores.journal.mark_many([Move(message=one.id, state="routed") for one in found])
        assert await stores.journal.next_to_route(0, 1) == []
        assert [one.data for one in await stores.journal.unrouted(NOW + timedelta(days=9000))] == [b"no stream"]

    async def test_every_stream_is_in_one_shard(self, stores: Stores) -> None:
        names = [f"WARD/{number}" for number in range(40)]
        await stores.journal.keep_many([_in_stream(name, b"1") for name in names + names])
        shards = [{one.stream for one in await stores.journal.next_to_route(shard, 3)} for shard in range(3)]
        assert all(shards) and sorted(name for shard in shards for name in shard) == sorted(names)
        both = {one.stream for one in await stores.journal.next_to_route((0, 2), 3)}
        assert both == shards[0] | shards[2] and not both & shards[1]
        assert {one.stream for one in await stores.journal.next_to_route(range(3), 3)} == set(names)
        assert not await stores.journal.next_to_route((), 3)
        with pytest.raises(ValueError, match="no shard 3"):
            await stores.journal.next_to_route(3, 3)
        with pytest.raises(ValueError, match="no shard 3"):
            await stores.journal.next_to_route((0, 3), 3)

    async def test_a_parked_stream_waits_and_the_others_go_on(self, stores: Stores) -> None:
        told = await stores.journal.keep_many([_in_stream("bad", b"1"), _in_stream("good", b"2")])
        bad = told[0].message.id
        await stores.journal.park("bad", bad, "unknown code")
        await stores.journal.park("bad", bad, "again")
        await stores.journal.keep(_in_stream("bad", b"3"))
        assert [one.data for one in await stores.journal.next_to_route(0, 1)] == [b"2"]
        await stores.journal.unpark("bad")
        await stores.journal.unpark("never parked")
        assert [one.data for one in await stores.journal.next_to_route(0, 1)] == [b"1", b"2", b"3"]

    async def test_streams_that_are_left_out_hide_nothing_behind_them(self, stores: Stores) -> None:
        long = "WARD/" + "x" * 900
        await stores.journal.keep_many([_in_stream(name, b"1", 0) for name in ("waits", long) for _ in range(9)])
        await stores.journal.keep(_in_stream("goes on", b"2", 9))
        for of in (1, 2):
            shards = [await stores.journal.next_to_route(shard, of, 3, without=["waits", long]) for shard in range(of)]
            assert [one.stream for shard in shards for one in shard] == ["goes on"]

    async def test_what_is_not_routed_is_read_page_by_page_each_once(self, stores: Stores) -> None:
        ids = []
        for number in range(7):  # two of one moment each
            new = NewMessage(door="rest", data=b"a", at=NOW - timedelta(hours=4 - number // 2))
            ids.append((await stores.journal.keep(new)).message.id)
        found: list[Kept] = []
        while page := await stores.journal.unrouted(NOW, 3, after=found[-1] if found else None):
            found += page
        assert sorted(one.id for one in found) == sorted(ids)
        assert [(one.at, one.id) for one in found] == sorted((one.at, one.id) for one in found)


def _in_stream(stream: str, data: bytes, priority: int = 5) -> NewMessage:
    return NewMessage(door="mllp", data=data, stream=stream, priority=priority)


class NumberingContract:
    async def test_the_same_key_has_the_same_numbers_and_another_has_others(self, stores: Stores) -> None:
        ask = stores.numbering.control_numbers
        one = await ask("ALPINE", "850/PO1", case="a", kind="850")
        two = await ask("ALPINE", "850/PO2", case="b", kind="850")
        assert await ask("ALPINE", "850/PO1", case="a", kind="850") == one
        assert (two.interchange, two.group) == (one.interchange + 1, one.group + 1)
        assert (await ask("BOREAL", "850/PO1", case="a", kind="850")).interchange == 1

    async def test_a_reply_finds_the_case_by_group_or_interchange(self, stores: Stores) -> None:
        given = await stores.numbering.control_numbers("ALPINE", "850/PO1", case="the case", kind="850")
        find = stores.cases.case_of_control_number
        assert await find("ALPINE", "997", f"{given.group:09d}") == "the case"
        assert await find("ALPINE", "TA1", str(given.interchange)) == "the case"
        for partner, number in (("BOREAL", "1"), ("ALPINE", "77"), ("ALPINE", ""), ("ALPINE", "x1")):
            assert await find(partner, "997", number) is None
