"""The ``fascia`` command as a person at a terminal gives it: its words, its JSON, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, replace
from typing import Any

from demo.stage import FACILITY
from tests.journeys.conftest import Hospital

_AT_ONCE = asyncio.Semaphore(2)


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def fascia(hospital: Hospital, *arguments: str, key: str = "") -> Said:
    """Give a command on the machine of the stack; with ``key``, as the one whose key it is."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FASCIA_", "TEMPORAL_"))}
    env |= {"FASCIA_HOME": str(hospital.stage.home)} | ({"FASCIA_API_KEY": key} if key else {})
    program = (sys.executable, "-c", "from cli.app import main; main()", *arguments)
    async with _AT_ONCE:
        process = await asyncio.create_subprocess_exec(
            *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env
        )
        out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


async def new_key(hospital: Hospital, sender: str, *options: str, facility: str = FACILITY) -> str:
    """A key made for somebody; its secret."""
    made = await fascia(hospital, "key", "add", sender, "--facility", facility, *options, "--json")
    assert made.code == 0, made.out + made.err
    secret: str = made.json["secret"]
    return secret


async def with_key(hospital: Hospital, sender: str, *options: str) -> Hospital:
    """The same hospital, whose doors also know this sender."""
    doors = hospital.doors
    secret = await new_key(hospital, sender, *options)
    return replace(hospital, doors=replace(doors, keys={**doors.keys, sender: secret}))
