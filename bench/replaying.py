"""How long a worker that takes a run over takes to replay it."""

from __future__ import annotations

import time

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from workers.temporal import sandbox


async def replayed(client: Client, case: str, run: str, *workflows: type) -> tuple[WorkflowHistory, list[float]]:
    """A run's history, and the processor seconds it is replayed in, three times over."""
    history = await client.get_workflow_handle(case, run_id=run).fetch_history()
    replayer = Replayer(workflows=workflows, data_converter=pydantic_data_converter, workflow_runner=sandbox())
    await replayer.replay_workflow(history)  # a worker that takes it over has loaded its code before
    seconds = []
    for _ in range(3):
        began = time.process_time()
        await replayer.replay_workflow(history)
        seconds.append(time.process_time() - began)
    return history, seconds
