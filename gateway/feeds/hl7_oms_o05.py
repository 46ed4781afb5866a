"""Reads a department's order of stock items (HL7 OMS^O05, v2.4 to 2.8 chapter 4.11): the requisitions it holds, or what it took."""

from __future__ import annotations

from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from canonical.usage import UsageEvent
from formats.hl7 import Message
from gateway.hl7_requisitions import requisitions
from gateway.hl7_stock_use import uses
from gateway.mapping import Tongue


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[Requisition | UsageEvent, ...]:
    """The requisitions of the message; every line names an item of stock. Of a sender with ``stock_use`` what it took.

    Raises:
        Malformed: an order control other than NW, or something that cannot be read or mapped, with its path.
    """
    tongue = Tongue(sender, mappings)
    return uses(message, tongue) if sender.stock_use else requisitions(message, tongue, stock=True)
