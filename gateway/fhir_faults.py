"""What a caller of the FHIR door is told when something is wrong: an OperationOutcome, whatever it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from canonical.errors import FasciaError
from formats import fhir
from formats.fhir import Issue
from gateway.keeping import NotKept
from gateway.problems import Problem, problem_of

MEDIA_TYPE: Final = "application/fhir+json"
CODES: Final = {  # FHIR's issue type of an HTTP status
    400: "structure",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    412: "multiple-matches",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    428: "required",
    429: "throttled",
    500: "exception",
    503: "transient",
}
AGAIN_AFTER: Final = "5"  # seconds


class Refused(Exception):
    """Raised anywhere in the door; the OperationOutcome is made of it."""

    def __init__(self, status: int, issues: Sequence[Issue] | str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.issues = (Issue(CODES[status], issues),) if isinstance(issues, str) else tuple(issues)
        self.headers = dict(headers or {})
        super().__init__(self.issues[0].text)

    def __reduce__(self) -> tuple[type[Refused], tuple[int, Sequence[Issue], Mapping[str, str]]]:
        return Refused, (self.status, self.issues, self.headers)


def refusal(failure: Exception) -> Refused:
    """Any failure as the caller hears it."""
    if isinstance(failure, Refused):
        return failure
    if isinstance(failure, fhir.Unreadable):
        return Refused(400, failure.issues)
    if isinstance(failure, NotKept):
        if failure.code == "over-quota":
            return Refused(
                429, "More was sent than is agreed for a minute: send it again", {"Retry-After": AGAIN_AFTER}
            )
        return Refused(503, "Nothing was kept: send it again", {"Retry-After": AGAIN_AFTER})
    if isinstance(failure, HTTPException):
        said = {404: "There is nothing at this address", 405: "This is not done at this address"}
        return Refused(failure.status_code, said.get(failure.status_code, "Not done"), failure.headers)
    problem = failure if isinstance(failure, Problem) else problem_of(_ours(failure))
    return Refused(problem.status, problem.detail or "Something is wrong", problem.headers)


def answer(failure: Exception) -> Response:
    """Any failure as an answer."""
    refused = refusal(failure)
    content = fhir.write(fhir.outcome(refused.issues))
    return Response(content, refused.status, headers=refused.headers, media_type=MEDIA_TYPE)


def _ours(failure: Exception) -> FasciaError:
    return failure if isinstance(failure, FasciaError) else FasciaError(type(failure).__name__)
