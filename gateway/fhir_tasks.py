"""What became of a SupplyRequest, as FHIR tells it: a Task whose focus it is, with the order's number; and the number on the request.

hl7.org/fhir/R4B/task.html and hl7.org/fhir/R5/task.html: the status of a request is its author's, how far it came is its Task's. The
order's number is what HL7 v2 has in ORC-3, so it is an identifier of type FILL. A Task is made when it is read; nothing of it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from canonical.base import Canonical
from canonical.cases import CaseStatus, LineState, State
from canonical.errors import Malformed
from canonical.messages import Kept
from canonical.senders import Sender
from formats import fhir
from formats.fhir import Identifier, Issue, Release, Resource, Tree
from gateway.fhir_faults import Refused
from gateway.fhir_judge import ORDERS, id_of
from gateway.fhir_requisitions import PATH as REQUEST
from gateway.fhir_requisitions import case_of, groups, line_of
from gateway.fhir_shelf import Shelf, Stored

TASK: Final = "Task"
CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
ENDED: Final = frozenset({"cancelled", "refused", "rejected", "duplicate"})
SINCE: Final = re.compile(r"(gt|ge|)(\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2}))?)")
LONGEST: Final = 500  # signs of a reason
PAGE: Final = 100
MOST: Final = 200


class Standing(Canonical):
    """How a case stands, since when, and who asked for it."""

    status: CaseStatus
    changed_at: datetime
    asked_by: str = ""


class Fulfilment(Protocol):
    """What our store knows of what became of requests."""

    async def standings(self, cases: Sequence[str]) -> Mapping[str, Standing]:
        """How these cases stand; one that has not said a word yet is left out."""
        ...

    async def ended(self, messages: Sequence[str]) -> Mapping[str, datetime]:
        """Since when these messages wait for a person; the others are left out."""
        ...

    async def changed(self, sender: str, since: datetime, *, after: bool, limit: int) -> Sequence[tuple[str, datetime]]:
        """The FHIR messages of a sender that came, were listed for a person, or whose cases changed, since (or after) a moment: each
        with that moment, the oldest first; more than ``limit`` only where several are of one moment."""
        ...


class Nothing:
    """Nobody knows anything."""

    async def standings(self, cases: Sequence[str]) -> Mapping[str, Standing]:
        return {}

    async def ended(self, messages: Sequence[str]) -> Mapping[str, datetime]:
        return {}

    async def changed(self, sender: str, since: datetime, *, after: bool, limit: int) -> Sequence[tuple[str, datetime]]:
        return []


class Messages(Protocol):
    """The journal, as far as messages are read by name."""

    async def read(self, message: str) -> Kept | None: ...


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a request: its newest version, how its case stands, and since when it waits for a person, where it does."""

    stored: Stored
    standing: Standing | None = None
    parked: datetime | None = None

    @property
    def line(self) -> LineState | None:
        """Where its line is; None where its case does not say."""
        status = self.standing.status if self.standing else None
        name = line_of(self.stored.resource) if status else ""
        return next((one for one in status.lines if one.line == name), None) if status else None

    @property
    def orders(self) -> tuple[str, ...]:
        """The numbers of the orders its line is in."""
        return (self.line.order,) if self.line is not None and self.line.order else ()

    @property
    def changed_at(self) -> datetime:
        """When it last changed."""
        moments = (self.stored.kept.at, self.parked, self.standing.changed_at if self.standing else None)
        return max(one for one in moments if one is not None)


class Tasks:
    """Tells a sender what became of what it asked for."""

    def __init__(self, shelf: Shelf, journal: Messages, fulfilment: Fulfilment) -> None:
        self._shelf = shelf
        self._journal = journal
        self._fulfilment = fulfilment

    async def of(self, sender: Sender, stored: Sequence[Stored]) -> list[Became]:
        """What became of these requests."""
        cases = {one.id: case for one in stored if (case := _case(one.resource, sender))}
        standings = await self._fulfilment.standings(list(dict.fromkeys(cases.values()))) if cases else {}
        parked = await self._fulfilment.ended([one.kept.id for one in stored]) if stored else {}
        told = []
        for one in stored:
            standing = standings.get(cases.get(one.id, ""))
            mine = standing if standing is not None and standing.asked_by == sender.code else None
            told.append(Became(one, mine, parked.get(one.kept.id)))
        return told

    async def read(self, sender: Sender, release: Release, name: str) -> Became | None:
        """What became of the request of this id; None where this sender sent none."""
        stored = await self._shelf.read(sender, release, REQUEST, name)
        return (await self.of(sender, [stored]))[0] if stored else None

    async def about(self, sender: Sender, release: Release, message: str) -> list[Became]:
        """What became of the requests in a message of this sender."""
        found = [await self.read(sender, release, name) for name in await self._names(sender, release, message)]
        return [one for one in found if one is not None]

    async def since(
        self, sender: Sender, release: Release, moment: datetime, *, after: bool, limit: int
    ) -> tuple[list[Became], datetime | None]:
        """What changed since, the oldest change first; and the moment to ask after next, None at the end."""
        news = await self._fulfilment.changed(sender.code, moment, after=after, limit=limit)
        found: dict[str, Became] = {}
        for message, _ in news:
            for name in await self._names(sender, release, message):
                if name not in found and (became := await self.read(sender, release, name)) is not None:
                    found[name] = became
        return sorted(found.values(), key=lambda one: one.changed_at), news[-1][1] if len(news) >= limit else None

    async def _names(self, sender: Sender, release: Release, message: str) -> list[str]:
        """The ids of the requests in a message of this sender."""
        kept = await self._journal.read(message)
        if kept is None or kept.sender != sender.code:
            return []
        if kept.kind == release.kind(REQUEST):
            head, _, rest = kept.key.partition(f"/{REQUEST}/")
            return [rest.partition("/")[0]] if head and rest else []
        if kept.kind != release.kind(fhir.BUNDLE):
            return []
        try:
            lines = [one for group in groups(fhir.read(kept.data, release)) for _, one in group]
        except fhir.Unreadable:
            return []
        return [id_of(own) for one in lines if (own := one.identifier) is not None]


