"""A message as somebody corrected it: checked as its door would have, kept as a version of its own."""

from __future__ import annotations

import hashlib

from canonical.errors import Malformed
from canonical.messages import Kept, NewMessage
from canonical.senders import Sender
from formats import hl7
from gateway.csv_reading import CsvFile
from gateway.hl7_verdict import Verdict, kind_of, occurred, read_header


def corrected(original: Kept, data: bytes, sender: Sender, verdict: Verdict) -> NewMessage:
    """The next version of a message, from its corrected bytes.

    It has a key of its own: its number stays its sender's, who may send the original again and is answered as before.

    Raises:
        Malformed: its door would refuse it today, with what is wrong; or nothing was corrected.
    """
    if data == original.data:
        raise Malformed("these are the bytes as they came: nothing is corrected", path="file", code="unchanged")
    if not verdict.ok:
        at = verdict.faults[0].path if verdict.faults else ""
        raise Malformed(f"its door would refuse it: {verdict.reason}", path=at, code="data-invalid")
    head = read_header(data, sender, hl7.header(data))
    kind = kind_of(head)
    if kind != original.kind:
        reason = f"MSH-9: a correction of {original.kind} is not a {kind}"
        raise Malformed(reason, path="MSH-9", code="data-invalid")
    return NewMessage(
        door=original.door,
        data=data,
        partner=original.partner,
        sender=original.sender,
        kind=kind,
        control_number=head.control,
        key=f"correction/{original.id}/{hashlib.sha256(data).hexdigest()}",
        stream=original.stream,
        priority=original.priority,
        occurred=occurred(head),
        trace=original.trace,
        version_of=original.id,
        note=verdict.note,
    )


def corrected_row(original: Kept, data: bytes, was: CsvFile, now: CsvFile) -> NewMessage:
    """The next version of a row that was set apart (or of the rows of one requisition), under the same column names.

    Raises:
        Malformed: nothing was corrected, its columns are other ones, it is no row or several things, or it cannot be cut.
    """
    if data == original.data:
        raise Malformed("these are the bytes as they came: nothing is corrected", path="file", code="unchanged")
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
    about = original.model_dump(
        include={"door", "partner", "sender", "kind", "control_number", "channel", "priority", "trace"}
    )
    key = f"correction/{original.id}/{hashlib.sha256(data).hexdigest()}"
    return NewMessage(**about, data=data, key=key, version_of=original.id)
