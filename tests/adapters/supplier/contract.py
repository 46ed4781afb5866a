"""What every way to a supplier must keep, whatever it is made of. Adapters and the fake inherit this suite.

A subclass gives a ``scene``: the channel, what the supplier has got, and how to trouble it.
"""

from __future__ import annotations

from datetime import date
from typing import Protocol

import pytest

from canonical.errors import Rejected, Unavailable
from canonical.parties import Partner
from canonical.ports import SupplierChannel
from tests.adapters.supplier.documents import change, order, remittance


class Scene(Protocol):
    """A supplier under test."""

    channel: SupplierChannel
    partner: Partner

    async def got(self) -> list[str]:
        """The names of the files or documents the supplier holds, each once."""
        ...

    async def lose_the_next_answer(self) -> None:
        """The next document arrives, but we do not hear that it did."""
        ...

    async def go_away(self) -> None:
        """Nothing answers."""
        ...

    async def come_back(self) -> None:
        """All is well again."""
        ...


class SupplierContract:
    """The suite."""

    async def test_each_kind_of_document_arrives_once_under_numbers_of_its_own(self, scene: Scene) -> None:
        sent = [
            await scene.channel.send_order(order(), scene.partner),
            await scene.channel.send_change(change(), scene.partner),
            await scene.channel.send_remittance(remittance(), scene.partner),
        ]
        assert [one.kind for one in sent] == ["850", "860", "820"]
        assert len({one.interchange for one in sent}) == 3
        assert len({one.message for one in sent}) == 3
        assert all(one.group and one.transaction_set and not one.already for one in sent)
        assert await scene.got() == sorted(one.file for one in sent)

    async def test_a_repeat_is_the_same_document_and_not_a_second_one(self, scene: Scene) -> None:
        first = await scene.channel.send_order(order(), scene.partner)
        again = await scene.channel.send_order(order(), scene.partner)
        assert again == first.model_copy(update={"already": True})
        assert await scene.got() == [first.file]

    async def test_a_repeat_after_a_lost_answer_leaves_one_document_under_the_first_numbers(self, scene: Scene) -> None:
        await scene.lose_the_next_answer()
        with pytest.raises(Unavailable):
            await scene.channel.send_order(order(), scene.partner)
        arrived = await scene.got()
        again = await scene.channel.send_order(order(), scene.partner)
        assert arrived == [again.file]
        assert await scene.got() == arrived

    async def test_a_supplier_that_is_away_gets_the_document_when_it_is_back(self, scene: Scene) -> None:
        await scene.go_away()
        with pytest.raises(Unavailable):
            await scene.channel.send_order(order(), scene.partner)
        await scene.come_back()
        sent = await scene.channel.send_order(order(), scene.partner)
        assert await scene.got() == [sent.file]

    async def test_a_persons_resend_is_a_document_of_its_own(self, scene: Scene) -> None:
        first = await scene.channel.send_order(order(), scene.partner)
        second = await scene.channel.send_order(order(), scene.partner, attempt=2)
        again = await scene.channel.send_order(order(), scene.partner, attempt=2)
        assert first.interchange != second.interchange == again.interchange
        assert len(await scene.got()) == 2

    async def test_other_content_under_the_same_key_is_refused(self, scene: Scene) -> None:
        first = await scene.channel.send_order(order(), scene.partner)
        with pytest.raises(Rejected) as refused:
            await scene.channel.send_order(order(price="19.75"), scene.partner)
        assert refused.value.code == "conflict"
        assert await scene.got() == [first.file]

    async def test_the_same_document_made_on_another_day_is_still_the_same(self, scene: Scene) -> None:
        tomorrow = date(2026, 11, 3)
        first = await scene.channel.send_order(order(), scene.partner)
        again = await scene.channel.send_order(order().changed(ordered_on=tomorrow), scene.partner)
        assert (again.file, again.message, again.already) == (first.file, first.message, True)
        changed = await scene.channel.send_change(change(), scene.partner)
        later = await scene.channel.send_change(change().changed(dated=tomorrow), scene.partner)
        assert (later.file, later.already) == (changed.file, True)
        assert await scene.got() == sorted([first.file, changed.file])

    async def test_two_orders_and_two_changes_do_not_disturb_each_other(self, scene: Scene) -> None:
        sent = [
            await scene.channel.send_order(order("PO-1"), scene.partner),
            await scene.channel.send_order(order("PO-2"), scene.partner),
            await scene.channel.send_change(change(1, number="PO-1"), scene.partner),
            await scene.channel.send_change(change(2, number="PO-1", cancel=True), scene.partner),
        ]
        assert await scene.got() == sorted(one.file for one in sent)
