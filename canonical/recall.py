"""Recalls: what a notice says is unsafe, which lots and serials it means, and what each place that had it must answer."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from canonical.base import SAFE, Canonical, FacilityCode, ItemCode, SupplierCode, Text, case_id
from canonical.cases import Actor, Attention, Decision

OWNER: Final = "materials management"
MAY_ANSWER: Final = frozenset({"materials", "admin"})
LOCATION_OUTCOMES: Final = ("quarantined", "returned", "none-found")
USE_OUTCOMES: Final = ("clinician-informed", "not-implanted")
OUTCOMES: Final = {"location": LOCATION_OUTCOMES, "procedure": USE_OUTCOMES, "use": (*USE_OUTCOMES, "none-found")}
"""What answers a task, by its kind: what a location did with what it holds; what became of a use in a procedure; and of uses at a
location that name no procedure."""
UNCLASSIFIED: Final = "I"  # whose clock runs for a notice that has no class yet: the shortest

Code = Annotated[str, StringConstraints(strip_whitespace=True, max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")]


class RecallScope(Canonical):
    """What is recalled of one product: a lot or range of lots, a serial number or range, or everything of it.

    The product is named by ``device`` (device identifier, as on its barcode), our ``item``, or a supplier's ``catalogue`` number;
    none of them where the notice names lots only, until a person says of what. A range goes from ``*_from`` to ``*_to``, both
    within; its ends have one length and it means the codes of that length between them, byte by byte (:func:`ranges` makes such).
    Lots and serials are compared without regard to case.
    """

    facility: FacilityCode | Literal[""] = ""
    device: Code = ""
    item: ItemCode | Literal[""] = ""
    supplier: SupplierCode | Literal[""] = ""
    catalogue: str = Field(default="", max_length=48)
    lot_from: Code = ""
    lot_to: Code = ""
    serial_from: Code = ""
    serial_to: Code = ""
    everything: bool = False

    @field_validator("lot_from", "lot_to", "serial_from", "serial_to")
    @classmethod
    def _capitals(cls, code: str) -> str:
        return code.upper()

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_range(cls, given: object) -> object:
        """A lot or serial alone is a range of one."""
        if not isinstance(given, dict):
            return given
        alone = {f"{what}_to": given[f"{what}_from"] for what in ("lot", "serial") if given.get(f"{what}_from")}
        return given | {name: value for name, value in alone.items() if not given.get(name)}

    @model_validator(mode="after")
    def _makes_sense(self) -> RecallScope:
        for first, last in ((self.lot_from, self.lot_to), (self.serial_from, self.serial_to)):
            if bool(first) != bool(last):
                raise ValueError("a range has two ends")
            if len(first) != len(last) or first > last:
                raise ValueError(f"{first} to {last} is no range: its ends have one length, the lower first")
        if self.everything and (self.lot_from or self.serial_from):
            raise ValueError("everything, or some lots or serials: not both")
        if self.catalogue and not self.supplier:
            raise ValueError("a catalogue number is a supplier's: name the supplier")
        return self

    @property
    def names_product(self) -> bool:
        """Whether it says of which product."""
        return bool(self.device or self.item or self.catalogue)

    @property
    def names_extent(self) -> bool:
        """Whether it says how much of the product."""
        return bool(self.everything or self.lot_from or self.serial_from)

    @property
    def certain(self) -> bool:
        """Whether it can be looked for and blocked without a person's word."""
        return self.names_product and self.names_extent

    def covers(self, lot: str, serial: str) -> bool:
        """Whether a thing of this product with that lot and serial is meant. What is asked for and not known is not covered."""
        return covers(self.lot_from, self.lot_to, lot) and covers(self.serial_from, self.serial_to, serial)

    def __str__(self) -> str:
        product = f"device {self.device}" if self.device else self.item or f"{self.supplier} {self.catalogue}".strip()
        spans = (("lot", self.lot_from, self.lot_to), ("serial", self.serial_from, self.serial_to))
        said = [f"{name} {first}{f' to {last}' if last != first else ''}" for name, first, last in spans if first]
        extent = ", ".join(said) or ("everything" if self.everything else "lots not known")
        return f"{product or 'product not known'}: {extent}{f' at {self.facility}' if self.facility else ''}"


def covers(first: str, last: str, code: str) -> bool:
    """Whether a code lies in a range whose ends have one length; an open range (no ends) covers every code.

    The same as the SQL of :mod:`store.recall_matching` says.
    """
    return not first or (len(code) == len(first) and first <= code.upper() <= last)


_NUMBERED = re.compile(r"(.*?)([0-9]+)")


def ranges(first: str, last: str) -> list[tuple[str, str]]:
    """A range as its notice writes it, in ranges whose ends have one length: ``98`` to ``120`` is ``98-99`` and ``100-120``.

    Raises:
        ValueError: the two do not begin alike and end in numbers, the lower first.
    """
    low, high = _NUMBERED.fullmatch(first.upper()), _NUMBERED.fullmatch(last.upper())
    if low is None or high is None or low[1] != high[1] or int(low[2]) > int(high[2]):
        raise ValueError("no range: the two do not begin alike and end in numbers, the lower first")
    prefix, begin, end = low[1], low[2], high[2]
    if len(begin) == len(end):
        return [(prefix + begin, prefix + end)]
    if begin.startswith("0") or end.startswith("0") or len(end) - len(begin) > 9:
        raise ValueError("no range: numbers of different lengths, one of which begins with a nought")
    found = []
    while len(begin) < len(end):
        found.append((prefix + begin, prefix + "9" * len(begin)))
        begin = "1" + "0" * len(begin)
    return [*found, (prefix + begin, prefix + end)]


