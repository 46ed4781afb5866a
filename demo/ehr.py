"""The hospital's electronic health record as a directory: takes by MLLP who practises and with which privileges (MFN^M02, PMU).

``python -m demo.ehr serve --home HOME --port 22307`` serves it until it is told to stop. Whom it knows stands in
``HOME/ehr/practitioners.json`` by our key, on disk before it is acknowledged, without names. It says AA to what it took and AR to
what it cannot be: another content under a known number, or news of somebody it never heard of. While ``HOME/ehr/trouble`` holds a
line it behaves as that says (:mod:`demo.trouble`): ``down`` (nobody listens; of one person: it hangs up), ``error`` (AE), ``refuse``
(AR), ``slow SECONDS``, ``lost``, ``late SECONDS``, ``twice``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.hl7_plain import NotHl7, Writer, framed, one, segments
from demo.hl7_plain import field as component
from demo.mllp_peer import MllpPeer, command_line
from demo.trouble import Trouble, Unruly, note, troubles

NAME = "ehr"
CODE = "EHR"  # its channel in the register
US = Writer("EHR", "NGH")
ON = {"MAD": True, "MUP": True, "MAC": True, "MDC": False, "MDL": False}  # table 0180
EVENTS = {"B01": "MAD", "B02": "MUP", "B04": "MAC", "B05": "MDC", "B06": "MDC"}  # PMU

Practitioner = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What one message says of one person. ``privileges``: what may be done, and where; ``act``: table 0180."""

    number: str  # MSH-10
    person: str
    act: str
    active: bool
    departments: tuple[str, ...]
    privileges: tuple[str, ...]
    content: str  # a hash of the message

    @classmethod
    def read(cls, text: str) -> Told:
        """What an MFN^M02 or PMU says.

        Raises:
            NotHl7: it is neither, or names nobody.
        """
        msh, stf = one(text, "MSH"), one(text, "STF")
        kind, event, person = component(msh, 9), component(msh, 9, 2), component(stf, 1)
        if (kind, event) == ("MFN", "M02"):
            act = component(one(text, "MFE"), 1)
        elif kind == "PMU" and event in EVENTS:
            act = EVENTS[event]
        else:
            raise NotHl7("the EHR takes MFN^M02 and PMU^B01, B02, B04, B05, B06")
        if act not in ON or not person or component(msh, 10) == "":
            raise NotHl7("no number, person or act (table 0180) in it")
        pra = (segments(text, "PRA") or [[]])[0]
        return cls(
            component(msh, 10),
            person,
            act,
            ON[act] and component(stf, 7) != "I",
            tuple(part.split("^")[0] for part in _repeated(stf, 8)),
            tuple(sorted("@".join((part.split("^") + [""] * 5)[at] for at in (0, 4)) for part in _repeated(pra, 7))),
            hashlib.sha256(text.encode()).hexdigest(),
        )


def _repeated(segment: list[str], number: int) -> list[str]:
    return [part for part in (segment[number] if number < len(segment) else "").split("~") if part]


class Books:
    """Whom it knows, by our key; on disk as it comes."""

    def __init__(self, home: Path) -> None:
        self._file = book_file(home)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self.known: dict[str, Practitioner] = practitioners(home)

    def take(self, told: Told) -> tuple[str, str]:
        """Write it down, and what to answer. A repeat is taken once, counted, and acknowledged again."""
        held = self.known.get(told.person)
        if held is not None and told.number in held["messages"]:
            same = held["messages"][told.number] == told.content
            if same:
                self._keep(held | {"repeats": held["repeats"] + 1}, told.person)
            return ("AA", "") if same else ("AR", f"{told.number} is known with other content")
        if held is None and told.act in ("MUP", "MAC"):
            return "AR", "nobody is known by this key"
        held = held or {"told": 0, "repeats": 0, "messages": {}, "acts": []}
        now = {
            "active": told.active,
            "departments": list(told.departments),
            "privileges": list(told.privileges) if told.active else [],
            "told": held["told"] + 1,
            "acts": [*held["acts"], told.act],
            "messages": held["messages"] | {told.number: told.content},
        }
        self._keep(held | now, told.person)
        return "AA", ""

    def _keep(self, held: Practitioner, person: str) -> None:
        self.known[person] = held
        fresh = self._file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(self.known, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)


def book_file(home: Path) -> Path:
    """Where it keeps whom it knows."""
    return home / NAME / "practitioners.json"


def practitioners(home: Path) -> dict[str, Practitioner]:
    """Whom it knows, by our key; what a test or a story counts.

    ``active``; ``departments``; ``privileges`` (what@facility); ``told``: messages taken, without ``repeats``; ``acts``: of table
    0180, in the order they came; ``messages``: their numbers, each with a hash of what it said.
    """
    try:
        found: dict[str, Practitioner] = json.loads(book_file(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


class Ehr(MllpPeer):
    """The listener."""

    def __init__(self, home: Path, port: int) -> None:
        super().__init__(home, port)
        self.books = Books(home)
        self._unruly = Unruly(home, NAME)

    def away(self) -> bool:
        """While it is down for everybody."""
        return any(line.word == "down" and not line.who for line in troubles(self.home, NAME))

    async def answer(self, text: str) -> bytes:
        """What goes back to a message; nothing where it is hung up."""
        number = component(one(text, "MSH"), 10)
        try:
            told = Told.read(text)
        except NotHl7 as no:
            return _said("AR", number, str(no))
        now = self._unruly.at(told.person)
        self._unruly.meet(now)
        note(self.home, NAME, told.person, now, act=told.act)
        if now.word == "down":
            return b""
        if now.word in ("error", "refuse"):
            return _said("AE" if now.word == "error" else "AR", number, "not now")
        if now.word == "late":
            await asyncio.sleep(now.number)
        code, why = self.books.take(told)
        return await self._spoken(now, _said(code, number, why))

    async def _spoken(self, now: Trouble, answer: bytes) -> bytes:
        if now.word in ("late", "lost"):
            return b""
        if now.word == "slow":
            await asyncio.sleep(now.number)
        return answer * 2 if now.word == "twice" else answer


def _said(code: str, number: str, why: str) -> bytes:
    return framed(US.message("ACK", f"A{number}"[:20], f"MSA|{code}|{number}|{why}".rstrip("|")))


def main(arguments: list[str] | None = None) -> int:
    """The command line of the EHR's listener."""
    return command_line("demo.ehr", __doc__, CODE, Ehr, arguments)


if __name__ == "__main__":
    sys.exit(main())
