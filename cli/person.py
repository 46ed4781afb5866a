"""Who gives a decision at the command line: the employee whose login it is, and what a dry run can say of whether they may."""

from __future__ import annotations

import re
from typing import Final

from canonical.base import case_parts
from canonical.cases import Actor, Decision
from canonical.parties import Employee
from cli.exits import Stop, not_allowed
from workers.wiring import Wiring
from workflows.decisions import ROLES

OF_THE_STEP: Final = frozenset({"approve", "reject", "accept", "pay_short"})  # whose they are, the step itself says
BY_THE_CASE: Final = "whether this step is yours: the case checks that when the decision is given"


async def may_decide(wiring: Wiring, case: str, decision: Decision) -> str:
    """Refuse what would be refused for who gives it; gives what only the case itself can say.

    Raises:
        Stop: (not-allowed) nobody is known by this login, or none of their roles gives this verb.
    """
    person = await behind(wiring, case, decision.actor)
    if person is None:
        raise nobody(case, decision.actor)
    may = ROLES.get(decision.verb, frozenset())
    if decision.verb not in OF_THE_STEP and not may & set(person.roles):
        has = ", ".join(person.roles) or "none"
        raise not_allowed(f"{decision.verb} is for the roles {', '.join(sorted(may))}; {person.id} has {has}")
    return BY_THE_CASE


async def behind(wiring: Wiring, case: str, actor: Actor) -> Employee | None:
    """The active employee behind an actor at the case's facility, or None."""
    person = await wiring.cases.person(_facility(case), actor)
    return person if person is not None and person.active else None


def nobody(case: str, actor: Actor) -> Stop:
    """What to do where a login is nobody's: said here, at the terminal that it belongs to, and in no case's history."""
    return not_allowed(
        f"the login {actor.id} is no active employee's at {_facility(case)}",
        "have it put into the register (column os_user of employees.csv: `fascia register load`), "
        "or decide by a key of yours in FASCIA_API_KEY (`fascia key add --person`)",
    )


def _facility(case: str) -> str:
    parts = case_parts(case)
    return parts[1] if len(parts) > 1 and re.fullmatch(r"[A-Za-z0-9._-]+", parts[1]) else "unknown"
