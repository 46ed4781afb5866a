"""What the engine sweep asks of Temporal: always about a named batch, or a page at a time, never for everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from canonical.errors import Unavailable
from canonical.steps import OrderEnded

# The server itself puts this on a run whose workflow task failed twice in a row (1.32; the number of times is a switch of the
# server) and takes it off with the first that succeeds, so that one question finds them all.
PROBLEMS: Final = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
FAILURES: Final = ("category=WorkflowTaskFailed", "category=WorkflowTaskTimedOut")
FAILING: Final = 'TemporalReportedProblems IN ("' + '", "'.join(FAILURES) + '")'
ENDED_OTHERWISE: Final = 'ExecutionStatus IN ("Terminated", "Canceled", "Failed", "TimedOut")'
RPC: Final = timedelta(seconds=10)


@dataclass(frozen=True)
class Page:
    """Some cases, and where the next page begins; empty at the end."""

    cases: Sequence[str]
    next: bytes = b""


class Runs(Protocol):
    """Temporal's side of the sweep. Raises Unavailable when it does not answer."""

    async def look(self, cases: Sequence[str]) -> Mapping[str, bool]:
        """Those of these cases that run, as Temporal's list has them (a moment old): whether their process fails."""
        ...

    async def failing(self, after: bytes, limit: int) -> Page:
        """The running cases whose workflow task fails again and again."""
        ...

    async def ended_otherwise(self, since: datetime, until: datetime, after: bytes, limit: int) -> Page:
        """The cases a run of which was terminated, cancelled, failed or timed out between two moments."""
        ...

    async def status(self, case: str, run: str = "") -> str:
        """How a run of a case stands, as of now (without ``run``, its latest): running, terminated, ..., or missing."""
        ...

    async def tell_ended(self, parent: str, ended: OrderEnded) -> bool:
        """Tell a requisition's case that an order has ended; False when it does not run."""
        ...


class TemporalRuns:
    """Runs, asked of Temporal."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def look(self, cases: Sequence[str]) -> Mapping[str, bool]:
        if not cases:
            return {}
        names = ", ".join(f"'{_quoted(case)}'" for case in cases)
        found, _ = await self._page(f'WorkflowId IN ({names}) AND ExecutionStatus = "Running"', b"", len(cases))
        return {run.id: any(problem in FAILURES for problem in _problems(run)) for run in found}

    async def failing(self, after: bytes, limit: int) -> Page:
        found, more = await self._page(f'{FAILING} AND ExecutionStatus = "Running"', after, limit)
        return Page([run.id for run in found], more)

    async def ended_otherwise(self, since: datetime, until: datetime, after: bytes, limit: int) -> Page:
        between = f'CloseTime BETWEEN "{since.isoformat()}" AND "{until.isoformat()}"'
        found, more = await self._page(f"{ENDED_OTHERWISE} AND {between}", after, limit)
        return Page([run.id for run in found], more)

    async def _page(self, query: str, after: bytes, limit: int) -> tuple[Sequence[WorkflowExecution], bytes]:
        asked = self._client.list_workflows(query, page_size=limit, next_page_token=after or None, rpc_timeout=RPC)
        try:
            await asked.fetch_next_page()
        except (RPCError, RuntimeError) as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away
        return asked.current_page or (), asked.next_page_token or b""

    async def status(self, case: str, run: str = "") -> str:
        try:
            found = await self._client.get_workflow_handle(case, run_id=run or None).describe(rpc_timeout=RPC)
        except RPCError as refused:
            if refused.status == RPCStatusCode.NOT_FOUND:
                return "missing"
            raise Unavailable("Temporal does not answer", system="temporal") from refused
        except RuntimeError as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away
        status = found.status or WorkflowExecutionStatus.RUNNING
        return status.name.lower().replace("_", " ")

    async def tell_ended(self, parent: str, ended: OrderEnded) -> bool:
        try:
            await self._client.get_workflow_handle(parent).signal("order_ended", ended, rpc_timeout=RPC)
        except RPCError as refused:
            if refused.status == RPCStatusCode.NOT_FOUND:
                return False
            raise Unavailable("Temporal does not answer", system="temporal") from refused
        return True


def _quoted(name: str) -> str:
    """A name between single quotes: our names are percent-encoded and have neither, but this is no place to trust that."""
    return name.replace("\\", "\\\\").replace("'", "\\'")


def _problems(run: WorkflowExecution) -> Sequence[str]:
    return run.typed_search_attributes.get(PROBLEMS) or ()
