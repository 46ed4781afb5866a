"""``POST /v1/usage``, ``/v1/counts``, ``/v1/scans/check``: what was used, what was counted, and whether a thing may be used at all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from canonical.base import read_strictly
from canonical.errors import Malformed
from canonical.messages import Kept
from canonical.scans import CountStanding, Scan, UseStanding
from gateway.feeds.rest_usage import scanned
from gateway.lookups import Caller
from gateway.problems import Problem, ProblemDetails
from gateway.rest import Behind, Doors, Who, body_of, may
from gateway.rest_forms import request_body
from gateway.rest_requisitions import IdempotencyKey, needed
from gateway.scan_door import LONGEST_NUMBER, ScanDoor
from gateway.scans import Checked

SCOPE: Final = "usage"
USAGE, COUNT = "usage", "stock_count"  # kinds of messages
ONE: dict[str, Any] = {
    "location": "OR-3",
    "barcode": "(01)04012345000016(17)271231(10)LOT7(21)SER9",
    "used_at": "2026-11-22T10:12:00Z",
    "encounter": "V-20261122-7",
}
MANY: dict[str, Any] = {
    "location": "OR-3",
    "encounter": "V-20261122-7",
    "scans": [
        {"barcode": "(01)04012345000016(17)271231(10)LOT7(21)SER9"},
        {"item": "ITM-1001", "amount": "2", "unit": "BX", "lot": "A-77"},
    ],
}
COUNTED: dict[str, Any] = {
    "location": "OR-3",
    "counted_at": "2026-11-22T06:00:00Z",
    "lines": [{"item": "ITM-1001", "lot": "A-77", "amount": "12", "unit": "EA"}],
}
ASKED: dict[str, Any] = {"barcode": "(01)04012345000016(17)271231(10)LOT7(21)SER9", "location": "OR-3"}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": ProblemDetails, "description": "No Idempotency-Key, or no JSON"},
    403: {"model": ProblemDetails, "description": "A key not made for this, or no row in the register for its sender"},
    404: {"model": ProblemDetails, "description": "No such report of yours"},
    422: {
        "model": ProblemDetails,
        "description": "Something cannot be read (with its path), or the key was used before",
    },
    429: {"model": ProblemDetails, "description": "Over the quota; see Retry-After"},
    503: {"model": ProblemDetails, "description": "Nothing was kept: send it again under the same key"},
}

router = APIRouter(prefix="/v1", tags=["scans"])


class Reported(BaseModel):
    """It is kept; what becomes of it is told at ``href``."""

    message: str = Field(description="its name in our journal")
    number: str = Field(
        description="your Idempotency-Key: the number of this report, by which a use of it is taken back"
    )
    status: Literal["kept"] = "kept"
    href: str


class ReportView(BaseModel):
    """What became of a report: ``kept`` until it was read, then ``taken``; ``refused``, or ``parked`` for a person to look at."""

    message: str
    number: str
    status: Literal["kept", "taken", "refused", "parked"]
    reason: str = ""
    at: datetime
    uses: tuple[UseStanding, ...] = Field(default=(), description="each use, and how far it is")
    count: CountStanding | None = Field(
        default=None, description="what was counted, what should be there, and why they differ"
    )


class CheckIn(BaseModel):
    """What is held under the scanner, by ``barcode`` or by ``item``; ``at``: when it would be used, without one now."""

    model_config = ConfigDict(frozen=True)

    barcode: str = Field(default="", max_length=256)
    item: str = Field(default="", max_length=80)
    lot: str = Field(default="", max_length=40)
    serial: str = Field(default="", max_length=40)
    expires: date | None = None
    location: str = Field(min_length=1, max_length=80)
    at: datetime | None = None


@router.post(
    "/usage",
    operation_id="reportUsage",
    summary="Report what was used",
    status_code=202,
    response_model=Reported,
    responses=PROBLEMS,
    openapi_extra=request_body("UsageIn", one_scan=ONE, a_procedure=MANY),
)
async def report_usage(
    request: Request, response: Response, who: Who, behind: Behind, key: IdempotencyKey = None
) -> Reported:
    """Keep it; its location's case takes it within seconds. The same key with the same body is the same use, and counts once."""
    return await _reported(request, response, who, behind, key, USAGE)


