"""How much processor time each part of the platform has used, so that a figure can say where the work was done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping

import psutil  # type: ignore[import-untyped]

Used = Mapping[str, float]  # part to seconds of processor time, from any beginning
STORE, TEMPORALS_STORE, SHARED = "database: our store", "database: Temporal's store", "database: shared"


def of_process(pid: int) -> float:
    """Seconds of user and system time of one process."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def of_machine() -> float:
    """Seconds all processors were busy."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def of_postgres(postmaster: int, own: str, temporal: str) -> dict[str, float]:
    """The cluster's time by whom it worked for; what ended sessions used is known to their parent only, so it is shared."""
    parent = psutil.Process(postmaster)
    times = parent.cpu_times()
    used = {STORE: 0.0, TEMPORALS_STORE: 0.0, SHARED: times.user + times.system}
    used[SHARED] += times.children_user + times.children_system
    for child in parent.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            title, spent = " ".join(child.cmdline()).split(), child.cpu_times()
            database = title[2] if len(title) > 2 and title[0] == "postgres:" else ""
            part = {own: STORE, temporal: TEMPORALS_STORE}.get(database, SHARED)
            used[part] += spent.user + spent.system
    return used


class Meter:
    """Reads every part's time; ``parts`` gives each one's process now, since a part may have been started again."""

    def __init__(
        self, parts: Callable[[], Mapping[str, int]], postmaster: Callable[[], int], databases: tuple[str, str]
    ):
        self._parts, self._postmaster, self._databases = parts, postmaster, databases

    def read(self) -> dict[str, float]:
        used = {name: of_process(pid) for name, pid in self._parts().items()}
        return used | of_postgres(self._postmaster(), *self._databases)


def spent(before: Used, after: Used, count: int) -> dict[str, float]:
    """Milliseconds for each of ``count``, by part."""
    return {name: max(0.0, (after[name] - before.get(name, 0.0)) * 1000 / count) for name in after}


def together(by_part: Used, without: Iterable[str] = ()) -> float:
    """All parts' time, but for those that are not the platform's."""
    left_out = set(without)
    return sum(value for name, value in by_part.items() if name not in left_out)
