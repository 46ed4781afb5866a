"""What the commands show of replays and corrections, and what they ask of the platform about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.replays import Preview
from cli.views import Replayed

if TYPE_CHECKING:
    from cli.house import MessageFilter


class ReplayRow(Canonical):
    """One replay: which messages (``what``), who asked for it and why, how far it is, what came of it so far."""

    replay: str
    what: str = ""
    state: str = ""
    total: int = 0
    done: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    actor: str = ""
    known_by: str = ""
    reason: str = ""
    made_at: datetime | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    cancelled_by: str = ""
    cancelled_why: str = ""


class ReplayedRow(Canonical):
    """One message of a replay: the state it had before, and what became of it."""

    message: str
    before: str = ""
    state: str = ""
    outcome: str = ""
    detail: str = ""
    case: str = ""
    changed_at: datetime | None = None


class ReplayView(ReplayRow):
    """A replay with (some of) its messages."""

    items: tuple[ReplayedRow, ...] = ()


class Corrected(Canonical):
    """A correction: the message it is, what it would become, and, once it was made, what became of it."""

    original: str
    message: str = ""
    preview: Preview
    state: str = ""
    reason: str = ""
    case: str = ""
    outcome: str = ""
    replay: str = ""
    dry_run: bool = False


class Accepted(Canonical):
    """A message under the number of another (``first``) as one of its own: what it says otherwise, and what became of it."""

    message: str
    first: str = ""
    preview: Preview
    state: str = ""
    reason: str = ""
    case: str = ""
    dry_run: bool = False


class Skipped(Canonical):
    """A message that was passed over, and whether a stream waited for it and goes on."""

    message: str
    stream_goes_on: bool = False
    dry_run: bool = False


class ParkedRow(Canonical):
    """A stream that waits for one of its messages, and what waits behind that."""

    stream: str
    message: str
    reason: str = ""
    behind: int = 0
    oldest: datetime | None = None
    at: datetime | None = None


class Replays(Protocol):
    """Replays and corrections behind the commands. Each deed is noted with who did it."""

    async def preview(self, message: str) -> Preview:
        """What routing one message once more would do today."""
        ...

    async def preview_all(self, which: MessageFilter, limit: int) -> Sequence[Preview]:
        """The same for every message that fits, in the order they would be routed."""
        ...

    async def one(self, message: str, why: str, dry_run: bool) -> Replayed:
        """Route a kept message once more, now."""
        ...

    async def begin(self, which: MessageFilter, why: str, at_most: int | None = None) -> ReplayRow:
        """Let every message that fits be routed once more by the workers; where more than ``at_most`` fit, none."""
        ...

    async def correct(self, message: str, data: bytes, why: str, dry_run: bool) -> Corrected:
        """Keep corrected bytes as the next version of a message and route them in its place."""
        ...

    async def accept(self, message: str, why: str, dry_run: bool) -> Accepted:
        """Take a message that came under the number of another as one of its own."""
        ...

    async def skip(self, message: str, why: str, dry_run: bool) -> Skipped:
        """Let a stream go on without a message that could not be taken."""
        ...

    async def parked(self) -> Sequence[ParkedRow]: ...
    async def rows(self, limit: int) -> Sequence[ReplayRow]: ...
    async def show(self, replay: str, outcome: str, limit: int) -> ReplayView | None: ...
    async def cancel(self, replay: str, why: str) -> ReplayRow: ...
