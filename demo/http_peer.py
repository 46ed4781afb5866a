"""A peer of the hospital that is spoken to over HTTP, and misbehaves as it is told (:mod:`demo.trouble`)."""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from demo.trouble import COUNTED, Trouble, Unruly, note

HOST = "127.0.0.1"
LARGEST = 256 * 1024
ALSO_READS: Final = frozenset({"down", "busy", "twice"})


@dataclass(frozen=True)
class Asked:
    """One call."""

    method: str
    target: str
    headers: Mapping[str, str] | Message  # names of any case, as they came
    body: bytes

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")


@dataclass(frozen=True)
class Answer:
    """What is said to it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        """As it goes over the wire."""
        head = {"Content-Length": str(len(self.body)), **self.headers}
        phrase = HTTPStatus(self.status).phrase
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        return "\r\n".join(lines).encode() + self.body


class HttpPeer(Protocol):
    """One such system. ``name``: its folder under the home."""

    name: str
    home: Path

    def about(self, asked: Asked) -> str:
        """Which person a call is about, by key; empty: nobody in particular."""
        ...

    def refused(self, asked: Asked, now: Trouble) -> Answer | None:
        """What is said instead by a word that is this system's own; None: such a call does not meet it."""
        ...

    def answer(self, asked: Asked) -> Answer:
        """Do what is asked."""
        ...

    def failing(self, status: int, why: str) -> Answer:
        """How it says that it cannot."""
        ...


_NOTING = threading.Lock()


def serving(peer: HttpPeer, port: int) -> ThreadingHTTPServer:
    """The server, ready to serve; port 0 takes a free one."""
    return _Server((HOST, port), _handler(peer))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _handler(peer: HttpPeer) -> type[BaseHTTPRequestHandler]:
    unruly = Unruly(peer.home, peer.name)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            if length > LARGEST:
                self.close_connection = True
                self.wfile.write(peer.failing(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large").raw())
                return
            asked = Asked(self.command, self.path, self.headers, self.rfile.read(length))
            said = _said(peer, unruly, asked)
            self.close_connection |= not said
            with contextlib.suppress(ConnectionError):  # whoever asked has hung up
                self.wfile.write(said)

        do_PUT = do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: Any) -> None:
            """Nothing: its lines would name people's keys."""

    return Handler


def _what(target: str) -> str:
    """The kind of thing a path is about: its first word that is no version, without ids."""
    return next((part for part in urlsplit(target).path.split("/") if part not in ("", "v2")), "")


def _said(peer: HttpPeer, unruly: Unruly, asked: Asked) -> bytes:
    """The bytes that answer a call; none where it is hung up."""
    now = unruly.at(person := peer.about(asked))
    own = peer.refused(asked, now) if now.word in COUNTED else None
    if (now.word in COUNTED and own is None) or not (asked.writes or now.word in ALSO_READS):
        now = Trouble()
    unruly.meet(now)
    with _NOTING:
        note(peer.home, peer.name, person, now, method=asked.method, what=_what(asked.target))
    if now.word == "down":
        return peer.failing(HTTPStatus.SERVICE_UNAVAILABLE, "down").raw()
    if now.word == "busy":
        busy = peer.failing(HTTPStatus.TOO_MANY_REQUESTS, "busy")
        return Answer(busy.status, busy.body, {**busy.headers, "Retry-After": str(int(now.number))}).raw()
    if now.word == "late":
        time.sleep(now.number)
    answer = (own or peer.answer(asked)).raw()
    if now.word in ("late", "lost"):
        return b""
    if now.word == "slow":
        time.sleep(now.number)
    return answer * 2 if now.word == "twice" else answer


def command_line(
    program: str, about: str | None, made: Callable[[Path, int, str], ThreadingHTTPServer], arguments: list[str] | None
) -> int:
    """``python -m PROGRAM serve --home HOME --port PORT [--token-file FILE]``; ``made``: a server of a home, port and token."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("what", choices=["serve"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token-file", type=Path)
    given = parser.parse_args(arguments)
    token = given.token_file.read_text(encoding="utf-8").strip() if given.token_file else ""
    made(given.home, given.port, token).serve_forever()
    return 0
