"""All access taken from a person by one call, over REST: for an HR system, a security desk or a script."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import Final

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from canonical.access import LIFTED, BlockWord
from canonical.base import Text, in_words, read_strictly
from canonical.cases import Actor
from canonical.errors import FasciaError, Unavailable
from canonical.messages import Kept, NewMessage
from gateway.conflicts import REUSED, refuse_reused
from gateway.decisions import REVOCATION
from gateway.lookups import Caller
from gateway.problems import Problem, trace_id
from gateway.rest import Behind, Doors, Who, body_of, may
from gateway.rest_forms import request_body
from gateway.rest_requisitions import DOOR, PROBLEMS, IdempotencyKey, needed

SCOPE = "revocations"
ANSWERED = "block "  # and its id: how the journal says what a call was answered with
PATIENCE: Final = 3.0  # seconds for the journal: whatever holds it up (its upkeep locks it) holds up no block
router = APIRouter(prefix="/v1", tags=["people"])
log = structlog.get_logger(__name__)


class RevocationIn(BaseModel):
    """Why all access of a person ends now. The reason stays in our own store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Text = Field(min_length=1)


class RevocationOut(BaseModel):
    """The block that stands. ``begun`` false: Temporal is away, and its case begins when it is back; the block holds meanwhile.

    ``gone_to``: the HR events of this key are of these by now, by a person's word: who is meant is to be revoked there too.
    """

    person: str
    since: str
    id: str
    begun: bool
    gone_to: list[str] = Field(default_factory=list)


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
    """Answered once the block is committed: from then on nobody writes any access. The person need not be known to us.

    The same key with the same body is the same call; with another body it is refused (422), and the first stands. Once its block
    was lifted it is 409 (`lifted`): nobody is blocked by it any more, and another key blocks anew.

    503 (`not-blocked`): no block is known to stand. Say it again with the same key until it is 202; until then take the account
    away where it is.
    """
    may(who, SCOPE)
    if not who.person or behind.revoking is None:
        raise Problem(403, "not-allowed", "this key belongs to no person: a revocation needs one")
    given = needed(key)
    body = await body_of(request)
    told = read_strictly(RevocationIn, body)
    call = hashlib.sha256(f"{who.key}/{person}/{given}".encode()).hexdigest()[:32]
    try:
        word = BlockWord(person=person, reason=told.reason, id=call)
    except ValidationError as wrong:
        raise Problem(422, "data-invalid", in_words(wrong.errors()[0]["msg"])) from None
    message = await _kept_in_time(behind, who, person, given, body)
    answered = message is not None and message.state == "routed"
    if message is not None and answered:  # another call's block may have stood, and may be lifted by now
        word = word.model_copy(update={"id": message.reason.removeprefix(ANSWERED)})
    try:
        block = await behind.revoking.block(word, Actor(id=who.person, known_by="api_key"), who.facility)
    except Unavailable:
        raise  # nothing is settled: the same call is said again
    except FasciaError as refused:
        if message is not None and not answered:
            await behind.intake.refused(message, refused)
        raise
    if not block.stands:
        raise Problem(409, "lifted", f"{LIFTED} Idempotency-Key")
    begun = True
    try:
        await behind.revoking.begin(person, block.id)
    except Unavailable:
        begun = False
    if message is not None:
        with suppress(Unavailable):  # the block stands and its caller is told so, whatever else is away by now
            await behind.intake.journal.mark(message.id, "routed", reason=f"{ANSWERED}{block.id}")
    gone_to: list[str] = []
    with suppress(Unavailable):  # the block stands, and that is what is answered
        gone_to = list(await behind.revoking.gone_to(person))
    return RevocationOut(person=person, since=block.since.isoformat(), id=block.id, begun=begun, gone_to=gone_to)


async def _kept_in_time(behind: Doors, who: Caller, person: str, key: str, body: bytes) -> Kept | None:
    """The call as it was kept; None where the journal does not take it now: the block keeps who, why and which call, and comes first.

    Raises:
        Problem: as :func:`_kept`.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            return await _kept(behind, who, person, key, body)
    except (Unavailable, TimeoutError) as away:
        log.error("a call to revoke is not in the journal", alert=True, person=person, problem=type(away).__name__)
        return None


async def _kept(behind: Doors, who: Caller, person: str, key: str, body: bytes) -> Kept:
    """The call as it was kept, this time or the first; it is read before, so that a slip of the pen takes nobody's key.

    Raises:
        Problem: 422, the key was used with another body; what either says is not told.
    """
    name = f"{DOOR}/{who.sender}/{REVOCATION}/{person}/{key}"
    new = NewMessage(door=DOOR, data=body, partner=who.sender, sender=who.key, kind=REVOCATION, key=name)
    result = await behind.intake.journal.keep(new.model_copy(update={"trace": trace_id()}))
    if result.outcome == "conflict":
        reason = "this Idempotency-Key was used with another body"
        await refuse_reused(behind.intake, result.message, reason, who.facility)
        raise Problem(422, REUSED, reason)
    return result.message
