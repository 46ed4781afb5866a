"""``POST /v1/files/<feed>``: a CSV file; once we say 202 it is kept, and ``GET /v1/files/<message>`` tells what became of it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Header, Path, Request, Response
from pydantic import BaseModel, Field

from canonical.base import read_strictly
from canonical.errors import Malformed, Rejected, Throttled, Unavailable
from canonical.messages import Kept, NewMessage
from canonical.senders import Sender
from gateway.conflicts import BY_A_PERSON, REUSED, first_refusal, refuse_reused, taken_as_new
from gateway.csv_files import CsvFiles
from gateway.csv_reading import CsvFile
from gateway.csv_results import FileResult, TakenRequisition
from gateway.csv_rows import RowFault
from gateway.intake import reason_of
from gateway.lookups import SOURCE, Caller
from gateway.problems import Problem, ProblemDetails, problem_of, trace_id
from gateway.registry import CSV_KINDS, csv_feed
from gateway.rest import Behind, Doors, Who, may
from gateway.rest_requisitions import IdempotencyKey, needed, same_kind

DOOR = "rest"
SCOPE = "files"
CSV_TYPES = ("text/csv", "application/csv")
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": ProblemDetails, "description": "No Idempotency-Key"},
    403: {"model": ProblemDetails, "description": "No row in the register for this key's sender, or not in its scope"},
    404: {"model": ProblemDetails, "description": "Nobody reads files of this name, or no such file of yours"},
    413: {"model": ProblemDetails, "description": "Too large: cut it into several"},
    415: {"model": ProblemDetails, "description": "Not text/csv"},
    422: {
        "model": ProblemDetails,
        "description": "It cannot be read (with row and column), or the key was used before",
    },
    503: {"model": ProblemDetails, "description": "Nothing was kept: send it again under the same key"},
}

router = APIRouter(prefix="/v1", tags=["files"])
Feed = Annotated[
    str, Path(description="catalogue, requisitions, usage, counts or people", max_length=40, examples=["catalogue"])
]
FileName = Annotated[
    str, Header(alias="Fascia-File-Name", max_length=200, description="What you call the file, for people")
]


class FileKept(BaseModel):
    """The file is kept; its rows are taken at once, or when what they need answers again."""

    message: str = Field(description="its name in our journal")
    status: Literal["kept"] = "kept"
    rows: int = Field(description="how many rows it has")
    sha256: str
    href: str


class FileView(BaseModel):
    """What became of a file: ``kept`` until its rows are taken, then ``taken``, ``taken in part`` or ``refused``."""

    message: str
    name: str = ""
    feed: str
    status: Literal["kept", "taken", "taken in part", "refused"]
    reason: str = ""
    at: datetime
    sha256: str
    rows: int = Field(default=0, description="how many it has; while it is `kept`, as soon as somebody works on it")
    done: int = Field(default=0, description="while it is `kept`: rows that were looked at and taken or refused so far")
    taken: int = 0
    refused: int = 0
    faults: tuple[RowFault, ...] = Field(default=(), description="each row that was not taken: number, column, reason")
    requisitions: tuple[TakenRequisition, ...] = ()
    unread: tuple[str, ...] = Field(default=(), description="columns nobody reads, perhaps misspelt; the first 20")


@router.post(
    "/files/{feed}",
    operation_id="uploadFile",
    summary="Upload a CSV file",
    status_code=202,
    response_model=FileKept,
    responses=PROBLEMS,
    openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def upload(
    request: Request,
    response: Response,
    later: BackgroundTasks,
    feed: Feed,
    who: Who,
    behind: Behind,
    key: IdempotencyKey = None,
    name: FileName = "",
) -> FileKept:
    """Keep it and check that it is whole; its rows are taken after the answer. The same key with the same body is the same file."""
    may(who, SCOPE)
    files, named = _files(behind), f"{DOOR}/{who.sender}/{needed(key)}"
    kind = _kind(feed, who.sender)
    sender = await _sender(files, who, kind)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in CSV_TYPES:
        raise Problem(415, "parse", "send text/csv")
    body = await request.body()
    wrong: Malformed | Rejected | None = None
    rows = 0
    try:
        rows = await _checked(await files.opened(body, kind, sender))
    except (Malformed, Rejected) as found:
        wrong = found
    message = await _kept(behind, who, sender, kind, named, body, name, wrong)
    if message.state == "refused" and not message.answer:  # by this door, now or the first time
        raise _problem(wrong, message.reason)
    if message.state in BY_A_PERSON and (said := await first_refusal(behind.intake.journal, message)):
        raise _problem(wrong, said)
    if message.state in ("received", "validated"):
        later.add_task(behind.intake.route, message)
    href = f"/v1/files/{message.id}"
    response.headers["Location"] = href
    return FileKept(message=message.id, rows=rows, sha256=message.hash, href=href)


@router.get(
    "/files/{message}",
    operation_id="getFile",
    summary="What became of a file",
    response_model=FileView,
    response_model_exclude_defaults=True,
    responses={404: PROBLEMS[404]},
)
async def look(message: Annotated[str, Path(max_length=80)], who: Who, behind: Behind) -> FileView:
    """Rows taken and refused, each refused one with its number, column and reason."""
    may(who, SCOPE)
    kept = await behind.intake.journal.read(message)
    if kept is None or kept.sender != who.sender or kept.kind not in CSV_KINDS or kept.direction != "in":
        raise Problem(404, "not-found", "there is no such file of yours")
    about: dict[str, Any] = {"message": kept.id, "name": kept.control_number, "feed": CSV_KINDS[kept.kind]}
    about |= {"at": kept.at, "sha256": kept.hash}
    answer = await behind.intake.journal.read(kept.answer) if kept.answer else None
    if answer is not None and kept.door == DOOR and kept.state in ("routed", "refused"):
        told = read_strictly(FileResult, answer.data, allow_unknown=True)
        shown = told.model_dump(include={"reason", "rows", "taken", "refused", "faults", "requisitions", "unread"})
        return FileView(**about, status=told.state, **shown)
    if kept.state in ("received", "validated") and (far := await _files(behind).standing(kept.id)) is not None:
        about |= {"rows": far.rows, "done": far.done}
    ended = {"routed": "taken", "refused": "refused", "dead": "refused"}
    return FileView.model_validate(about | {"status": ended.get(kept.state, "kept"), "reason": kept.reason})


def _files(behind: Doors) -> CsvFiles:
    if behind.files is None:
        raise Problem(404, "not-found", "files are not taken at this door")
    return behind.files


def _kind(feed: str, sender: str) -> str:
    found = csv_feed(feed, sender)
    if found is None:
        known = ", ".join(sorted(CSV_KINDS.values()))
        raise Problem(404, "not-found", f"nobody reads files of that name here: {known}")
    return found.kind


async def _sender(files: CsvFiles, who: Caller, kind: str) -> Sender:
    """The sender's row, which says how its files are read; it must be of the key's facility and ordering system."""
    sender = await files.sender(who.sender)
    if sender is None or not sender.active:
        detail = f"sender {who.sender} has no row in the register: ask for one (`fascia register load --kind sender`)"
        raise Problem(403, "not-allowed", detail)
    if sender.facility != who.facility:
        raise Problem(403, "not-allowed", f"this key is for facility {who.facility}, its sender's row is not")
    named = any(one.startswith(SOURCE) for one in who.scopes)
    if (
        named
        and kind in ("csv_requisitions", "csv_usage", "csv_people")
        and (sender.source or sender.code) not in who.sources
    ):
        raise Problem(403, "not-allowed", f"source: this key is for {', '.join(who.sources)}")
    return sender


def _problem(wrong: Malformed | Rejected | None, reason: str) -> Problem:
    """Why the file is refused, with its row and column where that is the reason."""
    if wrong is None:
        code, _, detail = reason.partition(": ")
        return Problem(422, code, detail)
    if isinstance(wrong, Rejected):
        return problem_of(wrong)
    return Problem(
        422, wrong.code, wrong.message, errors=[{"detail": wrong.message, "path": wrong.path, "pointer": ""}]
    )


async def _checked(file: CsvFile) -> int:
    """Count its rows beside the others who wait for an answer: a large file takes seconds."""
    return await asyncio.to_thread(file.check)


async def _kept(
    behind: Doors,
    who: Caller,
    sender: Sender,
    kind: str,
    key: str,
    body: bytes,
    name: str,
    wrong: Malformed | Rejected | None,
) -> Kept:
    """Keep it, refused from the start where it cannot be read: by one commit."""
    reason = reason_of(wrong) if wrong is not None else ""
    new = NewMessage(
        door=DOOR,
        data=body,
        partner=who.sender,
        sender=sender.code,
        kind=kind,
        key=key,
        control_number=name or f"{CSV_KINDS[kind]}.csv",
        trace=trace_id(),
        priority=sender.priority,
        remember=timedelta(days=sender.duplicates_for),
        refused=reason,
    )
    try:
        result = await behind.intake.journal.keep(new)
    except Throttled as slow:
        raise Unavailable(slow.message, system=slow.system) from slow
    if result.outcome == "conflict" and not taken_as_new(result.message):
        told = "this Idempotency-Key was used with another body"
        await refuse_reused(behind.intake, result.message, told, who.facility)
        raise Problem(422, REUSED, told)
    same_kind(result.message, kind)
    return result.message
