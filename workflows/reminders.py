"""Parked things nobody answers: when each is reminded of, in the facility's business time, and whose it then is.

| since it was parked                        | what follows                                                                      |
|--------------------------------------------|-----------------------------------------------------------------------------------|
| ``Policy.attention_reminder``              | reminded: the event ``*.attention_overdue``, and said in the case's details       |
| twice that, and each such time again       | escalated: the same, and it is owned by ``Policy.attention_escalate_to``, if named |

A successor goes on counting from when the thing was first parked; what was told before is not told again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from canonical.calendar import BusinessCalendar
    from canonical.cases import Attention
    from canonical.parties import Policy

ESCALATED = 2  # from this reminder on the level above has it
REMIND_EVERY = 24 * 3600  # seconds, for a case so unreadable that no facility's rules are known


class Reminded:
    """A case that reminds of what it has parked. A process knows its calendar, and under which name the event is told."""

    policy: Policy | None
    owner: str
    held_by: str
    attention: list[Attention]

    def _giving_up(self) -> bool:
        """Whether the case is being taken back."""
        raise NotImplementedError

    def _calendar(self) -> BusinessCalendar:
        """When the facility's offices are open."""
        raise NotImplementedError

    def _tell_overdue(self, key: str, data: dict[str, str]) -> None:
        """The business event that nobody answers something parked."""
        raise NotImplementedError

    @property
    def _answerable(self) -> str:
        """Whose it is: the level above's, where something parked was reminded of and still nobody answered."""
        above = self.policy.attention_escalate_to if self.policy else ""
        return above if above and any(a.reminded >= ESCALATED for a in self.attention) else self.owner

    @property
    def _remind_every(self) -> timedelta:
        return timedelta(seconds=self.policy.attention_reminder if self.policy else REMIND_EVERY)

    def _next_reminder(self) -> datetime | None:
        """When something parked is to be reminded of; who holds a case knows of it."""
        if not self.attention or (self.held_by and not self._giving_up()):
            return None
        if not workflow.patched("parked-things-are-reminded-of"):
            return None
        return next_reminder(self.attention, self._calendar(), self._remind_every)

    def _remind(self) -> None:
        """What has come due is told, for other systems to mail and page people by."""
        now, calendar = workflow.now(), self._calendar()
        for place, parked in enumerate(self.attention):
            again = reminded(parked, now, calendar, self._remind_every)
            if again.reminded == parked.reminded:
                continue
            self.attention[place] = again
            since = again.since.isoformat() if again.since else ""
            data = {
                "what": "escalate" if again.reminded >= ESCALATED else "remind",
                "owner": self._answerable,
                "kind": again.kind,
                "reason": again.reason,
                "line": again.line or "",
                "document": again.document or "",
                "since": since,
            }
            name = again.document or again.line or again.path or again.kind
            self._tell_overdue(f"{name}/{since}/{again.reminded}", data)


def next_reminder(parked: Iterable[Attention], calendar: BusinessCalendar, every: timedelta) -> datetime | None:
    """The moment the next of these is to be reminded of; None where nothing is parked."""
    return min((_moment(one, calendar, every) for one in parked if one.since is not None), default=None)


def reminded(one: Attention, now: datetime, calendar: BusinessCalendar, every: timedelta) -> Attention:
    """The same thing, with the reminders counted that have come due; itself where none has."""
    while one.since is not None and _moment(one, calendar, every) <= now:
        one = one.model_copy(update={"reminded": one.reminded + 1})
    return one


def as_before(one: Attention, before: list[Attention]) -> Attention:
    """A thing that is parked again by a successor, with the time and the reminders it had; taken from ``before``."""
    for place, earlier in enumerate(before):
        if same(one, earlier):
            del before[place]
            return one.model_copy(update={"since": earlier.since, "reminded": earlier.reminded})
    return one


def in_words(one: Attention) -> str:
    """Where it is, why, and how often it was reminded of, as the details show it."""
    where = f" (line {one.line})" if one.line else ""
    times = "once" if one.reminded == 1 else f"{one.reminded} times"
    return f"{where}: {one.reason}{f'; reminded {times}' if one.reminded else ''}"


def same(one: Attention, other: Attention) -> bool:
    """Whether two are about the same thing, in whatever words."""
    return (one.kind, one.line, one.document, one.path) == (other.kind, other.line, other.document, other.path)


def _moment(one: Attention, calendar: BusinessCalendar, every: timedelta) -> datetime:
    since = one.since
    if since is None:
        raise ValueError("what is parked has a time")
    return calendar.add(since, every * (one.reminded + 1))
