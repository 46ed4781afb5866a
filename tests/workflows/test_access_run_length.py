"""When a run of a case of access ends and the next begins, without a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio import workflow

from workflows.clinician_access import MOST_EVENTS, MOST_EVENTS_BEFORE, ClinicianAccess


@dataclass
class Run:
    """What Temporal says of a run."""

    events: int
    suggested: bool = False

    def is_continue_as_new_suggested(self) -> bool:
        return self.suggested

    def get_current_history_length(self) -> int:
        return self.events


def is_long(
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
    *,
    under_way: dict[str, asyncio.Task[None]] | None = None,
    new: bool = True,
    quietly: bool = True,
) -> tuple[bool, list[str]]:
    """Whether it ends now, and which patches it asked for; ``new``: begun since the patch; ``quietly``: since looks say nothing."""
    asked: list[str] = []

    def patched(name: str) -> bool:
        asked.append(name)
        return new

    monkeypatch.setattr(workflow, "info", lambda: run)
    monkeypatch.setattr(workflow, "patched", patched)
    case: Any = object.__new__(ClinicianAccess)
    case._under_way, case._quietly = under_way or {}, quietly
    return case._is_long(), asked


def test_a_run_ends_at_eight_hundred_events(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_long(monkeypatch, Run(MOST_EVENTS - 1)) == (False, [])
    assert is_long(monkeypatch, Run(MOST_EVENTS)) == (True, []), "it has its mark from its beginning"


def test_a_run_of_before_ends_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    before, end = MOST_EVENTS_BEFORE, ["a-run-ends-at-a-thousand-events"]
    assert is_long(monkeypatch, Run(before - 1), quietly=False) == (False, []), "no mark in a short one"
    assert is_long(monkeypatch, Run(before), quietly=False) == (True, end)
    assert is_long(monkeypatch, Run(before), quietly=False, new=False) == (False, end)
    assert is_long(monkeypatch, Run(before, suggested=True), quietly=False, new=False) == (True, [])


def test_a_step_that_stands_in_a_targets_queue_keeps_no_run_from_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: Any = {"idp": None}
    assert is_long(monkeypatch, Run(3 * MOST_EVENTS), under_way=waits) == (False, [])
    assert is_long(monkeypatch, Run(3 * MOST_EVENTS, suggested=True), under_way=waits)[0], "the server has an end too"
