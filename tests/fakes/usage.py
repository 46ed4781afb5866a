"""What was used, and stock, in memory: the ports UsageInbox, UsageBook and UsagePlaces, judged by the same rules as our store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from canonical.base import content_hash
from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.parties import Location
from canonical.stock import (
    NeedStarted,
    Recorded,
    RoundKey,
    RoundRefusal,
    StockPosted,
    StockPosting,
    TakenRound,
    WakeDue,
)
from canonical.stock_moves import MOVED
from canonical.stock_ports import PlaceStands, UsageKept
from canonical.supplies import move_out
from canonical.supply import Item
from canonical.usage import FINDINGS, OWNER, UsageEvent, UsagePolicy
from canonical.usage_kept import KeptUse, decided
from canonical.usage_planning import Known, Outcome, Plan, UseName, WaitingUse, item_of, plan_round
from canonical.usage_rules import Use
from canonical.usage_settling import after_supply, settle
from tests.fakes.register import FakeRegister
from tests.fakes.usage_books import FakeBooks, FakeRound, is_due

UNFINISHED = ("open", "ordered", "back-ordered")
UNKNOWN_USE = "unknown-use"


@dataclass
class FakeCharge:
    """What billing is told of a use."""

    event: str
    kind: str
    channel: str


class FakeUsage(FakeBooks):
    """The ports over one memory. ``now`` is when events are kept, and so reported."""

    def __init__(self, register: FakeRegister, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(register)
        self.now = now
        self.events: dict[str, KeptUse] = {}
        self.conflicts: list[tuple[str, UsageEvent]] = []
        self.charges: list[FakeCharge] = []
        self.woken_at: dict[tuple[str, str], datetime] = {}
        self.last_round: dict[tuple[str, str], int] = defaultdict(int)
        self.last_take: dict[tuple[str, str], datetime] = {}
        self._hashes: dict[str, str] = {}

    # -- what tests ask ------------------------------------------------------------------------------------------

    def states(self) -> dict[str, str]:
        """The state of each event, by its number (a void's own)."""
        return {event.number: event.state for event in self.events.values()}

    # -- UsageInbox ----------------------------------------------------------------------------------------------

    async def keep(
        self, events: Sequence[UsageEvent], message: str, sender: str, corrects: str = ""
    ) -> Sequence[UsageKept]:
        met: set[tuple[str, str, str, int]] = set()
        return [self._keep(event, message, sender, corrects, met) for event in events]

    def _keep(
        self, event: UsageEvent, message: str, sender: str, corrects: str, met: set[tuple[str, str, str, int]]
    ) -> UsageKept:
        hashed, name = content_hash(event), (event.facility, event.source, event.number, event.sequence)
        known, again = self._named(*name), name in met
        met.add(name)
        mends = known is not None and known.state in ("review", "parked") and known.message in (message, corrects)
        if known is not None and (self._hashes[known.id] == hashed or again or not mends):
            same = self._hashes[known.id] == hashed
            if not same and (known.id, event) not in self.conflicts:
                self.conflicts.append((known.id, event))
            return UsageKept(id=known.id, outcome="same" if same else "conflict", state=known.state)
        one = known.id if known is not None else f"U{next(self._number):08}"
        kept = KeptUse(
            id=one,
            state="waiting",
            message=message,
            sender=sender,
            content=event.model_dump(mode="json", exclude_defaults=True),
            at=self.now(),
            **event.model_dump(
                include={"facility", "source", "number", "sequence", "kind", "location", "item", "lot", "serial"}
                | {"expires", "service_line", "procedure", "procedure_code", "used_at"}
            ),
        )
        use = self._taken_back(event) if event.kind == "void" else None
        if event.kind == "void" and use is None:
            kept = _parked(kept, UNKNOWN_USE, f"{FINDINGS[UNKNOWN_USE]}: {event.voids_number}/{event.voids_sequence}")
        elif use is not None:
            kept = kept.model_copy(update={"location": use.location, "voids": use.id})
        elif self._location(event.facility, event.location) is None:
            where = event.location or "none is named"
            kept = _parked(kept, "unknown-location", f"{FINDINGS['unknown-location']}: {where}")
        self._hashes[one], self.events[one] = hashed, kept
        if event.kind != "void":
            self._free(kept)
            self._follow(kept)
        return UsageKept(id=one, outcome="new", state=kept.state)

    def _follow(self, use: KeptUse) -> None:
        """Voids of a use that is somewhere else by now go with it."""
        for void in list(self.events.values()):
            if void.voids == use.id and void.state in ("waiting", "review", "parked"):
                self._change(void, location=use.location)

    def _free(self, use: KeptUse) -> None:
        """A void that waited for this use waits no more."""
        for void in list(self.events.values()):
            early = (void.kind, void.state, void.finding) == ("void", "parked", UNKNOWN_USE)
            if early and self._taken_back(void.event) is use:
                freed = {"state": "waiting", "finding": "", "findings": (), "reason": "", "owner": ""}
                self._change(void, **freed, voids=use.id, location=use.location, round=None)

    async def decide(
        self, one: str, verb: str, by: Actor, reason: str, changes: dict[str, Any] | None = None
    ) -> KeptUse:
        """A person's word on an event that waits for it; as :meth:`store.usage.StoredUsage.decide`."""
        use = decided(self.events[one], verb, by.id, reason, changes)
        if use.state == "waiting" and self._location(use.facility, use.location) is None:
            raise Rejected(f"location {use.location or 'none'} is not in the register: correct it", code="unknown-code")
        self.events[one] = use
        return use

    # -- UsagePlaces ---------------------------------------------------------------------------------------------

    async def stands(self, facility: str, location: str) -> PlaceStands:
        open_ = [
            place[2] for place, one in self.rounds.items() if one.state == "taken" and place[:2] == (facility, location)
        ]
        here = [one for one in self.events.values() if (one.facility, one.location) == (facility, location)]
        waiting = any(one.state == "waiting" for one in here)
        return PlaceStands(round=min(open_) - 1 if open_ else self.last_round[facility, location], waiting=waiting)

    async def due(self, at: datetime, repeat_before: datetime, most: int = 1000) -> Sequence[WakeDue]:
        found = {(one.facility, one.location) for one in self.events.values() if one.state == "waiting"}
        found |= {(need.facility, need.location) for need in self.needs.values() if is_due(need)}
        found = {place for place in found if self.woken_at.get(place, repeat_before) <= repeat_before}
        return [WakeDue(facility=facility, location=location) for facility, location in sorted(found)[:most]]

    async def woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        self.woken_at |= {(place.facility, place.location): at for place in places}

    async def not_woken(self, places: Sequence[WakeDue], at: datetime) -> None:
        for place in places:
            if self.woken_at.get((place.facility, place.location)) == at:
                del self.woken_at[place.facility, place.location]

    # -- take ----------------------------------------------------------------------------------------------------

    async def take(self, key: RoundKey, most: int = 200) -> TakenRound:
        here = (key.facility, key.location)
        if (before := self.rounds.get((*here, key.round))) is not None:
            return before.taken
        if key.round <= self.last_round[here]:
            raise Rejected(f"round {key.round} of {key.location} is over", code="wrong-state")
        self.woken_at.pop(here, None)
        location, policy = self._location(*here), self._policy(key)
        waiting = [one for one in self.events.values() if (one.facility, one.location) == here]
        waiting = sorted((one for one in waiting if one.state == "waiting"), key=lambda one: one.id)
        gone = location is not None and bool(location.moved_to)
        mine = [] if gone else waiting[:most]
        known = self._known(key, location, policy, mine)
        plan = plan_round(known, [WaitingUse(one.id, one.event, one.at, one.allowed) for one in mine])
        supplies = self._supplies(key, known)
        if location is not None and location.moved_to:
            items = {place[2] for place in self.balances if place[:2] == here}
            moved = move_out(key, location.moved_to, {i: self._shelf(*here, i) for i in items}, known.day)
            supplies += [moved] if moved else []
            if moved is None or self._stayed(here):  # they wait for their stock
                self._move_events(key, location.moved_to)
        taken = TakenRound(
            round=key.round,
            lines=plan.lines,
            parked=plan.parked,
            waiting=0 if gone else len(waiting) - len(mine),
            per_second=self._rate(key, mine, 0 if gone else len(waiting) - len(mine)),
            fuller_after=policy.fuller_after,
            supplies=len(supplies),
            moved_to=(location.moved_to or "") if location else "",
        )
        self._write(key, plan)
        if taken.empty:  # the number is not used up
            return taken
        self.last_round[here] = key.round
        over = Recorded(round=key.round) if not (taken.lines or supplies) else None
        state = "taken" if over is None else "recorded"
        self.rounds[*here, key.round] = FakeRound(key, taken, [*plan.postings, *supplies], state, recorded=over)
        return taken

    def _stayed(self, here: tuple[str, str]) -> bool:
        """Whether the ERP refused some of what its last round handed over."""
        last = self.rounds.get((*here, self.last_round[here]))
        said = last.outcomes.items() if last else ()
        return any(name.endswith(f"/transfer/{MOVED}") and outcome.refused for name, outcome in said)

    def _move_events(self, key: RoundKey, to: str) -> None:
        for one in list(self.events.values()):
            if (one.facility, one.location, one.state) == (key.facility, key.location, "waiting"):
                self._change(one, location=to)

    def _rate(self, key: RoundKey, mine: Sequence[KeptUse], left: int) -> float:
        before = self.last_take.get((key.facility, key.location), key.as_of - timedelta(minutes=1))
        self.last_take[key.facility, key.location] = key.as_of
        since = max(before, key.as_of - timedelta(minutes=1))
        fresh = sum(one.at >= since for one in mine) + left
        return fresh / max((key.as_of - since).total_seconds(), 1.0)

    def _known(self, key: RoundKey, location: Location | None, policy: UsagePolicy, mine: Sequence[KeptUse]) -> Known:
        uses: dict[UseName, Use] = {}
        for one in mine:
            if one.kind == "void" and (use := self._taken_back(one.event)) is not None:
                said = {"amount": use.event.amount, "unit": use.event.unit}
                fields = {name: getattr(use, name) for name in Use.__dataclass_fields__ if name not in said} | said
                uses[one.source, one.event.voids_number, one.event.voids_sequence] = Use(**fields)
        items = self._items()
        codes = {item.code for item in items.values()}
        return Known(
            key=key,
            policy=policy,
            location=location,
            zone=self._zone(key.facility),
            items=items,
            levels={level.item: level for level in self._levels(key.facility, key.location)},
            shelves={code: self._shelf(key.facility, key.location, code) for code in codes},
            used={
                (one.item, one.serial)
                for one in self.events.values()
                if one.serial and one.kind == "use" and one.state in ("taken", "posted") and not one.voided_by
            },
            recalls=self._recalls(mine, items),
            uses=uses,
            consigned=frozenset(move.event for move in self.moves.values() if move.kind == "receipt" and move.event),
        )

    def _recalls(self, mine: Sequence[KeptUse], items: dict[str, Item]) -> dict[tuple[str, str, str], str]:
        found = {}
        for one in mine:
            event = one.event
            item = item_of(event, items)
            lot = event.lot or (event.device.lot if event.device else "")
            serial = event.serial or (event.device.serial if event.device else "")
            for blocked, its_lot, its_serial, recall in self.blocks:
                if item and blocked == item.code and its_lot in ("", lot) and its_serial in ("", serial):
                    found[item.code, lot, serial] = recall
        return found

    def _write(self, key: RoundKey, plan: Plan) -> None:
        for outcome in plan.outcomes.values():
            self._change(self.events[outcome.id], **_written(key, self.events[outcome.id], outcome))
        for use, void in plan.voided.items():
            self._change(self.events[use], state="voided", owner="", voided_by=void)

    # -- post and record -----------------------------------------------------------------------------------------

    async def postings(self, key: RoundKey) -> Sequence[StockPosting]:
        round_ = self._round(key)
        if round_.state != "taken":
            return ()
        return tuple(posting for posting in round_.postings if posting.key not in round_.outcomes)

    async def posted(self, key: RoundKey, posting: str, outcome: StockPosted) -> None:
        self._round(key).outcomes.setdefault(posting, outcome)

    async def record(self, key: RoundKey) -> Recorded:
        round_ = self._round(key)
        if round_.recorded is not None:
            return round_.recorded
        if any(posting.key not in round_.outcomes for posting in round_.postings):
            raise Rejected(f"round {key.round} of {key.location} is not posted yet", code="wrong-state")
        settled = settle(round_.postings, round_.outcomes)
        self._move(settled.moves)
        for name, quantity in settled.brought.items():
            need = self.needs[name]
            need.put_away += quantity
            need.received = max(need.received, need.put_away)
            need.state = after_supply(need.quantity, need.put_away, warehouse=bool(need.warehouse), state=need.state)
        for name, reason in settled.not_brought.items():
            self.needs[name].state, self.needs[name].reason = "refused", reason
        taken = [one for one in self.events.values() if self._of_round(one, key)]
        stands = [one for one in taken if one.id not in settled.refused]
        for one in taken:
            if one.id in settled.refused:
                self._put_aside(one, settled.refused[one.id])
            else:
                self._change(one, state="posted", posted_at=key.as_of)
        for one in stands:
            if one.kind == "void":
                self._change(self.events[one.voids], state="voided", voided_by=one.id)
        for one in taken:
            self._free(self.events[one.id])
        self._charge(key, stands)
        needs = self._new_needs(key, stands, settled.moves)
        round_.state = "recorded"
        round_.recorded = Recorded(
            round=key.round,
            posted=len(stands),
            needs=tuple(needs),
        )
        return round_.recorded

    async def refuse(self, refusal: RoundRefusal) -> Recorded:
        for posting in await self.postings(refusal.key):
            await self.posted(refusal.key, posting.key, posting.refused(refusal.reason, refusal.code))
        return await self.record(refusal.key)

    async def started(self, started: NeedStarted) -> None:
        need = self.needs[started.need]
        if need.state == "open" and not need.case:
            need.state, need.case = "ordered", started.case

    def _of_round(self, one: KeptUse, key: RoundKey) -> bool:
        where = (one.facility, one.location, one.round, one.state)
        return where == (key.facility, key.location, key.round, "taken")

    def _put_aside(self, one: KeptUse, reason: str) -> None:
        said = f"{FINDINGS['refused-by-erp']}: {reason}"
        found = tuple(dict.fromkeys((*one.findings, "refused-by-erp")))
        self._change(one, state="parked", owner=OWNER, finding="refused-by-erp", findings=found, reason=said)

    def _charge(self, key: RoundKey, stands: Sequence[KeptUse]) -> None:
        channel = self._policy(key).bill_to
        for one in stands:
            if one.kind == "use" and one.chargeable and channel:
                self.charges.append(FakeCharge(one.id, "charge", channel))
            charged = [charge for charge in self.charges if charge.event == one.voids and charge.kind == "charge"]
            if one.kind == "void" and charged:
                self.charges.append(FakeCharge(one.voids, "credit", charged[0].channel))

    def _change(self, one: KeptUse, **fields: Any) -> None:
        self.events[one.id] = one.model_copy(update=fields)

    def _named(self, facility: str, source: str, number: str, sequence: int) -> KeptUse | None:
        wanted = (facility, source, number, sequence)
        found = (e for e in self.events.values() if (e.facility, e.source, e.number, e.sequence) == wanted)
        return next(found, None)

    def _taken_back(self, void: UsageEvent) -> KeptUse | None:
        use = self._named(void.facility, void.source, void.voids_number, void.voids_sequence)
        return use if use is not None and use.kind != "void" else None


def _parked(kept: KeptUse, finding: str, reason: str) -> KeptUse:
    found = {"state": "parked", "owner": OWNER, "finding": finding, "findings": (finding,), "reason": reason}
    return kept.model_copy(update=found)


def _written(key: RoundKey, before: KeptUse, outcome: Outcome) -> dict[str, Any]:
    judged = outcome.judged
    return {
        "state": outcome.state,
        "owner": judged.owner if outcome.state in ("review", "parked") else "",
        "finding": judged.finding,
        "findings": judged.findings,
        "reason": judged.reason,
        "item": outcome.item or before.item,
        "lot": judged.lot or before.lot,
        "serial": judged.serial or before.serial,
        "expires": judged.expires or before.expires,
        "quantity": judged.quantity,
        "cost_centre": judged.cost_centre,
        "service_line": judged.service_line or before.service_line,
        "chargeable": judged.chargeable,
        "voids": outcome.voids,
        "voided_by": outcome.voided_by,
        "round": key.round,
    }
