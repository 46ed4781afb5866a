"""How much processor time each part of the platform has used, so that a figure can say where the work was done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping

import psutil  # type: ignore[import-untyped]

Used = Mapping[str, float]  # part to seconds of processor time, from any beginning
STORE, TEMPORALS_STORE, SHARED = "database: our store", "database: Temporal's store", "database: shared"
ERPS_STORE = "database: ERP"


def of_process(pid: int, *, alone: bool = True) -> float:
    """Seconds of user and system time of one process, or of it and all it has started."""
    process = psutil.Process(pid)
    used = 0.0
    for one in [process] if alone else [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            used += times.user + times.system
    return used


def of_machine() -> float:
    """Seconds all processors were busy."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def of_postgres(postmaster: int, databases: Mapping[str, str]) -> dict[str, float]:
    """The cluster's time by whom it worked for; what ended sessions used is known to their parent only, so it is shared."""
    parent = psutil.Process(postmaster)
    times = parent.cpu_times()
    used = dict.fromkeys(databases.values(), 0.0) | {SHARED: times.user + times.system}
    used[SHARED] += times.children_user + times.children_system
    for child in parent.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            title, spent = " ".join(child.cmdline()).split(), child.cpu_times()
            database = title[2] if len(title) > 2 and title[0] == "postgres:" else ""
            used[databases.get(database, SHARED)] += spent.user + spent.system
    return used


class Meter:
    """Reads every part's time; ``parts`` gives each one's process now, since a part may have been started again."""

    def __init__(
        self, parts: Callable[[], Mapping[str, int]], postmaster: Callable[[], int], databases: Mapping[str, str]
    ) -> None:
        self._parts, self._postmaster, self._databases = parts, postmaster, databases

    def read(self) -> dict[str, float]:
        used = {name: of_process(pid, alone=name == "driver") for name, pid in self._parts().items()}
        return used | of_postgres(self._postmaster(), self._databases)


def spent(before: Used, after: Used, count: int) -> dict[str, float]:
    """Milliseconds for each of ``count``, by part."""
    return {name: max(0.0, (after[name] - before.get(name, 0.0)) * 1000 / count) for name in after}


def together(by_part: Used, without: Iterable[str] = ()) -> float:
    """All parts' time, but for those that are not the platform's."""
    left_out = set(without)
    return sum(value for name, value in by_part.items() if name not in left_out)
