"""How much memory routing a catalogue of so many rows takes: ``python -m tests.gateway.csv_memory ROWS`` prints the most, in bytes."""

from __future__ import annotations

import asyncio
import resource
import sys

from canonical.catalogue import MasterFile
from tests.gateway.csv_house import CATALOGUE, House, Report

ROW = b"ITM-%06d,ALP-%06d,Glove of latex,BX,100,18.75,2026-12-01\n"


async def main(rows: int) -> None:
    house, taken = House(), 0

    async def compare(file: MasterFile, *_: object) -> Report:
        nonlocal taken
        taken += len(file.entries)
        return Report(len(file.entries))

    house.drifts.compare = compare  # type: ignore[method-assign,assignment]
    data = CATALOGUE.splitlines()[0] + b"\n" + b"".join(ROW % (number, number) for number in range(rows))
    message = await house.taken(data)
    assert (taken, message.state) == (rows, "routed")
    print(f"\n{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}")  # noqa: T201 the answer, below the log


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
