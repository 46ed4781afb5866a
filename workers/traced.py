"""Our own store, told which trace each thing happened in."""

from __future__ import annotations

from collections.abc import Sequence

from canonical.messages import KeepResult, NewMessage
from canonical.steps import Claimed, ClaimRequest
from store.cases import StoredCases
from store.journal import StoredJournal
from workers import telemetry


class TracedCases(StoredCases):
    """A case that began without a door of ours is in the trace of its first step."""

    async def claim(self, request: ClaimRequest) -> Claimed:
        return await super().claim(request.model_copy(update={"trace": request.trace or telemetry.trace_id()}))


class TracedJournal(StoredJournal):
    """What leaves us is in the trace of the step that sends it."""

    async def keep_many(self, messages: Sequence[NewMessage]) -> list[KeepResult]:
        trace = telemetry.trace_id()
        return await super().keep_many(
            [message.model_copy(update={"trace": message.trace or trace}) for message in messages]
        )