def task(became: Became) -> Tree:
    """The Task of a request."""
    stored, resource = became.stored, became.stored.resource
    status, business, reason = _stands(became)
    tree: Tree = {
        "resourceType": TASK,
        "id": stored.id,
        "meta": {"versionId": task_version(became), "lastUpdated": instant(became.changed_at)},
    }
    if (group := resource.group) is not None:
        tree["groupIdentifier"] = _identifier(group)
    tree["status"] = status
    if reason:
        told = {"text": reason}
        tree["statusReason"] = {"concept": told} if resource.release == fhir.R5 else told
    tree |= {
        "businessStatus": {"text": business},
        "intent": "order",
        "code": {"coding": [{"system": CODE, "code": "fulfill"}]},
        "focus": {"reference": stored.place},
        "authoredOn": instant(stored.kept.at),
        "lastModified": instant(became.changed_at),
    }
    if became.orders:
        kind = {"coding": [{"system": fhir.IDENTIFIER_TYPES, "code": fhir.FILLER}], "text": "order"}
        tree["output"] = [{"type": kind, "valueIdentifier": filler(number)} for number in became.orders]
    return tree


def task_version(became: Became) -> str:
    """The version of a Task: which of its request, and how often its case changed; before there is one, where its message is."""
    at = str(became.standing.status.revision) if became.standing else became.stored.kept.state
    parked = "-parked" if became.standing and became.parked else ""
    return f"{became.stored.version}-{at}{parked}"


def filler(number: str) -> Tree:
    """An order's number as an identifier."""
    kind = {"coding": [{"system": fhir.IDENTIFIER_TYPES, "code": fhir.FILLER}]}
    return {"type": kind, "system": ORDERS, "value": number}


def instant(moment: datetime) -> str:
    """As FHIR writes an instant."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def asked_since(said: str) -> tuple[datetime, bool]:
    """What ``_lastUpdated`` says: a moment, and whether only what came after it counts.

    Raises:
        Refused: it is not ``gt`` or ``ge`` and a date or a moment with its zone.
    """
    found = SINCE.fullmatch(said.strip().replace(" ", "+"))  # a plus in a query is a space
    try:
        if found is None or not found[1]:
            raise ValueError
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", found[2]).replace("Z", "+00:00"))
    except ValueError:
        raise Refused(400, [Issue("value", "_lastUpdated is gt or ge and a date or an instant")]) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC), found[1] == "gt"


def _case(resource: Resource, sender: Sender) -> str:
    try:
        return case_of(resource, sender) if resource.type == REQUEST and line_of(resource) else ""
    except Malformed:  # it can have no case
        return ""


def _stands(became: Became) -> tuple[str, str, str]:
    """Its Task's status, the same in our words, and why, where it goes no further."""
    kept, standing = became.stored.kept, became.standing
    reason = kept.reason[:LONGEST] if kept.state in ("dead", "refused") else ""
    if standing is None:
        if kept.state in ("received", "validated"):
            return "received", "kept", ""
        if kept.state == "dead":
            return "on-hold", "a person looks at it", reason
        if kept.state == "refused":
            return "rejected", "known with other content", reason
        asked = became.stored.resource.text("status") == "active"
        return ("accepted", "its case begins", "") if asked else ("draft", "nothing is asked yet", "")
    status = standing.status
    line = became.line
    business = line.state if line is not None else status.business_state
    if status.closed or business in ENDED:
        if business == "cancelled" or (business not in ENDED and status.state is State.FAILED):
            return "cancelled", business, reason
        return ("rejected" if business in ENDED else "completed"), business, reason or status.next_action[:LONGEST]
    parked = "a person looks at it" if status.attention else ""
    return ("in-progress" if became.orders else "accepted"), business, reason or parked


def _identifier(one: Identifier) -> Tree:
    return ({"system": one.system} if one.system else {}) | {"value": one.value}
