"""Judges an HL7 message by its sender's row: may it be sent, can it be cut, does its structure hold, what is it about.

Pure: the same bytes and the same row give the same verdict, so an answer can be given again. Codes of table 0357 from 200 to 203
speak of the message as such and reject it (AR); the others are errors in it (AE).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from canonical.senders import Sender
from formats import hl7
from formats.hl7 import Fault, Header, Message, Unreadable
from formats.hl7_faults import UNSUPPORTED_EVENT, UNSUPPORTED_PROCESSING, UNSUPPORTED_TYPE
from formats.hl7_values import moment
from gateway import acknowledgements

KIND = re.compile(r"[A-Z][A-Z0-9_]{0,19}(\^[A-Z0-9_]{1,19})?")
UNKNOWN_KIND = "unknown"
REJECTING = frozenset({"200", "201", "202", "203"})
LONGEST_REASON = 2000
STAFF = frozenset({"PRA", "STF"})  # master files of table 0175 that say something of people
LONGEST_MOMENT = 24  # YYYYMMDDHHMMSS.SSSS+ZZZZ

Reads = Callable[[str, str], bool]  # whether any feed reads this kind from this sender


@dataclass(frozen=True, slots=True)
class Verdict:
    """``A`` taken, ``E`` an error in it, ``R`` rejected; what is wrong with it, and the cut message where it could be cut."""

    code: str = "A"
    faults: tuple[Fault, ...] = ()
    message: Message | None = None

    @property
    def ok(self) -> bool:
        return self.code == "A"

    @property
    def reason(self) -> str:
        """As the journal keeps it: how it was answered and what was said; no value of the message is in it."""
        return "" if self.ok else f"A{self.code}: {self._told}"[:LONGEST_REASON]

    @property
    def note(self) -> str:
        """What is wrong with a message that is taken all the same, by its sender's row; no value of the message is in it."""
        return self._told[:LONGEST_REASON] if self.ok else ""

    @property
    def _told(self) -> str:
        severe = [fault for fault in self.faults if fault.severity in ("E", "F")]
        return "; ".join(
            fault.text if fault.text.startswith(fault.path) else f"{fault.path}: {fault.text}" for fault in severe
        )


def answered_no(reason: str) -> bool:
    """Whether a kept message's reason says that its sender heard no at the door."""
    return reason.startswith(("AE: ", "AR: "))


def kind_of(head: Header) -> str:
    """``OMS^O05``; a type that is none is not repeated in our lists."""
    kind = f"{head.type}^{head.event}" if head.event else head.type
    return kind if KIND.fullmatch(kind) else UNKNOWN_KIND


def judge(data: bytes, head: Header, sender: Sender, reads: Reads) -> Verdict:
    """What becomes of a message of this sender."""
    kind = kind_of(head)
    fault = _out_of_scope(kind, head, sender, reads)
    if fault is not None:
        return Verdict("R", (*head.faults, fault))
    if head.faults:
        return _refused(head.faults) if hl7.answerable(head) else Verdict("R", head.faults)
    try:
        message = hl7.read(data, default=_character_set(sender), head=head)
    except Unreadable as broken:
        return _refused((broken.fault,))
    if sender.check == "off":
        return Verdict(message=message)
    tolerated = hl7.LATER_VERSION if sender.later_version else frozenset[str]()
    report = hl7.check(message, z_segments=sender.z_segments, tolerate=tolerated)
    if sender.check == "warn":
        return Verdict("A", report.faults, message)
    if report.errors:
        return _refused(report.errors, message)
    if not report.known and sender.unrouted == "AR":
        text = "Messages of a structure we have no table of are not taken from this sender"
        return Verdict("R", (Fault(UNSUPPORTED_TYPE, "structure-unknown", text, "MSH", 1, 9),), message)
    return Verdict("A", report.faults, message)


def read_header(data: bytes, sender: Sender, head: Header) -> Header:
    """The header by the character set of its sender, where the sender names none itself."""
    default = _character_set(sender)
    return head if head.charset or default == hl7.DEFAULT_SET else hl7.header(data, default=default)


def subject(head: Header, message: Message | None, secret: bytes) -> str:
    """What a message is about, so that what is about one thing stays in order; no patient's identity is in it in clear.

    The placer's order number (ORC-2), else the patient (the first PID-3, by a keyed hash), else the master file (MFI-1); a message
    about none of them is a stream by itself. So is a file of staff: their order is in what it says, and who must go at once waits
    behind none that cannot be read.
    """
    if message is not None:
        if placer := message.value("ORC-2"):
            return f"order/{placer[:100]}"
        if patient := message.value("PID-3"):
            return f"patient/{hmac.new(secret, patient.encode(), hashlib.sha256).hexdigest()[:32]}"
        if (master := message.value("MFI-1.1")) and master.strip() not in STAFF:
            return f"master/{master[:100]}"
    return f"-/{head.control[:199]}"


def occurred(head: Header) -> datetime | None:
    """MSH-7 where it says a moment of our calendar, in UTC; without a zone it is taken as such."""
    return _moment(head.sent) if len(head.sent) <= LONGEST_MOMENT else None


@lru_cache(maxsize=1024)
def _moment(sent: str) -> datetime | None:
    """Many messages say the same second."""
    try:
        found = moment(sent, Fault("", "", "", "MSH", 1, 7)).at
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (
        Unreadable,
        ValueError,
        OverflowError,
    ):  # a program's smallest time, in a zone east of UTC, is before year 1
        return None


def _character_set(sender: Sender) -> str:
    return sender.character_set or hl7.DEFAULT_SET


def _out_of_scope(kind: str, head: Header, sender: Sender, reads: Reads) -> Fault | None:
    if not head.type:
        return None  # the header's own fault says it
    if acknowledgements.is_ours(kind, sender):
        return None  # whatever its scope: it was asked for
    code = UNSUPPORTED_EVENT if head.event else UNSUPPORTED_TYPE
    if kind == UNKNOWN_KIND or not sender.takes(kind):
        return Fault(code, "out-of-scope", "This sender may not send messages of this kind", "MSH", 1, 9)
    sent_as = head.processing.strip()
    if sent_as and sent_as not in sender.processing:  # an empty one is for the structure's check to judge
        text = f"Messages of this processing id are not taken from this sender: {' or '.join(sender.processing)} is"
        return Fault(UNSUPPORTED_PROCESSING, "processing-id", text, "MSH", 1, 11)
    if sender.unrouted == "AR" and not reads(kind, sender.code):
        return Fault(code, "unrouted", "Nobody here reads messages of this kind", "MSH", 1, 9)
    return None


def _refused(faults: tuple[Fault, ...], message: Message | None = None) -> Verdict:
    code = "R" if any(fault.code in REJECTING for fault in faults) else "E"
    return Verdict(code, faults, message)
