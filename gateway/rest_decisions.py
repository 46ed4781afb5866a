"""A person's word to a case, and the list of documents no case has taken: given here, it is vouched for by our seal."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from canonical.base import LineId, Text, case_parts, read_strictly
from canonical.cases import VERBS, Actor, Answer, Correction, Decision
from canonical.errors import FasciaError, Rejected
from canonical.messages import Kept, NewMessage
from canonical.ports import Unmatched
from gateway.decisions import DECISION, MAY_SETTLE, without_reason
from gateway.lookups import Caller, DecisionRow
from gateway.problems import Problem, trace_id
from gateway.rest import Behind, Doors, Who, body_of, may
from gateway.rest_forms import request_body
from gateway.rest_requisitions import DOOR, PROBLEMS, IdempotencyKey, needed

router = APIRouter(prefix="/v1", tags=["decisions"])


class DecisionIn(BaseModel):
    """What a person decides. ``revision`` is the one they saw: with it, a case that has changed since refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verb: str = Field(description=f"one of {', '.join(VERBS)}")
    line: LineId | None = None
    document: str | None = Field(default=None, max_length=120)
    reason: Text = ""
    revision: int | None = None
    correction: Correction | None = None


class AttachIn(BaseModel):
    """Which case a document belongs to, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: str = Field(max_length=500)
    reason: Text = ""


class AsideIn(BaseModel):
    """Why nothing follows from a document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Text = Field(min_length=1)


class UnmatchedPage(BaseModel):
    """Documents without an open case, oldest first."""

    documents: list[Unmatched]


@router.get("/cases/{case:path}/decisions", operation_id="listDecisions", summary="What was decided on a case")
async def decisions(case: str, who: Who, behind: Behind) -> Sequence[DecisionRow]:
    """Every decision, taken or refused, oldest first."""
    may(who, "lookups")
    await _of_facility(behind, who, case)
    return await behind.lookups.decisions(case)


@router.post(
    "/cases/{case:path}/decisions",
    operation_id="decide",
    summary="Approve, reject, correct, accept, ...",
    response_model=Answer,
    responses=PROBLEMS,
    openapi_extra=request_body(
        "DecisionIn", one={"verb": "approve", "revision": 4, "reason": "needed for Tuesday's list"}
    ),
)
async def decide(request: Request, case: str, who: Who, behind: Behind, key: IdempotencyKey = None) -> Answer:
    """Give a decision; the answer says what the case made of it, or why not."""
    may(who, "decisions")
    if not who.person:
        raise Problem(403, "not-allowed", "this key belongs to no person: a decision needs one")
    given = needed(key)
    body = await body_of(request)
    await _of_facility(behind, who, case, or_nobodys=True)
    message = await _kept(behind, who, case, given, body)
    try:
        decision = await without_reason(
            behind.cases, case, _decision(read_strictly(DecisionIn, body), case, who, given)
        )
        answer = await behind.engine.decide(case, decision.sealed(case, behind.seal_key))
    except FasciaError as refused:
        await behind.intake.refused(message, refused, case=case)
        raise
    await behind.intake.journal.mark(message.id, "routed", reason=answer.message[:500], case=case)
    return answer


def _decision(given: DecisionIn, case: str, who: Caller, key: str) -> Decision:
    name = hashlib.sha256(f"{who.key}/{case}/{key}".encode()).hexdigest()[:32]
    return Decision(**dict(given), actor=Actor(id=who.person, known_by="api_key"), id=name)


async def _kept(behind: Doors, who: Caller, case: str, key: str, body: bytes) -> Kept:
    name = f"{DOOR}/{who.sender}/{DECISION}/{case}/{key}"
    new = NewMessage(door=DOOR, data=body, partner=who.sender, sender=who.key, kind=DECISION, key=name, case=case)
    result = await behind.intake.journal.keep(new.model_copy(update={"trace": trace_id()}))
    if result.outcome == "conflict":
        reason = "this Idempotency-Key was used with another decision"
        await behind.intake.refused(result.message, Rejected(reason, code="idempotency-key-reused"))
        raise Problem(422, "idempotency-key-reused", reason)
    return result.message


async def _of_facility(behind: Doors, who: Caller, case: str, *, or_nobodys: bool = False) -> None:
    """Another facility's case is as unknown as one that never was.

    ``or_nobodys``: one of a facility the register does not have is found too; who may decide about it, the case says.
    """
    parts = case_parts(case)
    ours = len(parts) >= 3 and (
        parts[1] == who.facility or (or_nobodys and not await behind.lookups.knows_facility(parts[1]))
    )
    if not ours or await behind.cases.status(case) is None:
        raise Problem(404, "not-found", "no case of that name at this facility")


# ---- documents without a case -----------------------------------------------------------------------------------------


@router.get("/unmatched", operation_id="listUnmatched", summary="Documents without an open case", tags=["unmatched"])
async def unmatched(
    who: Who,
    behind: Behind,
    state: Annotated[str, Query(pattern="^(open|attached|set_aside|)$")] = "open",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> UnmatchedPage:
    """What waits for a person, oldest first."""
    may(who, "documents")
    return UnmatchedPage(documents=list(await behind.unmatched.unmatched(state, facility=who.facility, limit=limit)))


@router.post(
    "/unmatched/{document}/attach",
    operation_id="attachUnmatched",
    summary="Give a document to a case",
    tags=["unmatched"],
    response_model=Unmatched,
    openapi_extra=request_body("AttachIn", one={"case": "purchase_order/NGH/PO000012", "reason": "their typing error"}),
)
async def attach(request: Request, document: str, who: Who, behind: Behind) -> Unmatched:
    """The case takes it as if it had come for it; who attached it goes with it."""
    await _open(behind, who, document)
    given = read_strictly(AttachIn, await body_of(request))
    await _of_facility(behind, who, given.case)

    async def give(as_held: Unmatched) -> None:
        await behind.intake.attach(as_held, given.case, who.person)

    return await behind.unmatched.attach(document, given.case, by=who.person, give=give, why=given.reason)


@router.post(
    "/unmatched/{document}/set-aside",
    operation_id="setUnmatchedAside",
    summary="Nothing follows from a document",
    tags=["unmatched"],
    response_model=Unmatched,
    openapi_extra=request_body("AsideIn", one={"reason": "the supplier's test file"}),
)
async def set_aside(request: Request, document: str, who: Who, behind: Behind) -> Unmatched:
    """It stays listed, with the person and the reason."""
    await _open(behind, who, document)
    given = read_strictly(AsideIn, await body_of(request))
    return await behind.unmatched.set_aside(document, by=who.person, why=given.reason)


async def _open(behind: Doors, who: Caller, document: str) -> Unmatched:
    may(who, "documents")
    if not who.person:
        raise Problem(403, "not-allowed", "this key belongs to no person: this needs one")
    if not MAY_SETTLE & set(who.roles):
        raise Problem(403, "not-allowed", f"this is for {', '.join(sorted(MAY_SETTLE))}")
    held = await behind.unmatched.unmatched_document(document)
    if held is None or held.facility not in ("", who.facility):
        raise Problem(404, "not-found", "no unmatched document of that name")
    return held
