"""What HR's systems say of clinicians by each door, in and out of order, and what then stands inside and outside: one look at it
serves everybody who asks meanwhile.
"""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from demo import accounts, ehr, scheduling
from demo.people_made import Made, made, register
from demo.stage_people import DESK
from tests.journeys.conftest import Hospital
from tests.journeys.people import People
from tests.journeys.terminal import heard
from tests.journeys.uses import until

CANARY = "Quillwren"  # in every family name here, and in nothing that may name nobody
WITHIN = 400.0  # for a look on a busy machine
CENTRE, OTHER_DEPARTMENT, OTHER_CENTRE = "CC-4100", "pharmacy", "CC-4200"
_numbers = itertools.count(int(time.time()) % 90_000 * 1000 + 500)  # of nobody an earlier test of this home hired


def day(ago: int = 0) -> date:
    """The day so many days ago, as the platform counts days (of UTC); negative: to come."""
    return datetime.now(UTC).date() - timedelta(days=ago)


def written(ago: int = 0) -> str:
    """When HR wrote something down, so many days ago."""
    return f"{datetime.now(UTC) - timedelta(days=ago):%Y-%m-%dT%H:%M:%SZ}"


def somebody(role: str = "scheduler", **fields: Any) -> Made:
    """A person nobody has heard of, under a family name of their own with the canary in it."""
    number = next(_numbers)
    letters = "".join(chr(ord("a") + int(digit)) for digit in f"{number}")
    one = made(number, role)
    return replace(one, **{"family": f"{CANARY}{letters}"} | fields)


