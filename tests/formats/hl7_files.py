"""Where the HL7 samples are, and small messages built for one test."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

SAMPLES = Path(__file__).parent.parent / "samples" / "hl7"
PUBLIC = Path(os.environ.get("FASCIA_SAMPLES", "/nowhere")) / "hl7"
WHEN = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)
MSH = "MSH|^~\\&|WARD|NGH|FASCIA|NGH|20261102081500||OMS^O05^OMS_O05|W-1|P|2.5.1"
ORDER = ("ORC|NW|REQ-1", "RQD|1|ITM-1^Glove^NGH||ITM-1^Glove^NGH|4|BX^Box^L")
ALL = sorted(path.stem for path in SAMPLES.glob("*.hl7"))
CLEAN = [name for name in ALL if not name.startswith(("refused", "batch"))]


def sample(name: str) -> bytes:
    """One of our own samples."""
    return (SAMPLES / f"{name}.hl7").read_bytes()


def message(*segments: str, head: str = MSH) -> bytes:
    """A message of these segments after MSH."""
    return "".join(f"{one}\r" for one in (head, *segments)).encode()
