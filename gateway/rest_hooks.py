"""``POST /v1/hooks/<sender>``: a requisition from a system that cannot hold a key in a header, but can sign what it sends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from gateway.problems import Problem, ProblemDetails
from gateway.rest import Behind, body_of, may, refuse_unknown, within_quota
from gateway.rest_requisitions import EXAMPLE, PROBLEMS, Accepted, accept
from gateway.signatures import verified

DOOR = "hook"
SCOPE = "requisitions"

router = APIRouter(prefix="/v1", tags=["requisitions"])
HEADERS: list[dict[str, Any]] = [
    {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": what}
    for name, what in (
        ("Webhook-Id", "Your own id of this request, the same when you send it again"),
        ("Webhook-Timestamp", "Seconds since 1970, at most 300 from ours"),
        ("Webhook-Signature", "`v1,<base64 of HMAC-SHA256 over id.timestamp.body>`, several by blanks"),
    )
]


@router.post(
    "/hooks/{sender}",
    operation_id="hookRequisition",
    summary="Ask for goods by a signed request",
    status_code=202,
    response_model=Accepted,
    responses={**PROBLEMS, 401: {"model": ProblemDetails, "description": "Not signed as agreed, or too old"}},
    openapi_extra={
        "parameters": HEADERS,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Requisition"},
                    "examples": {"two lines": {"value": EXAMPLE}},
                }
            },
        },
    },
)
async def hook(
    request: Request, response: Response, behind: Behind, sender: Annotated[str, Path(max_length=80)]
) -> Accepted:
    """Verify, keep it, read it strictly, start its case. The same id with the same body gives the first answer again."""
    if behind.hooks is None:
        raise Problem(404, "not-found", "signed requests are not taken at this door")
    body = await request.body()
    signed = verified(request.headers, body, await behind.hooks.signers(sender), datetime.now(UTC))
    who = signed.signer.caller
    await within_quota(behind, who)
    may(who, SCOPE)
    refuse_unknown(request)
    body = await body_of(request)
    accepted = await accept(behind, who, f"{DOOR}/{who.sender}/{signed.id}", body, DOOR)
    response.headers["Location"] = accepted.href
    return accepted
