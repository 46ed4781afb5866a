"""What the commands show of a person's access, and what they ask of the platform about it: keys and codes alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from canonical.access import BlockWord, LiftTaken, TargetRow, TargetWord, TargetWordTaken
from canonical.base import Canonical


class TargetShown(Canonical):
    """One target: what stands there, and how often it was seen off since the block (twice is confirmed)."""

    target: str
    kind: str = ""
    facility: str = ""
    state: str = ""
    active: bool = False
    reason: str = ""
    finding: str = ""
    since: datetime | None = None
    times: int = 0
    confirmed_off: bool = False


class AccessShown(Canonical):
    """A person's access; of a block: since when, by whom, and whether all of it was confirmed.

    ``gone_to``: keys that the events are of by now which made this one somebody.
    """

    person: str
    known: bool
    blocked: bool
    confirmed: bool = False
    since: datetime | None = None
    by: str = ""
    lift_asked_by: str = ""
    gone_to: tuple[str, ...] = ()
    targets: tuple[TargetShown, ...] = ()


class Revoked(Canonical):
    """What a call to revoke did: the block that stands, and whether its case was begun at once; ``gone_to`` as above."""

    person: str
    since: datetime
    by: str
    id: str
    begun: bool
    message: str
    gone_to: tuple[str, ...] = ()


class AccessDeskView(Protocol):
    """Access as the commands keep it."""

    async def revoke(self, word: BlockWord) -> Revoked: ...
    async def lift(self, word: BlockWord) -> LiftTaken: ...
    async def access(self, person: str) -> AccessShown: ...
    async def targets(self) -> Sequence[TargetRow]: ...
    async def gone(self, word: TargetWord) -> TargetWordTaken:
        """Say that a target is gone for good; the second who says it decides."""
        ...
