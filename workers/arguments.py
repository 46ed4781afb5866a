"""However many arguments somebody's tool sends, a process gets one: what does not fit becomes a case a person sees.

The SDK decodes by the number of arguments before our code runs. A start or a signal with none, or with two, would fail the
workflow task for ever; so they become one argument whose encoding says how many there were, which no reader of ours takes.
"""

from __future__ import annotations

from collections.abc import MutableSequence

from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner


class OneArgument(SandboxedWorkflowRunner):
    """The sandbox, with one argument for every start and signal."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """A run of a process."""
        instance = super().create_instance(det)
        activate = instance.activate

        def with_one_argument(act: WorkflowActivation) -> WorkflowActivationCompletion:
            for job in act.jobs:
                if job.HasField("initialize_workflow"):
                    _make_one(job.initialize_workflow.arguments)
                elif job.HasField("signal_workflow"):
                    _make_one(job.signal_workflow.input)
            return activate(act)

        instance.activate = with_one_argument  # type: ignore[method-assign]
        return instance


def _make_one(arguments: MutableSequence[Payload]) -> None:
    """The same on replay: it depends on nothing but what the history holds."""
    if len(arguments) == 1:
        return
    encoding = f"{len(arguments)} arguments"
    whole = Payload(metadata={"encoding": encoding.encode()}, data=b"\n".join(one.data for one in arguments))
    del arguments[:]
    arguments.append(whole)
