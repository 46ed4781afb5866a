"""A shell that has the ``fascia`` command loaded: each command is a process of its own, with its environment, output and exit code.

``python -m tests.journeys.shell`` reads commands as lines of JSON and answers each by one. To load the command anew takes
seconds of a processor, each time it is asked.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback

import cli.ours  # noqa: F401 what a command on our own store loads
from cli.app import commands, main


def give(arguments: list[str], environment: dict[str, str]) -> dict[str, object]:
    """Run one command to its end. Nothing runs in this process but this, so it may be forked."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.environ.clear()
            os.environ.update(environment)
            os._exit(_ended(arguments))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return {"code": code, "out": out.read().decode(), "err": err.read().decode()}


def _ended(arguments: list[str]) -> int:
    """The exit code with which the program ends, all it said being written."""
    sys.argv = ["fascia", *arguments]
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    commands()  # put together here, each child finds them
    for line in sys.stdin:
        sys.stdout.write(json.dumps(give(**json.loads(line))) + "\n")
        sys.stdout.flush()
