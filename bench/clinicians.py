"""A hospital of clinicians to measure on: our real processes, a licence board, targets that answer at once, hires by the REST door."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from bench.slow_provider import provided
from bench.stand import Stand, standing
from canonical.access import AccessTarget
from canonical.base import Canonical
from canonical.credentials import ClinicianPolicy, ClinicianRole, VerificationSource
from canonical.parties import Facility
from canonical.senders import Sender
from stack.part import Part, own_program
from stack.questions import last_poll
from store.authority import ERP, HOSPITAL
from store.keys import NewKey, StoredKeys
from store.register import StoredRegister
from tests import build
from workers.queues import queue_of

PARTS = ("database", "temporal", "worker", "revocations", "loops", "api")
ROLE, SENDER, SECURITY = "physician", "HR", "E-SEC"
FAST = 1000.0  # calls a second that a target allows: what is measured is ours
A_MESSAGE = 100  # people hired by one message: each is hired, and granted a privilege
STEP = 100  # people opened at a time, so that what is measured is their way and no queue's
STUCK = 180.0  # seconds without one more who is active, or one less who is to look
_HEADLINES = text("SELECT headline, count(*) FROM appointments WHERE facility = ANY(:facilities) GROUP BY headline")
_STIRRED = text("""
SELECT (SELECT count(*) FROM people WHERE woken_at IS NOT NULL) + (SELECT count(*) FROM appointments WHERE woken_at IS NOT NULL)""")
_KEYS = text("""
SELECT a.person FROM appointments a JOIN person_numbers n ON n.person = a.person AND n.source = :source
WHERE a.headline = 'active' AND NOT EXISTS (SELECT 1 FROM revocation_blocks b WHERE b.person = a.person)
ORDER BY n.number LIMIT :many""")
_NUMBERS = text("SELECT number, person FROM person_numbers WHERE source = :source AND person = ANY(:people)")
_HIRED = text("SELECT count(*) FROM person_numbers WHERE source = :source")
Say = Callable[[str], None]


@dataclass(frozen=True)
class House:
    """A facility, the sender that is its HR system, and the number of the first person it hires: nobody is hired by two."""

    facility: str
    sender: str
    first: int


HERE = House(build.FACILITY, SENDER, 0)
FAR = House("FGH", "HR-FAR", 15_000)  # where people have an account in a provider that does not answer at once
HOUSES = (HERE, FAR)


@dataclass
class Clinic:
    """The running hospital, and what its HR system and its security desk can do."""

    stand: Stand
    stub: str
    hr: Mapping[str, httpx.AsyncClient]  # by sender
    security: httpx.AsyncClient
    hired: dict[str, int] = field(default_factory=dict)  # by sender: before and now

    async def hire(self, many: int, mark: str = "", house: House = HERE) -> None:
        """So many more are hired and granted a privilege, by messages of up to a hundred people; returns once they are kept."""
        before = house.first + self.hired.get(house.sender, 0)
        for first in range(before, before + many, A_MESSAGE):
            numbers = range(first, min(first + A_MESSAGE, before + many))
            said = datetime.now(UTC)
            events = [event for number in numbers for event in _hired(number, said)]
            await self.say({"events": events}, f"hire-{mark}{first}-{time.time_ns():x}", house)
        self.hired[house.sender] = before + many - house.first

    async def open(self, many: int, say: Say, *, house: House = HERE, ends: float = math.inf) -> bool:
        """Hire, a hundred at a time, until so many are active and nobody is to look; False where it sticks or there is no time left.

        ``ends``: the moment of the monotonic clock after which nobody is hired any more.
        """
        while (missing := many - (await self.headlines(house)).get("active", 0)) > 0:
            step = min(STEP, missing)
            if time.monotonic() > ends:
                return False
            await self.hire(step, house=house)
            if not await self.active(many - missing + step, say, house):
                return False
        return await self.active(many, say, house)

    async def say(self, told: Mapping[str, Any], number: str, house: House = HERE) -> None:
        """The HR system says something by the REST door."""
        answer = await self.hr[house.sender].post("/v1/hr-events", json=told, headers={"Idempotency-Key": number})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text

    async def leave(self, number: str) -> None:
        """The HR system says that somebody leaves at once."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        told = {"person": number, "kind": "terminate", "effective": day, "emergency": True, "reason": "for-cause"}
        await self.say(told, f"leave-{number}")

    async def revoke(self, person: str) -> None:
        """The security desk takes everything from somebody."""
        told, headers = {"reason": "badge found with somebody else"}, {"Idempotency-Key": f"revoke-{person}"}
        answer = await self.security.post(f"/v1/people/{person}/revocations", json=told, headers=headers)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        assert answer.json()["begun"], answer.text

    async def headlines(self, *houses: House) -> dict[str, int]:
        """How many stand how, in these houses; in all of them where none is named."""
        asked = {"facilities": [house.facility for house in houses or HOUSES]}
        async with self.stand.database.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(_HEADLINES, asked)}

    async def active(self, many: int, say: Say, house: House = HERE) -> bool:
        """Wait until so many are active and nobody is to look any more, for as long as it goes forward; False where it sticks."""
        best, since, told = (-1, 0), time.monotonic(), time.monotonic()
        while True:
            found, left = await self.headlines(house), await self.stirred()
            now = (found.get("active", 0), -left)
            if now[0] >= many and not left:
                return True
            if now > best:
                best, since = now, time.monotonic()
            if time.monotonic() - since > STUCK:
                say(f"clinicians: for {STUCK:.0f} s nothing has gone forward: {found}, {left} are to look")
                return False
            if time.monotonic() - told > 15:
                told = time.monotonic()
                say(f"clinicians: {found}")
            await asyncio.sleep(0.25)

    async def stirred(self) -> int:
        """How many cases are to look and have not yet."""
        async with self.stand.database.connect() as connection:
            return int(await connection.scalar(_STIRRED) or 0)

    async def people(self, many: int, house: House = HERE) -> dict[str, str]:
        """Keys of so many active people that nobody has blocked, and the HR system's numbers of them."""
        async with self.stand.database.connect() as connection:
            keys = (await connection.execute(_KEYS, {"source": house.sender, "many": many})).scalars().all()
            rows = await connection.execute(_NUMBERS, {"source": house.sender, "people": list(keys)})
            return {row.person: row.number for row in rows}

    async def load(self, kind: str, *rows: Canonical, house: House = HERE) -> None:
        """Rows of the register in the hospital's word."""
        report = await StoredRegister(self.stand.database).load(kind, rows, HOSPITAL, house.facility)
        assert not report.refused, report.refused

    async def off(self) -> dict[str, dict[str, float]]:
        """When each was switched off, by target and person, by the targets' own clock."""
        async with httpx.AsyncClient(trust_env=False) as client:
            found: dict[str, dict[str, float]] = (await client.get(f"{self.stub}/off")).json()
            return found


