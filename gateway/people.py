"""Takes what HR systems say where it belongs: kept once under its name, all of a message together, without anybody's national number.

The national number is kept as a keyed hash alone: whoever has the key and the number can ask whose it is, and nobody can read it, or
try all of them, from what we keep.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from canonical.base import Canonical
from canonical.errors import Unavailable
from canonical.messages import Kept
from canonical.people import HrEvent, HrKept
from canonical.people_ports import HrInbox
from canonical.senders import Sender
from gateway.intake import Conflict, Intake
from gateway.routing import NotTaken

LISTED: Final = "hr_event"  # its kind in the list a person works


class PersonHashes:
    """Makes the hash a person's national number is compared by, with a key made of ``secret`` that serves nothing else."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"fascia/people/national", hashlib.sha256) if secret else b""

    def of(self, number: str) -> str:
        """The hash of a number, the same however it is written (``078-05-1120``, ``078051120``); empty where there is none.

        Raises:
            Unavailable: there is no key: nine digits hashed without one are read by trying them all.
        """
        plain = "".join(sign for sign in number if sign.isalnum()).upper()
        if not plain:
            return ""
        if not self._key:
            raise Unavailable("no key to keep national numbers by: FASCIA_SEAL_KEY", system="store")
        return hmac.digest(self._key, plain.encode(), hashlib.sha256).hex()

    def opaque(self, event: HrEvent) -> HrEvent:
        """The event as it is kept.

        Raises:
            Unavailable: there is no key.
        """
        if not event.record.national_id:
            return event
        record = event.record.model_copy(update={"national_id": self.of(event.record.national_id)})
        return event.model_copy(update={"record": record})


class HrTaker:
    """Takes HR events of any door. Taking them again changes nothing."""

    def __init__(self, inbox: HrInbox, intake: Intake, hashes: PersonHashes) -> None:
        self._inbox = inbox
        self._intake = intake
        self._hashes = hashes

    async def take(self, message: Kept, sender: Sender, nouns: Sequence[Canonical]) -> str:
        """As the routing of kept messages gives them to us: all the events of one message. Cases are woken in our store.

        Raises:
            NotTaken: some are known with other content; they are listed for a person, the others are kept.
            Unavailable: our store is away: take them again later.
        """
        events = [noun for noun in nouns if isinstance(noun, HrEvent)]
        kept = await self.keep(message, sender, events)
        wrong = [event for event, one in zip(events, kept, strict=True) if one.outcome == "conflict"]
        if wrong:
            raise NotTaken(Conflict(known(wrong[0]), ""), [event.number for event in wrong])
        return ""

    async def keep(self, message: Kept, sender: Sender, events: Sequence[HrEvent]) -> Sequence[HrKept]:
        """Keep events that came with a message, one outcome for each, in their order; a conflict is listed for a person, once.

        Raises:
            Unavailable: our store is away, or there is no key: nothing of it was kept.
        """
        opaque = [self._hashes.opaque(one) for one in events]
        kept = await self._inbox.keep(opaque, message.id, sender.code, message.version_of)
        for event, one in zip(events, kept, strict=True):
            if one.outcome == "conflict":
                owner = f" [owner: {sender.owner}]" if sender.owner else ""
                about = {"facility": event.facility, "number": event.number, "supplier": sender.code}
                await self._intake.listed(LISTED, message, known(event) + owner, None, event.number, **about)
        return kept


def known(event: HrEvent) -> str:
    """Why an event is not kept; without who it is about."""
    return f"HR event {event.number} of {event.source} is known with other content"
