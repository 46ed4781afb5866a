"""What the commands show of channels, and what they ask of the platform about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import Field

from canonical.base import Canonical


class ChannelRow(Canonical):
    """One channel in a list. ``state``: ``open``, ``paused``, ``stands still``, ``breaker open``, ``breaker half-open``, ``off`` (its
    row says so), ``no sender`` (nobody sends its kind) or ``no row`` (the register has none)."""

    channel: str
    kind: str = ""
    address: str = ""
    facility: str = ""
    state: str = "open"
    waiting: int = 0
    oldest: datetime | None = None
    dead: int = 0
    breaker: str = "closed"
    failures: int = 0
    probe_at: datetime | None = None
    error: str = ""
    error_at: datetime | None = None
    paused_by: str = ""
    paused_why: str = ""
    paused_at: datetime | None = None
    owner: str = ""


class OutboundView(Canonical):
    """A message of a channel, and how far it came; ``blocks``: the channel stands still behind it."""

    message: str
    channel: str = ""
    control_id: str = ""
    state: str = ""
    blocks: bool = False
    attempts: int = 0
    answer: str = ""
    application: str = ""
    said: str = ""
    put_at: datetime | None = None
    changed_at: datetime | None = None


class ChannelView(ChannelRow):
    """One channel: how it stands, its terms, what is next, and its dead letters."""

    contact: str = ""
    openings: int = 0
    terms: dict[str, str] = Field(default_factory=dict)
    next: tuple[OutboundView, ...] = ()
    dead_letters: tuple[OutboundView, ...] = ()


class Channels(Protocol):
    """The channels behind the commands. Each deed is noted with who did it."""

    async def rows(self) -> Sequence[ChannelRow]: ...
    async def show(self, channel: str, limit: int) -> ChannelView | None: ...

    async def pause(self, channel: str, why: str) -> ChannelRow:
        """Send nothing more until it is resumed."""
        ...

    async def resume(self, channel: str, why: str) -> ChannelRow:
        """Send on at once."""
        ...

    async def retry(self, messages: Sequence[str], channel: str, why: str, dry_run: bool) -> Sequence[OutboundView]:
        """Send dead letters again: these, or all (of one channel) where none is named."""
        ...

    async def skip(self, message: str, why: str) -> OutboundView:
        """Let a channel go on without the dead letter it stands still behind."""
        ...
