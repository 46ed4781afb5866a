"""What a posting does to balances: each line one movement, or two where goods go from one location of ours to another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import quote

from canonical.stock import PickedLot, StockPosted, StockPosting


@dataclass(frozen=True, slots=True)
class Move:
    """One change of one balance, once under its key; base units, above zero in, below zero out.

    ``kind``: opening, use, void, supply, receipt, adjust, drift. ``event`` or ``need``: what it is of.
    """

    key: str
    facility: str
    location: str
    item: str
    quantity: int
    kind: str
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    event: str = ""
    need: str = ""
    document: str = ""
    reason: str = ""

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """The balance it changes; balances are always locked in this order."""
        return self.facility, self.location, self.item, self.lot, self.serial


def moves_of(posting: StockPosting, outcome: StockPosted) -> list[Move]:
    """The movements of what the ERP booked of a posting."""
    refused = {line.key for line in outcome.refused}
    document = " ".join(receipt.number for receipt in outcome.receipts)
    picked: dict[str, list[PickedLot]] = {}
    for one in outcome.picked:
        picked.setdefault(one.key, []).append(one)
    moves = (move for move in _moves(posting, document) if move.key.removesuffix("/from") not in refused)
    return [one for move in moves for one in _by_lot(move, picked.get(move.key.removesuffix("/from"), ()))]


def _by_lot(move: Move, picked: Sequence[PickedLot]) -> Iterator[Move]:
    """A line that named no lot, by the lots the ERP took for it; what it does not say of stays without."""
    sign, left = (1 if move.quantity > 0 else -1), abs(move.quantity)
    for one in picked if not (move.lot or move.serial) else ():
        if (quantity := min(one.quantity, left)) > 0:
            left -= quantity
            key = f"{move.key}/lot/{quote(one.lot, safe='')}"
            yield replace(move, key=key, quantity=sign * quantity, lot=one.lot, expires=one.expires)
    if left or not picked:
        yield replace(move, quantity=sign * left)


def reserved_by(posting: StockPosting) -> list[Move]:
    """What a posting takes from balances: reserved from when its round is taken until it is recorded or refused."""
    return [move for move in _moves(posting, "") if move.quantity < 0 and move.kind in ("use", "supply")]


def event_of(key: str) -> str:
    """The event a line of a consume or consign posting is of."""
    return key.rsplit("/", 1)[-1]


def need_of(posting: StockPosting) -> str:
    """The need a transfer is for; empty where a whole location moves."""
    name = posting.key.rsplit("/", 1)[-1] if posting.kind == "transfer" else ""
    return "" if name == MOVED else name


MOVED = "moved"  # in place of a need: everything of a location that moved


def _moves(posting: StockPosting, document: str) -> Iterator[Move]:
    need = need_of(posting)
    for line in posting.lines:
        common: dict[str, Any] = {
            "facility": posting.facility,
            "item": line.item,
            "lot": line.lot,
            "serial": line.serial,
            "expires": line.expires,
            "document": document,
            "reason": posting.reason,
        }

        def move(key: str, location: str, quantity: int, kind: str, common: dict[str, Any] = common) -> Move:
            event = event_of(key) if kind in ("use", "void") or posting.kind == "consign" else ""
            return Move(key=key, location=location, quantity=quantity, kind=kind, event=event, need=need, **common)

        if posting.kind == "consume":
            sign, kind = (1, "void") if line.back else (-1, "use")
            yield move(line.key, posting.location, sign * line.quantity, kind)
        elif posting.kind == "adjust":
            yield move(line.key, posting.location, line.quantity if line.back else -line.quantity, "adjust")
        elif posting.kind == "consign" or posting.from_location is None:
            yield move(line.key, posting.location, line.quantity, "receipt")
        else:
            yield move(line.key, posting.location, line.quantity, "supply")
            yield move(f"{line.key}/from", posting.from_location, -line.quantity, "supply")


def rose(moves: Collection[Move]) -> set[tuple[str, str, str]]:
    """Where there is more of an item now: facility, location, item."""
    return {(move.facility, move.location, move.item) for move in moves if move.quantity > 0}
