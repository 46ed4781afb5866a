"""All access taken from a person by one call, over REST: for an HR system, a security desk or a script."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from canonical.access import BlockWord
from canonical.base import Text, in_words, read_strictly
from canonical.cases import Actor
from canonical.errors import Unavailable
from gateway.problems import Problem
from gateway.rest import Behind, Who, body_of, may
from gateway.rest_forms import request_body
from gateway.rest_requisitions import PROBLEMS, IdempotencyKey, needed

SCOPE = "revocations"
router = APIRouter(prefix="/v1", tags=["people"])


class RevocationIn(BaseModel):
    """Why all access of a person ends now. The reason stays in our own store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Text = Field(min_length=1)


class RevocationOut(BaseModel):
    """The block that stands. ``begun`` false: Temporal is away, and its case begins when it is back; the block holds meanwhile."""

    person: str
    since: str
    id: str
    begun: bool


@router.post(
    "/people/{person}/revocations",
    operation_id="revokeAccess",
    summary="Take all access from a person, everywhere and now",
    status_code=202,
    response_model=RevocationOut,
    responses=PROBLEMS,
    openapi_extra=request_body("RevocationIn", one={"reason": "their badge was found with somebody else"}),
)
async def revoke(request: Request, person: str, who: Who, behind: Behind, key: IdempotencyKey = None) -> RevocationOut:
    """Answered once the block is committed: from then on nobody writes any access. The person need not be known to us."""
    may(who, SCOPE)
    if not who.person or behind.revoking is None:
        raise Problem(403, "not-allowed", "this key belongs to no person: a revocation needs one")
    given = needed(key)
    told = read_strictly(RevocationIn, await body_of(request))
    call = hashlib.sha256(f"{who.key}/{person}/{given}".encode()).hexdigest()[:32]
    try:
        word = BlockWord(person=person, reason=told.reason, id=call)
    except ValidationError as wrong:
        raise Problem(422, "data-invalid", in_words(wrong.errors()[0]["msg"])) from None
    block = await behind.revoking.block(word, Actor(id=who.person, known_by="api_key"))
    begun = True
    try:
        await behind.revoking.begin(person, block.id)
    except Unavailable:
        begun = False
    return RevocationOut(person=person, since=block.since.isoformat(), id=block.id, begun=begun)
