"""``POST /v1/requisitions``: a department's system asks for goods; once we say 202 the requisition is kept and will start."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field
from starlette.routing import Match, Route
from starlette.types import Scope

from canonical.base import content_hash
from canonical.errors import Malformed, Rejected
from canonical.messages import Asking, KeepResult, Kept, NewMessage
from canonical.purchasing import Requisition
from gateway.conflicts import BY_A_PERSON, REUSED, first_refusal, refuse_reused, taken_as_new
from gateway.corrections import allowed
from gateway.intake import REQUISITION, Conflict, Ended, Started, reason_of
from gateway.lookups import Caller
from gateway.problems import Problem, ProblemDetails, trace_id
from gateway.rest import Behind, Doors, Who, body_of, known, may

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

LONGEST_KEY = 200


PATH = "/v1/requisitions"


class Usual(Route):
    """A requisition as nearly all are brought, answered by the same function as every other, with what it takes gathered here.

    Gathering it costs FastAPI as much as all that we do. What is odd, and may have to be refused, does not match: it goes
    FastAPI's way, which is also the one that is described.
    """

    def __init__(self) -> None:
        super().__init__(PATH, self._answer, methods=["POST"], include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST" or scope["query_string"]:
            return Match.NONE, {}
        headers = dict(scope["headers"])
        usual = headers.get(b"authorization", b"").startswith(b"Bearer ")
        if not usual or not 0 < len(headers.get(b"idempotency-key", b"")) <= LONGEST_KEY:
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self.endpoint}

    async def _answer(self, request: Request) -> Response:
        behind: Doors = request.app.state.doors
        secret = request.headers["authorization"].removeprefix("Bearer ").strip()
        headers = Response()
        who = await known(behind, secret)
        accepted = await create_requisition(request, headers, who, behind, request.headers["idempotency-key"])
        place = {"location": headers.headers["location"]}
        return Response(accepted.model_dump_json(), 202, place, "application/json")


router = APIRouter(prefix="/v1", tags=["requisitions"])
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=LONGEST_KEY,
        description="Your own id of this request",
        examples=["7c9e6679"],
    ),
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
    accepted = await accept(behind, who, f"{DOOR}/{who.sender}/{needed(key)}", await body_of(request))
    response.headers["Location"] = accepted.href
    return accepted


async def accept(behind: Doors, who: Caller, key: str, body: bytes, door: str = DOOR) -> Accepted:
    """Keep it under the caller's own id of the request, and start its case; another body under that id is refused.

    It is read first, in memory, so that it is kept and its case announced by one commit; what is not as agreed is kept too.
    """
    about = {"door": door, "partner": who.sender, "sender": who.key, "kind": REQUISITION, "key": key}
    new = NewMessage(data=body, trace=trace_id(), **about)
    try:
        requisition = allowed(body, who.facility, who.sources)
    except (Malformed, Rejected) as wrong:
        refused = new.model_copy(update={"refused": reason_of(wrong)})
        message = await _agreed(behind, who, await behind.intake.journal.keep(refused), door)
        if message.state in ("received", "validated"):  # taken before, by rules that were others
            await behind.intake.refused(message, wrong)
        raise
    case = requisition.case_id
    asking = Asking(data=body, trace=new.trace, asks=case, content_hash=content_hash(requisition), **about)
    result = await behind.intake.keep_asking(asking)
    message = await _agreed(behind, who, result, door)
    if result.outcome == "kept" and message.state == "validated":
        begun = await behind.intake.begin(message, case)
    else:
        begun = await started(behind, message, requisition)
    href = f"/v1/requisitions/{quote(requisition.source, safe='')}/{quote(requisition.number, safe='')}"
    return Accepted(case=begun.case, message=message.id, status=begun.outcome, href=href)


async def _agreed(behind: Doors, who: Caller, result: KeepResult, door: str) -> Kept:
    """The message as it was kept, this time or the first; another body under a key that is taken is refused."""
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
        raise Problem(422, REUSED, "this key was used for something else")


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
