"""Carries one trace through a case: whoever started it, each of its steps and its orders' cases belong to the same trace.

The SDK's own interceptor also makes spans inside workflows. They have no length, appear again and again in a process that
waits for weeks, and cost every case a tenth of its work; the steps' spans say the same with real times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import (
    ContinueAsNewInput,
    SignalChildWorkflowInput,
    SignalExternalWorkflowInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

HEADER = "_tracer-data"  # as the SDK's interceptor names it, on which client and steps rely


class PassesTraceOn(TracingInterceptor):
    """Spans for what our clients and steps do; a case only hands the trace on."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> Any:  # noqa: A002
        return _In


class _In(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Out(outbound))


class _WithHeaders(Protocol):
    headers: Mapping[str, Payload]


class _Out(WorkflowOutboundInterceptor):
    """What a case asks for carries the header the case was started with."""

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:  # noqa: A002
        _with_trace(input)
        super().continue_as_new(input)

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        _with_trace(input)
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        _with_trace(input)
        return super().start_local_activity(input)

    async def start_child_workflow(
        self,
        input: StartChildWorkflowInput,  # noqa: A002
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        _with_trace(input)
        return await super().start_child_workflow(input)

    async def signal_child_workflow(self, input: SignalChildWorkflowInput) -> None:  # noqa: A002
        _with_trace(input)
        await super().signal_child_workflow(input)

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:  # noqa: A002
        _with_trace(input)
        await super().signal_external_workflow(input)


def _with_trace(told: _WithHeaders) -> None:
    trace = workflow.info().headers.get(HEADER)
    if trace is not None:
        told.headers = {**told.headers, HEADER: trace}
