"""The rows about what stands in other systems: read, written, and whom a change wakes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.access import AccessTarget
from canonical.access_plan import SYSTEM_GONE, TargetState
from canonical.credentials import ClinicianPolicy
from store.people_reading import policy_in
from store.people_tables import access_states, appointments, people, revocation_blocks
from store.register_reading import all_current, current


async def held_person(connection: AsyncConnection, person: str, at: datetime) -> None:
    """The person's row, locked until the transaction ends; made where nobody has heard of the key.

    Whoever begins a write that gives something, and whoever commits a block, take it: so one of the two is first.
    """
    fresh = {"person": person, "content": {}, "at": at, "changed_at": at}
    await connection.execute(upsert(people).values(fresh).on_conflict_do_nothing())
    await connection.execute(select(people.c.person).where(people.c.person == person).with_for_update())


async def target_in(connection: AsyncConnection, code: str, as_of: datetime) -> AccessTarget | None:
    """A target's row of the register as it is on a day, in use or not."""
    return await current(connection, AccessTarget, "access_target", "", code, as_of.date())


async def all_targets_in(connection: AsyncConnection, as_of: datetime) -> Sequence[AccessTarget]:
    """Every target the register has on a day, also those put out of use."""
    return await all_current(connection, AccessTarget, "access_target", [""], as_of.date())


async def states_in(connection: AsyncConnection, person: str) -> dict[str, TargetState]:
    """How each target stands with a person."""
    asked = select(access_states).where(access_states.c.person == person)
    rows = (await connection.execute(asked)).mappings()
    return {row["target"]: TargetState.model_validate(dict(row)) for row in rows}


async def state_in(connection: AsyncConnection, person: str, target: str) -> TargetState | None:
    """How one stands, its row locked until the transaction ends."""
    asked = select(access_states).where(access_states.c.person == person, access_states.c.target == target)
    row = (await connection.execute(asked.with_for_update())).mappings().one_or_none()
    return TargetState.model_validate(dict(row)) if row is not None else None


async def put_in(connection: AsyncConnection, person: str, target: AccessTarget, **values: Any) -> None:
    """Write what changed of how a target stands."""
    key = {"person": person, "target": target.code, "kind": target.kind, "facility": target.facility}
    made = upsert(access_states).values(key | values)
    on = [access_states.c.person, access_states.c.target]
    await connection.execute(made.on_conflict_do_update(index_elements=on, set_=key | values))


def looked_at(target: AccessTarget, state: TargetState | None, since: datetime | None = None) -> bool:
    """Whether anybody is to look there: a target in use; and one put out of use until what may stand there was seen off,
    or two people have said that its system is gone.

    ``since``: when a block came: what was taken away since then, by whomever, is looked at again.
    """
    if target.active or state is None:
        return target.active
    if state.finding == SYSTEM_GONE:
        return False
    off = state.state in ("off", "absent") and not state.active and state.asked_at is None
    taken = [at for at in (state.off_at, state.written_at) if at is not None]
    return not off or (since is not None and any(at >= since for at in taken))


def refused_before(state: TargetState | None) -> dict[str, Any]:
    """For the trace of what ended it: what a target had refused, with what a case parked about it."""
    return {"refused before": state.reason} if state is not None and state.state == "refused" else {}


async def wake_cases_in(connection: AsyncConnection, person: str, at: datetime) -> None:
    """Every facility's case of a person is to look: what stands in a target is a facet of it. Before the person's row is locked."""
    await connection.execute(update(appointments).where(appointments.c.person == person).values(woken_at=at))


async def reopened_in(connection: AsyncConnection, person: str) -> None:
    """Something of a blocked person is on again: what was confirmed is so no more, and its revocation begins anew."""
    mine = revocation_blocks.c.person == person, revocation_blocks.c.lifted_at.is_(None)
    again = update(revocation_blocks).where(*mine, revocation_blocks.c.confirmed_at.is_not(None))
    await connection.execute(again.values(confirmed_at=None, woken_at=None))


async def policies_in(connection: AsyncConnection, person: str, as_of: datetime) -> Sequence[ClinicianPolicy]:
    """The rules of each facility that knows the person."""
    asked = select(appointments.c.facility).where(appointments.c.person == person).order_by(appointments.c.facility)
    return [await policy_in(connection, one, as_of) for one in (await connection.execute(asked)).scalars().all()]


async def known_in(connection: AsyncConnection, person: str) -> bool:
    """Whether we have ever heard of this key."""
    asked = select(func.count()).select_from(people).where(people.c.person == person)
    return bool(await connection.scalar(asked))
