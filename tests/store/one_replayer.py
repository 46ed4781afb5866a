"""A worker that gets stuck in the middle of a job, to be killed there: ``python -m tests.store.one_replayer DATABASE FOLDER``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from store.database import open_engine
from tests.store.replay_house import ReplayHouse
from workers.loops.pace import turns


async def main(url: str, folder: str) -> None:
    engine = open_engine(url)
    house = ReplayHouse(engine, Path(folder), answers=110)
    await house.wiring.directory.refresh()
    turn = turns(engine)
    while True:
        async with turn("replay jobs") as mine:
            if mine:
                await house.work()
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
