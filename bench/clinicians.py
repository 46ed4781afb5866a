"""A hospital of clinicians to measure on: our real processes, a licence board, targets that answer at once, hires by the REST door."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from bench.stand import Stand, standing
from canonical.access import AccessTarget
from canonical.base import Canonical
from canonical.credentials import ClinicianPolicy, ClinicianRole, VerificationSource
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
TARGETS = ("idp", "pacs", "plan")
TABLES = (
    "people",
    "appointments",
    "hr_events",
    "verifications",
    "privileges",
    "access_states",
    "person_trace",
    "cases",
)
_HEADLINES = text("SELECT headline, count(*) FROM appointments GROUP BY headline")
_STIRRED = text("""
SELECT (SELECT count(*) FROM people WHERE woken_at IS NOT NULL) + (SELECT count(*) FROM appointments WHERE woken_at IS NOT NULL)""")
_KEYS = text("""
SELECT a.person FROM appointments a JOIN person_numbers n ON n.person = a.person AND n.source = :source
WHERE a.headline = 'active' AND NOT EXISTS (SELECT 1 FROM revocation_blocks b WHERE b.person = a.person)
ORDER BY n.number LIMIT :many""")
_NUMBERS = text("SELECT number, person FROM person_numbers WHERE source = :source AND person = ANY(:people)")
_HIRED = text("SELECT count(*) FROM person_numbers WHERE source = :source")
Say = Callable[[str], None]


@dataclass
class Clinic:
    """The running hospital, and what its HR system and its security desk can do."""

    stand: Stand
    stub: str
    hr: httpx.AsyncClient
    security: httpx.AsyncClient
    hired: int = 0  # before and now

    async def hire(self, many: int, mark: str = "") -> None:
        """So many more are hired and granted a privilege, by messages of up to a hundred people; returns once they are kept."""
        for first in range(self.hired, self.hired + many, A_MESSAGE):
            numbers = range(first, min(first + A_MESSAGE, self.hired + many))
            said = datetime.now(UTC)
            events = [event for number in numbers for event in _hired(number, said)]
            await self.say({"events": events}, f"hire-{mark}{first}-{time.time_ns():x}")
        self.hired += many

    async def say(self, told: Mapping[str, Any], number: str) -> None:
        """The HR system says something by the REST door."""
        answer = await self.hr.post("/v1/hr-events", json=told, headers={"Idempotency-Key": number})
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

    async def headlines(self) -> dict[str, int]:
        """How many stand how."""
        async with self.stand.database.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(_HEADLINES)}

    async def active(self, many: int, patience: float, say: Say) -> bool:
        """Wait until so many are active and nobody is to look any more; False where that takes longer."""
        ends, told = time.monotonic() + patience, 0.0
        while True:
            found = await self.headlines()
            if found.get("active", 0) >= many and not await self.stirred():
                return True
            if time.monotonic() > ends:
                say(f"clinicians: after {patience:.0f} s they stand so: {found}")
                return False
            if time.monotonic() - told > 15:
                told = time.monotonic()
                say(f"clinicians: {found}")
            await asyncio.sleep(0.25)

    async def stirred(self) -> int:
        """How many cases are to look and have not yet."""
        async with self.stand.database.connect() as connection:
            return int(await connection.scalar(_STIRRED) or 0)

    async def people(self, many: int) -> dict[str, str]:
        """Keys of so many active people that nobody has blocked, and the HR system's numbers of them."""
        async with self.stand.database.connect() as connection:
            keys = (await connection.execute(_KEYS, {"source": SENDER, "many": many})).scalars().all()
            rows = await connection.execute(_NUMBERS, {"source": SENDER, "people": list(keys)})
            return {row.person: row.number for row in rows}

    async def load(self, kind: str, *rows: Canonical) -> None:
        """Rows of the register in the hospital's word."""
        report = await StoredRegister(self.stand.database).load(kind, rows, HOSPITAL, build.FACILITY)
        assert not report.refused, report.refused

    async def off(self) -> dict[str, dict[str, float]]:
        """When each was switched off, by target and person, by the targets' own clock."""
        async with httpx.AsyncClient(trust_env=False) as client:
            found: dict[str, dict[str, float]] = (await client.get(f"{self.stub}/off")).json()
            return found


@contextlib.asynccontextmanager
async def clinic(
    home: Path, say: Say, *, books: int = 20_000, env: Mapping[str, str] | None = None, time_skipping: bool = False
) -> AsyncIterator[Clinic]:
    """Start it in a folder, which may hold one that was stopped; ``books``: licences its board knows."""
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
        many = {"facility": build.FACILITY, "per_minute": 1_000_000}
        _, hr = await keys.add(NewKey(sender=SENDER, **many))
        _, desk = await keys.add(NewKey(sender="security", person=SECURITY, **many))
        async with _door(stand, hr) as hr_door, _door(stand, desk) as security:
            one = Clinic(stand, f"http://127.0.0.1:{stub}", hr_door, security)
            await _register(one, f"http://127.0.0.1:{at}/licences")
            await _served(stand)
            async with stand.database.connect() as connection:
                one.hired = int(await connection.scalar(_HIRED, {"source": SENDER}) or 0)
            yield one


async def _served(stand: Stand) -> None:
    """Wait until the worker has seen the targets in the register and serves each one's queue."""
    async with asyncio.timeout(60):
        waiting = [queue_of(target) for target in TARGETS]
        while waiting:
            waiting = [queue for queue in waiting if await last_poll(stand.client, queue) is None]
            await asyncio.sleep(0.5)


def _door(stand: Stand, key: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=stand.api_url, headers=headers, limits=limits, timeout=60, trust_env=False)


async def _register(one: Clinic, board: str) -> None:
    """Who may send, what a physician needs, who verifies it and what they are given."""
    desk = build.employee(SECURITY, "support")
    report = await StoredRegister(one.stand.database).load("employee", [desk], ERP, build.FACILITY)
    assert not report.refused, report.refused
    sender = Sender(code=SENDER, facility=build.FACILITY, dialect="rest", source=SENDER, on_dead="go on")
    await one.load("sender", sender)
    role = ClinicianRole(code=ROLE, checks=("licence",), least=("staff",), clinical=("clinical",))
    await one.load("clinician_role", role)
    await one.load("clinician_policy", ClinicianPolicy(facility=build.FACILITY, hr_grants="granted"))
    source = VerificationSource(code="IDFPR", kind="licence", adapter="licence_board", url=board, per_second=FAST)
    await one.load("verification_source", source)
    targets = [
        AccessTarget(code="idp", kind="identity", adapter="scim", url=f"{one.stub}/idp", per_second=FAST),
        AccessTarget(code="pacs", kind="identity", adapter="scim", url=f"{one.stub}/pacs", per_second=FAST),
        AccessTarget(
            code="plan", kind="scheduling", adapter="rest_scheduling", url=f"{one.stub}/plan", per_second=FAST
        ),
    ]
    await one.load("access_target", *targets)


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
