"""What directories (the EHR, a schedule, an address book) were told of people: messages by channels, numbered for each person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.messages import NewMessage
from canonical.senders import Channel

Delivery = Literal["waiting", "taken", "refused"]
"""Not answered yet; the other side said yes to all of it; it said no to some, or it was given up."""


class Said(Canonical):
    """What a directory was told last of a person. ``number`` counts what it was told; ``places``: the facilities it was told of."""

    number: int = Field(default=0, ge=0)
    hash: str = ""
    active: bool = False
    places: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


class DirectoryLog(Protocol):
    """What was said, in our own store, and what became of it."""

    async def channel(self, code: str) -> Channel | None:
        """The way there; None where the register has none."""
        ...

    async def last(self, target: str, person: str) -> Said:
        """What it was told last; number 0 where it never heard of the person."""
        ...

    async def say(self, target: str, person: str, channel: str, messages: Sequence[NewMessage], said: Said) -> Said:
        """Queue messages and remember what they say, in one transaction; ``said.number`` is the one after the last.

        Raises:
            Unavailable: something else was said meanwhile (``crossed``): look again.
        """
        ...

    async def delivery(self, said: Said) -> Delivery:
        """What became of the messages."""
        ...

    async def taken(self, channel: str, controls: Sequence[str]) -> bool:
        """Whether the other side of a channel has said yes to any message of these control ids."""
        ...
