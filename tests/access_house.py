"""People, roles, privileges and targets in our own tables, for tests of what people may reach."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import AccessTarget, Block, OffSeen, TargetSeen
from canonical.credentials import ClinicianPolicy, ClinicianRole
from canonical.people import ClinicianRecord, PersonName, Position
from store.access import StoredAccess
from store.access_rows import states_in
from store.database import transaction
from store.ids import now
from store.people_tables import access_states, appointments, people, privileges, verifications
from store.people_wakes import wake_everywhere_in
from store.person_trace import trace_in
from store.tables import register
from tests.build import unique
from tests.store.build import put

CANARY = "Xylophone"  # a family name that must be in no history, id, log or failure
PHYSICIAN = ClinicianRole(
    code="physician", checks=("npi", "licence", "exclusion"), least=("staff",), clinical=("clinical",)
)
OFF = TargetSeen(present=True)
ON = TargetSeen(present=True, active=True, groups=("staff",))
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class AccessHouse:
    """What a test puts in and looks at."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.access = StoredAccess(engine)
        self.person = unique("person-")

    async def open(self, *targets: AccessTarget, **policy: Any) -> None:
        """A facility with a role and these targets."""
        await put(self.engine, "clinician_role", "", PHYSICIAN.code, PHYSICIAN)
        rules: dict[str, Any] = {"seen_off_apart": 1, "escalate_after": 5} | policy
        for site in ("NGH", "SGH"):
            row = ClinicianPolicy(facility=site, **rules)
            await put(self.engine, "clinician_policy", site, site, row)
        for one in targets:
            await self.put_target(one)

    async def escalates(self, *, after: float) -> None:
        """From now on a block is late so many seconds after it was given."""
        row = ClinicianPolicy.model_validate({"facility": "NGH", "seen_off_apart": 1, "escalate_after": after})
        which = (register.c.kind == "clinician_policy") & (register.c.facility == "NGH")
        async with transaction(self.engine) as connection:
            await connection.execute(delete(register).where(which))
        await put(self.engine, "clinician_policy", "NGH", "NGH", row)

    async def put_target(self, target: AccessTarget) -> None:
        await put(self.engine, "access_target", "", target.code, target)

    async def works(self, facility: str = "NGH", person: str = "", **fields: Any) -> str:
        """Somebody works there, verified and with a privilege unless said otherwise; gives their key."""
        key = person or self.person
        privileged = fields.pop("privileged", True)
        record = ClinicianRecord(name=PersonName(family=CANARY, given="Nora"))
        known = {"person": key, "content": record.model_dump(mode="json"), "at": NOON, "changed_at": NOON}
        position = Position(role="physician", department="ED").model_dump(mode="json")
        row = {"facility": facility, "person": key, "state": "working", "position": position, "offered_at": NOON}
        row |= {"starts": date(2026, 1, 1), "changed_at": NOON}
        async with transaction(self.engine) as connection:
            if await connection.scalar(select(people.c.person).where(people.c.person == key)) is None:
                await connection.execute(insert(people).values(known))
            await connection.execute(insert(appointments).values(row | fields))
            if privileged:
                await self._privilege(connection, facility, key)
        return key

    async def _privilege(self, connection: Any, facility: str, key: str) -> None:
        row = {"id": unique("p"), "person": key, "facility": facility, "scope": {}, "state": "granted"}
        await connection.execute(insert(privileges).values(row | {"requested_at": NOON, "starts": NOON}))

    async def privilege(self, facility: str = "NGH") -> None:
        """The committee grants one."""
        async with transaction(self.engine) as connection:
            await self._privilege(connection, facility, self.person)
            await wake_everywhere_in(connection, self.person, NOON)

    async def becomes(self, facility: str = "NGH", **fields: Any) -> None:
        """The employment changes, as HR says."""
        mine = appointments.c.facility == facility, appointments.c.person == self.person
        async with transaction(self.engine) as connection:
            await connection.execute(update(appointments).where(*mine).values(**fields))
            await wake_everywhere_in(connection, self.person, NOON)

    async def left(self, *, days_ago: int) -> None:
        """All has been off for so long, and is to be looked at now."""
        long_ago, yesterday = (now() - timedelta(days=days) for days in (days_ago, 1))
        mine = access_states.c.person == self.person
        async with transaction(self.engine) as connection:
            await connection.execute(update(access_states).where(mine).values(since=long_ago, seen_at=yesterday))

    async def says(self, kind: str, state: str, subject: str = "", expires_on: date | None = None) -> None:
        """What a source says."""
        row = {"person": self.person, "kind": kind, "subject": subject, "state": state, "expires_on": expires_on}
        async with transaction(self.engine) as connection:
            await connection.execute(insert(verifications).values(row | {"changed_at": NOON}))

    async def block(self, call: str = "call-1") -> Block:
        """A call that takes all access."""
        return await self.access.block(Block(person=self.person, since=now(), by="E-HR", reason="left", id=call))

    async def look(self, seen: TargetSeen = OFF, code: str = "idp", *, later: float = 0.0) -> OffSeen:
        """A look, on behalf of a revocation, that begins so many seconds from now."""
        return await self.access.seen_off(self.person, code, seen, now() + timedelta(seconds=later), 20)

    async def row(self, code: str, as_of: datetime) -> AccessTarget:
        """What the register says of a target."""
        found = await self.access.target(code, as_of)
        assert found is not None, f"no target {code}"
        return found

    async def states(self) -> dict[str, str]:
        async with transaction(self.engine) as connection:
            return {code: one.state for code, one in (await states_in(connection, self.person)).items()}

    async def state(self, target: str) -> Any:
        async with transaction(self.engine) as connection:
            return (await states_in(connection, self.person))[target]

    async def trace(self) -> list[str]:
        async with transaction(self.engine) as connection:
            return [one.did for one in await trace_in(connection, self.person)]


def target(code: str = "idp", kind: str = "identity", **fields: Any) -> AccessTarget:
    told: dict[str, Any] = {"code": code, "kind": kind, "adapter": "fake", "timeout": 2.0, "settles_within": 1.0}
    return AccessTarget.model_validate(told | fields)
