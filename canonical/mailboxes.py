"""A partner's mailbox: what lies in it, and what we ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from canonical.base import Canonical

UNFINISHED: Final = "unfinished"  # code of an Unavailable: this file is still being written, the mailbox is well


FAILED: Final = "failed"  # code of an Unavailable: the mailbox answered that this could not be done, without saying why


class MailboxFile(Canonical):
    """A file that waits in a partner's mailbox."""

    name: str
    size: int


class Mailbox(Protocol):
    """A partner's SFTP mailbox."""

    async def put(self, name: str, data: bytes) -> None:
        """Put a file whole or not at all; the same name again replaces it with the same bytes."""
        ...

    async def list(self) -> Sequence[MailboxFile]:
        """What waits for us, oldest name first; unfinished (dot) names left out."""
        ...

    async def read(self, name: str) -> bytes:
        """One file's bytes.

        Raises:
            Rejected: this file cannot be had (``forbidden``), or is there no more (``not-found``).
            Unavailable: the mailbox is away; with code ``unfinished`` or ``failed`` this file alone cannot be read now.
        """
        ...

    async def take(self, name: str) -> None:
        """Move a kept file out of the way, never delete it; however often its name was used before. Raises as ``read``."""
        ...
