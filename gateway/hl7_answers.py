"""Says what is answered to an HL7 message: by its own header's wish, and the same every time it is asked.

Original mode: AA, AE or AR once the message is kept and checked. Enhanced mode (MSH-15, MSH-16): CA, CE or CR once it is kept and
checked, and after that, where it is asked for, AA or AE once it was read. HL7 v2 chapter 2.9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, cast

from canonical.messages import Kept
from formats import hl7
from formats.hl7 import Code, Fault, Header
from formats.hl7_faults import DUPLICATE_KEY, INTERNAL_ERROR
from gateway.hl7_verdict import Verdict

CONDITIONS = ("AL", "NE", "SU", "ER")
KNOWN_OTHERWISE = Verdict(
    "R",
    (
        Fault(
            DUPLICATE_KEY, "conflict", "This number came before with other content: nothing was replaced", "MSH", 1, 10
        ),
    ),
)


def number(message: str, part: str) -> str:
    """MSH-10 of an answer: 20 characters, the same each time the message ``message`` is answered."""
    return hashlib.sha256(f"{message}/{part}".encode()).hexdigest()[:20].upper()


def told(head: Header | None, verdict: Verdict, kept: Kept, read: Verdict | None) -> tuple[bytes, ...]:
    """What answers a kept message; ``read`` is what became of it when it was read, None where nobody asked or it was refused."""

    def answer(letter: Literal["A", "C"], found: Verdict) -> bytes:
        code = cast(Code, letter + found.code)
        return hl7.acknowledge(head, code, control=number(kept.id, code), when=kept.at, faults=found.faults)

    if head is None or not head.enhanced:
        return (answer("A", verdict),)
    said = []
    if wanted(head.accept, succeeded=verdict.ok):
        said.append(answer("C", verdict))
    if verdict.ok:
        if read is not None and wanted(head.application, succeeded=read.ok):
            said.append(answer("A", read))
    elif not said and wanted(head.application, succeeded=False):
        said.append(answer("A", verdict))
    return tuple(said)


def refused_as(said: str, today: Verdict) -> Verdict:
    """The no a message heard before (``said``, as the journal keeps it): byte for byte, where it is the same no today."""
    if today.reason == said:
        return today
    return Verdict(said[1], (Fault(INTERNAL_ERROR, "refused-before", said[len("AE: ") :]),))


def asks_for_reading(head: Header | None) -> bool:
    """Whether anybody wants to hear what became of it when it was read."""
    return head is not None and head.enhanced and _condition(head.application) != "NE"


def not_kept(head: Header | None, why: str, when: datetime) -> tuple[bytes, ...]:
    """What tells a sender that its message is not here; nothing where it wants to hear nothing."""
    fault = Fault(INTERNAL_ERROR, "not-kept", f"Not kept: send it again ({why})")
    control = number(f"{head.control if head else ''} {when.isoformat()}", "not kept")
    letter = "A"
    if head is not None and head.enhanced:
        if wanted(head.accept, succeeded=False):
            letter = "C"
        elif not wanted(head.application, succeeded=False):
            return ()
    return (hl7.acknowledge(head, cast(Code, f"{letter}E"), control=control, when=when, faults=(fault,)),)


def wanted(condition: str, *, succeeded: bool) -> bool:
    """As :func:`formats.hl7.wanted`; who asks in words that are none is answered always, rather than left to wait."""
    return hl7.wanted(_condition(condition), succeeded=succeeded)


def of_batch(file: hl7.File, answers: Sequence[Sequence[bytes]], kept: Kept) -> bytes:
    """One answer to a batch: the answers to its messages in their order, in the envelopes they came in."""
    left = list(answers)
    batches = []
    for batch in file.batches:
        mine, left = left[: len(batch.messages)], left[len(batch.messages) :]
        batches.append([one for said in mine for one in said])
    return hl7.respond(file, batches, control=number(kept.id, "batch"), when=kept.at)


def _condition(text: str) -> str:
    """Empty is NE in enhanced mode."""
    return text if text in CONDITIONS else "NE" if not text else "AL"
