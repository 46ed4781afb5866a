"""The sources that verify clinicians, as servers of ours: NPPES, licence boards, the DEA's registrants, OIG's exclusion list.

``python -m demo.registries serve --home HOME --port 22330`` serves them until it is told to stop. What they know stands in
``HOME/registries/{providers,licences,registrants}.json`` and ``HOME/registries/leie.csv``, read anew when a file changes. They answer
in the published formats and keep the published limits: NPPES gives 200 results a page and none past the 1,200th. While
``HOME/registries/trouble`` holds a line they behave as that says (:mod:`demo.trouble`): ``down``, ``busy SECONDS``, ``slow SECONDS``,
``lost``, ``late SECONDS`` (answers nothing), ``twice``; of one person: named by the number that is asked for (NPI, licence, DEA).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from demo.trouble import Trouble, Unruly

NAME = "registries"
HOST = "127.0.0.1"
PAGE, FURTHEST = 200, 1000
CRITERIA = ("number", "first_name", "last_name", "organization_name", "taxonomy_description", "city", "postal_code")
FILES = ("providers", "licences", "registrants")
LEIE = "leie.csv"

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Sources:
    """What the sources know; ``asked`` counts the questions of each, ``faults`` answers instead of them (by source)."""

    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    licences: dict[str, dict[str, Any]] = field(default_factory=dict)
    registrants: dict[str, dict[str, Any]] = field(default_factory=dict)
    leie: bytes = b""
    asked: Counter[str] = field(default_factory=Counter)
    token: str = ""
    faults: dict[str, Callable[[], Answer | None]] = field(default_factory=dict)
    slow: float = 0.0
    twice: bool = False
    unruly: Unruly | None = None  # where lines of trouble are read

    def read(self, home: Path) -> None:
        """Take up what the files of a home say; one that is not there says nothing."""
        folder = home / NAME
        for name in FILES:
            with contextlib.suppress(FileNotFoundError):
                setattr(self, name, json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
        with contextlib.suppress(FileNotFoundError):
            self.leie = (folder / LEIE).read_bytes()

    def trouble(self, target: str) -> Trouble:
        """How a question is to go."""
        if self.unruly is None:
            return Trouble()
        now = self.unruly.at(unquote(target))
        self.unruly.meet(now)
        return now

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer:
        """What the source at a path says."""
        parts = urlsplit(target)
        source, *rest = [unquote(part) for part in parts.path.strip("/").split("/")]
        self.asked[source] += 1
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return _json(401, {"error": "who are you?"})
        if (fault := self.faults.get(source)) and (said := fault()) is not None:
            return said
        if source == "nppes":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            return _json(200, nppes(list(self.providers.values()), asked))
        if source == "leie":
            return 200, {"Content-Type": "text/csv"}, self.leie
        books = {"licences": self.licences, "dea": self.registrants}.get(source, {})
        found = books.get("/".join(rest))
        return _json(200, found) if found is not None else _json(404, {"error": "not found"})


def provider(npi: str, family: str, given: str, **more: Any) -> dict[str, Any]:
    """A provider as the API of NPPES answers it (v2.1)."""
    taxonomy = more.pop("taxonomy", "207R00000X")
    state, licence = more.pop("state", "IL"), more.pop("licence", "")
    basic = {"first_name": given.upper(), "last_name": family.upper(), "status": "A", "last_updated": "2026-05-11"}
    basic |= {"sole_proprietor": "NO", "enumeration_date": "2006-05-23"} | more.pop("basic", {})
    held = {"code": taxonomy, "desc": "", "license": licence, "state": state, "primary": True, "taxonomy_group": ""}
    place = {"address_purpose": "LOCATION", "city": "SPRINGFIELD", "state": state, "country_code": "US"}
    return {
        "number": npi,
        "enumeration_type": "NPI-1",
        "basic": basic,
        "taxonomies": [held],
        "addresses": [place],
        "practiceLocations": [],
        "identifiers": [],
        "endpoints": [],
        "other_names": [],
        "created_epoch": "1148342400000",
        "last_updated_epoch": "1778457600000",
    } | more


def licence(state: str, number: str, family: str, given: str, **more: Any) -> dict[str, Any]:
    """A licence as a board answers it."""
    held = {"state": state, "number": number, "status": "Active", "profession": "Physician and Surgeon"}
    return held | {"name": {"family": family, "given": given}, "expires": "2028-07-31", "discipline": []} | more


def registrant(number: str, name: str, **more: Any) -> dict[str, Any]:
    """A registration as the DEA's look-up answers it."""
    held = {"dea_number": number, "business_activity_code": "C", "drug_schedules": "22N33N4 5", "name": name}
    return held | {"expiration_date": "20280131", "state": "IL", "status": "ACTIVE"} | more


