"""``/v1/scim``: what an HR system that speaks SCIM does to its users (RFC 7644), each as one HR event. Nobody is given back."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from gateway.problems import Problem
from gateway.rest import Behind, Who, may
from gateway.rest_forms import request_body
from gateway.rest_people import SCIM, SCOPE, USER_SAID, HrKeptView, keep_said
from gateway.rest_requisitions import IdempotencyKey
from gateway.rest_scans import PROBLEMS
from gateway.scim_faults import MEDIA_TYPE
from gateway.scim_operations import PATCH, kept_form

PROVIDER: Final = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
LEAVES: dict[str, Any] = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
NOT_GIVEN: Final = (
    "users are told to this address and not read from it: GET /v1/hr-events/{message} says what became of one"
)
SUPPORTED: Final[dict[str, Any]] = {
    "schemas": [PROVIDER],
    "patch": {"supported": True},
    "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
    "filter": {"supported": False, "maxResults": 0},
    "changePassword": {"supported": False},
    "sort": {"supported": False},
    "etag": {"supported": False},
    "authenticationSchemes": [
        {"type": "oauthbearertoken", "name": "A key of ours", "description": "made by `fascia key add`, scope people"}
    ],
}

router = APIRouter(prefix="/v1/scim", tags=["people"])
Person = Annotated[str, Path(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]


@router.post(
    "/Users",
    operation_id="reportScimUser",
    summary="Say how a person stands in your HR system, as a SCIM user",
    status_code=202,
    response_model=HrKeptView,
    responses=PROBLEMS,
    openapi_extra=request_body("ScimUser", a_hire=SCIM),
)
async def made(request: Request, response: Response, who: Who, behind: Behind, key: IdempotencyKey = None) -> Any:
    """Keep it as one HR event: this opens no account by itself. Sent as ``application/scim+json`` it is answered with the user."""
    body = await request.body()
    kept = await keep_said(request, response, who, behind, key or _own(), USER_SAID, body)
    if not _is_scim(request):
        return kept
    user = json.loads(body)
    name = user.get("externalId") or user.get("id") or ""
    return JSONResponse(user | {"id": name}, 201, media_type=MEDIA_TYPE, headers={"Location": kept.href})


@router.put(
    "/Users/{person}",
    operation_id="putScimUser",
    summary="Say anew how a person stands in your HR system",
    responses=PROBLEMS,
    openapi_extra=request_body("ScimUser", a_user=SCIM),
)
async def put(
    person: Person, request: Request, response: Response, who: Who, behind: Behind, key: IdempotencyKey = None
) -> JSONResponse:
    """A change of who they are or what they do; one that is not ``active`` is deactivated. ``person`` is your own number."""
    kept = await _done("PUT", person, request, response, who, behind, key)
    user = json.loads(await request.body())
    return JSONResponse(user | {"id": person}, 200, media_type=MEDIA_TYPE, headers={"Location": kept.href})


@router.patch(
    "/Users/{person}",
    operation_id="patchScimUser",
    summary="Say what changed of a person in your HR system",
    status_code=204,
    responses=PROBLEMS,
    openapi_extra=request_body("ScimUser", not_active=LEAVES),
)
async def patch(
    person: Person, request: Request, response: Response, who: Who, behind: Behind, key: IdempotencyKey = None
) -> None:
    """Values added or replaced. ``active`` false deactivates and true activates; what HR has said is not removed."""
    await _done("PATCH", person, request, response, who, behind, key)


@router.delete(
    "/Users/{person}",
    operation_id="deleteScimUser",
    summary="Say that a person is no user of your HR system any more",
    status_code=204,
    responses=PROBLEMS,
)
async def delete(
    person: Person, request: Request, response: Response, who: Who, behind: Behind, key: IdempotencyKey = None
) -> None:
    """Entered in error, or withdrawn: the event ``delete``, or what the sender's table ``event`` makes of it."""
    await _done("DELETE", person, request, response, who, behind, key)


@router.get("/ServiceProviderConfig", operation_id="getScimConfig", summary="What of SCIM is done here")
async def supported(who: Who) -> JSONResponse:
    """RFC 7643 section 5."""
    may(who, SCOPE)
    return JSONResponse(SUPPORTED, media_type=MEDIA_TYPE)


@router.get("/Users", include_in_schema=False)
@router.get("/Users/{person}", include_in_schema=False)
async def not_given(who: Who) -> None:
    """Said as SCIM says it, so that a client knows why."""
    may(who, SCOPE)
    raise Problem(501, "not-offered", NOT_GIVEN)


async def _done(
    method: str, person: str, request: Request, response: Response, who: Who, behind: Behind, key: str | None
) -> HrKeptView:
    body = b"" if method == "DELETE" else await request.body()
    if method != "DELETE" and not body:
        raise Problem(400, "parse", "a body stands here")
    return await keep_said(request, response, who, behind, key or _own(), USER_SAID, kept_form(method, person, body))


def _own() -> str:
    """SCIM has no word for a request sent again: each that names none is one of its own, and says the same again."""
    return f"scim-{uuid4().hex}"


def _is_scim(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == MEDIA_TYPE
