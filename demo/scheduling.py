"""The hospital's scheduling system: keeps who may be scheduled, one record for each person, and says what it has.

``python -m demo.scheduling serve --home HOME --port 22305`` serves it until it is told to stop. Its records stand in
``HOME/scheduling/eligibility.json``, on disk before it answers. While ``HOME/scheduling/trouble`` holds a line it behaves as that
says (:mod:`demo.trouble`): ``down``, ``busy SECONDS``, ``slow SECONDS``, ``lost``, ``late SECONDS``, ``twice``.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from demo import trouble
from demo.http_peer import Answer, Asked, command_line, serving
from demo.trouble import Trouble

NAME = "scheduling"


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
    return home / NAME / "eligibility.json"


def records(home: Path) -> dict[str, dict[str, Any]]:
    """What it has; what a test or a story counts."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(book_file(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def trouble_file(home: Path) -> Path:
    """Where a test says how it is to behave."""
    return trouble.trouble_file(home, NAME)


class Scheduling:
    """The system: reads and writes of one record each."""

    name = NAME

    def __init__(self, home: Path, token: str = "") -> None:
        self.home, self._token, self._book = home, token, Book(home)

    def about(self, asked: Asked) -> str:
        return unquote(asked.target.rpartition("/")[2])

    def refused(self, asked: Asked, now: Trouble) -> Answer | None:
        return None

    def answer(self, asked: Asked) -> Answer:
        if not asked.target.startswith("/eligibility/") or asked.method not in ("GET", "PUT"):
            return self.failing(404, "no such place")
        if self._token and asked.headers.get("Authorization") != f"Bearer {self._token}":
            return self.failing(401, "who are you?")
        person = self.about(asked)
        if asked.method == "GET":
            record = self._book.records.get(person)
            return self.failing(404, "nobody") if record is None else _said(200, record, tag(record))
        return self._put(person, asked)

    def failing(self, status: int, why: str) -> Answer:
        return _said(status, {"error": why})

    def _put(self, person: str, asked: Asked) -> Answer:
        try:
            record = json.loads(asked.body)
            fits = record["externalId"] == person and isinstance(record["eligible"], bool)
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            return self.failing(422, "externalId and eligible are needed")
        none_there = asked.headers.get("If-None-Match") == "*"
        status, mark = self._book.put(person, record, asked.headers.get("If-Match") or "", none_there)
        return _said(status, {} if status == 412 else record, mark)


def _said(status: int, body: dict[str, Any], mark: str = "") -> Answer:
    headers = {"Content-Type": "application/json"} | ({"ETag": mark} if mark else {})
    return Answer(status, json.dumps(body).encode(), headers)


def server(home: Path, port: int, token: str = "") -> ThreadingHTTPServer:
    """The server, ready to serve; port 0 takes a free one."""
    return serving(Scheduling(home, token), port)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return command_line("demo.scheduling", __doc__, server, arguments)


if __name__ == "__main__":
    sys.exit(main())
