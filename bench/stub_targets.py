"""Systems that are told of people and answer at once, in a process of their own: two identity providers and a schedule.

``/idp/...`` and ``/pacs/...`` speak SCIM 2.0 (RFC 7644) as far as our adapter asks: users by ``externalId``, groups with all of their
members, PATCH. ``/plan/eligibility/<person>`` is a schedule. ``/off`` tells when each was switched off last, by this process's own
clock. What it holds stands in a file while it is stopped.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUPS = ("staff", "lead", "clinical")
TENANTS = ("idp", "pacs")
_FILTER = re.compile(r'^([\w.]+) eq "(.*)"$')
_MEMBER = re.compile(r'^members\[value eq "(.*)"\]$')
Answer = tuple[int, Any, str]  # status, body, ETag


@dataclass
class Provider:
    """One identity provider's accounts and groups."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    members: dict[str, dict[str, None]] = field(default_factory=lambda: {name: {} for name in GROUPS})
    off: dict[str, float] = field(default_factory=dict)

    def answer(self, method: str, path: list[str], asked: dict[str, list[str]], body: Any) -> Answer:
        what, one = path[0], path[1] if len(path) > 1 else ""
        if what == "Users" and not one:
            return self._make(body) if method == "POST" else self._list(self._users(asked["filter"][0]))
        if what == "Users" and one in self.users:
            if method == "PATCH":
                self._patch(one, body)
            return 200, self.users[one], self.users[one]["meta"]["version"]
        if what == "Groups" and not one:
            return self._list(self._groups(asked["filter"][0]))
        if what == "Groups" and one in self.members and method == "PATCH":
            self._change(self.members[one], body)
            return 204, None, ""
        return 404, {"detail": "not found"}, ""

    def _make(self, body: dict[str, Any]) -> Answer:
        if body["userName"] in self.names:
            return 409, {"scimType": "uniqueness"}, ""
        made = f"u{len(self.users) + 1}"
        self.users[made] = body | {"id": made, "meta": {"version": 'W/"1"'}}
        self.by_key[body["externalId"]] = made
        self.names.add(body["userName"])
        return 201, self.users[made], 'W/"1"'

    def _users(self, which: str) -> list[dict[str, Any]]:
        _, key = _asked(which)
        return [self.users[self.by_key[key]]] if key in self.by_key else []

    def _groups(self, which: str) -> list[dict[str, Any]]:
        attribute, value = _asked(which)
        wanted = [
            name for name in GROUPS if (value == name if attribute == "displayName" else value in self.members[name])
        ]
        return [
            {"id": name, "displayName": name, "members": [{"value": one} for one in self.members[name]]}
            for name in wanted
        ]

    def _list(self, found: list[dict[str, Any]]) -> Answer:
        return 200, {"totalResults": len(found), "startIndex": 1, "Resources": found}, ""

    def _patch(self, one: str, body: dict[str, Any]) -> None:
        user = self.users[one]
        for operation in body["Operations"]:
            path, value = operation["path"], operation.get("value")  # removed is null (RFC 7643 2.5)
            if path == "active":
                if user.get("active") and not value:
                    self.off[user["externalId"]] = time.time()
                user["active"] = value
                continue
            inside = path.startswith(f"{ENTERPRISE}:")
            outer, inner = (ENTERPRISE, path.removeprefix(f"{ENTERPRISE}:")) if inside else path.partition(".")[::2]
            if inner:
                user.setdefault(outer, {})[inner] = value
            else:
                user[outer] = value
        version = int(user["meta"]["version"].strip('W/"')) + 1
        user["meta"] = {"version": f'W/"{version}"'}

    def _change(self, members: dict[str, None], body: dict[str, Any]) -> None:
        for operation in body["Operations"]:
            if operation["op"] == "add":
                members.update({one["value"]: None for one in operation["value"]})
            elif found := _MEMBER.match(operation["path"]):
                members.pop(found.group(1), None)


@dataclass
class Plan:
    """A schedule's records."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    off: dict[str, float] = field(default_factory=dict)
    version: itertools.count[int] = field(default_factory=lambda: itertools.count(time.time_ns()))

    def answer(self, method: str, path: list[str], body: Any) -> Answer:
        person = path[1]
        if method == "PUT":
            if self.records.get(person, {}).get("eligible") and not body["eligible"]:
                self.off[person] = time.time()
            self.records[person] = body | {"version": f'"{next(self.version)}"'}
        held = self.records.get(person)
        return (200, held, held["version"]) if held is not None else (404, {"detail": "not found"}, "")


class Targets:
    """All of them; ``file`` keeps what they hold while nobody serves them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self.providers = {name: Provider(**_provider(held.get(name, {}))) for name in TENANTS}
        self.plan = Plan(**held.get("plan", {}))

    def keep(self) -> None:
        """Write down what they hold."""
        held: dict[str, Any] = {
            name: {
                "users": one.users, "by_key": one.by_key, "names": sorted(one.names), "off": one.off,
                "members": {group: list(members) for group, members in one.members.items()},
            }
            for name, one in self.providers.items()
        }  # fmt: skip
        held["plan"] = {"records": self.plan.records, "off": self.plan.off}
        self.file.write_text(json.dumps(held), encoding="utf-8")

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        first, *rest = [unquote(part) for part in parts.path.strip("/").split("/")]
        told = json.loads(body) if body else None
        if first == "off":
            return 200, {name: one.off for name, one in self.providers.items()} | {"plan": self.plan.off}, ""
        if first == "plan":
            return self.plan.answer(method, rest, told)
        return self.providers[first].answer(method, rest, parse_qs(parts.query), told)


def _provider(held: dict[str, Any]) -> dict[str, Any]:
    """As it is held here: what is looked up often is a set."""
    if not held:
        return {}
    members = {group: dict.fromkeys(ones) for group, ones in held["members"].items()}
    return held | {"names": set(held["names"]), "members": members}


def _asked(which: str) -> tuple[str, str]:
    found = _FILTER.match(which)
    if found is None:
        raise ValueError(f"no filter of ours: {which}")
    return found.group(1), found.group(2)


async def serve(targets: Targets, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept open."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            sizes = (row.split(":", 1)[1] for row in head if row.lower().startswith("content-length:"))
            body = await reader.readexactly(int(next(sizes, "0")))
            status, said, tag = targets.answer(method, target, body)
            answer = json.dumps(said).encode() if said is not None else b""
            etag = f"ETag: {tag}\r\n" if tag else ""
            writer.write(f"HTTP/1.1 {status} -\r\n{etag}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the caller has gone
    finally:
        writer.close()


async def main(port: int, file: Path) -> None:
    """Answer until stopped, then keep what is held."""
    targets, stop = Targets(file), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(lambda reader, writer: serve(targets, reader, writer), "127.0.0.1", port)
    await stop.wait()
    server.close()
    targets.keep()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
