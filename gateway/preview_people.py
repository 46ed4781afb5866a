"""What taking HR events once more would do: kept already, new, or known with other content; in codes and days, never with a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from canonical.base import content_hash
from canonical.messages import Kept
from canonical.people import HrEvent
from canonical.replays import CONFLICT, DONE, NEW, Difference, Outcome, differences
from gateway.people import PersonHashes, known

EventName = tuple[str, str, str]
"""Facility, source and number: the one name of an HR event."""
PEOPLE_FILE: Final = "people"  # the CSV feed whose cells are personal
NOT_SHOWN: Final = "(not shown)"
WHO: Final = "record"  # the part of an event that is personal


class HeldEvent(Protocol):
    """An HR event as our store holds it."""

    @property
    def hash(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def event(self) -> HrEvent: ...


def event_name(event: HrEvent) -> EventName:
    """The name of an HR event."""
    return event.facility, event.source, event.number


class PeopleEvents:
    """Judges HR events of one list of messages: it remembers those that came before."""

    def __init__(self, hashes: PersonHashes | None) -> None:
        self._hashes = hashes
        self._begun: dict[EventName, tuple[str, str]] = {}

    def judged(
        self, event: HrEvent, held: HeldEvent | None, message: Kept
    ) -> tuple[Outcome, str, Sequence[Difference]]:
        """What would become of an event of a message, by what is held under its name."""
        event = self._hashes.opaque(event) if self._hashes else event
        content, name = content_hash(event), event_name(event)
        if held is not None and held.hash == content:
            return DONE, f"HR event {event.number} is kept ({held.state})", ()
        if held is not None:
            news = masked(event, differences(held.event, event))
            if held.message in (message.id, message.version_of):
                return NEW, f"HR event {event.number} is {held.state}: it would be taken anew as it says now", news
            return CONFLICT, f"{known(event)} ({held.state})", news
        if name in self._begun:
            before, first = self._begun[name]
            return (
                DONE if before == content else CONFLICT,
                f"message {first}, before it in this list, has this event",
                (),
            )
        self._begun[name] = content, message.id
        told = f"{event.kind} of one person from {event.effective} would be kept: {event.number}"
        return NEW, f"{told} (EMERGENCY)" if event.emergency else told, masked(event, differences(None, event))


def masked(event: HrEvent, found: Sequence[Difference]) -> Sequence[Difference]:
    """Differences by their places; of who it is, only that something differs."""
    shown = []
    for one in found:
        personal = one.path.partition(".")[0] in (WHO, "person")
        path = f"HR event {event.number} {one.path}"
        shown.append((hidden(one) if personal else one).model_copy(update={"path": path}))
    return shown


def hidden(one: Difference) -> Difference:
    """That something differs, and not what."""
    return one.model_copy(update={side: NOT_SHOWN for side in ("was", "now") if getattr(one, side)})
