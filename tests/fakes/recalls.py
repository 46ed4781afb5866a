"""Recalls in memory: the port :class:`canonical.recall_ports.Recalls`, for tests that need no database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from canonical.errors import Rejected
from canonical.recall import OUTCOMES, RecallNotice, RecallStanding, RecallTaken, RecallTask, RecallWord
from canonical.usage import UsagePolicy


@dataclass
class Held:
    """One recall: ``places`` wait to be found by its next look."""

    notice: RecallNotice
    uncertain: bool
    places: list[tuple[str, str, int]] = field(default_factory=list)  # kind, location or procedure, units
    tasks: dict[str, RecallTask] = field(default_factory=dict)
    closed: bool = False
    blocked: bool = True


class FakeRecalls:
    """Everything is there to be looked at. ``away``: our own store does not answer so many looks."""

    def __init__(self, facility: str = "NGH") -> None:
        self.facility = facility
        self.held: dict[str, Held] = {}
        self.taken: dict[tuple[str, str], RecallTaken] = {}
        self.looks = 0

    def keep(self, notice: RecallNotice, *places: tuple[str, str, int]) -> None:
        self.held[notice.number] = Held(notice, not notice.certain, list(places))

    async def match(self, number: str, as_of: datetime) -> RecallStanding:
        self.looks += 1
        if (held := self.held.get(number)) is None:
            return RecallStanding(number=number, state="unknown")
        hours, opened = UsagePolicy(facility="NGH").recall_hours[held.notice.classification or "I"], 0
        for kind, place, units in held.places:
            name = f"t{len(held.tasks) + 1}"
            where = {"location": place} if kind != "procedure" else {"procedure": place}
            held.tasks[name] = RecallTask.model_validate(
                {"id": name, "recall": number, "kind": kind, "facility": self.facility, "expected": units}
                | {"opened_at": as_of, "due": as_of + timedelta(hours=hours)} | where
            )  # fmt: skip
            opened += 1
        held.places.clear()
        held.closed = held.closed and not opened
        return (await self.standing(number, as_of)).changed(added=opened)

    async def standing(self, number: str, as_of: datetime) -> RecallStanding:
        if (held := self.held.get(number)) is None:
            return RecallStanding(number=number, state="unknown")
        waiting = [task for task in held.tasks.values() if task.state == "open"]
        later = [task.due for task in waiting if task.due > as_of]
        level = held.notice.classification
        quiet = "scope" if held.uncertain and not any(one.certain for one in held.notice.scopes) else "answered"
        return RecallStanding(
            number=number,
            state="open" if waiting else "closed" if held.closed else quiet,
            classification=level,
            hours=UsagePolicy(facility="NGH").recall_hours[level or "I"],
            summary=f"Recall {number}",
            blocked=held.blocked,
            uncertain=held.uncertain,
            terminated=held.notice.status == "terminated",
            open=len(waiting),
            answered=len(held.tasks) - len(waiting),
            overdue=len(waiting) - len(later),
            due=min((task.due for task in waiting), default=None),
            next_at=min(later, default=None),
        )

    async def facility_of(self, number: str, word: RecallWord, as_of: datetime) -> str:
        if word.task and word.task not in self.held[number].tasks:
            raise Rejected(f"recall {number} has no task {word.task}", code="not-found")
        return self.facility

    async def take(self, number: str, word: RecallWord, by: str, as_of: datetime) -> RecallTaken:
        if (number, word.id) not in self.taken:
            message = self._carry_out(self.held[number], word, by, as_of)
            standing = await self.standing(number, as_of)
            self.taken[number, word.id] = RecallTaken(taken=True, message=message, standing=standing)
        return self.taken[number, word.id]

    def _carry_out(self, held: Held, word: RecallWord, by: str, as_of: datetime) -> str:
        if word.verb == "answer":
            task = held.tasks[word.task]
            if task.state != "open":
                raise Rejected(f"task {word.task} was answered: {task.outcome}", code="not-open")
            if word.outcome not in OUTCOMES[task.kind]:
                raise Rejected(f"{word.outcome} is no answer of a {task.kind}", code="data-invalid")
            said = {
                "state": "answered",
                "outcome": word.outcome,
                "found": word.found,
                "answered_by": by,
                "answered_at": as_of,
            }
            held.tasks[word.task] = task.changed(**said)
            return word.outcome
        if word.verb == "close" and any(task.state == "open" for task in held.tasks.values()):
            raise Rejected("tasks of it are not answered yet", code="not-open")
        held.uncertain = False
        if word.verb == "scope":
            held.places.append(("location", "OR-9", 1))
            return "1 scopes added, 1 blocked"
        if word.verb in ("close", "lift"):
            held.closed, held.blocked = True, word.verb == "close"
        return word.verb
