"""How another program speaks to a running supervisor: one line of JSON each way over a socket in the state folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import asdict
from typing import Any

from stack.held import News
from stack.home import Home, StackError

Answer = Callable[[str, str], Awaitable[dict[str, Any]]]
Follow = Callable[[], AsyncIterator[News]]
FOLLOW = "follow"


class ControlSocket:
    """The supervisor's end. Only the owner of the state folder may connect: the socket carries mode 0600."""

    def __init__(self, home: Home, answer: Answer, follow: Follow) -> None:
        self.path = home.control_socket
        self._answer = answer
        self._follow = follow
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._talk, path=str(self.path))
        self.path.chmod(0o600)

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            asked = json.loads(await reader.readline() or b"{}")
            if asked.get("do") == FOLLOW:
                async for news in self._follow():
                    await _send(writer, asdict(news))
            else:
                await _send(writer, await self._reply(asked.get("do", ""), asked.get("part", "")))
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass  # the other side went away or spoke something else, or we are stopping: nothing to answer
        finally:
            self._talks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _reply(self, do: str, part: str) -> dict[str, Any]:
        try:
            return {"ok": True} | await self._answer(do, part)
        except (StackError, TimeoutError) as error:
            return {"ok": False, "error": str(error) or "it took too long"}


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()


def ask(home: Home, do: str, part: str = "", *, patience: float = 60.0) -> dict[str, Any]:
    """Ask the supervisor of ``home`` and return its answer; StackError when none runs or it refuses."""
    lines = _lines(home, do, part, patience)
    try:
        answer: dict[str, Any] = next(lines)
    except StopIteration:
        raise StackError("the supervisor ended without an answer") from None
    finally:
        lines.close()
    if not answer.get("ok"):
        raise StackError(str(answer.get("error", "the supervisor refused")))
    return answer


def follow(home: Home) -> Iterator[News]:
    """Everything the supervisor of ``home`` has said since it began, and then what it says, until it ends."""
    for line in _lines(home, FOLLOW, "", None):
        yield News(**line)


def is_answering(home: Home) -> bool:
    try:
        ask(home, "ping", patience=5.0)
    except StackError:
        return False
    return True


def _lines(home: Home, do: str, part: str, patience: float | None) -> Generator[dict[str, Any], None, None]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        try:
            connection.connect(str(home.control_socket))
            connection.sendall(json.dumps({"do": do, "part": part}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                for line in answers:
                    yield json.loads(line)
        except (FileNotFoundError, ConnectionError):
            raise StackError(f"no stack runs in {home.path}: start it with `fascia up`") from None
        except TimeoutError:
            raise StackError("the supervisor does not answer") from None
