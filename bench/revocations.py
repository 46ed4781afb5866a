"""From the word that somebody's access ends to the revocation confirmed everywhere, with many cases open.

A word comes by a real door: ``POST /v1/people/{key}/revocations``, or an HR event marked as an emergency. Three moments are taken
from when it was sent: the block stands in our store; the last target has switched the person off (by the targets' own clock; of a
scim2-server, when we first saw it); and the revocation is confirmed, as anybody who looks into our store every 50 ms sees it. The
two looks that confirm are apart by rule: that floor is shown, and is part of the time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import text

from bench.clinicians import Clinic, Say
from bench.figures import Revoked
from bench.own_postgres import free_port
from bench.stand import time_now
from canonical.access import AccessTarget
from canonical.credentials import ClinicianPolicy
from stack.part import Part

EVERY = 1.0  # seconds from one word to the next, where they come one by one
AHEAD = 4.0  # seconds that a wave of hires has before the words come
WAVE = 200
LOOKS = 0.05
PATIENCE = 180.0
SLOW, TOKEN_FILE = "scim2", "scim2_token"
_BLOCKS = text("""
SELECT person, confirmed_at IS NOT NULL AS confirmed FROM revocation_blocks WHERE lifted_at IS NULL AND person = ANY(:people)""")
_SEEN = text("""
SELECT person, extract(epoch FROM off_at) AS at FROM access_states WHERE target = :target AND person = ANY(:people)""")
_WAKE = text("UPDATE people SET woken_at = now() WHERE person = ANY(:people)")
_STANDS = text("SELECT count(*) FROM access_states WHERE target = :target AND state NOT IN ('off', 'absent')")
_GIVEN = text(
    "SELECT count(*) FROM access_states WHERE target = :target AND state = 'confirmed' AND person = ANY(:people)"
)


@dataclass(frozen=True)
class Row:
    """So many words, by a call or by the HR system (or by both in turn), at once or one by one."""

    what: str
    by: Sequence[str]
    at_once: bool
    beside: int = 0  # people who are being hired meanwhile
    slow: bool = False  # one target more, which does not answer at once


ROWS = (
    Row("a call, one by one", ("call",), at_once=False),
    Row("an HR event, one by one", ("event",), at_once=False),
    Row("calls at once", ("call",), at_once=True),
    Row("HR events at once", ("event",), at_once=True),
)
SLOWLY = (
    Row("a call, one by one, one target a scim2-server", ("call",), at_once=False, slow=True),
    Row("calls at once, one target a scim2-server", ("call",), at_once=True, slow=True),
)
BESIDE = Row("calls and HR events at once, while people are hired", ("call", "event"), at_once=True, beside=WAVE)


@dataclass
class Words:
    """What is known of each person whose access ends: when the word went out, and what became of it, in seconds of the clock."""

    sent: dict[str, float] = field(default_factory=dict)
    blocked: dict[str, float] = field(default_factory=dict)
    confirmed: dict[str, float] = field(default_factory=dict)

    def took(self, moments: dict[str, float]) -> list[float]:
        """Seconds from each word to such a moment, in order."""
        return sorted(moments[person] - at for person, at in self.sent.items())


async def measure(clinic: Clinic, keep: Callable[..., None], *, many: int, quick: bool, say: Say) -> None:
    """Each row takes everything from ``many`` people; what it found is kept at once."""
    held = (await clinic.headlines()).get("active", 0)
    needed = many * (len(ROWS) + 1) + (4 if quick else 20)
    if held < needed:
        say(f"revocations: {held} people are active, {needed} are needed: hiring {needed - held}")
        await clinic.hire(needed - held)
        await clinic.active(needed, 30.0 + 3.0 * (needed - held), say)
    for row in ROWS:
        people = await clinic.people(many)
        if len(people) < many:
            say(f"revocations, {row.what}: only {len(people)} people are active, of {many}")
        keep(await _row(clinic, row, people, say))
        await _quiet(clinic, row, say)
    async with _scim2_server(clinic) as given:
        people = await clinic.people(4 if quick else 20)
        await given(people)
        for row in SLOWLY:
            some = dict(list(people.items())[: len(people) // 2])
            people = {person: number for person, number in people.items() if person not in some}
            keep(await _row(clinic, row, some, say))
            await _quiet(clinic, row, say)
    keep(await _row(clinic, BESIDE, await clinic.people(many), say))  # last: who is still being hired is not waited for


async def _row(clinic: Clinic, row: Row, people: dict[str, str], say: Say) -> Revoked:
    open_now = sum((await clinic.headlines()).values())
    words = Words()
    watching = asyncio.create_task(_watch(clinic, list(people), words))
    if row.beside:
        await clinic.hire(row.beside, mark="wave-")
        await asyncio.sleep(AHEAD)

    async def send(person: str, number: str, by: str) -> None:
        words.sent[person] = time.time()
        await (clinic.revoke(person) if by == "call" else clinic.leave(number))

    ways = [row.by[place % len(row.by)] for place in range(len(people))]
    ones: list[Awaitable[None]] = []
    for (person, number), way in zip(people.items(), ways, strict=True):
        if row.at_once:
            ones.append(send(person, number, way))
        else:
            await send(person, number, way)
            await asyncio.sleep(EVERY)
    await asyncio.gather(*ones)
    try:
        async with asyncio.timeout(PATIENCE):
            await watching
    except TimeoutError:
        missing = len(people) - len(words.confirmed)
        raise AssertionError(f"{row.what}: {missing} of {len(people)} not confirmed within {PATIENCE:.0f} s") from None
    stood = await clinic.off() | (await _seen_off(clinic, people) if row.slow else {})
    off = {person: max(moments[person] for moments in stood.values()) for person in people}
    found = Revoked(
        at=time_now(),
        temporals_store=clinic.stand.temporals_store,
        what=row.what,
        open=open_now,
        apart=ClinicianPolicy(facility="any").seen_off_apart,
        beside=row.beside,
        blocked=words.took(words.blocked),
        off=words.took(off),
        confirmed=words.took(words.confirmed),
    )
    say(
        f"revocations, {row.what}: {len(people)} people, blocked within {found.blocked[-1]:.2f} s, off within {found.off[-1]:.2f} s, "
        f"confirmed within {found.confirmed[-1]:.1f} s"
    )
    return found


async def _watch(clinic: Clinic, people: Sequence[str], words: Words) -> None:
    """Note when each is seen blocked, and confirmed; ends when all are."""
    while len(words.confirmed) < len(people):
        async with clinic.stand.database.connect() as connection:
            rows = (await connection.execute(_BLOCKS, {"people": people})).all()
        now = time.time()
        for row in rows:
            words.blocked.setdefault(row.person, now)
            if row.confirmed:
                words.confirmed.setdefault(row.person, now)
        await asyncio.sleep(LOOKS)


async def _seen_off(clinic: Clinic, people: Iterable[str]) -> dict[str, dict[str, float]]:
    """When each was first seen off in the target that has no such clock of its own."""
    async with clinic.stand.database.connect() as connection:
        rows = await connection.execute(_SEEN, {"target": SLOW, "people": list(people)})
        return {SLOW: {row.person: float(row.at) for row in rows}}


async def _quiet(clinic: Clinic, row: Row, say: Say) -> None:
    """What one row began is over before the next one is measured."""
    ends = time.monotonic() + 60 + 2.0 * row.beside
    while await clinic.stirred():
        if time.monotonic() > ends:
            say(
                f"revocations, {row.what}: {await clinic.stirred()} cases are still to look; the next row is beside that"
            )
            return
        await asyncio.sleep(0.5)


# -- an identity provider that is slow -------------------------------------------------------------------------------------


@asynccontextmanager
async def _scim2_server(clinic: Clinic) -> AsyncIterator[Callable[[dict[str, str]], Awaitable[None]]]:
    """A fourth target: the reference server of the scim2 family; gives what gives people an account there."""
    token, port = "the token of this measurement", free_port()
    secrets = clinic.stand.stack.settings.home / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / TOKEN_FILE).write_text(token, encoding="utf-8")
    argv = (str(Path(sys.executable).parent / "scim2-server"), "--port", str(port), "--bearer-token", token)
    await clinic.stand.stack.add_part(Part(name="scim2-server", argv=argv))
    url = f"http://127.0.0.1:{port}"
    await _groups(url, token)
    row = AccessTarget(code=SLOW, kind="identity", adapter="scim", url=url, token_file=TOKEN_FILE, per_second=1000.0)
    await clinic.load("access_target", row)

    async def given(people: dict[str, str]) -> None:
        keys = list(people)
        async with clinic.stand.database.begin() as connection:
            await connection.execute(_WAKE, {"people": keys})
        ends = time.monotonic() + 60 + 10.0 * len(keys)
        while True:
            async with clinic.stand.database.connect() as connection:
                there = await connection.scalar(_GIVEN, {"target": SLOW, "people": keys})
            if there == len(keys):
                return
            assert time.monotonic() < ends, f"{there} of {len(keys)} people have an account in scim2-server"
            await asyncio.sleep(0.5)

    try:
        yield given
    finally:
        await clinic.load("access_target", row.model_copy(update={"active": False}))
        await _taken_away(clinic)
        await clinic.stand.rest("scim2-server")


async def _taken_away(clinic: Clinic) -> None:
    """Out of use, it is stopped once nothing stands there: a revocation waits for what nobody can look at."""
    ends, left = time.monotonic() + 600, 1
    while left:
        async with clinic.stand.database.connect() as connection:
            left = int(await connection.scalar(_STANDS, {"target": SLOW}) or 0)
        assert time.monotonic() < ends, f"{left} people still have an account in scim2-server"
        await asyncio.sleep(0.5)


async def _groups(url: str, token: str) -> None:
    """The groups of the role, once it answers."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    schema = "urn:ietf:params:scim:schemas:core:2.0:Group"
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=20) as client, asyncio.timeout(30):
        for name in ("staff", "clinical"):
            while True:
                try:
                    made = await client.post(f"{url}/Groups", json={"schemas": [schema], "displayName": name})
                    assert made.is_success, made.text
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.2)
