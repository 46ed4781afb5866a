"""A department's own system on plain sockets: it sends by MLLP, waits for the answer, and has a listener that hears replies."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.stage import FACILITY
from demo.story_scene import Department
from tests.journeys.conftest import Hospital
from tests.journeys.line import free_port
from tests.journeys.terminal import fascia

HOST = "127.0.0.1"
VT, FS, CR = b"\x0b", b"\x1c", b"\r"
WITHIN = 120.0
_numbers = itertools.count(1)

Fields = dict[str, list[str]]


def framed(text: str) -> bytes:
    return VT + text.encode() + FS + CR


async def frame(reader: asyncio.StreamReader) -> str:
    """What stands in the next frame."""
    data = await reader.readuntil(FS + CR)
    assert data.startswith(VT), data[:40]
    return data[1:-2].decode()


def segments(text: str, name: str) -> list[list[str]]:
    """Segments of a name, cut at the bar; number N of the standard is at N (of MSH: at N-1)."""
    return [row.split("|") for row in text.split("\r") if row.startswith(f"{name}|")]


def at(segment: list[str], number: int) -> str:
    """A field, empty where the segment ends before it."""
    return segment[number] if number < len(segment) else ""


@dataclass
class System:
    """One department's system. ``heard`` has every message its listener took, in order."""

    code: str
    who: Department
    address: tuple[str, int]
    port: int
    heard: list[str] = field(default_factory=list)

    def order(self, number: str, *lines: tuple[str, int, str], control: str = "", rest: str = "") -> str:
        """OMS^O05: a stock order in the department's own codes; each line an order of its own in one placer group."""
        control = control or f"{self.code}{next(_numbers):05d}"
        rows = [f"MSH|^~\\&|{self.code}|NGH|FASCIA|NGH|20261102081500||OMS^O05^OMS_O05|{control}|P|2.5.1{rest}"]
        for line, (item, quantity, unit) in enumerate(lines, start=1):
            rows.append(f"ORC|NW|{number}^{self.code}||||||||{self.who.requester}")
            cost = f"{self.who.cost_centre}||{self.who.place}"
            rows.append(f"RQD|{line}|{item}^as the ward says it^{self.code}|||{quantity}|{unit}|{cost}")
        return "".join(f"{row}\r" for row in rows)

    async def send(self, text: str, answers: int = 1) -> list[str]:
        """Send one message on a connection of its own; what was answered, byte for byte."""
        async with asyncio.timeout(WITHIN):
            reader, writer = await asyncio.open_connection(*self.address)
            try:
                writer.write(framed(text))
                return [await frame(reader) for _ in range(answers)]
            finally:
                writer.close()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Our own listener: keeps what comes, then says AA under the message's own number."""
        try:
            while True:
                text = await frame(reader)
                self.heard.append(text)
                (head,) = segments(text, "MSH")
                said = f"MSH|^~\\&|{self.code}|NGH|FASCIA|NGH|20261102081501||ACK|A{at(head, 9)}|P|2.5.1\r"
                writer.write(framed(f"{said}MSA|AA|{at(head, 9)}\r"))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def replies(self, control: str) -> list[str]:
        """What was replied to one message of ours, oldest first."""
        return [text for text in self.heard if segments(text, "MSA")[0][2] == control]

    async def hears(self, control: str, fits: Callable[[str], bool], within: float = 240) -> str:
        """Wait until a reply to our message fits."""
        async with asyncio.timeout(within):
            while True:
                for text in self.replies(control):
                    if fits(text):
                        return text
                await asyncio.sleep(0.2)


@asynccontextmanager
async def a_system(hospital: Hospital, who: Department, items: dict[str, str], **terms: Any) -> AsyncIterator[System]:
    """A system the hospital knows: its row, its channel and its codes are loaded by command; its listener listens."""
    code = f"SYS{next(_numbers):03d}"
    system = System(code, who, (HOST, int(hospital.stage.stack.addresses["FASCIA_MLLP_PORT"])), free_port())
    folder = hospital.stage.home / "systems" / code
    folder.mkdir(parents=True)
    sender = {
        "code": code,
        "facility": FACILITY,
        "applications": [code],
        "addresses": ["127.0.0.1/32"],
        "kinds": ["OMS^O05", "ADT^*"],
        "source": f"{code.lower()}-desk",
        "department": who.code,
        "owner": "ward integration",
        "reply_channel": f"{code}-IN",
    } | terms
    channel = {"code": f"{code}-IN", "facility": FACILITY, "host": HOST, "port": system.port, "pause_first": 0.2}
    _write(folder / "senders.json", [sender])
    _write(folder / "channels.json", [channel])
    speak(folder, code, items)
    loaded = await fascia(hospital, "register", "load", str(folder), "--json")
    assert loaded.code == 0, loaded.out + loaded.err
    async with await asyncio.start_server(system.take, HOST, system.port):
        await _known(system)
        yield system


async def _known(system: System) -> None:
    """Wait until the door knows the system: a row just loaded counts within seconds. What it knocks with is read by nobody."""
    async with asyncio.timeout(WITHIN):
        while True:
            number = f"{system.code}K{next(_numbers):05d}"
            head = f"MSH|^~\\&|{system.code}|NGH|FASCIA|NGH|20261102081500||ADT^A08^ADT_A01|{number}|P|2.5.1"
            (answer,) = await system.send(f"{head}\rEVN||20261102\rPID|1||K1^^^NGH^MR||TEST^A\rPV1|1|I\r")
            if at(segments(answer, "MSA")[0], 1) == "AA":
                return
            await asyncio.sleep(0.5)


def speak(folder: Path, code: str, items: dict[str, str]) -> Path:
    """The table of a system's own item codes as a file to load."""
    file = folder / "mappings.csv"
    rows = [f"{code},item,2026-01-01,{theirs},{ours}" for theirs, ours in items.items()]
    file.write_text("sender,table,valid_from,from,to\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return file


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows), encoding="utf-8")
