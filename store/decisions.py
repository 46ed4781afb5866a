"""Who decided, and who sent a document: seals are checked, the person behind a decision found, and what is not proven kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from sqlalchemy import Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.cases import OF_THE_HOUSE, REASON_KEPT, Actor, CheckedDecision, Decision, DecisionToCheck, seal_is_valid
from canonical.parties import Employee, Facility
from canonical.seals import document_seal_is_valid
from canonical.steps import CheckedDocuments, DocumentsToCheck
from store.case_tables import decisions
from store.database import transaction
from store.ids import now
from store.register_reading import all_codes, all_current, current, utc_today
from store.tables import api_keys

DOCUMENT_UNSEALED = "no valid seal, given by Temporal's tools"
REASON = "reason"  # the kind of row that holds a reason's text until its decision is kept, which then shows it
NO_SEAL = "identity not verified: no valid seal of our doors"
_NOBODY = "the one who decides is not an active employee of this facility in the register"


def unverified(request: DecisionToCheck) -> CheckedDecision:
    """A decision without a valid seal: given by Temporal's tools, whatever actor it names."""
    return CheckedDecision(
        decision=_told(request).model_copy(update={"actor": Actor()}), verified=False, why_not=NO_SEAL
    )


def verified(request: DecisionToCheck, person: Employee | None, *, elsewhere: bool = False) -> CheckedDecision:
    """A sealed decision, with the person behind its actor; without one nobody may give it.

    ``elsewhere``: the case's facility is none of the register's, and the person of another: else nobody could end such a case.

    Why not goes into a failure, which Temporal keeps in clear: it names nobody.
    """
    if person is None or not person.active:
        why_not = f"{_NOBODY} (known by {request.decision.actor.known_by})"
        return CheckedDecision(decision=_told(request), verified=True, why_not=why_not)
    return CheckedDecision(
        decision=_told(request), verified=True, elsewhere=elsewhere, employee=person.id, roles=person.roles
    )


def _told(request: DecisionToCheck) -> Decision:
    """The decision as its case hears it: without the words of the reason, which the history would keep."""
    return request.decision.model_copy(update={"reason": REASON_KEPT if request.decision.reason else ""})


