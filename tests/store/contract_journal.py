"""What Journal and Numbering promise, and the stores a contract is tried on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import pytest

from canonical.errors import Rejected
from canonical.ports import Cases, Journal, NewMessage, Numbering
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
