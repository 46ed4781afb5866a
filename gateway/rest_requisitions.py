"""``POST /v1/requisitions``: a department's system asks for goods; once we say 202 the requisition is kept and will start."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field

from canonical.errors import Malformed, Rejected
from canonical.messages import Kept, NewMessage
from canonical.purchasing import Requisition
from gateway.conflicts import BY_A_PERSON, REUSED, first_refusal, refuse_reused, taken_as_new
from gateway.corrections import allowed
from gateway.intake import REQUISITION, Conflict, Ended, Started
from gateway.lookups import Caller
from gateway.problems import Problem, ProblemDetails, trace_id
from gateway.rest import Behind, Doors, Who, body_of, may

DOOR = "rest"
EXAMPLE: dict[str, Any] = {
    "facility": "NGH",
    "source": "ORPLAN",
    "number": "R-2026-0042",
    "department": "surgery",
    "cost_centre": "CC-4100",
    "requester": "E-2041",
    "deliver_to": "OR-STORE",
    "needed_by": "2026-12-01",
    "lines": [
        {"id": "1", "item": "ITM-1001", "quantity": {"value": "10", "unit": "BX"}},
        {"id": "2", "item": "ITM-1002", "quantity": {"value": "200", "unit": "EA"}},
    ],
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": ProblemDetails, "description": "No Idempotency-Key, or no JSON"},
    403: {
        "model": ProblemDetails,
        "description": "Another facility's or ordering system's requisition, or a key that is not made for this",
    },
    409: {
        "model": ProblemDetails,
        "description": "The number is known with other content, or was cancelled or refused; the problem names the case",
    },
    422: {
        "model": ProblemDetails,
        "description": "Something is not as agreed (with its path), or the key was used before",
    },
    429: {"model": ProblemDetails, "description": "Over the key's quota; see Retry-After"},
    503: {"model": ProblemDetails, "description": "Nothing was kept: send it again under the same key"},
}

router = APIRouter(prefix="/v1", tags=["requisitions"])
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=200, description="Your own id of this request", examples=["7c9e6679"]),
]


class Accepted(BaseModel):
    """The requisition is kept; its case starts at once, or when our engine answers again."""

    case: str = Field(examples=["procure_to_pay/NGH/ORPLAN/R-2026-0042"])
    message: str = Field(description="its name in our journal")
    status: str = Field(examples=["started"], description="`started`, or `kept` when the case starts a little later")
    href: str


def needed(key: str | None) -> str:
    """The caller's Idempotency-Key, without which a repeat could not be told from a second request."""
    if key is None or not key.strip():
        raise Problem(400, "data-missing", "send an Idempotency-Key header: your own id of this request")
    return key.strip()


@router.post(
    "/requisitions",
    operation_id="createRequisition",
    summary="Ask for goods",
    status_code=202,
    response_model=Accepted,
    responses=PROBLEMS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Requisition"},
                    "examples": {"two lines": {"value": EXAMPLE}},
                }
            },
        }
    },
)
async def create_requisition(
    request: Request, response: Response, who: Who, behind: Behind, key: IdempotencyKey = None
) -> Accepted:
    """Keep it, read it strictly, start its case. The same key with the same body gives the same answer."""
    may(who, "requisitions")
    named = f"{DOOR}/{who.sender}/{needed(key)}"
    body = await body_of(request)
    message = await kept(behind, who, named, body)
    requisition = await read(behind, who, message)
    begun = await started(behind, message, requisition)
    href = f"/v1/requisitions/{quote(requisition.source, safe='')}/{quote(requisition.number, safe='')}"
    response.headers["Location"] = href
    return Accepted(case=begun.case, message=message.id, status=begun.outcome, href=href)


async def kept(behind: Doors, who: Caller, key: str, body: bytes, door: str = DOOR) -> Kept:
    """Keep it under the caller's own id of the request; another body under that id is refused."""
    new = NewMessage(
        door=door, data=body, partner=who.sender, sender=who.key, kind=REQUISITION, key=key, trace=trace_id()
    )
    result = await behind.intake.journal.keep(new)
    if result.outcome == "conflict" and not taken_as_new(result.message):
        named = "Idempotency-Key" if door == DOOR else "Webhook-Id"
        reason = f"this {named} was used with another body"
        await refuse_reused(behind.intake, result.message, reason, who.facility)
        raise Problem(422, REUSED, reason)
    same_kind(result.message, REQUISITION)
    return result.message


def same_kind(message: Kept, kind: str) -> None:
    """What is known under a key is of the kind that is asked for now; of a message whose bytes are gone nobody knows.

    Raises:
        Problem: 422, it is another thing, which nothing is done to.
    """
    if message.kind not in ("", kind):
        raise Problem(422, "idempotency-key-reused", "this key was used for something else")


async def read(behind: Doors, who: Caller, message: Kept) -> Requisition:
    """Read it as agreed, and only for the sender's own facility and ordering system; what is refused is so in the journal too."""
    try:
        return allowed(message.data, who.facility, who.sources)
    except (Malformed, Rejected) as wrong:
        if message.state in ("received", "validated"):
            await behind.intake.refused(message, wrong)
        raise


async def started(behind: Doors, message: Kept, requisition: Requisition) -> Started:
    """Start the case; a message that was settled before is answered as it was then."""
    if message.state == "routed":
        return Started("started", message.case or requisition.case_id)
    by_a_person = message.state in BY_A_PERSON
    said = await first_refusal(behind.intake.journal, message) if by_a_person else message.reason
    if said and message.case and (by_a_person or message.state == "refused"):
        code, _, said = said.partition(": ")
        if code == "ended":
            raise Ended(said, message.case)
        raise Conflict(f"requisition {requisition.number} is known with other content", message.case)
    if by_a_person:  # its correction was taken in its place, or nothing is to come of it
        return Started("kept", requisition.case_id)
    return await behind.intake.requisition(message, requisition)
