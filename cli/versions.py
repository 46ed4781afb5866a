"""What a message would be as a person has it: corrected bytes, or one under a number that is another's; checked as its door would."""

from __future__ import annotations

from canonical.errors import Malformed, Rejected
from canonical.messages import Kept, NewMessage
from canonical.senders import Sender
from cli.exits import not_found
from gateway.corrections import (
    allowed,
    corrected,
    corrected_interchange,
    corrected_requisition,
    corrected_row,
)
from gateway.fhir_judge import DOOR as FHIR_DOOR
from gateway.files import X12
from gateway.hl7_door import DOOR as HL7_DOOR
from gateway.intake import REQUISITION
from gateway.lookups import Caller
from gateway.registry import CSV_PARTS
from gateway.replay_rules import NotReplayed
from store.keys import StoredKeys
from workers.wiring import Wiring

WHOLE_CSV = "its sender mends the file and sends it again, or correct the rows that were set apart one by one"
ELSEWHERE = "its sender sends it anew; a case that could not read its start: fascia case correct"


class Versions:
    """Makes the next version of a message. Nothing is kept by it."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    async def of(self, original: Kept, data: bytes) -> NewMessage:
        """Corrected bytes as the next version of a message.

        Raises:
            Malformed, Rejected: its door would refuse them, with the place; or such a message is not corrected here.
        """
        if original.door == FHIR_DOOR:
            raise Rejected("a FHIR resource is corrected where it comes from, and sent again", code="not-open")
        if original.door == HL7_DOOR:
            sender = await self._sender(original)
            return corrected(original, data, sender, self._wiring.routing().reader.judged(data, sender))
        if original.kind == REQUISITION and original.sender:
            return corrected_requisition(original, data, *await self._asks_for(original))
        if original.kind == X12:
            partner = await self._wiring.register.partner(original.partner)
            if partner is None:
                raise not_found("partner", original.partner, "it has no row in the register")
            return corrected_interchange(original, data, partner)
        if original.kind in CSV_PARTS:
            sender = await self._sender(original)
            reader = self._wiring.routing().reader
            now = await reader.rows(original.model_copy(update={"data": data}), sender)
            return corrected_row(original, data, await reader.rows(original, sender), now)
        what = f"a message of kind {original.kind} that came by {original.door} is not corrected here"
        raise NotReplayed(what, hint=WHOLE_CSV if original.kind.startswith("csv_") else ELSEWHERE)

    async def may_be_new(self, kept: Kept) -> None:
        """Ask whether its door would take a message today, had it a number of its own.

        Raises:
            Malformed, Rejected: it would not.
        """
        if kept.door == HL7_DOOR:
            sender = await self._sender(kept)
            verdict = self._wiring.routing().reader.judged(kept.data, sender)
            if not verdict.ok:
                raise Malformed(f"its door would refuse it: {verdict.reason}", path="", code="data-invalid")
        elif kept.kind == REQUISITION and kept.sender:
            allowed(kept.data, *await self._asks_for(kept))

    async def _sender(self, original: Kept) -> Sender:
        sender = await self._wiring.routing().reader.sender(original.sender)
        if sender is None:
            name = original.sender or "its sender"
            raise Malformed(f"{name} is not in the register", path="sender", code="not-found")
        return sender

    async def _asks_for(self, original: Kept) -> tuple[str, tuple[str, ...]]:
        """The facility and the ordering systems it may be of: its key's, or, in a file, its sender's."""
        if not original.partner:
            sender = await self._sender(original)
            return sender.facility, (sender.source or sender.code,)
        key = await StoredKeys(self._wiring.database).key(original.sender)
        if key is None:
            raise not_found("key", original.sender, "its sender must send it anew")
        caller = Caller(key=key.id, sender=key.sender, facility=key.facility, scopes=key.scopes)
        return caller.facility, caller.sources
