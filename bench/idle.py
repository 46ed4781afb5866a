"""What our own processes cost while nothing comes: no Temporal server, no database, no peers counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bench.cpu import of_process
from bench.figures import Idle
from bench.stand import Stand, time_now
from stack.order import program_of


async def measure(stand: Stand, *, seconds: float, say: Callable[[str], None]) -> Idle:
    """Processor time of each over so many seconds."""

    def read() -> dict[str, float]:
        pids = {name: stand.stack.pid(name) for name in stand.stack.parts if program_of(name)}
        return {name: of_process(pid, alone=False) for name, pid in pids.items() if pid is not None}

    before = read()
    await asyncio.sleep(seconds)
    after = read()
    by_part = {name: (after[name] - used) / seconds for name, used in before.items()}
    say(f"idle: {sum(by_part.values()):.3f} of a core ({by_part})")
    return Idle(at=time_now(), temporals_store=stand.temporals_store, seconds=seconds, by_part=by_part)
