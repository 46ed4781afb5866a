"""The hospital's billing system: takes charges and credits by MLLP, books each once, and refuses a credit for what it never charged.

``python -m demo.billing serve --home HOME --port 22303`` serves it until it is told to stop. What it booked stands in
``HOME/billing/booked.jsonl``, on disk before it is acknowledged. While ``HOME/billing/down_until`` names a later moment, it is
away: nobody listens, and calls it had taken are hung up.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from demo.hl7_plain import NotHl7, Writer, framed, one, segments
from demo.hl7_plain import field as component
from demo.mllp_peer import MllpPeer, command_line

CODE = "BILLING"  # its row in the register
US = Writer("BILL", "NGH")
CHARGED, CREDITED = "CG", "CD"


@dataclass(frozen=True)
class Booked:
    """One charge or credit as billing has it. ``use``: what both name (FT1-23); ``of_patient``: PID-3, by number."""

    number: str  # MSH-10
    charge: str  # FT1-2
    use: str
    kind: str
    code: str
    quantity: int
    cost_centre: str
    of_patient: str

    @classmethod
    def read(cls, text: str) -> Booked:
        """What a DFT^P03 says.

        Raises:
            NotHl7: it is none, or has no FT1 of its own.
        """
        msh, pid, ft1 = one(text, "MSH"), one(text, "PID"), one(text, "FT1")
        if component(msh, 9) != "DFT" or len(segments(text, "FT1")) != 1:
            raise NotHl7("billing takes a DFT^P03 with one FT1")
        charge, use, kind, code = (component(ft1, at) for at in (2, 23, 6, 7))
        quantity, centre = component(ft1, 10), component(ft1, 13)
        if not (charge and use and code and quantity.isdecimal()) or kind not in (CHARGED, CREDITED):
            raise NotHl7("FT1 names no charge, use, type, code or quantity")
        return cls(component(msh, 10), charge, use, kind, code, int(quantity), centre, component(pid, 3))


@dataclass
class Books:
    """Everything that was booked, by charge; on disk as it comes."""

    home: Path
    rows: dict[str, Booked] = field(default_factory=dict)

    @classmethod
    def open(cls, home: Path) -> Books:
        """As an earlier life left them."""
        return cls(home, {row.charge: row for row in booked(home)})

    def take(self, text: str) -> tuple[str, str]:
        """Book it, and say what to answer: a repeat is booked once and taken again, what cannot be right is refused (AR)."""
        try:
            new = Booked.read(text)
        except NotHl7 as no:
            return "AR", str(no)
        known = self.rows.get(new.charge)
        if known is not None:
            return ("AA", "") if known == new else ("AR", f"charge {new.charge} is known with other content")
        kinds = [row.kind for row in self.rows.values() if row.use == new.use]
        if new.kind == CREDITED and CHARGED not in kinds:
            return "AR", f"use {new.use} was never charged"
        if new.kind in kinds:
            return "AR", f"use {new.use} was {'charged' if new.kind == CHARGED else 'credited'} before"
        _write_down(book_file(self.home), new)
        self.rows[new.charge] = new
        return "AA", ""


def booked(home: Path) -> list[Booked]:
    """What billing has booked, in order; what a test or a story counts."""
    path = book_file(home)
    rows = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Booked(**json.loads(row)) for row in rows if row.endswith("}")]


def net(rows: Iterable[Booked]) -> dict[str, int]:
    """What remains charged of each code: charges less credits."""
    found: dict[str, int] = {}
    for row in rows:
        found[row.code] = found.get(row.code, 0) + (row.quantity if row.kind == CHARGED else -row.quantity)
    return found


def go_down(home: Path, seconds: float) -> None:
    """Let billing be away for a while, from its next look on."""
    _tell(home, str(time.time() + seconds))


def come_back(home: Path) -> None:
    """Let it listen again at its next look."""
    _tell(home, "0")


def _tell(home: Path, until: str) -> None:
    path = _down_file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(until)
    beside.replace(path)  # never read in halves


def is_down(home: Path) -> bool:
    """Whether it is to be away now."""
    try:
        return float(_down_file(home).read_text()) > time.time()
    except (OSError, ValueError):
        return False


def book_file(home: Path) -> Path:
    """Where it writes down what it booked, a line of JSON each."""
    return home / "billing" / "booked.jsonl"


def _down_file(home: Path) -> Path:
    return home / "billing" / "down_until"


def _write_down(path: Path, row: Booked) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row)) + "\n")
        file.flush()
        os.fsync(file.fileno())


class Office(MllpPeer):
    """Billing's listener."""

    def __init__(self, home: Path, port: int) -> None:
        super().__init__(home, port)
        self.books = Books.open(home)

    def away(self) -> bool:
        """While a story has sent it away."""
        return is_down(self.home)

    async def answer(self, text: str) -> bytes:
        """AA, AE or AR, once it is booked."""
        number = component(one(text, "MSH"), 10)
        code, why = self.books.take(text)
        return framed(US.message("ACK", f"A{number}"[:20], f"MSA|{code}|{number}|{why}".rstrip("|")))


def main(arguments: list[str] | None = None) -> int:
    """The command line of billing's listener."""
    return command_line("demo.billing", __doc__, CODE, Office, arguments)


if __name__ == "__main__":
    sys.exit(main())