@contextlib.asynccontextmanager
async def clinic(
    home: Path,
    say: Say,
    *,
    books: int = 20_000,
    env: Mapping[str, str] | None = None,
    time_skipping: bool = False,
    far: bool = False,
) -> AsyncIterator[Clinic]:
    """Start it in a folder, which may hold one that was stopped.

    ``books``: licences its board knows; ``far``: with the other house and the provider that does not answer at once.
    """
    board = home / "board"
    _write_books(board, books)
    async with standing(home, say, parts=PARTS, env=env, time_skipping=time_skipping) as stand:
        stub, at = stand.stack.port("stub_targets"), stand.stack.port("board")
        file = home / "stub_targets.json"
        served = own_program("-m", "bench.stub_targets", str(stub), str(file))
        await stand.stack.add_part(Part(name="stub_targets", argv=served, stop_within=10.0))
        registries = own_program("-m", "demo.registries", "serve", "--home", str(board), "--port", str(at))
        await stand.stack.add_part(Part(name="board", argv=registries))
        keys = StoredKeys(stand.database)
        houses = HOUSES if far else (HERE,)
        wide = {"per_minute": 1_000_000}
        _, desk = await keys.add(NewKey(sender="security", person=SECURITY, facility=build.FACILITY, **wide))
        async with contextlib.AsyncExitStack() as doors:
            hr = {}
            for house in houses:
                _, secret = await keys.add(NewKey(sender=house.sender, facility=house.facility, **wide))
                hr[house.sender] = await doors.enter_async_context(_door(stand, secret))
            security = await doors.enter_async_context(_door(stand, desk))
            one = Clinic(stand, f"http://127.0.0.1:{stub}", hr, security)
            targets = await _register(one, f"http://127.0.0.1:{at}/licences", houses)
            await _served(stand, targets)
            async with stand.database.connect() as connection:
                for house in houses:
                    one.hired[house.sender] = int(await connection.scalar(_HIRED, {"source": house.sender}) or 0)
            yield one