class RecallNotice(Canonical):
    """A notice of a recall, of the FDA's enforcement reports or of a manufacturer's letter.

    ``classification``: I serious harm or death is likely, II it may be or harm is reversible, III none is likely (21 CFR 7.3(m));
    empty: not classified yet. ``status``: ongoing, completed (the firm has done its part) or terminated (by the FDA, 21 CFR 7.55).
    ``codes``: what it says of lots and serials, word for word; ``uncertain``: what of it a person must look at. ``facilities``:
    whom it concerns; none are all. ``event`` groups the recalls of one cause.
    """

    number: Annotated[str, SAFE]
    classification: Literal["", "I", "II", "III"] = ""
    status: Literal["ongoing", "completed", "terminated"] = "ongoing"
    firm: Text = ""
    product: Text = ""
    reason: Text = ""
    initiated: date | None = None
    event: str = Field(default="", max_length=40)
    distribution: Text = ""
    source: Literal["openfda", "manufacturer"] = "manufacturer"
    codes: str = Field(default="", max_length=200_000)
    uncertain: tuple[str, ...] = ()
    scopes: tuple[RecallScope, ...] = Field(default=(), max_length=20_000)
    facilities: tuple[FacilityCode, ...] = ()

    @property
    def case_id(self) -> str:
        """The case's one name."""
        return recall_case(self.number)

    @property
    def certain(self) -> bool:
        """Whether all it means can be looked for without a person's word."""
        return bool(self.scopes) and not self.uncertain and all(scope.certain for scope in self.scopes)


def recall_case(number: str) -> str:
    """The name of the case of a recall."""
    return case_id("recall", number)


class RecallStart(Canonical):
    """What opens (or continues) the case of a recall: its number; everything else is in our store."""

    number: Annotated[str, SAFE]
    generation: int = Field(default=1, ge=1)
    revision: int = Field(default=0, ge=0)
    parked: tuple[Attention, ...] = ()

    @property
    def case_id(self) -> str:
        """The case's one name."""
        return recall_case(self.number)


class RecallAsked(Canonical):
    """A step about one recall, as of a moment."""

    number: str
    as_of: datetime


class RecallStanding(Canonical):
    """How a recall stands: counts and moments, never its rows.

    ``state``: scope (nothing certain to look for yet), open (tasks wait), answered (all are; the block stands), closed, unknown.
    ``next_at``: when the next task still within its time is due; ``overdue``: tasks past theirs; ``added``: tasks this look opened.
    """

    number: str
    state: Literal["scope", "open", "answered", "closed", "unknown"]
    classification: str = ""
    hours: int = 24
    summary: Text = ""
    blocked: bool = False
    uncertain: bool = False
    terminated: bool = False
    open: int = 0
    answered: int = 0
    overdue: int = 0
    due: datetime | None = None
    next_at: datetime | None = None
    added: int = 0


class RecallTask(Canonical):
    """What one place must answer: a location that holds it, a procedure that used it, uses of no procedure at a location.

    ``expected``: base units our books have there, or that were used; ``found``: what was found. ``procedure`` is opaque.
    """

    id: str
    recall: str
    kind: Literal["location", "procedure", "use"]
    facility: str
    location: str = ""
    procedure: str = ""
    state: Literal["open", "answered"] = "open"
    outcome: str = ""
    expected: int = 0
    found: int | None = None
    due: datetime
    opened_at: datetime
    answered_at: datetime | None = None
    answered_by: str = ""
    reason: Text = ""


class RecallWord(Canonical):
    """A person's word to a recall. ``id`` is its own name: the same id twice is one word.

    ``answer``: what became of a task (``outcome`` of :data:`OUTCOMES`, ``found`` base units); ``scope``: what the notice means;
    ``settle``: what stood uncertain is looked at and nothing is missing; ``close``: nothing more to do, the block stands;
    ``lift``: the block ends too. All but ``answer`` need a reason.
    """

    verb: Literal["answer", "scope", "settle", "close", "lift"]
    task: str = Field(default="", max_length=40)
    outcome: str = Field(default="", max_length=40)
    found: int | None = Field(default=None, ge=0, le=10_000_000)
    scopes: tuple[RecallScope, ...] = Field(default=(), max_length=1000)
    reason: Text = ""
    actor: Actor = Actor()
    id: str = Field(min_length=1, max_length=120)
    seal: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> RecallWord:
        if self.verb == "answer" and not (self.task and self.outcome):
            raise ValueError("an answer names its task and what became of it")
        if self.verb == "scope" and not self.scopes:
            raise ValueError("a scope says what is meant")
        if self.verb != "answer" and not self.reason.strip():
            raise ValueError(f"{self.verb} needs a reason")
        return self

    @property
    def decision(self) -> Decision:
        """The word as decisions are checked and kept; its ``document`` stands for all of its content."""
        content = self.model_dump_json(exclude={"reason", "actor", "id", "seal"})
        told = f"{self.task or self.verb}:{hashlib.sha256(content.encode()).hexdigest()[:40]}"
        verb = f"recall_{self.verb}"
        return Decision(verb=verb, document=told, reason=self.reason, actor=self.actor, id=self.id, seal=self.seal)

    def sealed(self, number: str, key: bytes) -> RecallWord:
        """The same word with our door's seal on it, for this recall and no other."""
        return self.model_copy(update={"seal": self.decision.sealed(recall_case(number), key).seal})


class RecallWordGiven(Canonical):
    """A word to a recall, for the step that checks who gave it and carries it out."""

    number: str
    word: RecallWord
    as_of: datetime


class RecallTaken(Canonical):
    """What became of a word: taken, or why not (``code``: not-found, not-allowed, not-open, conflict, data-invalid)."""

    taken: bool
    message: Text
    code: str = ""
    standing: RecallStanding | None = None
