"""The ``fascia`` command as a person at a terminal gives it: its words, its JSON, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cli.app import run
from demo.stage import FACILITY
from tests.journeys.conftest import Hospital

_AT_ONCE = asyncio.Semaphore(2)
_HERE = asyncio.Lock()  # a process has one environment and one output
_OURS = ("FASCIA_", "TEMPORAL_")


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
    """Give a command on the machine of the stack, as a program of its own; with ``key``, as the one whose key it is."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    program = (sys.executable, "-c", "from cli.app import main; main()", *arguments)
    async with _AT_ONCE:
        process = await asyncio.create_subprocess_exec(
            *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env | _named(hospital, key)
        )
        out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


async def fascia(hospital: Hospital, *arguments: str, key: str = "") -> Said:
    """The same command in this process: a program of its own takes two seconds of a processor to begin, each time it is asked."""

    def give() -> Said:
        out, err = io.StringIO(), io.StringIO()
        with _environment(_named(hospital, key)), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
        return Said(code, out.getvalue(), err.getvalue())

    async with _HERE:
        return await asyncio.to_thread(give)


def _named(hospital: Hospital, key: str) -> dict[str, str]:
    """What one who gives a command has in the environment."""
    return {"FASCIA_HOME": str(hospital.stage.home)} | ({"FASCIA_API_KEY": key} if key else {})


@contextlib.contextmanager
def _environment(named: Mapping[str, str]) -> Iterator[None]:
    """These names of ours and no other, for as long as a command runs."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(_OURS):
            del os.environ[name]
    os.environ.update(named)
    try:
        yield
    finally:
        for name in named:
            del os.environ[name]
        os.environ.update(before)


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
