"""One JSON line per event on standard error, with trace and case; never the content of a message."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import FailureError

from canonical.errors import FasciaError
from workers import telemetry

LONGEST_CHAIN = 5
MOST_FRAMES = 15
QUIET = ("httpx", "httpcore", "asyncssh", "uvicorn.access", "limits", "alembic")


def _where(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the trace and, inside a step, the case."""
    if trace := telemetry.trace_id():
        event.setdefault("trace", trace)
    if activity.in_activity():
        event.setdefault("workflow", activity.info().workflow_id)
    return event


def _temporal(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The SDK's own records bring their case in a field of its own."""
    record = event.get("_record")
    for name in ("temporal_workflow", "temporal_activity"):
        details = getattr(record, name, None)
        if isinstance(details, dict):
            event.setdefault("workflow", details.get("workflow_id"))
    return event


def _exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What broke and where. The text of an exception we did not write may hold what a message said: it is left out."""
    given = event.pop("exc_info", None)
    broken = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    chain: list[dict[str, Any]] = []
    while isinstance(broken, BaseException) and len(chain) < LONGEST_CHAIN:
        frames = traceback.extract_tb(broken.__traceback__)[-MOST_FRAMES:]
        own_words = broken.message if isinstance(broken, FasciaError | FailureError) else ""
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        chain.append({"type": type(broken).__name__, "text": own_words, "frames": places})
        broken = broken.__cause__ or (None if broken.__suppress_context__ else broken.__context__)
    if chain:
        event["exception"] = chain
    return event


class _Lines:
    """Where our own records end: each is a line on standard error. The library's way there makes a record of each first."""

    def __init__(self, *name: str) -> None:
        self.name = name[0] if name else ""

    def msg(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = msg


def start(level: str, process: str) -> None:
    """Send our log and the libraries' to standard error as JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _where,
    ]
    drawn: list[Any] = [_exception, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *drawn],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, _temporal],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *drawn],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)  # a failed step is in our own words already
    structlog.contextvars.bind_contextvars(process=process)
