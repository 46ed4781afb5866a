"""From the word that somebody's access ends to the revocation confirmed everywhere, with many cases open.

A word comes by a real door: ``POST /v1/people/{key}/revocations``, or an HR event marked as an emergency. Three moments are taken
from when it was sent: the block stands in our store; the last target has switched the person off (by the targets' own clock; of a
scim2-server, when we first saw it); and the revocation is confirmed, as anybody who looks into our store every 50 ms sees it. The
two looks that confirm are apart by rule: that floor is shown, and is part of the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text

from bench import slow_provider
from bench.clinicians import FAR, HERE, Clinic, House, Say
from bench.figures import Revoked
from bench.stand import time_now
from canonical.credentials import ClinicianPolicy

EVERY = 1.0  # seconds from one word to the next, where they come one by one
AHEAD = 4.0  # seconds that a wave of hires has before the words come
WAVE = 200
LOOKS = 0.05
PATIENCE = 180.0  # seconds without one more who is blocked or confirmed
ONE_BY_ONE, AT_ONCE, SLOWLY_EACH = 100, 40, 20  # people of a row: of a hundred the 99th percentile is not the most
QUICK = 4
_BLOCKS = text("""
SELECT person, confirmed_at IS NOT NULL AS confirmed FROM revocation_blocks WHERE lifted_at IS NULL AND person = ANY(:people)""")
_SEEN = text("""
SELECT person, extract(epoch FROM off_at) AS at FROM access_states WHERE target = :target AND person = ANY(:people)""")


@dataclass(frozen=True)
class Row:
    """So many words, by a call or by the HR system (or by both in turn), at once or one by one."""

    what: str
    by: Sequence[str]
    at_once: bool
    beside: int = 0  # people who are being hired meanwhile
    house: House = HERE  # of the far one: one target more, which does not answer at once

    @property
    def many(self) -> int:
        """How many people's access ends."""
        if self.house == FAR:
            return SLOWLY_EACH
        return AT_ONCE if self.at_once else ONE_BY_ONE


ROWS = (
    Row("a call, one by one", ("call",), at_once=False),
    Row("an HR event, one by one", ("event",), at_once=False),
    Row("calls at once", ("call",), at_once=True),
    Row("HR events at once", ("event",), at_once=True),
)
SLOWLY = (
    Row("a call, one by one, one target a scim2-server", ("call",), at_once=False, house=FAR),
    Row("calls at once, one target a scim2-server", ("call",), at_once=True, house=FAR),
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


async def measure(clinic: Clinic, keep: Callable[..., None], *, active: int, quick: bool, say: Say) -> None:
    """Each row takes everything from some people, beside so many who are active; what it found is kept at once.

    As many more are hired before as the rows take away, so that the last of them begins beside no fewer than ``active``; those
    of the far house come first.
    """

    def many(row: Row) -> int:
        return QUICK if quick else row.many

    far = sum(many(row) for row in SLOWLY)
    needed = active + sum(many(row) for row in ROWS)
    for house, enough in ((FAR, far), (HERE, needed)):
        held = (await clinic.headlines(house)).get("active", 0)
        say(f"revocations: {held} people are active in {house.facility}, {enough} are needed")
        if not await clinic.open(enough, say, house=house):
            say(f"revocations: no more than {await clinic.headlines(house)} in {house.facility}: measured beside these")
    for row in (*SLOWLY, *ROWS, BESIDE):  # the last: who is still being hired is not waited for
        people = await clinic.people(many(row), row.house)
        if len(people) < many(row):
            say(f"revocations, {row.what}: only {len(people)} people are active, of {many(row)}")
        keep(await _row(clinic, row, people, QUICK if quick else row.beside, say))
        await _quiet(clinic, row, say)


async def _row(clinic: Clinic, row: Row, people: dict[str, str], beside: int, say: Say) -> Revoked:
    active = (await clinic.headlines()).get("active", 0)
    words = Words()
    watching = asyncio.create_task(_watch(clinic, list(people), words))
    if row.beside:
        await clinic.hire(beside, mark="wave-")
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
    await _confirmed(watching, words, row)
    stood = await clinic.off() | (await _seen_off(clinic, people) if row.house == FAR else {})
    off = {person: max(moments[person] for moments in stood.values()) for person in people}
    found = Revoked(
        at=time_now(),
        temporals_store=clinic.stand.temporals_store,
        what=row.what,
        open=active,
        apart=ClinicianPolicy(facility="any").seen_off_apart,
        beside=beside if row.beside else 0,
        blocked=words.took(words.blocked),
        off=words.took(off),
        confirmed=words.took(words.confirmed),
    )
    say(
        f"revocations, {row.what}: {len(people)} people, blocked within {found.blocked[-1]:.2f} s, off within {found.off[-1]:.2f} s, "
        f"confirmed within {found.confirmed[-1]:.1f} s"
    )
    return found


async def _confirmed(watching: asyncio.Task[None], words: Words, row: Row) -> None:
    """Wait until all are, for as long as it goes forward."""
    seen, since = -1, time.monotonic()
    while not watching.done():
        await asyncio.wait([watching], timeout=1)
        now = len(words.blocked) + len(words.confirmed)
        if now > seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > PATIENCE:
            watching.cancel()
            held = f"{len(words.blocked)} of {len(words.sent)} are blocked, {len(words.confirmed)} confirmed"
            raise AssertionError(f"{row.what}: {held}, and for {PATIENCE:.0f} s not one more")
    await watching


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
        rows = await connection.execute(_SEEN, {"target": slow_provider.CODE, "people": list(people)})
        return {slow_provider.CODE: {row.person: float(row.at) for row in rows}}


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
