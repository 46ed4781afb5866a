"""Where the X12 samples are, and small files built for one test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from formats.x12 import Envelope

SAMPLES = Path(__file__).parent.parent / "samples" / "x12"
WHEN = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)
BACK = Envelope(("ZZ", "FASCIANGH"), ("ZZ", "ALPINEMED"), 7, WHEN)


def sample(name: str) -> bytes:
    """One of our own samples."""
    return (SAMPLES / f"{name}.x12").read_bytes()
