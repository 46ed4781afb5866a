"""The ``fascia`` command as a person at a terminal gives it: its words, its JSON, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx

from demo.stage import FACILITY
from tests.journeys.conftest import Hospital

NO_ROW = "has no row in the register"
_AT_ONCE = asyncio.Semaphore(2)
_ASKING = asyncio.Lock()


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def typed(hospital: Hospital, *arguments: str, key: str = "") -> Said:
    """Give a command on the machine of the stack, loaded anew; with ``key``, as the one whose key it is."""
    program = (sys.executable, "-c", "from cli.app import main; main()", *arguments)
    async with _AT_ONCE:
        process = await asyncio.create_subprocess_exec(
            *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=_environment(hospital, key)
        )
        out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


async def fascia(hospital: Hospital, *arguments: str, key: str = "") -> Said:
    """The same by a shell that has the command loaded already."""
    asked = {"arguments": arguments, "environment": _environment(hospital, key)}
    return await asyncio.shield(asyncio.create_task(_answered(hospital.shell, asked)))  # or the next hears this answer


async def _answered(shell: asyncio.subprocess.Process, asked: dict[str, Any]) -> Said:
    assert shell.stdin is not None and shell.stdout is not None
    async with _ASKING:
        shell.stdin.write(json.dumps(asked).encode() + b"\n")
        return Said(**json.loads(await shell.stdout.readline()))


def _environment(hospital: Hospital, key: str) -> dict[str, str]:
    """What one who gives a command has in the environment: of ours these names and no other."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FASCIA_", "TEMPORAL_"))}
    return env | {"FASCIA_HOME": str(hospital.stage.home)} | ({"FASCIA_API_KEY": key} if key else {})


async def new_key(hospital: Hospital, sender: str, *options: str, facility: str = FACILITY) -> str:
    """A key made for somebody; its secret."""
    made = await fascia(hospital, "key", "add", sender, "--facility", facility, *options, "--json")
    assert made.code == 0, made.out + made.err
    secret: str = made.json["secret"]
    return secret


async def heard(post: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """What a door answers once it knows its sender's row: of one just loaded it hears within seconds."""
    give_up = time.monotonic() + 60
    while True:
        answer = await post()
        if NO_ROW not in answer.text or time.monotonic() > give_up:
            return answer
        await asyncio.sleep(0.5)


async def with_key(hospital: Hospital, sender: str, *options: str) -> Hospital:
    """The same hospital, whose doors also know this sender."""
    doors = hospital.doors
    secret = await new_key(hospital, sender, *options)
    return replace(hospital, doors=replace(doors, keys={**doors.keys, sender: secret}))
