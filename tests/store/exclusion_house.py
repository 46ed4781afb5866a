"""People with credentials and an exclusion list, as our own tables have them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.exclusions import Listed, ListLoaded
from canonical.people import ClinicianRecord, Licence, PersonName, Position
from canonical.people_matching import folded
from store.database import transaction
from store.exclusions import StoredExclusions
from store.people_tables import appointments, people, person_trace, verifications
from store.person_trace import broken_at, trace_in

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BORN = date(1980, 2, 29)
NPI = "1234567893"


def key_of(number: int) -> str:
    """A person's key."""
    return f"person-{number:06d}"


def record_of(number: int, **fields: Any) -> ClinicianRecord:
    """A person with a licence of Illinois, of a name nobody else has."""
    said = {
        "name": PersonName(family=f"Family{number}", given="Ana"),
        "birth_date": BORN,
        "licences": (Licence(state="IL", number=f"036-{number:06d}"),),
    }
    return ClinicianRecord.model_validate(said | fields)


def listed(number: int = 0, **fields: Any) -> Listed:
    """A row of a list about person ``number``, by name and birth date."""
    said: dict[str, Any] = {"row": 1, "family": folded(f"Family{number}"), "given": "ana", "birth_date": BORN}
    return Listed(**said | {"kind": "1128a1", "excluded_on": date(2024, 5, 20)} | fields)


def others(many: int = 20) -> list[Listed]:
    """Rows about nobody of ours."""
    return [Listed(row=at, family=f"other{at}", given="x", kind="1128b4") for at in range(1, many + 1)]


class PeopleHouse:
    """What a test puts in and looks at."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.exclusions = StoredExclusions(engine)

    async def employ(self, *numbers: int, facility: str = "NGH", **fields: Any) -> None:
        """People who work at a facility."""
        persons = [_person(key_of(number), record_of(number)) for number in numbers]
        hired = {
            "facility": facility,
            "state": "working",
            "position": Position(role="physician").model_dump(mode="json"),
            "offered_at": NOON,
            "changed_at": NOON,
        }
        async with transaction(self.engine) as connection:
            await connection.execute(insert(people), persons)
            await connection.execute(
                insert(appointments), [hired | {"person": key_of(number)} | fields for number in numbers]
            )

    async def is_now(self, number: int, record: ClinicianRecord) -> None:
        async with transaction(self.engine) as connection:
            await connection.execute(
                people.update().where(people.c.person == key_of(number)).values(content=record.model_dump(mode="json"))
            )

    async def load(self, rows: Sequence[Listed], edition: str = "first", **fields: Any) -> ListLoaded:
        return await self.exclusions.replace("LEIE", rows, edition, "E-MSO", NOON, **fields)

    async def woken(self) -> list[str]:
        async with transaction(self.engine) as connection:
            asked = select(appointments.c.person).where(appointments.c.woken_at.is_not(None))
            return sorted((await connection.execute(asked)).scalars())

    async def kept(self, number: int, kind: str = "exclusion", subject: str = "") -> Any:
        """A person's verification as it stands, or None."""
        mine = (
            verifications.c.person == key_of(number),
            verifications.c.kind == kind,
            verifications.c.subject == subject,
        )
        async with transaction(self.engine) as connection:
            return (await connection.execute(select(verifications).where(*mine))).one_or_none()

    async def trace(self, number: int) -> list[str]:
        """What is noted of a person, once its chain was found whole."""
        person = key_of(number)
        async with transaction(self.engine) as connection:
            rows = await trace_in(connection, person)
            last = (await connection.execute(select(people).where(people.c.person == person))).one()
        assert broken_at(person, rows, last.links, last.link) is None
        return [f"{row.did} {row.what} {row.content.get('state', '')}".strip() for row in rows]

    async def noted(self) -> int:
        async with transaction(self.engine) as connection:
            return len((await connection.execute(select(person_trace.c.link))).all())


def _person(key: str, record: ClinicianRecord) -> dict[str, Any]:
    return {"person": key, "content": record.model_dump(mode="json"), "at": NOON, "changed_at": NOON}
