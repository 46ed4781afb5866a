"""One scene of the story: what people outside the platform do, one line each, and what they then wait for."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from canonical.base import case_id
from demo.department import System, heard
from demo.department_line import Message, send
from demo.hl7_plain import Reply
from demo.partner_mailbox import Mailbox
from demo.partner_state import OrderHeld
from demo.stage import FACILITY, Stage
from demo.story_doors import LOOK_EVERY, WITHIN, Case, Doors, StoryError, orders_of
from demo.story_outside import Ending, Outside

BUYER, DIRECTOR, SUBSTITUTE = "E-6001", "E-3001", "E-2004"
PAYER, OTHER_PAYER = "E-7001", "E-7002"
ERP_COMES_BACK = 180.0


@dataclass(frozen=True)
class Department:
    """Who asks: department, its system, cost centre, requester, place, and the manager who approves."""

    code: str
    sender: str
    cost_centre: str
    requester: str
    place: str
    manager: str


SURGERY = Department("surgery", "surgery-desk", "CC-4100", "E-1001", "NGH-OR", "E-2001")
PHARMACY = Department("pharmacy", "pharmacy-desk", "CC-4200", "E-1002", "NGH-PHARM", "E-2002")
LABORATORY = Department("laboratory", "laboratory-desk", "CC-4300", "E-1003", "NGH-LAB", "E-2003")


@dataclass(frozen=True)
class Ask:
    """One line of a requisition."""

    item: str
    quantity: int | str
    unit: str = "EA"
    supplier: str | None = None


@dataclass(frozen=True)
class Scenario:
    """One case of the story: its name, what it tells, who does what, and how it must end outside."""

    id: str
    story: str
    play: Callable[[Scene], Awaitable[None]]
    ends: Ending
    process: str = "procure_to_pay"
    alone: bool = False  # it breaks something: no other scene is played meanwhile


@dataclass
class Scene:
    """The stage as one scenario uses it."""

    stage: Stage
    doors: Doors
    outside: Outside
    tag: str
    erp_away: float = 60.0
    told: Callable[[str], None] = lambda _: None
    requisitions: list[Requisition] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # names of cases that are no requisition's
    also: list[str] = field(default_factory=list)
    said: str = ""  # the platform's own word, where the scene has no case to ask for it

    @property
    def playing(self) -> str:
        """Which playing of the story it belongs to: ``P003``."""
        return self.tag.partition("-")[0]

    def _body(self, who: Department, asks: tuple[Ask, ...], note: str) -> dict[str, Any]:
        number = f"{self.tag}-{len(self.requisitions) + 1}"
        return {
            "facility": FACILITY,
            "source": who.sender,
            "number": number,
            "department": who.code,
            "cost_centre": who.cost_centre,
            "requester": who.requester,
            "deliver_to": who.place,
            "note": note,
            "lines": [
                {
                    "id": str(at),
                    "item": ask.item,
                    "quantity": {"value": str(ask.quantity), "unit": ask.unit},
                    **({"supplier": ask.supplier} if ask.supplier else {}),
                }
                for at, ask in enumerate(asks, start=1)
            ],
        }

    async def post(self, who: Department, *asks: Ask, note: str = "") -> Requisition:
        """The department's system posts a requisition over REST."""
        body = self._body(who, asks, note)
        asked = self._follow(who, body["number"])
        await self.doors.post_requisition(who.sender, body, key=body["number"])
        return asked

    async def start(self, who: Department, *asks: Ask, note: str = "") -> Requisition:
        """The department's system starts the case with the Temporal client."""
        body = self._body(who, asks, note)
        asked = self._follow(who, body["number"])
        await self.doors.start_requisition(body)
        return asked

    async def ask(self, system: System, who: Department, *asks: Ask) -> Requisition:
        """The department's own system sends it by HL7 (OMS^O05 over MLLP), in its own codes and units."""
        message = self.wording(system, who, *asks)
        await send(self.stage.gateway, [message])
        return self.requisitions[-1]

    def wording(self, system: System, who: Department, *asks: Ask) -> Message:
        """The message the department's system would send: its number, and its text."""
        number = f"{self.tag}-{len(self.requisitions) + 1}"
        asked = self._follow(who, number)
        asked.system, asked.message = system, f"{self.playing}{zlib.crc32(number.encode()):08X}"
        lines = [(ask.item, str(ask.quantity), ask.unit) for ask in asks]
        about = {"requester": who.requester, "cost_centre": who.cost_centre, "place": who.place}
        return asked.message, system.writer.order(asked.message, number, lines, **about)

    def _follow(self, who: Department, number: str) -> Requisition:
        name = case_id("procure_to_pay", FACILITY, who.sender, number)
        path = f"/v1/requisitions/{who.sender}/{number}"
        asked = Requisition(self.doors, who.sender, path, name, self, who)
        self.requisitions.append(asked)
        return asked

    def drop(self, supplier: str, name: str, data: bytes) -> None:
        """Something lies in a supplier's mailbox that no program of the supplier wrote."""
        Mailbox(self.stage.home, supplier).leave(name, data)

    async def taken(self, supplier: str, name: str) -> bool:
        """Whether the hospital has taken a file out of the mailbox's way."""
        kept = self.stage.home / "partners" / supplier / "outbound" / ".taken" / name
        for _ in range(int(WITHIN)):
            if kept.exists():
                return True
            await asyncio.sleep(LOOK_EVERY)
        return False

    async def listed(self, about: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until something is on the list of documents without a case."""
        for _ in range(int(WITHIN)):
            found = await self.doors.look(PAYER, "/v1/unmatched?limit=500") or {"documents": []}
            fitting: list[dict[str, Any]] = [document for document in found["documents"] if about(document)]
            if fitting:
                return fitting[0]
            await asyncio.sleep(LOOK_EVERY)
        raise StoryError("what was expected on the list of unmatched documents is not there")

    async def orders(self) -> list[Order]:
        """Every order this scene's requisitions became."""
        return [order for asked in self.requisitions for order in await asked.orders()]


@dataclass
class Requisition(Case):
    """A requisition's case."""

    scene: Scene
    department: Department
    system: System | None = None
    message: str = ""  # the number (MSH-10) its department's system sent it under

    async def hears(self, fits: Callable[[Reply], bool]) -> Reply:
        """Wait until the listener of the department's system has heard a reply to it that fits."""
        assert self.system is not None
        give_up = time.monotonic() + WITHIN
        while time.monotonic() < give_up:
            replies = [one for one in heard(self.scene.stage.home, self.system.code) if one.asked_by == self.message]
            if found := next(filter(fits, replies), None):
                return found
            await asyncio.sleep(LOOK_EVERY / 2)
        told = "; ".join(f"{one.kind} {one.lines}" for one in replies) or "nothing"
        raise StoryError(f"{self.system.code} should hear of {self.name}, but heard {told} ({await self.shows()})")

    async def orders(self) -> list[Order]:
        """The orders it became so far."""
        return [
            Order(
                self.doors,
                self.who,
                f"/v1/orders/{number}",
                case_id("purchase_order", FACILITY, number),
                self.scene,
                number,
            )
            for number in orders_of(await self.view())
        ]

    async def ordered(self, count: int = 1) -> list[Order]:
        """Wait until it has become so many orders."""
        await self.until(when=lambda view: len(orders_of(view)) >= count)
        return await self.orders()

    async def approved(self, *people: str) -> None:
        """These people approve, one level each."""
        for person in people or (self.department.manager,):
            while not await self._approved_as_seen(person):
                pass  # a reminder, or the level before: the case has changed since they looked, so they look again

    async def _approved_as_seen(self, person: str) -> bool:
        """One person approves what is shown to them; False where it is not what the case is now."""
        view = await self.until("pending approval")
        word = {"verb": "approve", "reason": "", "revision": view["status"]["revision"]}
        answer = await self.doors.decide(person, self.name, word)
        if answer.status_code == httpx.codes.CONFLICT and answer.json()["code"] == "changed":
            return False
        if answer.is_error:
            raise StoryError(f"{person} approve on {self.name}: {answer.status_code} {answer.text[:500]}")
        return True


@dataclass
class Order(Case):
    """An order's case, with what storekeeper, supplier and bank do about it."""

    scene: Scene
    number: str

    async def at_supplier(self, what: str, fits: Callable[[OrderHeld], bool]) -> OrderHeld:
        """Wait until the supplier's books show something of this order."""
        give_up = time.monotonic() + WITHIN
        while time.monotonic() < give_up:
            held = self.scene.outside.held(self.number)
            if held is not None and fits(held):
                return held
            await asyncio.sleep(LOOK_EVERY / 2)
        raise StoryError(f"order {self.number}: the supplier's books do not show {what} ({await self.shows()})")

    async def shipped(self, times: int = 1) -> OrderHeld:
        """Wait until the supplier has shipped so many times."""
        return await self.at_supplier(f"{times} shipments", lambda held: len(held.shipments) >= times)

    async def billed(self, times: int = 1) -> OrderHeld:
        """Wait until the supplier has sent so many invoices."""
        return await self.at_supplier(f"{times} invoices", lambda held: sum(b.times for b in held.invoices) >= times)

    async def receive(self, lines: dict[str, Decimal | int] | None = None) -> None:
        """The storekeeper takes the goods in, once the ERP has the order and answers."""
        await _when_erp_is_there(lambda: self.scene.stage.erp.receive(self.number, lines))

    async def bank_pays(self, times: int = 1) -> None:
        """The bank pays what is sent to it, until so many payments of this order are through."""
        done = 0
        while done < times:
            await self.until("paid, waiting for bank", "partly received", "back-ordered", "shipped")
            done += int(await _when_erp_is_there(lambda: self.scene.stage.erp.bank_confirms(self.number)) or 0)
            await asyncio.sleep(LOOK_EVERY)

    async def delivered_and_paid(self) -> None:
        """The ordinary end of an order: shipped, taken in, billed, paid, closed."""
        await self.shipped()
        await self.receive()
        await self.paid()

    async def paid(self) -> None:
        """The bank pays, and the case closes."""
        await self.until("paid, waiting for bank")
        await self.bank_pays()
        await self.until("closed")

    def tell_supplier(self, kind: str, **detail: Any) -> None:
        """The supplier is told to send something now."""
        for supplier, book in self.scene.outside.books().items():
            if self.number in book.orders:
                Mailbox(self.scene.stage.home, supplier).ask(kind=kind, order=self.number, detail=detail)


async def _when_erp_is_there(act: Callable[[], Any]) -> Any:
    """Do something in the ERP; while it is away or does not have the order yet, wait. What failed half done is not repeated."""
    give_up = time.monotonic() + ERP_COMES_BACK
    while True:
        try:
            return await asyncio.to_thread(act)
        except (httpx.ConnectError, LookupError):
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(2 * LOOK_EVERY)
