"""One round of a location: its waiting events judged in their order, and what the ERP is to be told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from canonical.base import CostCentreCode
from canonical.parties import Location
from canonical.replenishment import AFTER_USE
from canonical.shelves import Shelf
from canonical.stock import RoundKey, StockLevel, StockLine, StockPosting
from canonical.supply import Item
from canonical.usage import FINDINGS, OWNER, UsageEvent, UsagePolicy
from canonical.usage_rules import Circumstances, Judged, Route, Use, judge

UseName = tuple[str, str, int]  # source, number, sequence
NOT_POSTED: Final = ("waiting", "review", "parked", "dismissed")
_STATES: Final[Mapping[Route, str]] = {"post": "taken", "review": "review", "park": "parked"}


@dataclass(frozen=True, slots=True)
class WaitingUse:
    """An event that waits, as corrected; when it was kept, and the findings a person said yes to."""

    id: str
    event: UsageEvent
    kept_at: datetime
    allowed: tuple[str, ...] = ()


@dataclass(slots=True)
class Known:
    """What is known of what a round holds. Items by code, and by ``device:<identifier>``; everything else by the item's code.

    ``used``: item and serial of uses that stand; ``recalls``: the recall that blocks an item, lot and serial; ``consigned``: uses
    whose goods came to be ours in a round before, the ERP refusing the use itself.
    """

    key: RoundKey
    policy: UsagePolicy
    location: Location | None
    zone: ZoneInfo | None = None
    items: Mapping[str, Item] = field(default_factory=dict)
    levels: Mapping[str, StockLevel] = field(default_factory=dict)
    shelves: dict[str, Shelf] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)
    recalls: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    uses: dict[UseName, Use] = field(default_factory=dict)
    consigned: frozenset[str] = frozenset()

    @property
    def day(self) -> date:
        """The round's day, where the location is."""
        return (self.key.as_of.astimezone(self.zone) if self.zone else self.key.as_of).date()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event in a round. ``voids``: the use it takes back; ``voided_by``: the void that took it back."""

    id: str
    state: str
    judged: Judged
    item: str = ""
    voids: str = ""
    voided_by: str = ""


@dataclass(slots=True)
class Plan:
    """A judged round: events, postings in the order they are made, and uses of other rounds that end ``voided``, with their void."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    postings: list[StockPosting] = field(default_factory=list)
    voided: dict[str, str] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Events to be recorded."""
        return sum(one.state == "taken" for one in self.outcomes.values())

    @property
    def parked(self) -> int:
        """Events that wait for a person."""
        return sum(one.state in ("review", "parked") for one in self.outcomes.values())


def item_of(event: UsageEvent, items: Mapping[str, Item]) -> Item | None:
    """The item by our code, else by its barcode's device identifier."""
    found = items.get(event.item) if event.item else None
    return found or (items.get(f"device:{event.device.device}") if event.device and event.device.device else None)


def lot_and_serial(event: UsageEvent) -> tuple[str, str]:
    """As the event says, or its barcode."""
    device = event.device
    return event.lot or (device.lot if device else ""), event.serial or (device.serial if device else "")


def plan_round(known: Known, waiting: Sequence[WaitingUse]) -> Plan:
    """Judge the events in their order, each by what those before it left."""
    return _Round(known, waiting).planned()


