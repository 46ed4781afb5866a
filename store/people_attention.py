"""What of people stands still and needs a person: whose an event is, events parked or waiting for a hire; and which roles,
departments and services of theirs no row of the register knows.

Departments are held against those of their facility where it has loaded any; a service is a department, or a location's service line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.people import OWNER
from store.database import transaction
from store.people_tables import appointments, hr_events, privileges
from store.stuck import Stuck
from store.tables import register

AT_WORK: Final = ("offered", "working", "away")
FOR_A_HIRE: Final = timedelta(days=1)  # an event may come that much before the hire of its person


async def stuck(engine: AsyncEngine, now: datetime) -> Sequence[Stuck]:
    """A line for each thing that stands still, without anybody's name.

    Raises:
        Unavailable: our database does not answer.
    """
    async with transaction(engine) as connection:
        events = [_event(row) for row in await connection.execute(_open(now))]
        roles = [_role(row) for row in await connection.execute(_roles())]
        departments = [_department(row) for row in await connection.execute(_departments())]
        services = [_service(row) for row in await connection.execute(_services())]
    return [*events, *roles, *departments, *services]


def _open(now: datetime) -> Any:
    """By facility, source, state and whether access is to end at once."""
    event = hr_events.c
    stands = event.state.in_(("possible", "parked")) | (
        (event.state == "waiting") & (event.emergency | (event.at < now - FOR_A_HIRE))
    )
    by = (event.facility, event.source, event.state, event.emergency)
    first = func.min(event.id).label("id"), func.min(event.at).label("since"), func.min(event.reason).label("reason")
    return select(*by, func.count().label("many"), *first).where(stands).group_by(*by)


def _event(row: Any) -> Stuck:
    what, press = _WHAT[row.state]
    where = f"{row.source} at {row.facility}"
    why = f"{where}: {row.reason}"
    if row.emergency:
        what, why = f"emergency: {what}", f"{where}: access is to end at once, and nobody knows whose; {row.reason}"
    one = row.id if row.many == 1 else "EVENT"
    listed = "" if row.many == 1 else f"fascia person events --state {row.state}; "
    about = {"owner": OWNER, "count": row.many, "since": row.since, "press": listed + press.format(one=one)}
    return Stuck(what=what, name=row.id, why=why, **about)


_WHAT: Final = {
    "possible": ("possible duplicate", "fascia person event {one}, then fascia person match {one} --same KEY or --new"),
    "parked": ("parked HR event", "have it corrected and sent again, or fascia person dismiss {one}"),
    "waiting": (
        "HR event without a hire",
        "have the hire sent; or fascia person match {one} --same KEY, or fascia person dismiss {one}",
    ),
}


def _roles() -> Any:
    role = appointments.c.position["role"].astext
    known = select(register.c.code).where(register.c.kind == "clinician_role", register.c.code == role)
    mine = appointments.c.state.in_(AT_WORK), ~known.exists()
    first = func.min(appointments.c.changed_at).label("since"), func.min(appointments.c.person).label("person")
    return select(role.label("role"), func.count().label("many"), *first).where(*mine).group_by(role)


def _role(row: Any) -> Stuck:
    role = row.role or "none"
    why = f"role {role} is not in the register: the strictest rules hold, and no groups of access"
    about = {
        "owner": OWNER,
        "count": row.many,
        "since": row.since,
        "press": f"misspelt: a row in the sender's table role; new: fascia register load --kind clinician_role, with {role}",
    }
    return Stuck(what="unknown clinician role", name=row.person, why=why, **about)


def _rows(kind: str, facility: Any, *more: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(register.c.code).where(register.c.kind == kind, register.c.facility == facility, *more).exists()


def _departments() -> Any:
    one, known = appointments.c.position["department"].astext, appointments.c
    first = func.min(known.changed_at).label("since"), func.min(known.person).label("person")
    mine = known.state.in_(AT_WORK), one != "", _rows("department", known.facility)
    asked = select(known.facility, one.label("name"), func.count().label("many"), *first).where(*mine)
    return asked.where(~_rows("department", known.facility, register.c.code == one)).group_by(known.facility, one)


def _department(row: Any) -> Stuck:
    why = f"department {row.name} is not in the register of {row.facility}: nothing is checked of it"
    press = (
        "misspelt: a row in the sender's table department, or have it corrected and sent again; "
        f"new: fascia register load --kind department, with {row.name}"
    )
    about = {"owner": OWNER, "count": row.many, "since": row.since, "press": press}
    return Stuck(what="unknown department of people", name=row.person, why=why, **about)


def _services() -> Any:
    one, known = privileges.c.scope["service"].astext, privileges.c
    line = cast(register.c.document, JSONB)["service_line"].astext
    first = func.min(known.requested_at).label("since"), func.min(known.person).label("person")
    counted = func.count().label("many"), func.min(known.id).label("privilege")
    live = known.state.in_(("requested", "seconded", "granted")), one != "", _rows("department", known.facility)
    asked = select(known.facility, one.label("name"), *counted, *first).where(*live)
    asked = asked.where(~_rows("department", known.facility, register.c.code == one))
    return asked.where(~_rows("location", known.facility, line == one)).group_by(known.facility, one)


def _service(row: Any) -> Stuck:
    why = f"service {row.name} is no department of {row.facility} and no location's service line: nothing is checked of it"
    press = (
        f"misspelt: fascia clinician request {row.person} with the right --service, then "
        f"fascia clinician revoke-privilege {row.person} {row.privilege if row.many == 1 else 'PRIVILEGE'}; "
        f"new: fascia register load --kind department, with {row.name}"
    )
    about = {"owner": OWNER, "count": row.many, "since": row.since, "press": press}
    return Stuck(what="unknown service of privileges", name=row.person, why=why, **about)
