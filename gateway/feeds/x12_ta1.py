"""Reads a supplier's word on whether the envelope of what we sent was whole (X12 TA1)."""

from __future__ import annotations

from canonical.purchasing import FunctionalAcknowledgement
from formats.x12 import Document


def read(document: Document, supplier: str) -> tuple[FunctionalAcknowledgement, ...]:
    """What a TA1 says of one interchange of ours; it is a segment of the envelope, given here as a document's head."""
    ta1 = document.header
    return (
        FunctionalAcknowledgement(
            supplier=supplier,
            kind="TA1",
            control_number=ta1[1].strip().lstrip("0") or ta1[1].strip(),
            code=ta1[4].strip(),
            note=ta1[5].strip(),
        ),
    )