@router.get(
    "/usage/{message}",
    operation_id="getUsage",
    summary="What became of a report of use",
    response_model=ReportView,
    response_model_exclude_defaults=True,
    responses={404: PROBLEMS[404]},
)
async def usage(message: Annotated[str, Path(max_length=80)], who: Who, behind: Behind) -> ReportView:
    """Each use of it: waiting, posted, or parked with the reason and whose it is."""
    door, kept = await _own(message, who, behind, USAGE)
    sender = await door.sender(who, USAGE)
    uses = await door.stock.uses(who.facility, sender.source or sender.code, kept.control_number)
    return _view(kept, tuple(uses))


@router.post(
    "/counts",
    operation_id="reportCount",
    summary="Report what was counted",
    status_code=202,
    response_model=Reported,
    responses=PROBLEMS,
    openapi_extra=request_body("CountIn", a_shelf=COUNTED),
)
async def report_count(
    request: Request, response: Response, who: Who, behind: Behind, key: IdempotencyKey = None
) -> Reported:
    """Keep it; its location's case holds it against what should be there, and books the difference."""
    return await _reported(request, response, who, behind, key, COUNT)


@router.get(
    "/counts/{message}",
    operation_id="getCount",
    summary="What became of a count",
    response_model=ReportView,
    response_model_exclude_defaults=True,
    responses={404: PROBLEMS[404]},
)
async def count(message: Annotated[str, Path(max_length=80)], who: Who, behind: Behind) -> ReportView:
    """Each line of it: what should have been there, the difference with its likely cause, and what was booked of it."""
    door, kept = await _own(message, who, behind, COUNT)
    sender = await door.sender(who, COUNT)
    became = await door.stock.count(who.facility, sender.source or sender.code, kept.control_number)
    return _view(kept, count=became)


@router.post(
    "/scans/check",
    operation_id="checkScan",
    summary="May this be used?",
    response_model=Checked,
    response_model_exclude_defaults=True,
    responses={code: PROBLEMS[code] for code in (403, 422, 429)},
    openapi_extra=request_body("CheckIn", a_barcode=ASKED),
)
async def check(request: Request, who: Who, behind: Behind) -> Checked:
    """Answered at once, from our own store, and kept nowhere: `stop` with its reasons (expired, recalled, a serial used before, an
    unknown item), what is there, and which lot to take first."""
    may(who, SCOPE)
    door, asked = _door(behind), read_strictly(CheckIn, await body_of(request))
    device = scanned(asked.barcode, "barcode")
    if device is None and not asked.item:
        raise Malformed("item: a barcode or an item says what it is", path="item", code="data-invalid")
    if asked.at is not None and asked.at.tzinfo is None:
        raise Malformed("at: it needs its zone", path="at", code="data-invalid")
    scan = Scan(
        facility=who.facility,
        location=asked.location,
        item=asked.item,
        device=device,
        lot=asked.lot or (device.lot if device else ""),
        serial=asked.serial or (device.serial if device else ""),
        expires=asked.expires or (device.expires if device else None),
        at=asked.at or datetime.now(UTC),
    )
    return await door.check(who, scan)


async def _reported(
    request: Request, response: Response, who: Caller, behind: Doors, key: str | None, kind: str
) -> Reported:
    may(who, SCOPE)
    door, number = _door(behind), needed(key)
    if len(number) > LONGEST_NUMBER:
        raise Problem(400, "data-invalid", f"an Idempotency-Key that names a report has at most {LONGEST_NUMBER} signs")
    sender = await door.sender(who, kind)
    message = await door.keep(who, sender, kind, number, await body_of(request))
    href = f"/v1/{'usage' if kind == USAGE else 'counts'}/{message.id}"
    response.headers["Location"] = href
    return Reported(message=message.id, number=number, href=href)


async def _own(message: str, who: Caller, behind: Doors, kind: str) -> tuple[ScanDoor, Kept]:
    may(who, SCOPE)
    door = _door(behind)
    kept = await door.journal.read(message)
    if kept is None or kept.sender != who.sender or kept.kind != kind or kept.direction != "in":
        raise Problem(404, "not-found", "there is no such report of yours")
    return door, kept


def _view(kept: Kept, uses: tuple[UseStanding, ...] = (), count: CountStanding | None = None) -> ReportView:
    ended: dict[str, Literal["taken", "refused", "parked"]] = {
        "routed": "taken",
        "refused": "refused",
        "dead": "parked",
    }
    status = "taken" if uses or count else ended.get(kept.state, "kept")
    return ReportView(
        message=kept.id,
        number=kept.control_number,
        status=status,
        reason=kept.reason,
        at=kept.at,
        uses=uses,
        count=count,
    )


def _door(behind: Doors) -> ScanDoor:
    if behind.scans is None:
        raise Problem(404, "not-found", "nothing is scanned at this door")
    return behind.scans
