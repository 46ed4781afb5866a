"""Where the FHIR samples are, and how one is changed for one test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from formats import fhir
from formats.fhir import Release

SAMPLES = Path(__file__).parent.parent / "samples" / "fhir"
PUBLIC = Path(os.environ.get("FASCIA_SAMPLES", "/nowhere")) / "fhir"
ALL = sorted(path.stem for path in SAMPLES.glob("*.json"))
RESOURCES = [name for name in ALL if not name.endswith("Bundle")]


def sample(name: str) -> bytes:
    """One of our own samples."""
    return (SAMPLES / f"{name}.json").read_bytes()


def release(name: str) -> Release:
    """The release of a sample, by its name."""
    return fhir.RELEASES[name.partition("_")[0]]


def kind(name: str) -> str:
    """The type of resource of a sample, by its name."""
    return name.partition("_")[2].partition("-")[0]


def tree(name: str, **changes: Any) -> dict[str, Any]:
    """A sample with elements put in or, by None, taken out."""
    changed = {**fhir.parse(sample(name)), **changes}
    return {key: value for key, value in changed.items() if value is not None}


def changed(name: str, **changes: Any) -> bytes:
    """The same, as bytes."""
    return fhir.write(tree(name, **changes))
