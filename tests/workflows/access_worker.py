"""The workers of access as a process of their own, which dies (SIGKILL) at one named point of somebody's access, once for each person.

    python -m tests.workflows.access_worker PLAN

``PLAN`` is a JSON file: where the targets of the test answer, where it is noted who was met, and at which call of which person the
process ends.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from activities.access import AccessActivities
from activities.cases import CaseActivities
from canonical.access import AccessTarget, TargetSeen, Wanted
from canonical.base import Canonical
from canonical.cases import Trouble
from store.access import StoredAccess
from store.access_rows import all_targets_in
from store.cases import StoredCases
from store.database import open_engine, transaction
from tests.build import SEAL_KEY
from tests.fakes.register import FakeRegister
from workers.access_serving import serving_revocations, serving_targets
from workers.failures import Failures
from workers.settings import Settings
from workers.temporal import connect, serving, steps_of
from workflows.clinician_access import ClinicianAccess


class Point(Canonical):
    """A call (by its name) and which side of its effect; ``nth`` of that call for the person."""

    call: str
    side: Literal["before", "after"]
    nth: int = 1

    @property
    def words(self) -> str:
        """As it is told."""
        return f"{self.side} {self.call}" + (f" ({self.nth})" if self.nth > 1 else "")


class Plan(Canonical):
    """What the process needs to know; ``points`` by person."""

    database: str
    temporal: str
    namespace: str
    targets: int
    notes: Path
    points: dict[str, Point]

    def meet(self, call: str, side: str, person: str) -> None:
        """Come by: noted before the end, so that it comes once."""
        point = self.points.get(person)
        if point is None or (point.call, point.side) != (call, side):
            return
        note = self.notes / person
        met = note.read_bytes() if note.exists() else b""
        note.write_bytes(met + b".")
        if len(met) + 1 == point.nth:
            os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """Whatever it stands before, until one of its calls is the point of somebody's plan."""

    def __init__(self, inner: Any, plan: Plan, name: Callable[[str, Any], str] = lambda call, _: call) -> None:
        self._inner, self._plan, self._name = inner, plan, name

    def __getattr__(self, call: str) -> Any:
        found = getattr(self._inner, call)
        if not inspect.iscoroutinefunction(found):
            return found

        async def guarded(about: Any, *rest: Any, **named: Any) -> Any:
            person, called = _person(about), self._name(call, about)
            self._plan.meet(called, "before", person)
            done = await found(about, *rest, **named)
            self._plan.meet(called, "after", person)
            return done

        return guarded


def _person(about: Any) -> str:
    if isinstance(about, str):
        return about
    return str(getattr(about, "person", None) or getattr(about, "case", "").rsplit("/", 1)[-1])


class Told:
    """A target of the test, over a line: it remembers what it was told also when who told it is dead."""

    def __init__(self, port: int, code: str) -> None:
        self._port, self._code = port, code

    async def look(self, wanted: Wanted) -> TargetSeen:
        return await self._ask("look", wanted)

    async def write(self, wanted: Wanted) -> TargetSeen:
        return await self._ask("write", wanted)

    async def _ask(self, verb: str, wanted: Wanted) -> TargetSeen:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"{self._code} {verb} {wanted.model_dump_json()}\n".encode())
            await writer.drain()
            return TargetSeen.model_validate_json(await reader.readline())
        finally:
            writer.close()


def _gives_or_takes(call: str, wanted: Any) -> str:
    return call if call != "write" else "give" if wanted.active else "take"


async def serve(plan: Plan) -> None:
    """Until the process dies."""
    settings = Settings(temporal_address=plan.temporal, temporal_namespace=plan.namespace)
    client, engine = await connect(settings), open_engine(plan.database, pool=10)

    def target_for(row: AccessTarget) -> Any:
        return Dying(Told(plan.targets, row.code), plan, _gives_or_takes)

    async def rows() -> Sequence[AccessTarget]:
        async with transaction(engine) as connection:
            return await all_targets_in(connection, datetime.now(UTC))

    async def trouble(_: Trouble) -> None: ...

    access = AccessActivities(Dying(StoredAccess(engine), plan), target_for)
    own = steps_of([CaseActivities(Dying(StoredCases(engine, SEAL_KEY), plan), FakeRegister())])
    steps: dict[str, Sequence[Callable[..., Any]]] = {"fascia": [*own, access.access_standing]}
    heard = [Failures(trouble)]
    async with (
        serving(client, settings, workflows=[ClinicianAccess], steps=steps, interceptors=heard),
        serving_targets(client, access, rows, interceptors=heard),
        serving_revocations(client, settings, access, own, interceptors=heard),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Plan.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))))
