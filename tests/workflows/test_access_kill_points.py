"""The process that gives and takes access is killed before and after each of its effects; everybody ends as if it had lived on.

Each person has a point of their own, and all are under way at once: a kill at one's point falls into the middle of the others'.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from canonical.access import Wanted
from canonical.cases import CaseStatus
from stack.supervisor import Stack
from store.database import transaction
from store.people_tables import people
from store.person_trace import broken_at, trace_in
from tests import proof
from tests.access_house import AccessHouse, target
from tests.fakes.targets import FakeTargets
from tests.workflows.access_desk import Desk
from tests.workflows.access_worker import Plan, Point

pytestmark = [pytest.mark.server, pytest.mark.timeout(1500)]
PATIENCE = 900.0


def around(*calls: str, nth: int = 1) -> tuple[Point, ...]:
    """Both sides of each."""
    return tuple(Point(call=call, side=side, nth=nth) for call in calls for side in ("before", "after"))


GIVEN = (
    *around("standing", "begin", "give", "blocked", "wrote", "record"),  # access is given
    *around("wanted", "saw"),  # and looked at
    *around("take"),  # and taken, when they have left
    *around("wrote", nth=3),
)
REVOKED = (*around("block", "revocation", "take", "seen_off", "record"), *around("seen_off", "revocation", nth=3))
FEW = ((Point(call="give", side="after"), Point(call="begin", side="after")), (Point(call="block", side="after"),))
HALFWAY = (Point(call="take", side="after"), Point(call="seen_off", side="after"))


class Life:
    """One person who is given access and loses it; the process that does it dies at their point."""

    def __init__(self, desk: Desk, point: Point, *, revoked: bool) -> None:
        self.desk, self.point, self.revoked = desk, point, revoked
        self.access: WorkflowHandle[Any, Any] | None = None

    async def lived(self, targets: FakeTargets) -> None:
        """From the first day until nothing is left."""
        desk = self.desk
        await desk.house.works()
        self.access = await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed")
        on = [targets[code].accounts[desk.person] for code in ("idp", "plan")]
        assert [(one.active, one.groups) for one in on] == [(True, ("clinical", "staff"))] * 2, self.point.words
        if not self.revoked:
            await desk.until(lambda: f"look {desk.person}" in targets["idp"].calls, "nobody looks")
            await desk.house.becomes(state="ended", ends_on=date(2026, 1, 2))
            await desk.wake()
            await desk.until_states(idp="off", plan="off")
            return
        handle = await desk.revoke(by_door=self.point.call != "block")
        result = CaseStatus.model_validate(await asyncio.wait_for(handle.result(), PATIENCE))
        assert (result.business_state, result.closed) == ("off everywhere", True), self.point.words

    async def is_whole(self, targets: FakeTargets) -> None:
        """Off everywhere, told in a trace nothing of which is missing or doubled."""
        person = self.desk.person
        assert not [code for code, one in targets.by_code.items() if one.is_on(person)], self.point.words
        async with transaction(self.desk.house.engine) as connection:
            rows = await trace_in(connection, person)
            kept = (await connection.execute(people.select().where(people.c.person == person))).one()
        told = [one.did for one in rows]
        assert broken_at(person, rows, kept.links, kept.link) is None, self.point.words
        assert [told.count(did) for did in ("blocked", "confirmed off")] == [int(self.revoked)] * 2, self.point.words
        assert "wrote" in told, self.point.words


@asynccontextmanager
async def answering(targets: FakeTargets) -> AsyncIterator[int]:
    """The targets of the test behind a port: a process that asks may die, they remember."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            code, verb, said = (await reader.readline()).decode().split(" ", 2)
            wanted = Wanted.model_validate_json(said)
            seen = await (targets[code].look(wanted) if verb == "look" else targets[code].write(wanted))
            writer.write(seen.model_dump_json().encode() + b"\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as served:
        yield served.sockets[0].getsockname()[1]


@asynccontextmanager
async def dying_workers(plan: Plan, path: Path) -> AsyncIterator[list[int]]:
    """The process, begun again each time it ends; with what it ended each time."""
    path.write_text(plan.model_dump_json(), encoding="utf-8")
    ends: list[int] = []
    command = (sys.executable, "-m", "tests.workflows.access_worker", str(path))
    process: asyncio.subprocess.Process | None = None

    async def again() -> None:
        nonlocal process
        while True:
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
            ends.append(await process.wait())

    serving = asyncio.create_task(again())
    try:
        yield ends
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


async def all_of(desk: Desk, server: Stack, home: Path, given: Sequence[Point], revoked: Sequence[Point]) -> list[Life]:
    """Everybody's life, at once; the process has died once at each point, and not otherwise."""
    targets = desk.targets
    plan_of = target("plan", "scheduling", after=("idp",), timeout=2.0)
    await desk.house.open(target("idp", timeout=2.0, look_every=1), plan_of, escalate_after=600)
    lives = []
    for point, is_revoked in [*((one, False) for one in given), *((one, True) for one in revoked)]:
        theirs = Desk(desk.client, AccessHouse(desk.house.engine), targets, desk.cases)
        theirs.patience = PATIENCE
        lives.append(Life(theirs, point, revoked=is_revoked))
    notes = home / "notes"
    notes.mkdir()
    async with answering(targets) as port:
        plan = Plan(
            database=server.database_url(),
            temporal=server.settings.temporal_address,
            namespace=server.settings.temporal_namespace,
            targets=port,
            notes=notes,
            points={one.desk.person: one.point for one in lives},
        )
        async with dying_workers(plan, home / "plan.json") as ends:
            try:
                await asyncio.gather(*(one.lived(targets) for one in lives))
            finally:
                for one in lives:
                    await one.desk.stop()
        assert ends == [-signal.SIGKILL] * len(lives), f"{len(lives)} points, ended with {ends}"
    for one in lives:
        await one.is_whole(targets)
    return lives


async def test_workers_killed_between_an_effect_and_its_keeping_leave_nobody_with_access(
    desk: Desk, server: Stack, tmp_path: Path
) -> None:
    """What was given and not kept; a block committed and nothing begun; taken and not kept; seen off once."""
    given, begun = FEW
    await all_of(desk, server, tmp_path, given, (*begun, *HALFWAY))


@pytest.mark.prove
async def test_workers_killed_around_every_step_of_access_and_revocation_leave_nobody_with_access(
    desk: Desk, server: Stack, tmp_path: Path
) -> None:
    began = datetime.now(UTC)
    lives = await all_of(desk, server, tmp_path, GIVEN, REVOKED)
    points = ", ".join(point.words for point in (*GIVEN, *REVOKED))
    said = f"{len(lives)} people: off everywhere, every trace whole"
    proof.note("access given, taken and revoked", f"{len(lives)} points, all at once: {points}", said, began)
