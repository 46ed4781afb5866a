"""Our line to Temporal: how we connect, what our workers serve, and the engine as the doors see it.

The task queue ``fascia`` carries the processes and the steps on our own store, ``erp``, ``supplier`` and ``verification`` the
calls to those outside systems, so that a slow partner never keeps our own work waiting.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    Interceptor,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import (
    RawValue,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.runtime import LoggingConfig, LoggingFormat, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import PayloadLimitsConfig, RPCError, RPCStatusCode
from temporalio.worker import Interceptor as WorkerInterceptor
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from canonical.base import case_parts
from canonical.cases import Answer, Decision
from canonical.errors import Rejected, Unavailable
from canonical.seals import sealed_document
from canonical.steps import SupplierDocument
from workers import namespace
from workers.arguments import OneArgument
from workers.settings import Settings

PROCESSES = "fascia"
ERP = "erp"
SUPPLIER = "supplier"
VERIFICATION = "verification"
REQUISITION_PROCESS = "ProcureToPay"  # started by its name: a door need not load the process
DECISION_WAIT = 10.0  # seconds a person waits at a door before we say that there is no answer yet
NOT_ANSWERED = (
    "no answer yet: the case may still take this decision; it is safe to repeat"  # what was sent cannot be called back
)
SIGNAL_WAIT = 10.0
GRACE = 10.0  # seconds a step may take to end when a worker stops
REFUSALS = {
    "Changed": "changed",
    "NotFound": "not-found",
    "NotOpen": "not-open",
    "NotAllowed": "not-allowed",
    "Malformed": "data-invalid",
}
LARGEST_CALL = 4 * 1024 * 1024  # bytes; gRPC's own limit, refused with the status of a server that is busy
PASSED_THROUGH = ("canonical", "pydantic", "pydantic_core", "annotated_types", "tzdata", "opentelemetry", "structlog")

_runtime: Runtime | None = None


def runtime() -> Runtime:
    """The SDK's engine room, one per process; its own log is JSON like ours."""
    global _runtime  # noqa: PLW0603 (the SDK allows one runtime per process)
    if _runtime is None:
        log = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), format=LoggingFormat.JSON)
        _runtime = Runtime(telemetry=TelemetryConfig(logging=log))
    return _runtime


async def connect(settings: Settings, *, interceptors: Sequence[Interceptor] = (), lazy: bool = False) -> Client:
    """A client of the namespace. ``lazy``: the doors must open while Temporal is away.

    Raises:
        Unavailable: nobody answers at the address.
    """
    if not settings.temporal_address:
        raise Unavailable("no Temporal address is set: run `fascia up` or set TEMPORAL_ADDRESS", system="temporal")
    try:
        return await Client.connect(
            **settings.temporal_connection(),
            data_converter=pydantic_data_converter,
            interceptors=list(interceptors),
            payload_limits=PayloadLimitsConfig(payloads_warn_size=256 * 1024, memo_warn_size=1024),
            connect_timeout=timedelta(seconds=5),
            lazy=lazy,
            runtime=runtime(),
        )
    except RuntimeError as refused:  # the SDK has no class of its own for this
        raise Unavailable(f"Temporal at {settings.temporal_address} does not answer", system="temporal") from refused


async def answers(client: Client) -> bool:
    """Whether Temporal is there."""
    try:
        return await client.service_client.check_health(timeout=timedelta(seconds=3))
    except (RPCError, RPCTimeoutOrCancelledError, RuntimeError):
        return False


def steps_of(holders: Iterable[object]) -> list[Callable[..., Any]]:
    """The steps (``@activity.defn``) of these objects, bound."""
    return [
        method
        for holder in holders
        for _, method in inspect.getmembers(holder, inspect.ismethod)
        if hasattr(method.__func__, "__temporal_activity_definition")
    ]


def sandbox() -> SandboxedWorkflowRunner:
    """The strict sandbox; only our own nouns and what they stand on are shared between runs."""
    return OneArgument(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


@asynccontextmanager
async def serving(
    client: Client,
    settings: Settings,
    *,
    workflows: Sequence[type],
    steps: dict[str, Sequence[Callable[..., Any]]],
    interceptors: Sequence[WorkerInterceptor] = (),
    on_fatal: Callable[[BaseException], Any] | None = None,
) -> AsyncIterator[None]:
    """Serve our task queues until the block ends; steps under way then get :data:`GRACE` seconds."""

    async def fatal(problem: BaseException) -> None:
        if on_fatal:
            on_fatal(problem)

    def worker(queue: str, **more: Any) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            activities=list(steps.get(queue, ())),
            interceptors=list(interceptors),
            graceful_shutdown_timeout=timedelta(seconds=GRACE),
            on_fatal_error=fatal,
            **more,
        )

    workers = [
        worker(
            PROCESSES,
            workflows=list(workflows),
            workflow_runner=sandbox(),
            max_cached_workflows=settings.max_cached_workflows,
            max_concurrent_local_activities=settings.database_pool * 2,  # as many as the pool and its overflow have
            max_concurrent_workflow_tasks=settings.database_pool,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.sticky_timeout),
        )
    ]
    if steps.get(ERP):
        workers.append(worker(ERP, max_task_queue_activities_per_second=settings.erp_rate))
    workers += [worker(queue) for queue in sorted(steps.keys() - {PROCESSES, ERP}) if steps[queue]]
    async with AsyncExitStack() as open_workers:
        for one in workers:
            await open_workers.enter_async_context(one)
        yield


