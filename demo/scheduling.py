"""The hospital's scheduling system: keeps who may be scheduled, one record for each person, and says what it has.

``python -m demo.scheduling serve --home HOME --port 22305`` serves it until it is told to stop. Its records stand in
``HOME/scheduling/eligibility.json``, on disk before it answers. While
``HOME/scheduling/trouble`` holds a line it behaves as that says:
``down`` (503), ``slow SECONDS`` (does it and answers late), ``busy SECONDS`` (429), ``lost`` (does it and hangs up).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

HOST = "127.0.0.1"
LARGEST = 256 * 1024


class Book:
    """Every record, by the person's key; on disk as it comes."""

    def __init__(self, home: Path) -> None:
        self._file = book_file(home)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self.records: dict[str, dict[str, Any]] = records(home)

    def put(self, person: str, record: dict[str, Any], matches: str, none_there: bool) -> tuple[int, str]:
        """Keep a record where its condition holds (RFC 9110 13.1): the status to answer, and the record's tag."""
        with self._lock:
            known = self.records.get(person)
            if (none_there and known is not None) or (matches and matches != (tag(known) if known else "")):
                return 412, ""
            self.records[person] = record
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(self.records, indent=1), encoding="utf-8")
            fresh.replace(self._file)
            return (200 if known else 201), tag(record)


def tag(record: dict[str, Any]) -> str:
    """The mark of a record's state."""
    return '"' + hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16] + '"'


def book_file(home: Path) -> Path:
    """Where the records stand."""
    return home / "scheduling" / "eligibility.json"


def records(home: Path) -> dict[str, dict[str, Any]]:
    """What it has; what a test or a story counts."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(book_file(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def trouble_file(home: Path) -> Path:
    """Where a test says how it is to behave."""
    return home / "scheduling" / "trouble"


def _handler(home: Path, book: Book, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self._in_trouble() or not self._known():
                return
            person = self._person()
            record = book.records.get(person)
            self._answer(404, {"error": "nobody"}) if record is None else self._answer(200, record, tag(record))

        def do_PUT(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            data = self.rfile.read(min(length, LARGEST))
            if self._in_trouble() or not self._known():
                return
            try:
                record = json.loads(data)
                fits = record["externalId"] == self._person() and isinstance(record["eligible"], bool)
            except (ValueError, KeyError, TypeError):
                fits = False
            if not fits:
                self._answer(422, {"error": "externalId and eligible are needed"})
                return
            none_there = self.headers.get("If-None-Match") == "*"
            status, mark = book.put(self._person(), record, self.headers.get("If-Match", ""), none_there)
            word, seconds = _trouble(home)
            if word == "lost":
                self.close_connection = True
                return
            if word == "slow":
                time.sleep(seconds)
            self._answer(status, {} if status == 412 else record, mark)

        def _person(self) -> str:
            return unquote(self.path.rpartition("/")[2])

        def _known(self) -> bool:
            if not self.path.startswith("/eligibility/"):
                self._answer(404, {"error": "no such place"})
                return False
            if token and self.headers.get("Authorization") != f"Bearer {token}":
                self._answer(401, {"error": "who are you?"})
                return False
            return True

        def _in_trouble(self) -> bool:
            word, seconds = _trouble(home)
            if word == "down":
                self._answer(503, {"error": "down"})
            elif word == "busy":
                self._answer(429, {"error": "busy"}, after=seconds)
            return word in ("down", "busy")

        def _answer(self, status: int, body: dict[str, Any], mark: str = "", after: float = 0) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if mark:
                self.send_header("ETag", mark)
            if after:
                self.send_header("Retry-After", str(int(after)))
            with contextlib.suppress(ConnectionError):  # whoever asked has hung up
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nothing: its lines would name people's keys."""

    return Handler


def _trouble(home: Path) -> tuple[str, float]:
    try:
        word, _, seconds = trouble_file(home).read_text(encoding="utf-8").strip().partition(" ")
    except FileNotFoundError:
        return "", 0.0
    return word, float(seconds or 0)


def server(home: Path, port: int, token: str = "") -> ThreadingHTTPServer:
    """The server, ready to serve; port 0 takes a free one."""
    found = ThreadingHTTPServer((HOST, port), _handler(home, Book(home), token))
    found.daemon_threads = True
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.scheduling", description=__doc__)
    parser.add_argument("what", choices=["serve"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token-file", type=Path)
    given = parser.parse_args(arguments)
    token = given.token_file.read_text(encoding="utf-8").strip() if given.token_file else ""
    server(given.home, given.port, token).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
