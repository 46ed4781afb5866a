"""Reads a department's order of things not in stock (HL7 OMN^O07, v2.4 to 2.8 chapter 4.12): the requisitions it holds.

What is not in stock may have no code of ours: a description, or a vendor's catalogue number (RQ1-5), is enough.
"""

from __future__ import annotations

from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from formats.hl7 import Message
from gateway.hl7_requisitions import requisitions
from gateway.mapping import Tongue


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[Requisition, ...]:
    """The requisitions of the message.

    Raises:
        Malformed: an order control other than NW, or something that cannot be read or mapped, with its path.
    """
    return requisitions(message, Tongue(sender, mappings), stock=False)
