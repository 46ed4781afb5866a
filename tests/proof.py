"""What ``make prove`` tried and saw, a row each, in ``docs/proof.md``. A row is written when its last assertion has held."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

PROOF = Path(__file__).resolve().parents[1] / "docs" / "proof.md"
HEADING = """# Proof

Written by `make prove`. A point is *before* (the request is on the wire, the worker dies, the request never arrives) or *after*
(the other side has done it, the worker dies before it hears). Documents are counted in the ERP and in the suppliers' books when
all cases have ended.

| when (UTC) | machine | what | tried | documents counted | seconds |
| --- | --- | --- | --- | --- | --- |
"""


def note(what: str, tried: str, counted: str, began: datetime) -> None:
    """One row more."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    seconds = (datetime.now(UTC) - began).total_seconds()
    if not PROOF.exists():
        PROOF.write_text(HEADING, encoding="utf-8")
    with PROOF.open("a", encoding="utf-8") as file:
        file.write(f"| {began:%Y-%m-%d %H:%M} | {machine} | {what} | {tried} | {counted} | {seconds:.0f} |\n")
