"""A facility that hires a clinician: what HR says, what sources answer, what people say, and how the case stands then."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from canonical.credentials import CheckKind, ClinicianPolicy, ClinicianRole, Evidence
from canonical.onboarding import OnboardingStanding, PersonTask, PersonWord, PersonWordTaken
from canonical.people import ClinicianRecord, DeaRegistration, HrEvent, Licence, PersonName, Position
from canonical.people_ports import People
from tests import build

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.date()
CANARY = "Quetzalcoatlus"  # a family name that must stand nowhere but in our own store
SURGEON = ClinicianRole(code="surgeon", prescriber=True, least=("staff",), clinical=("ehr",))
CLERK = ClinicianRole(code="clerk", clinical_role=False, checks=("exclusion",))
POLICY = ClinicianPolicy(facility="NGH")
RECORD = ClinicianRecord(
    name=PersonName(family=CANARY, given="Ada"),
    birth_date=date(1980, 5, 17),
    npi="1234567893",
    licences=(Licence(state="IL", number="036-1"),),
    dea=(DeaRegistration(number="AB1234563", state="IL"),),
)
CHECKS: tuple[tuple[CheckKind, str], ...] = (
    ("npi", ""), ("licence", "IL"), ("exclusion", ""), ("education", ""), ("reference", ""), ("dea", "IL")
)  # fmt: skip
SCOPE = {"service": "surgery", "procedures": "laparoscopy"}


def event(kind: str, number: str, **fields: Any) -> HrEvent:
    """Something the HR system says of its person 4711."""
    told: dict[str, Any] = {"facility": "NGH", "source": "HR", "number": number, "person": "4711", "kind": kind}
    told |= {"said_at": NOON - timedelta(days=2), "effective": TODAY}
    if kind == "hire":
        told |= {"record": RECORD, "position": Position(role="surgeon", department="surgery")}
    return HrEvent.model_validate(told | fields)


class Filed(Protocol):
    """Where a hospital keeps its people: our database, or memory."""

    @property
    def people(self) -> People: ...

    async def open(self) -> None: ...
    async def hear(self, *events: HrEvent, at: datetime = NOON) -> str: ...
    async def role(self, role: ClinicianRole) -> None: ...
    async def policy(self, policy: ClinicianPolicy) -> None: ...


class CaseHouse:
    """What a test says and looks at."""

    def __init__(self, filed: Filed) -> None:
        self.filed, self.person = filed, ""
        self.people = filed.people

    async def open(self) -> None:
        await self.filed.open()
        await self.filed.role(SURGEON)
        await self.filed.role(CLERK)

    async def hired(self, **fields: Any) -> OnboardingStanding:
        """Somebody is hired; how the case stands."""
        self.person = await self.filed.hear(event("hire", "H-1", **fields))
        return await self.stands()

    async def hr(self, kind: str, number: str, at: datetime = NOON, **fields: Any) -> OnboardingStanding:
        await self.filed.hear(event(kind, number, **({"said_at": NOON - timedelta(days=1)} | fields)), at=at)
        return await self.stands(at)

    async def stands(self, at: datetime = NOON) -> OnboardingStanding:
        return await self.people.standing("NGH", self.person, at)

    async def answers(self, kind: CheckKind, subject: str = "", state: str = "confirmed", **fields: Any) -> None:
        """A source answers, by default that all is well."""
        at = fields.pop("at", NOON)
        told = {"state": state, "source": f"{kind}-source", "verified_on": at.date()}
        await self.people.verified(self.person, kind, subject, Evidence.model_validate(told | fields), at)

    async def all_verified(self, at: datetime = NOON) -> OnboardingStanding:
        for kind, subject in CHECKS:
            await self.answers(kind, subject, at=at)
        return await self.stands(at)

    async def say(self, verb: str, by: str = "E-1", at: datetime = NOON, **fields: Any) -> PersonWordTaken:
        word = {"verb": verb, "reason": "as agreed", "id": build.unique("W")}
        return await self.people.take("NGH", self.person, PersonWord.model_validate(word | fields), by, at)

    async def requested(self, by: str = "E-MSO", at: datetime = NOON, **scope: Any) -> str:
        """Privileges are put before the committee; gives their name."""
        await self.say("request", by, at, scope=SCOPE | scope)
        file = await self.people.file("NGH", self.person, at)
        assert file is not None
        return max((one for one in file.privileges if one.state == "requested"), key=lambda one: one.requested_at).id

    async def granted(self, at: datetime = NOON, **scope: Any) -> str:
        """Privileges, requested and approved by two."""
        name = await self.requested(at=at, **scope)
        await self.say("approve", "E-1", at, privilege=name)
        await self.say("approve", "E-2", at, privilege=name)
        return name

    async def privilege(self, name: str, at: datetime = NOON) -> Any:
        file = await self.people.file("NGH", self.person, at)
        assert file is not None
        return next(one for one in file.privileges if one.id == name)

    async def open_tasks(self) -> list[PersonTask]:
        return [one for one in await self.people.tasks("NGH", self.person) if one.state == "open"]

    async def task_kinds(self) -> list[str]:
        return sorted(one.kind for one in await self.open_tasks())
