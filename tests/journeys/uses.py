"""What departments use, as they and their storekeepers know it: each use by its number, held against the ERP and billing."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from demo import billing
from demo.billing import Booked
from demo.department import OR_SYSTEM
from demo.department_line import Message
from demo.department_line import send as over_mllp
from demo.erp_stock_acts import StockMove
from demo.stage import FACILITY
from tests.journeys.conftest import Hospital
from tests.journeys.terminal import fascia, heard, new_key

DESK = "surgery-desk"  # the source of what the operating room's system reports
SCANNERS = "SCANNERS"
SCANNER = {
    "code": SCANNERS,
    "facility": FACILITY,
    "dialect": "rest",
    "kinds": ["usage", "stock_count"],
    "owner": "stock integration",
}
WITHIN = 400.0
ENDS = ("posted", "review", "parked", "voided", "dismissed")
T = TypeVar("T")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Stuff:
    """Something on a shelf: our item, its barcode's device identifier, a lot, and what billing books of it."""

    item: str
    device: str
    lot: str
    code: str

    @property
    def barcode(self) -> str:
        return f"(01){self.device}(10){self.lot}"


def used(number: str, what: Stuff, place: str, *, back: bool = False, at: datetime | None = None) -> Message:
    """DFT^P03: one thing used at a place, or (``back``) not after all; under a message number nobody else has."""
    control = f"USE{next(_numbers):06d}"
    when = f"{at or datetime.now(UTC):%Y%m%d%H%M%S}+0000"
    kind = "CD" if back else "CG"
    return control, OR_SYSTEM.writer.message(
        "DFT^P03^DFT_P03",
        control,
        f"EVN|P03|{when}",
        "PID|1||920001^^^NGH^MR||TEST^PATIENT",
        f"PV1|1|I|X^1^^NGH|||||||SUR|||||||||V-{number}^^^NGH^VN",
        f"FT1|1|{number}||{when}||{kind}|SCAN^^NGH|||1||||||{place}",
        f"OBX|1|ST|74711-3^Unique device identifier^LN||{what.barcode}||||||F",
    )


def renumbered(message: Message) -> Message:
    """The same in a message of another number (MSH-10)."""
    control = f"USE{next(_numbers):06d}"
    return control, message[1].replace(f"|{message[0]}|", f"|{control}|", 1)