class StoredDecisions:
    """Decisions in our own database."""

    def __init__(self, engine: AsyncEngine, seal_key: bytes, today: Callable[[], date] = utc_today) -> None:
        self._engine = engine
        self._seal_key = seal_key
        self._today = today

    async def keep_reason(self, case: str, decision: str, reason: str) -> None:
        """Keep the text of a decision's reason under the decision's id; the first one stays."""
        row = {"case": case, "kind": REASON, "decision": decision, "content": reason, "at": now()}
        async with transaction(self._engine) as connection:
            if await connection.scalar(_reason_of(case, decision)) is None:
                await connection.execute(insert(decisions).values(row))

    async def check(self, request: DecisionToCheck) -> CheckedDecision:
        """Check a decision's seal and find the person and roles behind it; the decision is kept with what was found."""
        sealed = self._seal_key and seal_is_valid(request.decision, request.case, self._seal_key)
        async with transaction(self._engine) as connection:
            if sealed and request.decision.actor.known_by != "temporal":
                checked = await self._verified(connection, request)
            else:
                checked = unverified(request)
            await _keep(connection, request, checked)
        return checked

    async def person(self, facility: str, actor: Actor) -> Employee | None:
        """Who is behind an actor at a facility, as a decision's check finds them."""
        async with transaction(self._engine) as connection:
            return (await self._acting(connection, facility, actor))[0]

    async def _verified(self, connection: AsyncConnection, request: DecisionToCheck) -> CheckedDecision:
        person, elsewhere = await self._acting(connection, request.facility, request.decision.actor)
        return verified(request, person, elsewhere=elsewhere)

    async def _acting(self, connection: AsyncConnection, facility: str, actor: Actor) -> tuple[Employee | None, bool]:
        """Who it is, and whether they act from elsewhere: for a facility nobody has, support of any house may."""
        person, today = await self._person(connection, actor, facility), self._today()
        if person is not None or await current(connection, Facility, "facility", facility, facility, today) is not None:
            return person, False
        for known in await all_codes(connection, "facility", today):
            person = await self._person(connection, actor, known)
            if person is not None and person.active and OF_THE_HOUSE & set(person.roles):
                return person, True
        return None, False

    async def _person(self, connection: AsyncConnection, actor: Actor, facility: str) -> Employee | None:
        today = self._today()
        if actor.known_by == "os_user":
            people = await all_current(connection, Employee, "employee", [facility], today, key=f"os_user:{actor.id}")
            return next((person for person in people if person.os_user == actor.id), None)
        person = actor.id
        if actor.known_by == "api_key":
            # A door names the key or, where it has looked, the key's person: both stand under its seal.
            person = await connection.scalar(select(api_keys.c.person).where(api_keys.c.id == actor.id)) or actor.id
        return await current(connection, Employee, "employee", facility, person, today)

    async def check_documents(self, request: DocumentsToCheck) -> CheckedDocuments:
        """Check the seals of documents a case was given; one without a valid seal is kept as it came, with the reason."""
        key, case = self._seal_key, request.case
        sealed = tuple(bool(key) and document_seal_is_valid(data, case, key) for data in request.documents)
        for data, ours in zip(request.documents, sealed, strict=True):
            if not ours:
                await self.keep_unreadable_decision(case, data, DOCUMENT_UNSEALED, request.as_of)
        return CheckedDocuments(sealed=sealed)

    async def keep_resumed(self, case: str, generation: int, reason: str) -> None:
        """A person let a stopped case go on in another run; why, in their words."""
        said = f"resume as generation {generation}{f': {reason}' if reason else ''}"
        async with transaction(self._engine) as connection:
            await connection.execute(insert(decisions).values(case=case, kind="taken", content=said, at=now()))

    async def keep_unreadable_decision(
        self, case: str, data: bytes, reason: str, at: datetime, *, read: bool = False
    ) -> None:
        """A decision or document that does not fit is written to the case with the reason, never dropped."""
        kind = "refused" if read else "unreadable"
        async with transaction(self._engine) as connection:
            asked = select(decisions.c.id).where(
                decisions.c.case == case,
                decisions.c.kind == kind,
                decisions.c.data == data,
                decisions.c.at == at,
            )
            if await connection.scalar(asked) is None:
                await connection.execute(
                    insert(decisions).values(case=case, kind=kind, content=reason, data=data, at=at)
                )


def _reason_of(case: str, decision: str) -> Select[tuple[str]]:
    """The text a door kept for a decision."""
    named = (decisions.c.case == case, decisions.c.kind == REASON, decisions.c.decision == decision)
    return select(decisions.c.content).where(*named).order_by(decisions.c.id).limit(1)


async def _keep(connection: AsyncConnection, request: DecisionToCheck, checked: CheckedDecision) -> None:
    """Keep a decision as it came, with the actor it named, once however often the step is tried."""
    given = request.decision
    row = {
        "case": request.case,
        "kind": "checked",
        "decision": given.id,
        "verb": given.verb,
        "actor": given.actor.id,
        "known_by": checked.decision.actor.known_by,
        "verified": checked.verified,
        "employee": checked.employee or "",
        "content": given.model_dump_json(exclude={"seal"}),
        "at": request.as_of,
    }
    if given.reason == REASON_KEPT:
        reason = await connection.scalar(_reason_of(request.case, given.id)) or REASON_KEPT
        row["content"] = given.model_copy(update={"reason": reason}).model_dump_json(exclude={"seal"})
    same = [decisions.c[name] == value for name, value in row.items()]
    if await connection.scalar(select(decisions.c.id).where(*same).limit(1)) is None:
        await connection.execute(insert(decisions), row)
