"""The few ways a process waits for a step: our own store at once, the ERP and suppliers for as long as it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypedDict, TypeVar

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import FailureError

Argument = TypeVar("Argument")
Result = TypeVar("Result")

ERP_QUEUE, SUPPLIER_QUEUE = "erp", "supplier"
TARGET_QUEUE, REVOCATION_QUEUE = "target", "revocation"

# A quick step on our own store: repeated by the worker itself; a long outage becomes a timer, not a busy history.
_OWN_STORE = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=20))
# Another system: repeated until it answers. What cannot succeed is non-retryable by its kind (workers.failures).
_PARTNER = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=60))
# A target's step: it keeps what the target said itself, so what is repeated is one that a worker left unfinished.
_TARGET = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=5), maximum_attempts=3)


class Outlives(TypedDict):
    """How a child is started that must go on when its parent is closed, reset or stopped."""

    parent_close_policy: workflow.ParentClosePolicy
    cancellation_type: workflow.ChildWorkflowCancellationType


OUTLIVES_US: Outlives = {
    "parent_close_policy": workflow.ParentClosePolicy.ABANDON,
    "cancellation_type": workflow.ChildWorkflowCancellationType.ABANDON,
}


class StoreRefused(RuntimeError):
    """Our own store said no: a mistake of ours. The workflow task fails, is seen by the sweep and tried again; no case ends."""


async def own_store(step: Callable[[Any, Argument], Awaitable[Result]], argument: Argument, summary: str) -> Result:
    """A step on our own store, as a local activity: one event in the history.

    Raises:
        StoreRefused: the store will not do this; nothing a case could decide.
    """
    try:
        return await workflow.execute_local_activity_method(
            step,
            argument,
            start_to_close_timeout=timedelta(seconds=10),
            local_retry_threshold=timedelta(seconds=30),
            retry_policy=_OWN_STORE,
            summary=summary,
        )
    except FailureError as failed:  # a local step's failure comes as itself, not wrapped
        raise StoreRefused(f"{summary}: {failed.message}") from failed


async def search_store(step: Callable[[Any, Argument], Awaitable[Result]], argument: Argument, summary: str) -> Result:
    """A step that goes through much of our own store: it may take minutes, and is repeated until it is done."""
    return await workflow.execute_activity_method(
        step,
        argument,
        start_to_close_timeout=timedelta(minutes=10),
        retry_policy=_PARTNER,
        summary=summary,
    )


async def ask_erp(
    step: Callable[[Any, Argument], Awaitable[Result]], argument: Argument, summary: str, seconds: int
) -> Result:
    """A step in the ERP: repeated under one key until it answers; ``seconds`` is how long one try may take."""
    return await _ask(ERP_QUEUE, step, argument, summary, seconds)


async def ask_supplier(
    step: Callable[[Any, Argument], Awaitable[Result]], argument: Argument, summary: str, seconds: int
) -> Result:
    """A document to a supplier: repeated under one key until it is put; ``seconds`` is how long one try may take."""
    return await _ask(SUPPLIER_QUEUE, step, argument, summary, seconds)


async def tell_target(
    step: Callable[[Any, Argument], Awaitable[Result]], argument: Any, summary: str, seconds: int, first: Priority
) -> Result:
    """A step in a system that is told of people, on that target's own queue.

    What a target answers, or that it does not, comes back as a result and is tried again with a fresh look at what is wanted:
    what is repeated here is only a step that ended without a word, and not for long.
    """
    return await workflow.execute_activity_method(
        step,
        argument,
        task_queue=f"{TARGET_QUEUE}-{argument.target}",
        start_to_close_timeout=timedelta(seconds=seconds),
        schedule_to_close_timeout=timedelta(seconds=seconds * 3),
        retry_policy=_TARGET,
        priority=first,
        summary=summary,
    )


async def take_back(
    step: Callable[[Any, Argument], Awaitable[Result]], argument: Any, summary: str, seconds: int, first: Priority
) -> Result:
    """A step that takes access away, on the queue of revocations: no target's backlog or rate is before it."""
    return await workflow.execute_activity_method(
        step,
        argument,
        task_queue=REVOCATION_QUEUE,
        start_to_close_timeout=timedelta(seconds=seconds),
        schedule_to_close_timeout=timedelta(seconds=seconds * 3),
        retry_policy=_TARGET,
        priority=first,
        summary=summary,
    )


async def _ask(
    queue: str, step: Callable[[Any, Argument], Awaitable[Result]], argument: Argument, summary: str, seconds: int
) -> Result:
    return await workflow.execute_activity_method(
        step,
        argument,
        task_queue=queue,
        start_to_close_timeout=timedelta(seconds=seconds),
        retry_policy=_PARTNER,
        summary=summary,
    )
