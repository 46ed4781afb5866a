"""What a command to revoke tells of a block, without servers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from canonical.access import Block, BlockWord
from canonical.cases import Actor
from canonical.errors import Rejected, Unavailable
from cli.our_access import OurAccess
from tests.build import NOW
from workers.wiring import Wiring

WORD = BlockWord(person="person-0001", reason="left", id="call-1")
BLOCK = Block(person=WORD.person, since=NOW, by="E-HR", reason="left", id="call-1")


def access(block: Block, begun: list[str], gone_to: Unavailable | None = None) -> OurAccess:
    """The commands' side, with a store that has this block."""

    async def commits(*_: Any) -> Block:
        return block

    async def whose(_: str) -> tuple[str, ...]:
        if gone_to:
            raise gone_to
        return ()

    async def begins(person: str, call: str) -> None:
        begun.append(call)

    async def decider() -> tuple[Actor, str]:
        return Actor(id="E-HR", known_by="os_user"), ""

    people = SimpleNamespace(
        access_desk=SimpleNamespace(block=commits, gone_to=whose), engine=SimpleNamespace(revoke=begins)
    )
    return OurAccess(cast("Wiring", SimpleNamespace(people=people)), decider)


async def test_a_command_said_again_once_its_block_was_lifted_is_no_success() -> None:
    begun: list[str] = []
    with pytest.raises(Rejected, match="nobody is blocked by it; to block anew, give another --id"):
        await access(BLOCK.changed(lifted_at=NOW), begun).revoke(WORD)
    assert begun == []


async def test_a_block_that_stands_is_told_whatever_is_away_after_it() -> None:
    begun: list[str] = []
    told = await access(BLOCK, begun, Unavailable("our own database does not answer", system="store")).revoke(WORD)
    assert (told.begun, told.id, begun) == (True, "call-1", ["call-1"])
