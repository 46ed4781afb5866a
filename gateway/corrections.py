"""A message as somebody corrected it: checked as its door would have, kept as a version of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from canonical.base import read_strictly
from canonical.errors import Malformed, Rejected
from canonical.messages import Kept, NewMessage
from canonical.parties import Partner
from canonical.purchasing import Requisition
from canonical.senders import Sender
from formats import hl7, x12
from gateway.csv_reading import CsvFile
from gateway.hl7_verdict import Verdict, kind_of, occurred, read_header


def corrected(original: Kept, data: bytes, sender: Sender, verdict: Verdict) -> NewMessage:
    """The next version of an HL7 message, from its corrected bytes.

    It has a key of its own: its number stays its sender's, who may send the original again and is answered as before.

    Raises:
        Malformed: its door would refuse it today, with what is wrong; or nothing was corrected.
    """
    _differs(original, data)
    if not verdict.ok:
        at = verdict.faults[0].path if verdict.faults else ""
        raise Malformed(f"its door would refuse it: {verdict.reason}", path=at, code="data-invalid")
    head = read_header(data, sender, hl7.header(data))
    kind = kind_of(head)
    if kind != original.kind:
        reason = f"MSH-9: a correction of {original.kind} is not a {kind}"
        raise Malformed(reason, path="MSH-9", code="data-invalid")
    about = {"control_number": head.control, "occurred": occurred(head), "note": verdict.note}
    return _version(original, data, **about)


def corrected_requisition(original: Kept, data: bytes, facility: str, sources: Sequence[str]) -> NewMessage:
    """The next version of a requisition in JSON; ``facility`` and ``sources`` are what its sender may ask for.

    Raises:
        Malformed, Rejected: its door would refuse it today, with the path; or nothing was corrected.
    """
    _differs(original, data)
    allowed(data, facility, sources)
    return _version(original, data)


def corrected_interchange(original: Kept, data: bytes, partner: Partner) -> NewMessage:
    """The next version of an X12 interchange.

    Raises:
        Malformed: it is not one whole interchange, or of other parties than the mailbox it came by; or nothing was corrected.
    """
    _differs(original, data)
    found = x12.read(data)
    if len(found) != 1:
        raise Malformed(f"a correction is one interchange, not {len(found)}", path="ISA", code="data-invalid")
    parties = (found[0].sender, found[0].receiver)
    ours = ((partner.qualifier, partner.id), (partner.our_qualifier, partner.our_id))
    if parties != ours:
        why = f"ISA05 to ISA08: a correction is from {partner.id} to {partner.our_id}"
        raise Malformed(why, path="ISA05", code="data-invalid")
    return _version(original, data, control_number=found[0].control)


def corrected_row(original: Kept, data: bytes, was: CsvFile, now: CsvFile) -> NewMessage:
    """The next version of a row that was set apart (or of the rows of one requisition), under the same column names.

    Raises:
        Malformed: nothing was corrected, its columns are other ones, it is no row or several things, or it cannot be cut.
    """
    _differs(original, data)
    place = f"row {now.sheet.titles.number}"
    if now.sheet.header is not None or now.sheet.names != was.sheet.names:
        reason = (
            f"{place}: the first line is not the one of the file any more: leave the names of its columns as they are"
        )
        raise Malformed(reason, path=place, code="data-invalid")
    parts = list(now.parts())
    if len(parts) != 1:
        what = "requisition" if now.feed.group else "row"
        reason = f"there are {len(parts)} {what}s in it: a correction is of the one {what}"
        raise Malformed(reason, path="file", code="data-invalid")
    for fault in parts[0].faults:
        if not fault.column:  # it cannot be cut, or contradicts itself: nothing that a table could mend
            raise Malformed(f"row {fault.row}: {fault.reason}", path=f"row {fault.row}", code="data-invalid")
    return _version(original, data, control_number=original.control_number)


def allowed(data: bytes, facility: str, sources: Sequence[str]) -> Requisition:
    """A requisition in JSON, read strictly, and only for its sender's own facility and ordering systems.

    Raises:
        Malformed: something in it is not as agreed, with its path.
        Rejected: it is for another facility, or of another ordering system.
    """
    requisition = read_strictly(Requisition, data)
    if requisition.facility != facility:
        raise Rejected(f"this key is for facility {facility}", code="not-allowed")
    if requisition.source not in sources:
        raise Rejected(f"source: this key is for {', '.join(sources)}", code="not-allowed")
    return requisition


def _differs(original: Kept, data: bytes) -> None:
    if data == original.data:
        raise Malformed("these are the bytes as they came: nothing is corrected", path="file", code="unchanged")


def _version(original: Kept, data: bytes, **about: Any) -> NewMessage:
    same = ("door", "partner", "sender", "kind", "stream", "priority", "trace", "channel")
    fields = {name: getattr(original, name) for name in same} | about
    key = f"correction/{original.id}/{hashlib.sha256(data).hexdigest()}"
    return NewMessage(data=data, key=key, version_of=original.id, **fields)
