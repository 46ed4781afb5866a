"""What Temporal repeats and what it hands to a person: our four failures in its words, and "waiting for the ERP since".

| failure | Temporal |
| --- | --- |
| Unavailable | repeats, under the same key |
| Throttled | repeats, after the time the other side asked for |
| Rejected, Malformed | does not repeat: the case parks until a person decides |
| anything else (a mistake of ours) | repeats, so that the next version of our code finds the case where it stood |

Nothing of a message's content goes into a failure: Temporal keeps failures in clear.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from canonical.cases import Trouble
from canonical.errors import FasciaError, Malformed, Rejected, Throttled, Unavailable

LONGEST = 500  # characters of a failure's text; Temporal cuts a whole failure at 4 KiB
OUTSIDE = ("erp", "supplier", "verification")  # the queues named after the system their steps call
OURS = str(Path(__file__).resolve().parents[1])

log = structlog.get_logger(__name__)


def in_temporals_words(failure: BaseException) -> ApplicationError:
    """The failure as Temporal keeps it: type, text, and (code, path, system) as details."""
    if not isinstance(failure, FasciaError):
        return ApplicationError(_where(failure), "internal", "", "", type="Bug")
    details = (failure.code, failure.path if isinstance(failure, Malformed) else "", failure.system)
    return ApplicationError(
        failure.message[:LONGEST],
        *details,
        type=_name(failure),
        non_retryable=isinstance(failure, Rejected | Malformed),
        next_retry_delay=timedelta(seconds=failure.retry_after) if isinstance(failure, Throttled) else None,
    )


def _name(failure: FasciaError) -> str:
    """The name of one of the four, also for a kind derived from it."""
    four = (Unavailable, Throttled, Rejected, Malformed)
    return next((kind.__name__ for kind in four if isinstance(failure, kind)), type(failure).__name__)


def _where(bug: BaseException) -> str:
    """A mistake of ours, by its kind and place only: its text may hold what a message said."""
    frames = traceback.extract_tb(bug.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(OURS) and ".venv" not in frame.filename]
    last = own[-1] if own else None
    place = f" at {Path(last.filename).relative_to(OURS)}:{last.lineno}" if last else ""
    return f"unexpected {type(bug).__name__}{place}"


class Failures(Interceptor):
    """Put around every step of our workers. ``trouble`` writes or clears "waiting for ... since" on the case."""

    def __init__(self, trouble: Callable[[Trouble], Awaitable[None]]) -> None:
        self._troubled: set[tuple[str, str, str]] = set()  # case, system, step
        self._write = trouble

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Translated(next, self)

    async def failed(self, info: activity.Info, failure: Exception) -> None:
        """Show on the case that the system does not answer; an answer of "no" is an answer."""
        system = _outside(info, failure)
        if system is None or info.workflow_id is None:
            return
        if isinstance(failure, Rejected | Malformed):
            await self.succeeded(info)
            return
        if not isinstance(failure, Unavailable | Throttled):
            return
        self._troubled.add((info.workflow_id, system, info.activity_type))
        shown = Trouble(
            case=info.workflow_id,
            system=system,
            step=info.activity_type,
            since=info.scheduled_time,  # when the step was first asked: the same in whichever worker tries again
            message=failure.message[:LONGEST],
        )
        await self._tell(shown)

    async def succeeded(self, info: activity.Info) -> None:
        """Clear what we showed. A later attempt may follow another worker's failure, so it clears too."""
        if info.workflow_id is None or info.task_queue not in OUTSIDE or info.is_local:
            return
        shown = {key for key in self._troubled if key[0] == info.workflow_id}
        steps = {step for _, _, step in shown}
        if info.attempt > 1:  # the worker before may have named any system
            steps.add(info.activity_type)
        for step in sorted(steps):
            if await self._tell(Trouble(case=info.workflow_id, system="", step=step)):
                self._troubled -= {key for key in shown if key[2] == step}

    async def _tell(self, trouble: Trouble) -> bool:
        """Write it; the step's own outcome matters more than this note, so a store that is away is only logged."""
        try:
            await self._write(trouble)
        except Exception as away:
            log.warning("trouble not shown on the case", workflow=trouble.case, problem=type(away).__name__)
            return False
        return True


def _outside(info: activity.Info, failure: Exception) -> str | None:
    """The outside system a step called: by its queue; a failure may name it better."""
    if info.is_local or info.task_queue not in OUTSIDE:
        return None
    return (failure.system if isinstance(failure, FasciaError) else "") or info.task_queue


class _Translated(ActivityInboundInterceptor):
    """One step, with its failures translated."""

    def __init__(self, inner: ActivityInboundInterceptor, failures: Failures) -> None:
        super().__init__(inner)
        self._failures = failures

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        try:
            result = await super().execute_activity(input)
        except FailureError:  # said in Temporal's words already
            raise
        except Exception as failure:
            await self._failures.failed(info, failure)
            _log(info, failure)
            _raise(failure)
        await self._failures.succeeded(info)
        return result


def _log(info: activity.Info, failure: Exception) -> None:
    known = isinstance(failure, FasciaError)
    write = log.warning if known else log.error
    write(
        "step failed",
        step=info.activity_type,
        workflow=info.workflow_id,
        attempt=info.attempt,
        kind=type(failure).__name__,
        problem=failure.message[:LONGEST] if isinstance(failure, FasciaError) else _where(failure),
        **({} if known else {"frames": _frames(failure)}),
    )


def _frames(bug: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(bug.__traceback__)][-12:]


def _raise(failure: Exception) -> NoReturn:
    """Without its cause: a cause goes into the history with its own text."""
    raise in_temporals_words(failure) from None
