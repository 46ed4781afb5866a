"""A start that went with an update in vain: what became of it is asked for, so that nothing is printed of it at the end."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from workers.temporal import heard_out


async def test_a_word_that_nobody_answered_in_time_leaves_no_traceback_behind() -> None:
    complained: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: complained.append(told))
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        "ClinicianOnboarding", id="a-case", task_queue="q", id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
    )
    start._workflow_handle.set_exception(
        RuntimeError("Timeout expired")
    )  # as the client does when its call is not answered
    await heard_out(start)
    del start
    gc.collect()
    assert complained == []
