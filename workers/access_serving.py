"""Who serves the queues of access: one queue for each target, at that target's own rate, and one for revocations beside them all.

A target that is slow fills its own queue and no other. Revocations wait behind nobody: their cases, and their steps in every target,
have a queue and a process of their own (``python -m workers revocations``), which keep no target's rate and have nothing else to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from temporalio.client import Client
from temporalio.worker import Interceptor, Worker

from activities.access import AccessActivities
from activities.cases import CaseActivities
from canonical.access import AccessTarget
from canonical.errors import FasciaError
from workers.failures import Failures
from workers.queues import queue_of
from workers.settings import Settings
from workers.temporal import GRACE, sandbox, steps_of
from workflows.clinician_revocation import ClinicianRevocation
from workflows.policies import REVOCATION_QUEUE

if TYPE_CHECKING:
    from workers.wiring import Wiring

LOOK_EVERY = 30.0  # seconds until a new target's queue is served
CALLS_OF_A_STEP = 4  # what a write or look asks of a target, about: its rate is in calls
AT_ONCE = 10  # steps of one target
REVOKING_AT_ONCE = 50

log = structlog.get_logger(__name__)
Targets = Callable[[], Awaitable[Sequence[AccessTarget]]]


@asynccontextmanager
async def serving_revocations(
    client: Client,
    settings: Settings,
    access: AccessActivities,
    own: Sequence[Callable[..., Any]],
    *,
    interceptors: Sequence[Interceptor] = (),
    on_fatal: Callable[[BaseException], Any] | None = None,
) -> AsyncIterator[None]:
    """Serve revocations until the block ends. ``own``: the steps on our own store that a revocation's case takes."""
    async with Worker(
        client,
        task_queue=REVOCATION_QUEUE,
        workflows=[ClinicianRevocation],
        activities=[*own, access.commit_block, access.revocation_standing, access.off_target],
        workflow_runner=sandbox(),
        interceptors=list(interceptors),
        max_cached_workflows=settings.max_cached_workflows,
        max_concurrent_activities=REVOKING_AT_ONCE,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.sticky_timeout),
        graceful_shutdown_timeout=timedelta(seconds=GRACE),
        on_fatal_error=_told(on_fatal),
    ):
        yield


@asynccontextmanager
async def serving_targets(
    client: Client,
    access: AccessActivities,
    targets: Targets,
    *,
    interceptors: Sequence[Interceptor] = (),
    look_every: float = LOOK_EVERY,
    on_fatal: Callable[[BaseException], Any] | None = None,
) -> AsyncIterator[None]:
    """Serve a queue for each target until the block ends."""
    queues = TargetQueues(client, access, targets, interceptors, on_fatal=_told(on_fatal))
    looking = asyncio.create_task(queues.keep(look_every))
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        await queues.close()


@asynccontextmanager
async def targets_of(parts: Wiring, *, on_fatal: Callable[[BaseException], Any] | None = None) -> AsyncIterator[None]:
    """Every target's queue, for a process of ours: its own parts."""
    async with serving_targets(
        parts.client,
        parts.people.access_activities,
        lambda: parts.people.register.access_targets(datetime.now(UTC).date()),
        interceptors=[Failures(parts.cases.trouble)],
        on_fatal=on_fatal,
    ):
        yield
    await parts.people.targets.close()


@asynccontextmanager
async def revocations_of(
    parts: Wiring, *, on_fatal: Callable[[BaseException], Any] | None = None
) -> AsyncIterator[None]:
    """Revocations, for a process of ours: its own parts."""
    async with serving_revocations(
        parts.client,
        parts.settings,
        parts.people.access_activities,
        steps_of([CaseActivities(parts.cases, parts.register)]),
        interceptors=[Failures(parts.cases.trouble)],
        on_fatal=on_fatal,
    ):
        yield
    await parts.people.targets.close()


def _told(on_fatal: Callable[[BaseException], Any] | None) -> Callable[[BaseException], Awaitable[None]]:
    async def fatal(problem: BaseException) -> None:
        if on_fatal:
            on_fatal(problem)

    return fatal


class TargetQueues:
    """A worker for each row of the register, as it is now: a changed rate is another worker."""

    def __init__(
        self,
        client: Client,
        access: AccessActivities,
        targets: Targets,
        interceptors: Sequence[Interceptor],
        on_fatal: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._client, self._access, self._targets, self._fatal = client, access, targets, on_fatal
        self._interceptors = list(interceptors)
        self._serving: dict[str, tuple[float, AsyncExitStack]] = {}

    async def keep(self, every: float) -> None:
        """Look again and again which targets there are. What ends it is told: a queue nobody serves takes no access away."""
        try:
            while True:
                try:
                    await self.look()
                except FasciaError as away:
                    log.warning("targets not read", problem=away.message)
                await asyncio.sleep(every)
        except Exception as problem:
            await self._fatal(problem)

    async def look(self) -> None:
        """Serve what is new, or has another rate; also one that was put out of use: it may hold what must be taken back."""
        for target in await self._targets():
            held = self._serving.get(target.code)
            if held is not None and held[0] == target.per_second:
                continue
            if held is not None:
                await held[1].aclose()
            self._serving[target.code] = (target.per_second, await self._serve(target))
            log.info("a target's queue is served", target=target.code, per_second=target.per_second)

    async def _serve(self, target: AccessTarget) -> AsyncExitStack:
        stack = AsyncExitStack()
        worker = Worker(
            self._client,
            task_queue=queue_of(target.code),
            activities=[self._access.write_target, self._access.look_target],
            interceptors=self._interceptors,
            max_concurrent_activities=AT_ONCE,
            max_task_queue_activities_per_second=max(target.per_second / CALLS_OF_A_STEP, 0.1),
            graceful_shutdown_timeout=timedelta(seconds=GRACE),
            on_fatal_error=self._fatal,
        )
        await stack.enter_async_context(worker)
        return stack

    async def close(self) -> None:
        """Let each end what it has begun."""
        stacks = [stack for _, stack in self._serving.values()]
        self._serving = {}
        await asyncio.gather(*(stack.aclose() for stack in stacks))
