"""How a person's access stands, read in one transaction: what is due, what waits and why, and where nothing is to be done any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.access import AccessStanding, AccessTarget, TargetLine, Wanted
from canonical.access_plan import SYSTEM_GONE, TargetState, plan
from canonical.access_rules import next_change, wanted
from canonical.errors import Rejected
from canonical.onboarding import OnboardingFile
from canonical.people import ClinicianRecord
from store.access_blocks import off_seen, standing_block_in
from store.access_rows import all_targets_in, known_in, looked_at, put_in, states_in, target_in
from store.people_reading import blocked_in, files_in, record_in
from store.people_tables import appointments, people
from store.targets_gone import settled_in

Apply = Callable[[AsyncConnection, str, str, datetime], Awaitable[None]]  # brings into force what HR said and is due


async def standing_in(
    connection: AsyncConnection, person: str, as_of: datetime, apply: Apply | None = None
) -> AccessStanding:
    """What is to be written or looked at now. Answers the wake; ``apply``: see :class:`store.access.StoredAccess`."""
    if not await known_in(connection, person):
        return AccessStanding(known=False)
    if apply is not None:
        for facility in await _facilities(connection, person):
            await apply(connection, facility, person, as_of)
    await settled_in(connection, person, as_of)
    # Before the facts are read: who changes them afterwards wakes again.
    await connection.execute(update(people).where(people.c.person == person).values(woken_at=None))
    files, blocked, record = await _facts(connection, person, as_of)
    states = await states_in(connection, person)
    rows = await all_targets_in(connection, as_of)
    targets = [one for one in rows if looked_at(one, states.get(one.code))]
    wants = {one.code: _wanted(files, blocked, record, one, person, as_of) for one in targets}
    turns = next_change(files, as_of)
    stands = plan(targets, states, wants, as_of, blocked=blocked, next_change=turns)
    for target in targets:
        line = next((one for one in stands.targets if one.target == target.code), None)
        if line is not None:
            await _show(connection, person, target, line, states.get(target.code), as_of)
    await connection.execute(update(people).where(people.c.person == person).values(access_next_at=stands.next_at))
    block = await standing_block_in(connection, person)
    since = block.since if block is not None else None
    over = [_over_line(one) for one in _over(states, {one.code: one for one in rows}, since)]
    return stands.changed(targets=(*stands.targets, *over)) if over else stands


def _over(
    states: Mapping[str, TargetState], rows: Mapping[str, AccessTarget], since: datetime | None
) -> list[TargetState]:
    """Targets out of use, or out of the register, where nobody is to do anything for the person any more.

    They are in no plan. A case that was told nothing of them would show for ever what it parked while they refused.
    ``since``: when a block came that stands: until its revocation has seen such a target off, it is not over there.
    """
    return [state for code, state in sorted(states.items()) if _is_over(rows.get(code), state, since)]


def _is_over(row: AccessTarget | None, state: TargetState, since: datetime | None) -> bool:
    if row is not None and row.active:
        return False
    if state.finding == SYSTEM_GONE:
        return True
    if state.state != "off" or state.active or state.asked_at is not None:
        return False
    if since is None:
        return True
    if row is None:
        return False  # its revocation waits for a person's word
    return not looked_at(row, state, since) or off_seen(row, state, since).confirmed


def _over_line(state: TargetState) -> TargetLine:
    return TargetLine(target=state.target, kind=state.kind, state="off", finding=state.finding)


async def _facilities(connection: AsyncConnection, person: str) -> list[str]:
    asked = select(appointments.c.facility).where(appointments.c.person == person).order_by(appointments.c.facility)
    return list((await connection.execute(asked)).scalars().all())


async def _facts(
    connection: AsyncConnection, person: str, as_of: datetime
) -> tuple[list[OnboardingFile], bool, ClinicianRecord | None]:
    files = list(await files_in(connection, person, as_of))
    return files, await blocked_in(connection, person), await record_in(connection, person)


async def wants_in(
    connection: AsyncConnection, person: str, target: str, as_of: datetime
) -> tuple[AccessTarget, Wanted]:
    """A target, and what is to stand there."""
    row = await row_in(connection, person, target, as_of)
    return row, _wanted(*(await _facts(connection, person, as_of)), row, person, as_of)


def _wanted(
    files: list[OnboardingFile],
    blocked: bool,
    record: ClinicianRecord | None,
    target: AccessTarget,
    person: str,
    as_of: datetime,
) -> Wanted:
    """In a target that was put out of use nothing is given any more."""
    return wanted(files if target.active else [], blocked, record, target, person, as_of)


async def row_in(connection: AsyncConnection, person: str, target: str, as_of: datetime) -> AccessTarget:
    row = await target_in(connection, target, as_of)
    if row is None:
        raise Rejected(f"the register has no target {target}", code="configuration", system="store")
    return row


async def _show(
    connection: AsyncConnection,
    person: str,
    target: AccessTarget,
    line: TargetLine,
    state: TargetState | None,
    as_of: datetime,
) -> None:
    """What waits shows that it does, and why."""
    waits = line.state == "waiting"
    if state is None:
        await put_in(connection, person, target, state=line.state, reason=line.reason, since=as_of)
    elif waits and (state.state, state.reason) != ("waiting", line.reason) and state.state in ("due", "waiting"):
        await put_in(connection, person, target, state="waiting", reason=line.reason)
    elif not waits and state.state == "waiting":
        await put_in(connection, person, target, state="due", reason="")
