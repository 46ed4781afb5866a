"""What a round came to once the ERP has had its word: movements, and what becomes of each event and need of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from canonical.stock import StockPosted, StockPosting
from canonical.stock_moves import Move, event_of, moves_of, need_of


@dataclass(slots=True)
class Settled:
    """``refused``: events the ERP would not book, with why; ``brought``: base units by need; ``not_brought``: needs it refused."""

    moves: list[Move] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    brought: dict[str, int] = field(default_factory=dict)
    not_brought: dict[str, str] = field(default_factory=dict)


def settle(postings: Sequence[StockPosting], outcomes: Mapping[str, StockPosted]) -> Settled:
    """Put together what became of every posting of a round; each has its outcome."""
    settled = Settled()
    brought: dict[str, int] = defaultdict(int)
    for posting in postings:
        outcome = outcomes[posting.key]
        moves = moves_of(posting, outcome)
        settled.moves += moves
        if need := need_of(posting):
            brought[need] += sum(move.quantity for move in moves if move.location == posting.location)
            if outcome.refused:
                settled.not_brought[need] = outcome.refused[0].reason
        if posting.kind == "consume":
            settled.refused |= {event_of(line.key): line.reason for line in outcome.refused}
    settled.brought = {need: quantity for need, quantity in brought.items() if quantity}
    return settled


def after_supply(quantity: int, put_away: int, *, warehouse: bool, state: str) -> str:
    """A need's state once so much of it was put away: what a warehouse still owes is back-ordered there."""
    if not warehouse:
        return state
    return "received" if put_away >= quantity else "back-ordered"


def touched(moves: Collection[Move], also: Collection[tuple[str, str]] = ()) -> set[tuple[str, str]]:
    """Locations and items whose level is looked at: wherever something moved, and empty bins."""
    return {(move.location, move.item) for move in moves} | set(also)
