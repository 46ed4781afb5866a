"""Reads one of our X12 samples through its feed, as the door does."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from canonical.parties import Partner
from formats.x12 import check, read
from gateway.registry import Noun, read_x12, read_x12_ta1

SAMPLES = Path(__file__).parent.parent.parent / "samples" / "x12"
ALPINE = Partner(code="ALPINE", id="ALPINEMED", our_id="FASCIANGH")
N = TypeVar("N", bound=Noun)


def nouns(name: str, *changes: tuple[str, str]) -> list[Noun]:
    """All that a sample says, after replacing text in it (segment counts are put right)."""
    text = (SAMPLES / f"{name}.x12").read_text("ascii")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    (interchange,) = read(_counted(text).encode("ascii"))
    report = check(interchange)
    assert report.refused == []
    found: list[Noun] = [*read_x12_ta1(interchange, ALPINE)]
    for _, document in report.accepted:
        found += read_x12(interchange, document, ALPINE)
    return found


def noun(kind: type[N], name: str, *changes: tuple[str, str]) -> N:
    """The one thing a sample says."""
    (found,) = nouns(name, *changes)
    assert isinstance(found, kind)
    return found


def _counted(text: str) -> str:
    lines, since = text.split("~\n"), 0
    for at, line in enumerate(lines):
        if line.startswith("ST*"):
            since = at
        if line.startswith("SE*"):
            lines[at] = f"SE*{at - since + 1}*{line.split('*')[2]}"
    return "~\n".join(lines)
