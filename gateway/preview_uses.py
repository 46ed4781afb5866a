"""What taking uses once more would do: kept already, new, or known with other content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from canonical.base import content_hash
from canonical.messages import Kept
from canonical.replays import CONFLICT, DONE, NEW, Difference, Outcome, differences
from canonical.usage import UsageEvent
from gateway.usage import Procedures, known

UseName = tuple[str, str, str, int]
"""Facility, source, number and sequence: the one name of a use."""
MENDED: Final = ("parked", "review")  # states in which a use waits for a person and has moved nothing


class HeldUse(Protocol):
    """A use as our store holds it."""

    @property
    def hash(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def event(self) -> UsageEvent: ...


def name_of(event: UsageEvent) -> UseName:
    """The name of a use."""
    return event.facility, event.source, event.number, event.sequence


class Uses:
    """Judges uses of one list of messages: it remembers those that came before."""

    def __init__(self, procedures: Procedures | None) -> None:
        self._procedures = procedures
        self._begun: dict[UseName, tuple[str, str]] = {}

    def judged(
        self, event: UsageEvent, held: HeldUse | None, message: Kept
    ) -> tuple[Outcome, str, Sequence[Difference]]:
        """What would become of a use of a message, by what is held under its name."""
        event = self._procedures.opaque(event) if self._procedures else event
        content, name = content_hash(event), name_of(event)
        if held is not None and held.hash == content:
            return DONE, f"use {event.number} is kept ({held.state})", ()
        if held is not None:
            news = _of(event, differences(held.event, event))
            if mends(held, message):
                return NEW, f"use {event.number} is {held.state}: it would be judged anew as it says now", news
            return CONFLICT, f"{known(event)} ({held.state})", news
        if name in self._begun:
            before, first = self._begun[name]
            return DONE if before == content else CONFLICT, f"message {first}, before it in this list, has this use", ()
        self._begun[name] = content, message.id
        what = {"use": "a use", "void": "a use taken back", "empty-bin": "an empty bin"}[event.kind]
        place = event.location or "no place"
        return NEW, f"{what} would be kept for {place}: {event.number}", _of(event, differences(None, event))


def mends(held: HeldUse, message: Kept) -> bool:
    """Whether a message says anew what it, or the message it corrects, said before, and nobody has acted on that."""
    return held.state in MENDED and held.message in (message.id, message.version_of)


def _of(event: UsageEvent, found: Sequence[Difference]) -> Sequence[Difference]:
    return [one.model_copy(update={"path": f"use {event.number}/{event.sequence} {one.path}"}) for one in found]
