"""``POST /v1/hr-events`` and ``/v1/hooks/<sender>/hr-events``: what an HR system says of people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from canonical.errors import Rejected
from canonical.messages import Kept
from gateway.feeds.rest_people import MOST
from gateway.feeds.rest_scim import ENTERPRISE, HR
from gateway.lookups import Caller
from gateway.problems import Problem, ProblemDetails
from gateway.rest import Behind, Doors, Who, may, refuse_unknown, within_quota
from gateway.rest_forms import request_body
from gateway.rest_hooks import HEADERS
from gateway.rest_requisitions import IdempotencyKey, needed
from gateway.rest_scans import PROBLEMS
from gateway.scan_door import LONGEST_NUMBER, ScanDoor
from gateway.scim_operations import USER
from gateway.signatures import verified

SCOPE: Final = "people"
EVENT, USER_SAID = "hr_event", "scim_user"  # kinds of messages
BROUGHT: Final = (
    "routed",
    "corrected",
)  # states of a message whose events all stand as they say, whichever message brought them
TYPES: Final = ("application/json", "application/scim+json")  # RFC 7644 section 3.1
ONE: dict[str, Any] = {
    "person": "E-2077",
    "kind": "hire",
    "effective": "2026-12-01",
    "said_at": "2026-11-02T14:14:55Z",
    "record": {"name": {"family": "MAPLE", "given": "TEST"}, "birth_date": "1984-03-07", "npi": "1234567893"},
    "position": {"role": "surgeon", "department": "surgery", "cost_centre": "CC-4100"},
}
LEAVER: dict[str, Any] = {
    "person": "E-2077",
    "kind": "terminate",
    "effective": "2026-11-09",
    "emergency": True,
    "reason": "for-cause",
}
SCIM: dict[str, Any] = {
    "schemas": [USER, ENTERPRISE, HR],
    "externalId": "E-2077",
    "active": True,
    "name": {"familyName": "MAPLE", "givenName": "TEST"},
    "meta": {"created": "2026-11-02T14:14:55Z", "lastModified": "2026-11-02T14:14:55Z"},
    ENTERPRISE: {"employeeNumber": "E-2077", "department": "surgery", "costCenter": "CC-4100"},
    HR: {"role": "surgeon", "starts": "2026-12-01", "npi": "1234567893"},
}

router = APIRouter(prefix="/v1", tags=["people"])
hooks = APIRouter(prefix="/v1", tags=["people"])
Message = Annotated[str, Path(max_length=80)]


class HrKeptView(BaseModel):
    """It is kept; what becomes of it is told at ``href``."""

    message: str = Field(description="its name in our journal")
    number: str = Field(description="what its events are named by")
    status: Literal["kept"] = "kept"
    href: str


class HrEventView(BaseModel):
    """What became of one event of it."""

    number: str = Field(description="its name: that of the message, with its place where there are several")
    kind: str
    state: Literal["waiting", "matched", "possible", "applied", "superseded", "parked", "dismissed"] = Field(
        description="`matched`: whose it is is known, it is in force from its day; `applied`: in force; `superseded`: what was "
        "said later outweighs it; `waiting`: for the hire of its person, or for who says whose its number is; `possible`: a "
        "person says whose it is; `parked`: a person looks at it first, send it corrected; `dismissed`: a person set it aside"
    )
    finding: str = Field(
        default="",
        description="why it is `waiting`, `possible` or `parked`, as a code (`hire-missing`, `numbers-contradict`, "
        "`ends-before-it-starts`, ...); nothing of anybody",
    )


class HrMessageView(BaseModel):
    """What became of it: ``kept`` until it was read, then ``taken``; ``refused``, or ``parked`` for a person to look at.

    ``taken`` says that it was read and each event of it is kept; how each stands is in ``events``.
    """

    message: str
    number: str
    status: Literal["kept", "taken", "refused", "parked"]
    reason: str = ""
    at: datetime
    events: tuple[HrEventView, ...] = Field(default=(), description="how each event stands by now, in their order")


@router.post(
    "/hr-events",
    operation_id="reportHrEvents",
    summary="Say what changed of a person",
    status_code=202,
    response_model=HrKeptView,
    responses=PROBLEMS,
    openapi_extra=request_body("HrEventIn", a_hire=ONE, an_emergency_leaver=LEAVER),
)
async def report(
    request: Request, response: Response, who: Who, behind: Behind, key: IdempotencyKey = None
) -> HrKeptView:
    """Keep it; within seconds it is matched to a person and their case looks. One event, or up to 200 as ``events``."""
    return await keep_said(request, response, who, behind, needed(key), EVENT, await request.body())


@router.get(
    "/hr-events/{message}",
    operation_id="getHrEvents",
    summary="What became of what was said of people",
    response_model=HrMessageView,
    response_model_exclude_defaults=True,
    responses={404: PROBLEMS[404]},
)
async def look(message: Message, who: Who, behind: Behind) -> HrMessageView:
    """Whether it was read and taken, and how each of its events stands by now; nothing of anybody."""
    may(who, SCOPE)
    kept = await _door(behind).journal.read(message)
    if kept is None or kept.sender != who.sender or kept.kind not in (EVENT, USER_SAID) or kept.direction != "in":
        raise Problem(404, "not-found", "there is no such message of yours")
    return _view(kept, await _events(behind, who, kept))


@hooks.post(
    "/hooks/{sender}/hr-events",
    operation_id="hookHrEvents",
    summary="Say what changed of a person by a signed request",
    status_code=202,
    response_model=HrKeptView,
    responses={**PROBLEMS, 401: {"model": ProblemDetails, "description": "Not signed as agreed, or too old"}},
    openapi_extra={"parameters": HEADERS, **request_body("HrEventIn", a_hire=ONE)},
)
async def hook(
    request: Request, response: Response, behind: Behind, sender: Annotated[str, Path(max_length=80)]
) -> HrKeptView:
    """Verify and keep it. The same id with the same body gives the first answer again."""
    if behind.hooks is None:
        raise Problem(404, "not-found", "signed requests are not taken at this door")
    signed = verified(request.headers, await request.body(), await behind.hooks.signers(sender), datetime.now(UTC))
    who = signed.signer.caller
    await within_quota(behind, who)
    refuse_unknown(request)
    return await keep_said(request, response, who, behind, signed.id, EVENT, await request.body())


async def keep_said(
    request: Request, response: Response, who: Caller, behind: Doors, number: str, kind: str, body: bytes
) -> HrKeptView:
    """Keep what an HR system says, under its sender's number of it."""
    may(who, SCOPE)
    door = _door(behind)
    if len(number) > LONGEST_NUMBER - 4:  # behind it stands an event's place
        raise Problem(400, "data-invalid", f"what names HR events has at most {LONGEST_NUMBER - 4} signs")
    if request.headers.get("content-type", TYPES[0]).partition(";")[0].strip().lower() not in TYPES:
        raise Problem(415, "parse", f"send {TYPES[0]}")
    sender = await door.sender(who, kind)
    message = await door.keep(who, sender, kind, number, body)
    href = f"/v1/hr-events/{message.id}"
    response.headers["Location"] = href
    return HrKeptView(message=message.id, number=number, href=href)


