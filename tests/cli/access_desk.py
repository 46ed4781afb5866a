"""Access as the commands ask for it, in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from canonical.access import BlockWord, LiftTaken
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

    async def access(self, person: str) -> AccessShown:
        blocked = person == "person-9999"
        off = TargetShown(target="idp", kind="identity", state="off", times=2, confirmed_off=True)
        on = TargetShown(target="plan", kind="scheduling", state="due", active=True)
        return AccessShown(
            person=person, known=person != UNKNOWN, blocked=blocked, since=NOON, by="E-HR", targets=(off, on)
        )
