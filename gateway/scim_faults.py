"""What a caller of the SCIM addresses is told when something is wrong: the form SCIM has for it (RFC 7644 section 3.12)."""

from __future__ import annotations

from typing import Final

from fastapi.responses import JSONResponse

from gateway.problems import Problem

BASE: Final = "/v1/scim/"
MEDIA_TYPE: Final = "application/scim+json"
ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
TYPES: Final = {"mutability": "mutability", "invalid-path": "invalidPath", "parse": "invalidSyntax"}


def answer(problem: Problem) -> JSONResponse:
    """The problem as SCIM says it: what is not as agreed is a 400 with its ``scimType``."""
    status = 400 if problem.status in (415, 422) else problem.status
    kind = ""
    if status == 400:
        kind = TYPES.get(problem.code, "invalidSyntax" if problem.status == 400 else "invalidValue")
    elif status == 409:
        kind = "uniqueness"
    places = ", ".join(wrong["path"] for wrong in problem.more.get("errors", ()))
    detail = f"{problem.detail or problem.code}{f' ({places})' if places else ''}"
    said = {"schemas": [ERROR], "status": str(status), "detail": detail}
    content = said | ({"scimType": kind} if kind else {})
    return JSONResponse(content, status, media_type=MEDIA_TYPE, headers=problem.headers)