class TemporalEngine:
    """Temporal as the doors see it (:class:`canonical.ports.Engine`)."""

    def __init__(self, client: Client, settings: Settings, seal_key: bytes) -> None:
        self._client = client
        self._settings = settings
        self._seal_key = seal_key

    async def start_requisition(self, case: str, data: bytes, *, trace: str = "") -> str:
        """Start the case; the bytes go in as they came. Empty where a run stands under its name: that one looks again."""
        _, facility, source, number = case_parts(case)
        wire = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))
        try:
            handle = await self._client.start_workflow(
                REQUISITION_PROCESS,
                wire,
                id=case,
                task_queue=PROCESSES,
                task_timeout=timedelta(seconds=self._settings.task_timeout),
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,  # our claim tells a repeat, also when Temporal forgot
                static_summary=f"Requisition {number} from {source} at {facility}"[:200],
                memo={"trace": trace} if trace else None,
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(namespace.PROCESS, "procure_to_pay"),
                        SearchAttributePair(namespace.FACILITY, facility),
                        SearchAttributePair(namespace.REQUISITION, number),
                        SearchAttributePair(namespace.STATE, "received"),
                    ]
                ),
                rpc_timeout=timedelta(seconds=SIGNAL_WAIT),
            )
        except WorkflowAlreadyStartedError:
            await self.look_again(case)
            return ""
        except (RPCError, RPCTimeoutOrCancelledError, RuntimeError) as away:
            raise _named(away, size=len(data)) from away
        return handle.result_run_id or ""

    async def look_again(self, case: str) -> bool:
        """Tell a waiting case that what it waits for may have changed outside; False when there is none of that name."""
        try:
            await self._client.get_workflow_handle(case).signal(
                "look_again", {}, rpc_timeout=timedelta(seconds=SIGNAL_WAIT)
            )
        except RPCError as refused:
            if refused.status == RPCStatusCode.NOT_FOUND:
                return False
            raise _named(refused) from refused
        except (RPCTimeoutOrCancelledError, RuntimeError) as away:
            raise _named(away) from away
        return True

    async def deliver(self, case: str, document: SupplierDocument) -> bool:
        """Signal a document to an open case, sealed for it; False when there is none of that name.

        Raises:
            Unavailable: Temporal does not answer, or there is no key to seal with: the document waits.
            Rejected: Temporal will never take it, as when it is too large.
        """
        if not self._seal_key:
            where = self._settings.secret_path("seal_key")
            raise Unavailable(f"no key to seal documents with: put one into {where}", system="store")
        sealed = sealed_document(document, case, self._seal_key)
        try:
            await self._client.get_workflow_handle(case).signal(
                "document", sealed, rpc_timeout=timedelta(seconds=SIGNAL_WAIT)
            )
        except RPCError as refused:
            if refused.status == RPCStatusCode.NOT_FOUND:
                return False
            raise _named(refused, size=len(sealed.model_dump_json())) from refused
        except (RPCTimeoutOrCancelledError, RuntimeError) as away:
            raise _named(away) from away
        return True

    async def decide(self, case: str, decision: Decision) -> Answer:
        """Give a decision by update, under the decision's own id, so that a repeat is answered, not decided again."""
        try:
            answer: Answer = await self._client.get_workflow_handle(case).execute_update(
                "decide",
                decision,
                id=decision.id or None,
                result_type=Answer,
                rpc_timeout=timedelta(seconds=DECISION_WAIT),
            )
        except WorkflowUpdateFailedError as refused:
            cause = refused.cause
            if not isinstance(cause, ApplicationError):
                raise Rejected("the case refused this decision", code="decision-refused") from refused
            raise Rejected(cause.message, code=REFUSALS.get(cause.type or "", "decision-refused")) from refused
        except RPCError as refused:
            if refused.status == RPCStatusCode.NOT_FOUND:
                raise Rejected("this case is not open in Temporal", code="not-open") from refused
            raise _named(refused, NOT_ANSWERED) from refused
        except (RPCTimeoutOrCancelledError, RuntimeError) as away:
            raise _named(away, NOT_ANSWERED) from away
        return answer


def _named(problem: BaseException, message: str = "Temporal does not answer", size: int = 0) -> Unavailable | Rejected:
    """What keeps Temporal from doing as asked: it is away, or it will never take what we sent (``size``: its bytes)."""
    status = getattr(problem, "status", None)
    too_large = status is RPCStatusCode.RESOURCE_EXHAUSTED and size > LARGEST_CALL
    if too_large or status is RPCStatusCode.INVALID_ARGUMENT:
        return Rejected(f"Temporal does not take it: {str(problem)[:200]}", code="data-invalid", system="temporal")
    name = getattr(status, "name", "")
    return Unavailable(f"{message} ({name.lower()})" if name else message, system="temporal")


async def heard_out(operation: WithStartWorkflowOperation[Any, Any]) -> None:
    """Ask for what became of a start that went with an update in vain: Python prints a failure nobody has asked for as its own."""
    with suppress(Exception):
        await asyncio.wait_for(operation.workflow_handle(), 1)
