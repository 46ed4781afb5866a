"""What the processes tell other systems is what the published events describe."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import workflows
from canonical.events import EVENTS

PROCESSES = sorted(Path(workflows.__file__).parent.glob("*.py"))


def _told() -> list[tuple[str, str, set[str]]]:
    """Every event a process tells: where, which, with which fields."""
    told = []
    for path in PROCESSES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_tell":
                kind = node.args[0]
                assert isinstance(kind, ast.Constant) and isinstance(kind.value, str), (
                    f"{path.name}:{node.lineno}: an event is told by its plain name"
                )
                told.append((f"{path.name}:{node.lineno}", f"{kind.value}.v1", {k.arg for k in node.keywords if k.arg}))
    return told


@pytest.mark.parametrize(("where", "event", "fields"), _told(), ids=[f"{w} {e}" for w, e, _ in _told()])
def test_a_process_tells_only_what_is_published(where: str, event: str, fields: set[str]) -> None:
    assert event in EVENTS, f"{where}: {event} has no model in canonical/events.py"
    assert fields <= set(EVENTS[event].model_fields), where


def test_the_processes_tell_something() -> None:
    assert _told()
