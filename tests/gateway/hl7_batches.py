"""What tests of the HL7 door share."""

from __future__ import annotations

from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from formats import hl7
from tests.gateway.hl7_house import house

ENHANCED = "|||AL|AL"


NAK = "AE", "AR"


async def codes(data: bytes, *, unreadable: bool = False) -> list[tuple[str, str]]:
    at = await house()

    def wrong(message: hl7.Message, sender: Sender, mappings: Mappings) -> tuple[()]:
        raise Malformed("no such item", path="RQD-2", code="unknown-code")

    if unreadable:
        at.feeds["OMS^O05"] = wrong
    said = [hl7.read_acknowledgement(one) for one in await at.answers(data)]
    return [(one.code, one.control) for one in said]


def batch(*messages: bytes, count: int | None = None) -> bytes:
    said = len(messages) if count is None else count
    return b"BHS|^~\\&|WARDSYS|NGH|FASCIA|NGH|20261102||||B-1\r" + b"".join(messages) + f"BTS|{said}\r".encode()
