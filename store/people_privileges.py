"""Privileges that HR says were granted or revoked: a grant is a request to the committee, unless the facility says otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.appointments import Folded, GrantSaid, RevokeSaid, covers
from canonical.credentials import RULES_VERSION
from canonical.employments import day_after
from canonical.people import PrivilegeScope, stable
from canonical.person_word_rules import temporary_of, years_on
from store.people_reading import policy_in
from store.people_tables import privileges
from store.person_trace import Entry

OPEN: Final = ("requested", "seconded", "granted")
HR: Final = "hr:"  # who asks, before the name of the system
UNSAID: Final = "said-otherwise"  # by the HR system, or by whose its event is


async def privileges_in(
    connection: AsyncConnection, facility: str, person: str, found: Folded, as_of: datetime, *, employed: bool
) -> list[Entry]:
    """Ask the committee for what was granted, once for each event, and end what was revoked. Gives what is to be noted.

    What an event gave that is another person's by now, or says another scope since it was corrected, is ended too.
    """
    entries = await _of_nobodys_word(connection, facility, person, found, as_of)
    if employed:
        for grant in found.grants:
            if grant.revoked_on is None or grant.revoked_on > as_of.date():
                entries += await _requested(connection, facility, person, grant, as_of)
    for revoke in found.revokes:
        if revoke.on <= as_of.date():
            entries += await _ended(connection, facility, person, revoke, as_of)
    return entries


def name_of(grant: GrantSaid, person: str) -> str:
    """The privilege that an event asks for: of that person, of that scope."""
    return stable("grant", grant.event, person, grant.scope.model_dump_json())


async def _of_nobodys_word(
    connection: AsyncConnection, facility: str, person: str, found: Folded, as_of: datetime
) -> list[Entry]:
    """End what HR asked for by events that say it no more."""
    said = {name_of(grant, person) for grant in found.grants}
    said |= {temporary_of(name) for name in said}
    mine = privileges.c.person == person, privileges.c.facility == facility, privileges.c.state.in_(OPEN)
    unsaid = privileges.c.requested_by.startswith(HR, autoescape=True), privileges.c.id.not_in(said)
    asked = select(privileges.c.id).where(*mine, *unsaid).order_by(privileges.c.id)
    gone = (await connection.execute(asked)).scalars().all()
    ended = {"state": "ended", "ended_at": as_of, "ended_why": UNSAID}
    if gone:
        await connection.execute(update(privileges).where(privileges.c.id.in_(gone)).values(ended))
    return [Entry(did="revoked", what=f"privilege:{one}", facility=facility, content={"why": UNSAID}) for one in gone]


async def _requested(
    connection: AsyncConnection, facility: str, person: str, grant: GrantSaid, as_of: datetime
) -> list[Entry]:
    name = name_of(grant, person)
    if await connection.scalar(select(privileges.c.id).where(privileges.c.id == name)):
        return []
    policy = await policy_in(connection, facility, as_of)
    by = f"{HR}{grant.source}"
    values: dict[str, Any] = {"id": name, "person": person, "facility": facility, "requested_by": by}
    values |= {"scope": grant.scope.model_dump(mode="json"), "requested_at": grant.said_at, "rules": RULES_VERSION}
    values["state"] = policy.hr_grants
    if policy.hr_grants == "granted":
        ends = grant.scope.ends
        until = day_after(ends) if ends else years_on(grant.starts, policy.privileged_years)
        values |= {"decided_by": by, "decided_at": as_of, "starts": _begin(grant.starts), "until": _begin(until)}
    await connection.execute(upsert(privileges).values(values).on_conflict_do_nothing())
    did = {"requested": "requested", "granted": "granted"}[policy.hr_grants]
    return [Entry(did=did, what=f"privilege:{name}", by=by, facility=facility, content={"scope": str(grant.scope)})]


async def _ended(
    connection: AsyncConnection, facility: str, person: str, revoke: RevokeSaid, as_of: datetime
) -> list[Entry]:
    """Every open privilege within the scope that was asked for before the revocation was said."""
    mine = privileges.c.person == person, privileges.c.facility == facility, privileges.c.state.in_(OPEN)
    asked = select(privileges.c.id, privileges.c.scope).where(*mine, privileges.c.requested_at <= revoke.said_at)
    rows = (await connection.execute(asked)).all()
    hit = [row.id for row in rows if covers(revoke.scope, PrivilegeScope.model_validate(row.scope))]
    why = revoke.reason or "revoked-by-hr"
    ended = {"state": "ended", "ended_at": as_of, "ended_why": why}
    if hit:
        await connection.execute(update(privileges).where(privileges.c.id.in_(hit)).values(ended))
    return [
        Entry(did="revoked", what=f"privilege:{one}", facility=facility, content={"event": revoke.event, "why": why})
        for one in hit
    ]


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
