"""A usage event as we keep it: what came, what is held against it, what a person said, where it is."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

from pydantic import Field, ValidationError

from canonical.base import Canonical, in_words
from canonical.errors import Malformed, Rejected
from canonical.usage import UsageEvent

VERBS: Final = ("post", "correct", "dismiss")
CORRECTED: Final = frozenset(
    {
        "item",
        "lot",
        "serial",
        "unit",
        "amount",
        "location",
        "expires",
        "cost_centre",
        "chargeable",
        "voids_number",
        "voids_sequence",
    }
)
"""What a person may say otherwise; what came stays beside it."""


class KeptUse(Canonical):
    """One event with its state (:data:`canonical.usage.STATES`) and owner.

    ``finding`` decided, ``findings`` are all there are (:data:`canonical.usage.FINDINGS`). ``quantity`` in base units, once known;
    ``item``, ``lot`` and so on as validated, until then as they came. ``content`` as it came, ``corrected`` what a person said.
    """

    id: str
    facility: str
    source: str
    number: str
    sequence: int = 1
    kind: str = "use"
    state: str
    owner: str = ""
    finding: str = ""
    findings: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""
    sender: str = ""
    location: str = ""
    item: str = ""
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    quantity: int | None = None
    cost_centre: str = ""
    service_line: str = ""
    procedure: str = ""
    procedure_code: str = ""
    chargeable: bool = False
    voids: str = ""
    voided_by: str = ""
    round: int | None = None
    content: dict[str, Any] = Field(default_factory=dict)
    corrected: dict[str, Any] | None = None
    used_at: datetime
    at: datetime
    posted_at: datetime | None = None
    decided_by: str = ""
    decided_why: str = ""

    @property
    def event(self) -> UsageEvent:
        """The event as corrected."""
        return UsageEvent.model_validate(self.content | (self.corrected or {}))


def decided(use: KeptUse, verb: str, by: str, reason: str, changes: dict[str, Any] | None = None) -> KeptUse:
    """An event after a person's word: judged again, with what was found allowed (post) or said otherwise (correct), or not for us.

    Raises:
        Rejected: it waits for nobody's word.
        Malformed: no verb of ours, no reason, a change that is none of ours or does not read; with its path.
    """
    if verb not in VERBS:
        raise Malformed(f"{verb} is not among {', '.join(VERBS)}", path="verb", code="unknown-code")
    if use.state not in ("review", "parked"):
        raise Rejected(f"usage event {use.id} is {use.state} and waits for nobody's word", code="wrong-state")
    if not reason.strip():
        raise Malformed("a decision needs its reason", path="reason", code="data-missing")
    word: dict[str, Any] = {"decided_by": by, "decided_why": reason}
    if verb == "dismiss":
        return use.model_copy(update=word | {"state": "dismissed", "owner": ""})
    word |= {"state": "waiting", "owner": "", "round": None}
    if verb == "post":
        return use.model_copy(update=word | {"allowed": tuple(dict.fromkeys((*use.allowed, *use.findings)))})
    corrected = (use.corrected or {}) | _corrected(use, changes or {})
    told = {name: corrected[name] for name in ("location", "lot", "serial", "item") if name in corrected}
    return use.model_copy(update=word | told | {"corrected": corrected})


def _corrected(use: KeptUse, changes: dict[str, Any]) -> dict[str, Any]:
    if not changes:
        raise Malformed("a correction says what is otherwise", path="changes", code="data-missing")
    if unknown := sorted(set(changes) - CORRECTED):
        raise Malformed(f"{unknown[0]} is not corrected", path=f"changes.{unknown[0]}", code="unknown-code")
    try:
        read = UsageEvent.model_validate(use.content | (use.corrected or {}) | changes)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in ("changes", *first["loc"]))
        raise Malformed(f"{path}: {in_words(first['msg'])}", path=path, code="data-invalid") from None
    return read.model_dump(mode="json", include=set(changes))
