"""What ``fascia doctor`` asks of our own programs, each by itself: one that is gone is told of, and none of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from canonical.access import AccessTarget
from canonical.errors import FasciaError
from stack import doctor
from stack.doctor import Finding
from store.database import open_engine
from workers import queues
from workers.settings import Settings

SILENT: Final = 15.0  # seconds without a sign of life; a process gives one every five
STUCK: Final = "it is stuck or gone: see its log, end it and start it anew"
NO_LOOPS: Final = "start python -m workers loops: until then nothing is watched, swept or sent"


async def workers(settings: Settings) -> Finding:
    """Somebody asks Temporal for work on every queue but that of revocations, and a worker gave signs of life lately: one that is
    stuck still asks for a minute."""
    silent, targets = await _kept(settings, "worker")
    found = await doctor.workers(settings, queues.usual(targets))
    return _alive(found, "worker", silent)


async def revocations(settings: Settings) -> Finding:
    """The same of the process that takes access away, and of its queue."""
    silent, _ = await _kept(settings, "revocations")
    found = await doctor.workers(settings, queues.REVOKING, part="revocations")
    return _alive(found, "revocations", silent)


async def loops(settings: Settings) -> Finding:
    """The loops gave signs of life lately; they ask Temporal for no work."""
    if (await doctor.database(settings)).state != "ok":
        return Finding("loops", "fail", "", "signs of life cannot be read", "see database")
    silent, _ = await _kept(settings, "loops")
    if silent is None:
        return Finding("loops", "fail", "", "no sign of life yet", NO_LOOPS)
    return _alive(Finding("loops", "ok", "", "they run"), "loops", silent)


def _alive(found: Finding, program: str, silent: float | None) -> Finding:
    """None: no such program ever gave a sign, which for what Temporal is asked by is no fault."""
    if found.state != "ok" or silent is None or silent <= SILENT:
        return found
    return replace(found, state="fail", text=f"no sign of life from {program} for {silent:.0f} s", fix=STUCK)


async def _kept(settings: Settings, program: str) -> tuple[float | None, Sequence[AccessTarget]]:
    """Seconds since a program's last sign of life, and the register's targets; neither where our store cannot be read: the part
    database says so."""
    if (await doctor.database(settings)).state != "ok":
        return None, ()
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    silent: float | None = None
    targets: Sequence[AccessTarget] = ()
    with suppress(FasciaError, SQLAlchemyError):
        from store.clinician_register import StoredClinicianRegister
        from store.marks import StoredMarks

        silent = await StoredMarks(engine).silent_for(program)
        targets = await StoredClinicianRegister(engine).access_targets(datetime.now(UTC).date())
    await engine.dispose()
    return silent, targets


PROGRAMS: Final[Mapping[str, doctor.Check]] = {"workers": workers, "revocations": revocations, "loops": loops}
