"""What stands in a history, in plain words. Its own JSON has every payload in base64: a name looked for there is never found."""

from __future__ import annotations

from temporalio.client import WorkflowHistory


def decoded(history: WorkflowHistory) -> str:
    """Every event with its payloads, memos and headers: their bytes are JSON, which stands between the others as text."""
    return "\n".join(event.SerializeToString().decode("utf-8", "replace") for event in history.events)
