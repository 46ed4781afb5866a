"""The journal and the control numbers in memory, for tests that need no database."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from canonical.errors import Rejected
from canonical.messages import APART, KeepResult, Kept, Move, NewMessage
from canonical.ports import ControlNumbers
from store.ids import new_id
from store.kept import slot_of
from store.moves import STATES
from store.streams import in_order, shards_of


def _now() -> datetime:
    return datetime.now(UTC)


class FakeJournal:
    """The journal in memory: ``messages`` by id, ``moves`` from state to state."""

    def __init__(self) -> None:
        self.messages: dict[str, Kept] = {}
        self.moves: dict[str, list[tuple[str, str, datetime]]] = {}
        self._keys: dict[tuple[str, str], tuple[str, datetime | None]] = {}
        self._apart: dict[tuple[str, str], str] = {}
        self.parked: dict[str, tuple[str, str]] = {}  # stream -> message, reason

    async def keep(self, message: NewMessage) -> KeepResult:
        content = hashlib.sha256(message.data).hexdigest()
        at = message.at or _now()
        first = self._first(message, at)
        if first is not None and first.hash == content:
            return KeepResult(outcome="duplicate", message=first, first=first)
        if first is not None and (again := self._apart.get((first.id, content))):
            return KeepResult(outcome="conflict", message=self.messages[again], first=first)
        kept = Kept(
            **message.model_dump(exclude={"at", "data", "remember", "refused"}),
            id=new_id(at),
            at=at,
            data=message.data,
            hash=content,
            size=len(message.data),
            state="refused" if message.refused else "received" if message.direction == "in" else "validated",
            reason=f"{APART}{first.id} has this number with other content" if first else message.refused,
        )
        self.messages[kept.id] = kept
        self.moves[kept.id] = [(kept.state, kept.reason, at)]
        if first is not None:
            self._apart[first.id, content] = kept.id
            return KeepResult(outcome="conflict", message=kept, first=first)
        if message.key:
            until = at + message.remember if message.remember is not None else None
            self._keys[message.direction, message.key] = (kept.id, until)
        return KeepResult(outcome="kept", message=kept)

    async def keep_many(self, messages: Sequence[NewMessage]) -> Sequence[KeepResult]:
        return [await self.keep(message) for message in messages]

    def _first(self, message: NewMessage, at: datetime) -> Kept | None:
        name, until = self._keys.get((message.direction, message.key), ("", None))
        return None if until is not None and until < at else self.messages.get(name)

    async def mark(
        self, message: str, state: str, *, reason: str = "", case: str = "", kind: str = "", control_number: str = ""
    ) -> None:
        if state not in STATES:
            raise ValueError(f"{state} is not a state of a message")
        kept = self.messages.get(message)
        if kept is None:
            raise Rejected(f"the journal has no message {message}", code="not-found", system="store")
        if kept.state == "acknowledged" and state == "sent":
            state, reason = "acknowledged", reason or kept.reason
        given = {"case": case, "kind": kind, "control_number": control_number}
        changes = {name: value for name, value in given.items() if value}
        self.messages[message] = kept.model_copy(update={"state": state, "reason": reason, **changes})
        if (kept.state, kept.reason) != (state, reason):
            self.moves[message].append((state, reason, _now()))

    async def mark_many(self, moves: Sequence[Move]) -> None:
        missing = next((move.message for move in moves if move.message not in self.messages), None)
        for move in moves:
            await self.mark(missing or move.message, move.state, reason=move.reason, case=move.case, kind=move.kind)
            if move.owner:
                moved = self.messages[move.message]
                self.messages[move.message] = moved.model_copy(update={"owner": move.owner})

    async def answered(self, message: str, answer: str) -> None:
        if message not in self.messages:
            raise Rejected(f"the journal has no message {message}", code="not-found", system="store")
        self.messages[message] = self.messages[message].model_copy(update={"answer": answer})

    async def read(self, message: str) -> Kept | None:
        return self.messages.get(message)

    async def history(self, message: str) -> Sequence[tuple[str, str, datetime]]:
        return self.moves.get(message, [])

    async def kept_under(self, prefix: str) -> Sequence[Kept]:
        found = [kept for kept in self.messages.values() if kept.direction == "in" and kept.key.startswith(prefix)]
        return sorted((one for one in found if one.id not in self._apart.values()), key=lambda one: (one.at, one.id))

    async def unrouted(self, older_than: datetime, limit: int = 100, *, after: Kept | None = None) -> Sequence[Kept]:
        waiting = [kept for kept in self._waiting() if not kept.stream and kept.at < older_than]
        beyond = [kept for kept in waiting if after is None or (kept.at, kept.id) > (after.at, after.id)]
        return sorted(beyond, key=lambda kept: (kept.at, kept.id))[:limit]

    async def next_to_route(
        self, shard: int | Collection[int], of: int, limit: int = 500, *, without: Collection[str] = ()
    ) -> Sequence[Kept]:
        shards = shards_of(shard, of)
        ours = [kept for kept in self._waiting() if kept.stream and slot_of(kept.stream) % of in shards]
        able = (kept for kept in ours if kept.stream not in self.parked and kept.stream not in without)
        return in_order(able)[:limit]

    async def park(self, stream: str, message: str, reason: str) -> None:
        self.parked.setdefault(stream, (message, reason))

    async def unpark(self, stream: str) -> None:
        self.parked.pop(stream, None)

    def _waiting(self) -> list[Kept]:
        return [
            kept
            for kept in self.messages.values()
            if kept.direction == "in" and kept.state in ("received", "validated")
        ]


class FakeNumbering:
    """Control numbers in memory; ``given`` by partner and key, ``about`` says for which case and kind."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, str], ControlNumbers] = {}
        self.about: dict[tuple[str, str], tuple[str, str]] = {}

    async def control_numbers(self, partner: str, key: str, *, case: str, kind: str) -> ControlNumbers:
        if (partner, key) not in self.given:
            number = sum(1 for known, _ in self.given if known == partner) + 1
            self.given[partner, key] = ControlNumbers(
                interchange=number, group=number, transaction_set=number, given_at=_now().replace(microsecond=0)
            )
            self.about[partner, key] = (case, kind)
        return self.given[partner, key]
