"""What the steps about access believe of those who begin them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from activities.access import AccessActivities
from canonical.access import AccessTarget, Block
from canonical.people_ports import Access, ClinicianTarget


class Kept:
    """The blocks that were committed."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    async def block(self, block: Block) -> Block:
        self.blocks.append(block)
        return block


def nobody(target: AccessTarget) -> ClinicianTarget:
    raise AssertionError(target)


async def test_who_blocks_by_temporal_alone_has_not_shown_who_they_are() -> None:
    kept = Kept()
    said = Block(person="person-0001", since=datetime(2026, 11, 20, tzinfo=UTC), by="E-4201", reason="forged", id="x")
    await AccessActivities(cast(Access, kept), nobody).commit_block(said)
    await AccessActivities(cast(Access, kept), nobody).commit_block(said.changed(by="E" * 120))
    assert [one.by for one in kept.blocks] == ["unverified: E-4201", f"unverified: {'E' * 108}"]