async def _served(stand: Stand, targets: Sequence[str]) -> None:
    """Wait until the worker has seen the targets in the register and serves each one's queue."""
    async with asyncio.timeout(60):
        waiting = [queue_of(target) for target in targets]
        while waiting:
            waiting = [queue for queue in waiting if await last_poll(stand.client, queue) is None]
            await asyncio.sleep(0.5)


def _door(stand: Stand, key: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=stand.api_url, headers=headers, limits=limits, timeout=60, trust_env=False)


async def _register(one: Clinic, board: str, houses: Sequence[House]) -> Sequence[str]:
    """Who may send, what a physician needs, who verifies it and what they are given; gives the codes of the targets."""
    desk = build.employee(SECURITY, "support")
    report = await StoredRegister(one.stand.database).load("employee", [desk], ERP, build.FACILITY)
    assert not report.refused, report.refused
    for house in houses:
        if house != HERE:
            await one.load("facility", Facility(code=house.facility, name="Farfield General Hospital"), house=house)
        about = {"code": house.sender, "facility": house.facility, "source": house.sender}
        await one.load("sender", Sender(dialect="rest", on_dead="go on", **about), house=house)
        await one.load("clinician_policy", ClinicianPolicy(facility=house.facility, hr_grants="granted"), house=house)
    role = ClinicianRole(code=ROLE, checks=("licence",), least=("staff",), clinical=("clinical",))
    await one.load("clinician_role", role)
    source = VerificationSource(code="IDFPR", kind="licence", adapter="licence_board", url=board, per_second=FAST)
    await one.load("verification_source", source)
    targets = [
        AccessTarget(code="idp", kind="identity", adapter="scim", url=f"{one.stub}/idp", per_second=FAST),
        AccessTarget(code="pacs", kind="identity", adapter="scim", url=f"{one.stub}/pacs", per_second=FAST),
        AccessTarget(
            code="plan", kind="scheduling", adapter="rest_scheduling", url=f"{one.stub}/plan", per_second=FAST
        ),
    ]
    if FAR in houses:
        targets.append(await provided(one.stand, FAR.facility))
    await one.load("access_target", *targets)
    return [target.code for target in targets]


def _hired(number: int, said: datetime) -> Sequence[dict[str, Any]]:
    """An offer accepted a while ago, at work since a month, and the privilege that came with it."""
    day = f"{said - timedelta(days=30):%Y-%m-%d}"
    about = {"person": f"E-{number:06d}", "effective": day}
    family, given = _name(number)
    licences = [{"state": "IL", "number": f"L-{number}"}]
    record = {"name": {"family": family, "given": given}, "birth_date": _born(number), "licences": licences}
    hire = {"kind": "hire", "said_at": said.isoformat(), "record": record, "position": {"role": ROLE}}
    later = (said + timedelta(seconds=1)).isoformat()
    return [about | hire, about | {"kind": "grant", "said_at": later, "scope": {"service": "surgery"}}]


def _name(number: int) -> tuple[str, str]:
    """Nobody is like another: what is alike is a person's to decide."""
    return f"Family{_letters(number)}", f"Given{_letters(number)}"


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def _born(number: int) -> str:
    return f"{datetime(1950, 1, 1, tzinfo=UTC) + timedelta(days=number):%Y-%m-%d}"


def _write_books(board: Path, many: int) -> None:
    """What a licence board knows, as it publishes it."""
    held = {"status": "Active", "profession": "Physician", "expires": "2030-07-31", "discipline": []}
    books = {}
    for number in range(many):
        family, given = _name(number)
        about = {"state": "IL", "number": f"L-{number}", "name": {"family": family, "given": given}}
        books[f"IL/L-{number}"] = held | about
    folder = board / "registries"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "licences.json").write_text(json.dumps(books), encoding="utf-8")