def nppes(providers: Sequence[Mapping[str, Any]], asked: Mapping[str, str]) -> dict[str, Any]:
    """An answer of the API: errors come with HTTP 200, as NPPES sends them."""
    if asked.get("version") != "2.1":
        return _error("04", "version", "Unsupported Version")
    limit, skip = asked.get("limit", "10"), asked.get("skip", "0")
    if not limit.isdecimal() or not 1 <= int(limit) <= PAGE:
        return _error("17", "limit", f"Value must be between 1 and {PAGE}")
    if not skip.isdecimal() or int(skip) > FURTHEST:
        return _error("17", "skip", f"Value must be between 0 and {FURTHEST}")
    if not any(asked.get(name) for name in CRITERIA):
        return _error("13", "", "At least one search criteria is required; state and enumeration type do not count")
    found = [one for one in providers if _fits(one, asked)]
    page = found[int(skip) : int(skip) + int(limit)]
    return {"result_count": len(page), "results": page}


def _fits(one: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    basic = one["basic"]
    said = {
        "number": one["number"],
        "enumeration_type": one["enumeration_type"],
        "first_name": basic.get("first_name", ""),
        "last_name": basic.get("last_name", ""),
        "state": one["addresses"][0]["state"],
    }
    return all(said[name].casefold() == asked[name].casefold() for name in said if asked.get(name))


def _error(number: str, name: str, description: str) -> dict[str, Any]:
    return {"Errors": [{"description": description, "field": name, "number": number}]}


def _json(status: int, content: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _troubled(now: Trouble) -> Answer | None:
    if now.word == "down":
        return _json(503, {"error": "down"})
    if now.word == "busy":
        return 429, {"Retry-After": str(int(now.number))}, b""
    return None


async def _serve(sources: Sources, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept open between questions as the real ones keep theirs."""
    with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            _, target, _ = head[0].split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            if sources.slow:
                await asyncio.sleep(sources.slow)
            now = sources.trouble(target)
            status, more, body = _troubled(now) or sources.answer(target, headers)
            if now.word in ("slow", "late"):
                await asyncio.sleep(now.number)
            if status == 0 or now.word in ("lost", "late"):  # hung up without an answer
                break
            length = more.pop("Content-Length", str(len(body)))
            lines = [f"HTTP/1.1 {status} -", f"Content-Length: {length}", *(f"{key}: {more[key]}" for key in more)]
            answer = "\r\n".join([*lines, "", ""]).encode() + body
            writer.write(answer * (2 if sources.twice or now.word == "twice" else 1))
            await writer.drain()
            if int(length) != len(body):  # it said more than it sends
                break


@contextlib.asynccontextmanager
async def served(sources: Sources, port: int = 0) -> AsyncIterator[str]:
    """Serve them until the block ends; gives the address they are at."""
    open_ones: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve(sources, reader, writer))
        open_ones.add(task)
        task.add_done_callback(open_ones.discard)

    server = await asyncio.start_server(take, HOST, port)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)


async def serve(home: Path, port: int) -> None:
    """The program: serves what the files of its home say, until it is told to stop."""
    sources, stop = Sources(unruly=Unruly(home, NAME)), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with served(sources, port):
        seen: dict[Path, int] = {}
        while not stop.is_set():
            paths = [home / NAME / name for name in (*(f"{file}.json" for file in FILES), LEIE)]
            there = {path: path.stat().st_mtime_ns for path in paths if path.exists()}
            if there != seen:
                with contextlib.suppress(ValueError):  # it is being written: the next look has it whole
                    sources.read(home)
                    seen = there
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.registries", description=__doc__)
    parser.add_argument("verb", choices=("serve",))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args(arguments)
    asyncio.run(serve(given.home, given.port))


if __name__ == "__main__":
    main()
