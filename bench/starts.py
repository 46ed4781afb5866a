"""How long a newcomer waits: from the command to a platform that answers, for the first time and afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import Start
from bench.stand import time_now
from stack.supervisor import running


async def measure(folder: Path, *, rounds: int, say: Callable[[str], None]) -> list[Start]:
    """All parts of `fascia up`, in an empty state folder and then in the one that is there."""
    first: list[float] = []
    again: list[float] = []
    store = ""
    for number in range(rounds):
        home = folder / str(number)
        for took in (first, again):
            began = time.perf_counter()
            async with running(home) as stack:
                took.append(time.perf_counter() - began)
                store = str(stack.home.read("temporal-store.json")["store"])
        say(f"start {number + 1}: first {first[-1]:.1f} s, again {again[-1]:.1f} s")
    at = time_now()
    return [
        Start(at=at, temporals_store=store, what="`fascia up`, empty state folder, programs cached", seconds=first),
        Start(at=at, temporals_store=store, what="`fascia up`, again", seconds=again),
    ]
