"""What a caller of the REST door is told when something is wrong: always the same form, with a code and a trace to quote.

RFC 9457 (application/problem+json). The text never repeats a value that was sent, which may be a person's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import trace
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from canonical.base import in_words
from canonical.errors import FasciaError, Malformed, Rejected, Throttled, Unavailable
from gateway.intake import Conflict

if TYPE_CHECKING:  # loaded by the REST door; every other process knows our problems without it
    from fastapi import FastAPI

MEDIA_TYPE = "application/problem+json"
REJECTIONS = {
    "not-found": 404,
    "conflict": 409,
    "changed": 409,
    "not-open": 409,
    "not-allowed": 403,
    "unknown-code": 422,
}
TITLES = {
    400: "The request cannot be read",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    405: "Not done here",
    409: "It does not fit what we have",
    413: "Too large",
    415: "Not a format we read",
    422: "The content is not as agreed",
    429: "Too many requests",
    500: "Our mistake",
    503: "Not available now",
}

log = structlog.get_logger(__name__)


class Wrong(BaseModel):
    """One thing that is wrong, and where: a JSON path and a JSON pointer."""

    detail: str
    path: str
    pointer: str


class ProblemDetails(BaseModel):
    """What a problem answer holds."""

    type: str = Field(examples=["urn:fascia:problem:data-invalid"])
    title: str
    status: int
    detail: str = ""
    code: str
    trace: str = Field(default="", description="quote this when you ask us")
    case: str = ""
    errors: list[Wrong] = []


class Problem(Exception):
    """Raised anywhere in the door; the answer is made of it."""

    def __init__(self, status: int, code: str, detail: str = "", **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers: dict[str, str] = more.pop("headers", {})
        self.more = more


def trace_id() -> str:
    """The trace of this request."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def json_path(path: str) -> str:
    """``lines.0.item`` as a JSON path: ``$.lines[0].item``."""
    parts = [part for part in path.split(".") if part]
    return "$" + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)


def pointer(path: str) -> str:
    """``lines.0.item`` as a JSON pointer fragment: ``#/lines/0/item``."""
    parts = [part.replace("~", "~0").replace("/", "~1") for part in path.split(".") if part]
    return "#" + "".join(f"/{part}" for part in parts)


def problem_of(failure: FasciaError) -> Problem:
    """One of our failures as the caller hears it."""
    if isinstance(failure, Conflict):
        return Problem(409, failure.code, f"{failure.message}; the case is {failure.case}", case=failure.case)
    if isinstance(failure, Malformed):
        unread = failure.path == "" and "JSON" in failure.message
        first = re.sub(r" \(and \d+ more\)$", "", failure.message) if failure.also else failure.message
        wrongs = [(failure.path, first), *((path, f"{path}: {text}") for path, text in failure.also)]
        errors = [Wrong(detail=said, path=json_path(at), pointer=pointer(at)).model_dump() for at, said in wrongs]
        return Problem(400 if unread else 422, failure.code, failure.message, errors=errors)
    if isinstance(failure, Rejected):
        return Problem(REJECTIONS.get(failure.code, 422), failure.code, failure.message)
    if isinstance(failure, Throttled):
        return Problem(
            429, failure.code, failure.message, headers={"Retry-After": str(max(1, round(failure.retry_after)))}
        )
    if isinstance(failure, Unavailable):
        return Problem(503, failure.code, failure.message, headers={"Retry-After": "5"})
    return Problem(500, "internal", "something went wrong on our side; it is logged under this trace")


def answer(problem: Problem) -> JSONResponse:
    """The problem as an answer."""
    details = ProblemDetails(
        type=f"urn:fascia:problem:{re.sub('[^a-z0-9-]', '-', problem.code)}",
        title=TITLES.get(problem.status, "A problem"),
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        trace=trace_id(),
        **problem.more,
    )
    content = details.model_dump(exclude_defaults=True)
    return JSONResponse(content, problem.status, media_type=MEDIA_TYPE, headers=problem.headers)


def _in_form(request: Request, problem: Problem) -> JSONResponse:
    """In the form of the address that was asked: some have their standard's own."""
    forms: dict[str, Callable[[Problem], JSONResponse]] = getattr(request.app.state, "forms", {})
    form = next((form for base, form in forms.items() if request.url.path.startswith(base)), answer)
    return form(problem)


async def _problem(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, Problem)
    return _in_form(request, problem)


async def _failure(request: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, FasciaError)
    log.warning("request failed", path=request.url.path, code=failure.code, problem=failure.message)
    return _in_form(request, problem_of(failure))


async def _http(request: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, HTTPException)
    code = {404: "not-found", 405: "not-allowed-here"}.get(failure.status_code, "http")
    return _in_form(
        request, Problem(failure.status_code, code, str(failure.detail), headers=dict(failure.headers or {}))
    )


async def _parameters(request: Request, failure: Exception) -> JSONResponse:
    from fastapi.exceptions import RequestValidationError

    assert isinstance(failure, RequestValidationError)
    wrongs = []
    for error in failure.errors():
        path = ".".join(str(part) for part in error["loc"])
        wrongs.append(Wrong(detail=in_words(error["msg"]), path=json_path(path), pointer=pointer(path)).model_dump())
    return _in_form(request, Problem(422, "data-invalid", wrongs[0]["detail"] if wrongs else "", errors=wrongs))


def install(app: FastAPI) -> None:
    """Let every failure of this app be answered as a problem."""
    from fastapi.exceptions import RequestValidationError

    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(FasciaError, _failure)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _parameters)