async def _events(behind: Doors, who: Caller, kept: Kept) -> tuple[HrEventView, ...]:
    """How the events of a message stand; an event under its number that another message brought is not its own."""
    if behind.heard is None or kept.state not in (*BROUGHT, "refused"):
        return ()
    try:
        sender = await _door(behind).sender(who, kept.kind)
    except Rejected:  # it may send nothing any more, and still ask what became of a message
        return ()
    number = kept.control_number
    places = {number: 0} | {f"{number}/{place}": place for place in range(1, MOST + 1)}
    found = await behind.heard.standings(sender.facility, sender.source or sender.code, list(places))
    mine = [one for one in found if one.message == kept.id or kept.state in BROUGHT]
    mine.sort(key=lambda one: places.get(one.number, 0))
    return tuple(HrEventView.model_validate(one.model_dump(exclude={"message"})) for one in mine)


def _view(kept: Kept, events: tuple[HrEventView, ...]) -> HrMessageView:
    ended: dict[str, Literal["taken", "refused", "parked"]] = {
        "routed": "taken",
        "refused": "refused",
        "dead": "parked",
    }
    status = ended.get(kept.state, "kept")
    about = {"message": kept.id, "number": kept.control_number, "reason": kept.reason, "at": kept.at}
    return HrMessageView.model_validate(about | {"status": status, "events": events})


def _door(behind: Doors) -> ScanDoor:
    if behind.scans is None:
        raise Problem(404, "not-found", "HR events are not taken at this door")
    return behind.scans
