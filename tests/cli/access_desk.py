"""Access as the commands ask for it, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from canonical.access import BlockWord, LiftTaken, TargetRow, TargetWord, TargetWordTaken
from canonical.errors import Rejected
from cli.access_views import AccessShown, Revoked, TargetShown

UNKNOWN = "person-0007"
GONE = "person-0008"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class FakeAccessDesk:
    """Notes what it was asked; ``person-9999`` is blocked, and one of its two targets is not confirmed; nobody has
    ever heard of ``person-0007``; the events of ``person-0008`` are of ``person-0002`` by now."""

    def __init__(self, asked_for: list[Any]) -> None:
        self._asked = asked_for

    async def revoke(self, word: BlockWord) -> Revoked:
        self._asked.append(word)
        told: dict[str, Any] = {"person": word.person, "since": NOON, "by": "E-HR", "id": word.id}
        gone_to = ("person-0002",) if word.person == GONE else ()
        return Revoked(begun=True, message="it is being taken away", gone_to=gone_to, **told)

    async def lift(self, word: BlockWord) -> LiftTaken:
        self._asked.append(word)
        return LiftTaken(person=word.person, lifted=False, asked_by="E-1", message="another person must confirm it")

    async def gone(self, word: TargetWord) -> TargetWordTaken:
        self._asked.append(word)
        if word.target != "old":
            raise Rejected(f"{word.target} is in use", code="not-open", system="store")
        return TargetWordTaken(target=word.target, gone=False, asked_by="E-1", message="another person must say so too")

    async def targets(self) -> Sequence[TargetRow]:
        old = TargetRow(target="old", kind="scheduling", people=3, asked_by="E-1", said_by="E-2", gone_since=NOON)
        asked = TargetRow(target="older", kind="directory", people=1, asked_by="E-1", asked_at=NOON)
        return [TargetRow(target="idp", kind="identity", active=True, people=12), old, asked]

    async def access(self, person: str) -> AccessShown:
        blocked = person == "person-9999"
        off = TargetShown(target="idp", kind="identity", state="off", times=2, confirmed_off=True)
        on = TargetShown(target="plan", kind="scheduling", state="due", active=True)
        old = TargetShown(target="old", kind="scheduling", state="off", finding="system-gone")
        keys = TargetShown(target="keys", kind="manual", state="written", active=True, reason="asked back")
        return AccessShown(
            person=person, known=person != UNKNOWN, blocked=blocked, since=NOON, by="E-HR", targets=(off, old, on, keys)
        )