@dataclass
class Clinic(People):
    """HR's systems, and whoever looks at what became of what they said."""

    _looks: dict[tuple[str, ...], tuple[float, Any]] = field(default_factory=dict)
    _looking: dict[tuple[str, ...], asyncio.Lock] = field(default_factory=dict)

    # -- what HR says ------------------------------------------------------------------------------------------------

    async def ask(self, who: str, path: str, body: Any, key: str = "") -> httpx.Response:
        """A request by a sender or person of the stage, or by whose key it is."""
        secret = self.hospital.stage.keys.get(who, who)
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key or uuid.uuid4().hex}
        given: dict[str, Any] = {"json": body}
        if isinstance(body, str):
            given, headers = {"content": body.encode()}, headers | {"Content-Type": "text/csv"}
        url, http = f"{self.hospital.stage.api_url}{path}", self.hospital.doors.http
        return await heard(lambda: http.post(url, headers=headers, **given))

    async def tell(self, event: Mapping[str, Any], *, who: str = DESK, number: str = "") -> str:
        """One event by REST; its number."""
        number = number or uuid.uuid4().hex[:16]
        answer = await self.ask(who, "/v1/hr-events", dict(event), number)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return number

    async def file(self, *rows: Mapping[str, str], who: str = DESK) -> str:
        """A CSV file over REST; where to ask what became of it."""
        text = io.StringIO()
        names = list(dict.fromkeys(name for row in rows for name in row))
        sheet = csv.DictWriter(text, names, restval="")
        sheet.writeheader()
        sheet.writerows(rows)
        answer = await self.ask(who, "/v1/files/people", text.getvalue())
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["href"])

    async def hires(self, one: Made, *, who: str = DESK, ago: int = 30, waits: bool = True) -> str:
        """Somebody began so many days ago, as HR wrote down then; their key, once what they may have at first is given."""
        register(self.home, one)
        person = await self.key_of(await self.tell(one.event("hire", day(ago), said_at=written(ago)), who=who))
        if waits:
            await self.account(person, on=True)
        return person

    # -- what is found inside ------------------------------------------------------------------------------------------

    async def looked(self, *words: str) -> Any:
        """What a command shows, shared with everybody who asks while one look is made."""
        asked = time.monotonic()
        async with self._looking.setdefault(words, asyncio.Lock()):
            began, found = self._looks.get(words, (0.0, None))
            if began < asked:
                began = time.monotonic()
                found = await self.fascia(*words)
                self._looks[words] = (began, found)
        return found

    async def events(self) -> list[dict[str, Any]]:
        """Every HR event."""
        found: list[dict[str, Any]] = (await self.looked("person", "events", "--all", "--limit", "1000"))["items"]
        return found

    async def event(self, number: str, *states: str) -> dict[str, Any]:
        """An event by its number, once it is kept (in one of these states)."""

        async def look() -> dict[str, Any] | None:
            rows = [row for row in await self.events() if row["number"] == number]
            return next((row for row in rows if not states or row["state"] in states), None)

        return await until(look, lambda: f"event {number} {states or 'kept'}", WITHIN)

    async def key_of(self, number: str) -> str:
        """Whose event it is, once that is known."""

        async def look() -> str:
            return next((str(row["person"]) for row in await self.events() if row["number"] == number), "")

        return await until(look, lambda: f"whose event {number} is", WITHIN)

    async def row(self, person: str, facility: str = "NGH") -> dict[str, Any]:
        """How somebody stands at a facility; empty where nobody knows them there."""
        rows = (await self.looked("person", "list", "--all", "--limit", "1000"))["items"]
        return next((row for row in rows if (row["person"], row["facility"]) == (person, facility)), {})

    async def is_as(self, person: str, facility: str = "NGH", **fields: Any) -> dict[str, Any]:
        """The same once it is so."""

        async def look() -> dict[str, Any] | None:
            row = await self.row(person, facility)
            return row if row and all(row.get(name) == value for name, value in fields.items()) else None

        return await until(look, lambda: f"{person} as {fields}", WITHIN)

    async def revocation(self, person: str) -> tuple[int, dict[str, Any]]:
        """What ``fascia person access`` shows, and how it ends."""
        found = await self.gives("person", "access", person)
        return found.code, found.json

    async def confirmed(self, person: str, within: float = WITHIN) -> dict[str, Any]:
        """The same once a revocation is confirmed everywhere."""

        async def look() -> dict[str, Any] | None:
            code, view = await self.revocation(person)
            assert code == int(not view["confirmed"]), "the command ends with 1 while it is not confirmed"
            return view if view["confirmed"] else None

        return await until(look, lambda: f"the revocation of {person} confirmed", within)

    async def trace(self, person: str) -> list[dict[str, Any]]:
        """Each deed, in order; the command ends with 1 where the chain is not whole."""
        found: list[dict[str, Any]] = (await self.fascia("person", "trace", person))["entries"]
        return found

    async def lines(self, what: str) -> list[dict[str, Any]]:
        """The lines of the attention list of one kind."""
        return [
            row for row in (await self.looked("attention", "list", "--limit", "1000"))["items"] if row["what"] == what
        ]

    # -- what is found outside -----------------------------------------------------------------------------------------

    def held(self, person: str) -> dict[str, Any]:
        """The account, its groups and how many there are; empty where there never was one."""
        return accounts.accounts(self.home).get(person, {})

    def is_on(self, person: str) -> bool:
        """Whether a door opens anywhere."""
        held = self.held(person)
        scheduled = scheduling.records(self.home).get(person, {}).get("eligible")
        listed = ehr.practitioners(self.home).get(person, {}).get("active")
        return bool(held.get("active") or held.get("groups") or scheduled or listed)

    async def account(self, person: str, *groups: str, on: bool, within: float = WITHIN) -> dict[str, Any]:
        """The account once it is on (in these groups, where any are named) or off (in none)."""

        async def look() -> dict[str, Any] | None:
            found = self.held(person)
            fits = (not groups or sorted(groups) == found.get("groups")) if on else not found.get("groups")
            return found if found and found["active"] is on and fits else None

        return await until(look, lambda: f"the account of {person} {'on' if on else 'off'} {groups}", within)

    async def off(self, person: str, within: float = WITHIN) -> None:
        """Once no door opens any more."""

        async def look() -> bool:
            return not self.is_on(person)

        await until(look, lambda: f"{person} off everywhere", within)


def clinic_of(hospital: Hospital) -> Clinic:
    """One for all stories of a hospital."""
    return _CLINICS.setdefault(id(hospital), Clinic(hospital))


_CLINICS: dict[int, Clinic] = {}
