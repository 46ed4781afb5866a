"""Takes what was used where it belongs: kept once under its sender's number, all of a message together, with nobody's name in it.

The encounter a use belongs to is kept as a keyed hash alone: whoever has the key and the number can ask what was used in it, and
nobody can read the number from what we keep.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from canonical.base import Canonical
from canonical.errors import Unavailable
from canonical.messages import Kept
from canonical.senders import Sender
from canonical.stock_ports import UsageInbox, UsageKept
from canonical.usage import UsageEvent
from gateway.intake import Conflict, Intake
from gateway.routing import NotTaken

LISTED: Final = "usage"  # its kind in the list a person works
LENGTH: Final = 22  # of base64 url signs: 132 bits
MOST_AT_ONCE: Final = 500  # events of a file in one transaction


class Procedures:
    """Makes the opaque reference of an encounter, with a key made of ``secret`` that serves nothing else."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"fascia/usage/encounter", hashlib.sha256) if secret else b""

    def of(self, encounter: str) -> str:
        """The reference of an encounter, the same each time; empty where there is none.

        Raises:
            Unavailable: there is no key: what is kept without one could be guessed from the number.
        """
        if not encounter:
            return ""
        if not self._key:
            raise Unavailable("no key to keep encounters by: FASCIA_SEAL_KEY", system="store")
        digest = hmac.digest(self._key, encounter.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode()[:LENGTH]

    def opaque(self, event: UsageEvent) -> UsageEvent:
        """The event as it is kept: by its procedure's reference, without its encounter.

        Raises:
            Unavailable: there is no key.
        """
        if not event.encounter:
            return event
        return event.model_copy(update={"procedure": self.of(event.encounter), "encounter": ""})


class UsageTaker:
    """Takes usage events of any door. Taking them again changes nothing."""

    def __init__(self, inbox: UsageInbox, intake: Intake, procedures: Procedures) -> None:
        self._inbox = inbox
        self._intake = intake
        self._procedures = procedures

    async def take(self, message: Kept, sender: Sender, nouns: Sequence[Canonical]) -> str:
        """As the routing of kept messages gives them to us: all the uses of one message. No case comes of it.

        Raises:
            NotTaken: some are known with other content; they are listed for a person, the others are kept.
            Unavailable: our store is away: take them again later.
        """
        events = [noun for noun in nouns if isinstance(noun, UsageEvent)]
        kept = await self.keep(message, sender, events)
        wrong = [event for event, one in zip(events, kept, strict=True) if one.outcome == "conflict"]
        if wrong:
            raise NotTaken(Conflict(known(wrong[0]), ""), [event.number for event in wrong])
        return ""

    async def keep(self, message: Kept, sender: Sender, events: Sequence[UsageEvent]) -> Sequence[UsageKept]:
        """Keep uses that came with a message, one outcome for each, in their order; a conflict is listed for a person, once.

        Raises:
            Unavailable: our store is away: nothing of it was kept.
        """
        opaque = [self._procedures.opaque(one) for one in events]
        kept = await self._inbox.keep(opaque, message.id, sender.code, message.version_of)
        for event, one in zip(events, kept, strict=True):
            if one.outcome == "conflict":
                owner = f" [owner: {sender.owner}]" if sender.owner else ""
                about = {"facility": event.facility, "number": event.number, "supplier": sender.code}
                part = f"{event.number}/{event.sequence}"
                await self._intake.listed(LISTED, message, known(event) + owner, None, part, **about)
        return kept


def known(event: UsageEvent) -> str:
    """Why an event is not kept."""
    return f"use {event.number}/{event.sequence} of {event.source} is known with other content"
