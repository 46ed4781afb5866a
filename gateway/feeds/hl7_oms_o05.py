"""Reads a department's order of stock items (HL7 OMS^O05, v2.4 to 2.8 chapter 4.11): the requisitions it holds."""

from __future__ import annotations

from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from formats.hl7 import Message
from gateway.hl7_requisitions import requisitions
from gateway.mapping import Tongue


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[Requisition, ...]:
    """The requisitions of the message; every line names an item of stock.

    Raises:
        Malformed: an order control other than NW, or something that cannot be read or mapped, with its path.
    """
    return requisitions(message, Tongue(sender, mappings), stock=True)
