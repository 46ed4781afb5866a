"""What every part beside the stack is brought up with: the port it listens at, when it is there, and what it must forget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from demo.partner import HOST
from stack.supervisor import Stack


def listener(code: str) -> str:
    """The name of the port where a system listens by MLLP."""
    return f"replies_{code.lower()}"


def listener_port(stack: Stack, code: str) -> int:
    """The port the listener of a system was given at this start."""
    return given_port(stack, listener(code))


def given_port(stack: Stack, name: str) -> int:
    """The port of this name as it was given at this start."""
    return int(stack.home.read("ports.json")[name])


def all_listen(ports: Iterable[int]) -> Callable[[], Any]:
    """Whether somebody listens at each of them; asked until it is so."""

    async def ask() -> bool:
        try:
            for port in ports:
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                await writer.wait_closed()
        except OSError:
            return False
        return True

    return ask


def forget_another_hospital(stack: Stack, name: str = "partners", known: str = "suppliers") -> None:
    """Suppliers who remember a hospital that was set aside would take its orders for repeats: their books (``name``) go aside too."""
    mark = stack.home.folder("temporal") / known  # goes aside with the stack's own data
    books = stack.home.path / name
    if books.exists() and not mark.exists():
        books.rename(stack.home.folder("old") / f"{name}-{time.time_ns()}")
    mark.touch()
