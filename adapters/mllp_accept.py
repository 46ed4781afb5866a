"""The accept answer we owe for an application answer that came by our own connection (enhanced mode, HL7 v2 chapter 2.9.3)."""

from __future__ import annotations

from datetime import datetime

from adapters.mllp_line import Answer
from formats import hl7_acknowledge
from formats.hl7_faults import Unreadable
from formats.hl7_header import header, wanted


def accept(answer: Answer, control: str, when: datetime) -> bytes | None:
    """CA to an application answer whose MSH-15 asks for one; None where it does not, or cannot be answered."""
    try:
        head = header(answer.data)
    except Unreadable:
        return None
    if not wanted(head.accept, succeeded=True):
        return None
    return hl7_acknowledge.acknowledge(head, "CA", control=control, when=when)