class _Round:
    """A round as it is made."""

    def __init__(self, known: Known, waiting: Sequence[WaitingUse]) -> None:
        self._known = known
        self._waiting = waiting
        self._own = {one.id for one in waiting}
        self._plan = Plan()
        self._lines: dict[str, StockLine] = {}  # by event, in their order
        self._consigned: dict[str, StockLine] = {}
        self._taken_back: dict[str, str] = {}  # uses of this round, by the void that came before them

    def planned(self) -> Plan:
        for one in self._waiting:
            if one.event.kind == "void":
                self._void(one)
            else:
                self._use(one)
        for kind, lines in (("consign", self._consigned), ("consume", self._lines)):
            if lines:
                self._plan.postings.append(self._posting(kind, tuple(lines.values())))
        return self._plan

    def _posting(self, kind: str, lines: tuple[StockLine, ...]) -> StockPosting:
        key = self._known.key
        return StockPosting.model_validate(
            {
                "facility": key.facility,
                "key": f"{key.key}/{kind}",
                "kind": kind,
                "location": key.location,
                "posted_on": self._known.day,
                "lines": lines,
            }
        )

    def _use(self, one: WaitingUse) -> None:
        event, known = one.event, self._known
        item = item_of(event, known.items)
        level = known.levels.get(item.code) if item else None
        after_use = level is not None and level.active and level.supply in AFTER_USE
        lot, serial = lot_and_serial(event)
        code = item.code if item else ""
        shelf = known.shelves.setdefault(code, Shelf()) if item else None
        judged = judge(
            event,
            Circumstances(
                policy=known.policy,
                reported_at=one.kept_at,
                item=item,
                location=known.location,
                shelf=None if after_use else shelf,
                zone=known.zone,
                used_before=bool(serial) and (code, serial) in known.used,
                recall=known.recalls.get((code, lot, serial), ""),
                allowed=one.allowed,
            ),
        )
        state, by = _STATES[judged.route], self._taken_back.get(one.id, "")
        if by:
            state = "voided"
        elif state == "taken" and event.kind == "use" and item is not None and shelf is not None:
            self._line(one, item, judged, shelf, after_use=after_use)
        self._plan.outcomes[one.id] = Outcome(one.id, state, judged, code or event.item, voided_by=by)

    def _line(self, one: WaitingUse, item: Item, judged: Judged, shelf: Shelf, *, after_use: bool) -> None:
        assert judged.quantity is not None
        lot, serial = ("", "") if item.tracking == "none" else (judged.lot, judged.serial)
        line = StockLine(
            key=self._line_key("consume", item.code, serial or lot, one.id),
            item=item.code,
            quantity=judged.quantity,
            lot=lot,
            serial=serial,
            expires=judged.expires if lot or serial else None,
            cost_centre=judged.cost_centre or None,
            procedure=one.event.procedure if after_use or item.tracking == "implant" else "",
        )
        self._lines[one.id] = line
        if judged.serial:
            self._known.used.add((item.code, judged.serial))
        if not after_use:
            shelf.move(lot, serial, -judged.quantity)
        elif one.id not in self._known.consigned:
            consigned = self._line_key("consign", item.code, serial or lot, one.id)
            self._consigned[one.id] = line.model_copy(update={"key": consigned})

    def _line_key(self, kind: str, item: str, which: str, event: str) -> str:
        return f"{self._known.key.key}/{kind}/{quote(item, safe='')}/{quote(which, safe='')}/{event}"

    # -- what is taken back --------------------------------------------------------------------------------------

    def _void(self, one: WaitingUse) -> None:
        event, known = one.event, self._known
        name = (event.source, event.voids_number, event.voids_sequence)
        use = known.uses.get(name)
        about = Circumstances(
            policy=known.policy,
            reported_at=one.kept_at,
            location=known.location,
            use=use,
            used_item=known.items.get(use.item) if use is not None else None,
            allowed=one.allowed,
        )
        judged = judge(event, about)
        state = _STATES[judged.route]
        if use is not None and judged.route == "post":
            judged, state = self._take_back(one, use, judged)
        if use is not None and state in ("taken", "voided"):
            known.uses[name] = replace(use, voided_by=one.id)
        self._plan.outcomes[one.id] = Outcome(
            one.id, state, judged, use.item if use else event.item, voids=use.id if use else ""
        )

    def _take_back(self, one: WaitingUse, use: Use, judged: Judged) -> tuple[Judged, str]:
        """The counter movement of a use that was posted; one that was not ends with its void, and nothing moves."""
        now = self._plan.outcomes.get(use.id)
        if now is not None:
            self._withdraw(now)
            self._plan.outcomes[use.id] = replace(now, state="voided", voided_by=one.id)
            return judged, "voided"
        if use.id in self._own:
            self._taken_back[use.id] = one.id
            return judged, "voided"
        if use.state in NOT_POSTED or (use.state == "posted" and not use.quantity):
            self._plan.voided[use.id] = one.id
            return judged, "voided"
        if use.state != "posted":  # under way in a round that has not ended: that round's end frees it
            reason = f"{FINDINGS['unknown-use']}: it is being posted"
            return replace(judged, route="park", finding="unknown-use", reason=reason, owner=OWNER), "parked"
        self._lines[one.id] = self._back(one, use)
        shelf = self._known.shelves.setdefault(use.item, Shelf())
        shelf.move(self._lines[one.id].lot, self._lines[one.id].serial, use.quantity or 0)
        self._known.used.discard((use.item, use.serial))
        return judged, "taken"

    def _back(self, one: WaitingUse, use: Use) -> StockLine:
        item = self._known.items.get(use.item)
        lot, serial = ("", "") if item is not None and item.tracking == "none" else (use.lot, use.serial)
        centre: CostCentreCode | None = use.cost_centre or None
        return StockLine(
            key=self._line_key("consume", use.item, serial or lot, one.id),
            item=use.item,
            quantity=use.quantity or 0,
            lot=lot,
            serial=serial,
            expires=use.expires if lot or serial else None,
            cost_centre=centre,
            procedure=use.procedure if item is not None and item.tracking == "implant" else "",
            back=True,
        )

    def _withdraw(self, outcome: Outcome) -> None:
        """A use of this very round that is taken back in it was never taken from its shelf."""
        line = self._lines.pop(outcome.id, None)
        if line is None:
            return
        if self._consigned.pop(outcome.id, None) is None and outcome.id not in self._known.consigned:
            self._known.shelves[line.item].move(line.lot, line.serial, line.quantity)
        self._known.used.discard((outcome.item, outcome.judged.serial))