@dataclass
class Uses:
    """What was used, and what therefore is to be found: on the ERP's shelves, and in billing's books."""

    hospital: Hospital
    key: str  # of the hand scanners
    opening: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    gone: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    charged: Counter[str] = field(default_factory=Counter)  # charges, by code
    credited: Counter[str] = field(default_factory=Counter)
    before: int = 0  # what billing had booked
    moves: int = 0  # uses and takings back that are to stand in the ERP

    # -- what departments do

    async def send(self, *streams: list[Message]) -> None:
        """Send each stream over a connection of its own; each message must be acknowledged (AA)."""
        await over_mllp(self.hospital.stage.gateway, *streams)

    async def scan(self, path: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """A report of a hand scanner; it must be kept."""
        doors = self.hospital.doors
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": key}
        answer = await heard(lambda: doors.http.post(f"{doors.url}{path}", json=body, headers=headers))
        assert answer.status_code == 202, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def told(self, path: str) -> dict[str, Any]:
        """What the scanners are told of a report."""
        doors = self.hospital.doors
        answer = await doors.http.get(f"{doors.url}{path}", headers={"Authorization": f"Bearer {self.key}"})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def count(self, what: Stuff, place: str, quantity: int = 1) -> None:
        """So many were used there, a use each, and are charged."""
        self.gone[place][what.item, what.lot] += quantity
        self.charged[what.code] += quantity
        self.moves += quantity

    def take_back(self, what: Stuff, place: str) -> None:
        """One that was counted as used is back on its shelf, and credited."""
        self.gone[place][what.item, what.lot] -= 1
        self.credited[what.code] += 1
        self.moves += 1

    # -- what one sees outside

    async def known(self) -> None:
        """Wait until the platform has taken over what the ERP has of what we use."""
        theirs = self.to_be_there()

        async def same() -> bool:
            for place, shelf in theirs.items():
                held = (await self.fascia("stock", "show", place))["items"]
                ours = {(row["item"], lot["lot"]): lot["on_hand"] for row in held for lot in row["lots"]}
                if {what: n for what, n in ours.items() if what in OURS and n} != shelf:
                    return False
            return True

        await until(same, lambda: f"{theirs}")

    async def shelf(self, place: str) -> dict[tuple[str, str], int]:
        """What the ERP's auditor sees there."""
        return await asyncio.to_thread(self.hospital.stage.erp.stock, place)

    def booked(self) -> list[Booked]:
        """What billing booked since we began, of what we use."""
        return [row for row in billing.booked(self.hospital.stage.home)[self.before :] if row.code in CODES]

    async def there(self) -> dict[str, dict[tuple[str, str], int]]:
        """What the ERP has where we use things, of what we use."""
        shelves = {place: await self.shelf(place) for place in self.opening}
        return {place: {what: n for what, n in shelf.items() if what in OURS} for place, shelf in shelves.items()}

    def to_be_there(self) -> dict[str, dict[tuple[str, str], int]]:
        """The opening less what is gone."""
        return {
            place: {
                what: left for what, n in shelf.items() if what in OURS and (left := n - self.gone[place][what]) != 0
            }
            for place, shelf in self.opening.items()
        }

    async def come_out_even(self) -> None:
        """The ERP's stock is the opening less what was used, to the unit; billing has one charge for each use, none twice."""

        async def charges() -> bool:
            kinds = self.kinds()
            return kinds == (self.charged, self.credited)

        async def shelves() -> bool:
            return await self.there() == self.to_be_there()

        await until(charges, lambda: f"the charges {self.charged} {self.credited}, booked are {self.kinds()}")
        await until(shelves, lambda: f"the ERP's stock {self.to_be_there()}", every=1.0)  # a look is a dozen calls
        await self.nothing_twice()

    def kinds(self) -> tuple[Counter[str], Counter[str]]:
        """How many charges and credits billing has, by code; each is of one piece."""
        rows = self.booked()
        assert all(row.quantity == 1 for row in rows)
        charged = Counter(row.code for row in rows if row.kind == billing.CHARGED)
        return charged, Counter(row.code for row in rows if row.kind == billing.CREDITED)

    async def nothing_twice(self) -> None:
        """In the ERP each use is one line of one document; billing refused nothing, which it would a use charged twice."""
        lines = await self.lines()
        assert len(lines) == self.moves, (len(lines), self.moves)
        assert len({move.line for move in lines}) == len(lines)
        uses = [(row.use, row.kind) for row in self.booked()]
        assert len(set(uses)) == len(uses)
        refused = await self.fascia("channel", "show", billing.CODE)
        assert refused["dead"] == 0, refused

    async def lines(self) -> list[StockMove]:
        """The lines of documents in the ERP that took something of ours from a shelf of ours, or put it back."""
        found = []
        for place in self.opening:
            prefix = f"consumption_to_replenishment/{FACILITY}/{place}/"
            for document in await asyncio.to_thread(self.hospital.stage.erp.stock_documents, prefix):
                if "/consume/" in document.key:
                    found += [move for move in document.moves if (move.item, move.lot) in OURS]
        return found

    async def recorded(self, *numbers: str) -> None:
        """Wait until the platform knows of these uses, whatever becomes of them."""

        async def known() -> bool:
            listed = await self.fascia("usage", "list", "--all", "--since", "2h", "--limit", "5000")
            return set(numbers) <= {row["number"] for row in listed["items"]}

        await until(known, lambda: f"the uses {numbers}")

    async def become(self, *numbers: str, kind: str = "use") -> list[dict[str, Any]]:
        """What the platform shows of uses, in this order, once all of them are in a round or with a person, and no more."""
        shown: dict[str, dict[str, Any]] = {}

        async def found() -> bool:
            listed = await self.fascia("usage", "list", "--all", "--since", "2h", "--limit", "5000")
            mine = [row for row in listed["items"] if row["number"] in numbers and row["kind"] == kind]
            shown.clear()
            shown.update((row["number"], row) for row in mine)
            assert len(shown) == len(mine), mine
            return len(shown) == len(numbers) and all(row["state"] in ENDS for row in mine)

        await until(found, lambda: f"what became of {numbers}: {shown}")
        return [shown[number] for number in numbers]

    async def fascia(self, *words: str, who: str = "") -> Any:
        """A command at a terminal; it must succeed."""
        said = await fascia(self.hospital, *words, "--json", key=self.hospital.stage.keys[who] if who else "")
        assert said.code == 0, said.out + said.err
        return said.json


HEPARIN = Stuff("ITM-1016", "00614141010165", "HEP-6120", "63600116")
ONDANSETRON = Stuff("ITM-1017", "00614141010172", "OND-0088", "63600117")
TROCAR = Stuff("ITM-1012", "00614141010127", "TRC-9077", "27200112")
OURS = {(one.item, one.lot) for one in (HEPARIN, ONDANSETRON, TROCAR)}
CODES = {one.code for one in (HEPARIN, ONDANSETRON, TROCAR)}


async def hand_scanners(hospital: Hospital) -> str:
    """The hospital comes to know hand scanners; their key."""
    known = hospital.stage.home / "systems" / SCANNERS / "senders.json"
    known.parent.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps([SCANNER]), encoding="utf-8")
    loaded = await fascia(hospital, "register", "load", str(known.parent), "--json")
    assert loaded.code == 0, loaded.out + loaded.err
    return await new_key(hospital, SCANNERS, "--scope", "usage")


async def uses_at(hospital: Hospital, key: str, *places: str) -> Uses:
    """Begin with what lies at these places and what billing has booked now."""
    hospital.scene()  # what a test before it held on a line is let go
    uses = Uses(hospital, key)
    uses.before = len(billing.booked(hospital.stage.home))
    uses.gone = {place: Counter() for place in places}
    uses.opening = {place: await uses.shelf(place) for place in places}
    uses.moves = len(await uses.lines())
    return uses


def ago(**time_ago: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time_ago)


async def until(
    look: Callable[[], Awaitable[T | None]], what: Callable[[], str], within: float = WITHIN, every: float = 0.3
) -> T:
    """Look until it is so."""
    give_up = time.monotonic() + within
    while True:
        if found := await look():
            return found
        assert time.monotonic() < give_up, f"nobody shows {what()}"
        await asyncio.sleep(every)
