"""What the commands show: small pictures of cases, messages and keys, whatever shape the store gives them in."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import Field

from canonical.base import Canonical, Money
from canonical.cases import Attention, LineState, Trouble


class CaseRow(Canonical):
    """One case in a list."""

    case: str
    process: str = ""
    facility: str = ""
    summary: str = ""
    state: str = ""
    business_state: str = ""
    owner: str = ""
    due: datetime | None = None
    next_action: str = ""
    needs_attention: bool = False
    attention_since: datetime | None = None
    waiting_for: str = ""
    waiting_since: datetime | None = None
    stopped: str = ""
    closed: bool = False
    supplier: str = ""
    amount: Money | None = None
    revision: int = 0
    changed_at: datetime | None = None


class DocumentView(Canonical):
    """A document of a case, and the message that brought it or carries it."""

    kind: str
    number: str
    system: str = ""
    state: str = ""
    message: str = ""
    lines: tuple[str, ...] = ()
    parent: str = ""
    amount: Money | None = None
    at: datetime | None = None

    @property
    def name(self) -> str:
        """Its name within the case."""
        return f"{self.kind}:{self.number}"


class DecisionView(Canonical):
    """What a person decided on a case: as given (``checked``), as the case took it (``taken``), or not to be read."""

    at: datetime | None = None
    kind: str = "checked"
    what: str
    verb: str = ""
    employee: str = ""
    actor: str = ""
    known_by: str = ""
    verified: bool = False
    reason: str = ""
    line: str = ""
    document: str = ""


class ChangeView(Canonical):
    """How a case stood at a revision."""

    generation: int = 1
    revision: int
    at: datetime | None = None
    business_state: str
    owner: str = ""
    decision: str = ""


class WayStep(Canonical):
    """One step on the way of a line: what it is, how deep it hangs below what it came from."""

    depth: int = 0
    kind: str
    name: str
    system: str = ""
    state: str = ""
    at: datetime | None = None
    detail: str = ""


class LineWay(Canonical):
    """The whole way of one line, from the byte that came in to the paper in the ERP."""

    line: str
    item: str = ""
    steps: tuple[WayStep, ...] = ()


class CaseView(CaseRow):
    """A case with everything on it."""

    generation: int = 1
    run: str = ""
    parent: str = ""
    trace: str = ""
    children: tuple[CaseRow, ...] = ()
    attention: tuple[Attention, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    lines: tuple[LineState, ...] = ()
    documents: tuple[DocumentView, ...] = ()
    decisions: tuple[DecisionView, ...] = ()
    changes: tuple[ChangeView, ...] = ()
    way: tuple[LineWay, ...] = ()
    links: dict[str, str] = Field(default_factory=dict)


class MessageRow(Canonical):
    """One message of the journal, without its bytes."""

    id: str
    direction: str
    door: str
    partner: str = ""
    sender: str = ""
    kind: str = ""
    control_number: str = ""
    state: str = ""
    reason: str = ""
    case: str = ""
    trace: str = ""
    hash: str = ""
    size: int = 0
    duplicate_of: str = ""
    answer: str = ""
    at: datetime | None = None
    owner: str = ""
    note: str = ""
    version_of: str = ""
    stream: str = ""


class MessageState(Canonical):
    """A state a message was in."""

    state: str
    reason: str = ""
    at: datetime | None = None


class MessageView(MessageRow):
    """A message with its history and its bytes, as they came; ``replays`` it went through, ``corrections`` made of it.

    ``withheld``: why its bytes are not shown to whoever asks.
    """

    history: tuple[MessageState, ...] = ()
    replays: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    encoding: str = "utf-8"
    data: str = ""
    withheld: str = ""


class UnmatchedRow(Canonical):
    """A document without an open case."""

    id: str
    kind: str
    number: str = ""
    supplier: str = ""
    order: str = ""
    facility: str = ""
    reason: str = ""
    message: str = ""
    state: str = "open"
    case: str = ""
    at: datetime | None = None


class KeyRow(Canonical):
    """A sender's key, never its secret."""

    id: str
    sender: str
    facility: str = ""
    person: str = ""
    scopes: tuple[str, ...] = ()
    per_minute: int = 60
    made_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    hmac: bool = False


class NewKey(KeyRow):
    """A key just made: its secret is shown this once."""

    secret: str


class SubscriberRow(Canonical):
    """Who hears of our events; never the secret that signs them. No facilities means all of them."""

    name: str
    url: str
    types: tuple[str, ...] = ("*",)
    facilities: tuple[str, ...] = ()
    sender: str = ""
    form: str = ""
    per_second: int = 0
    active: bool = True


class SubscriberAdded(SubscriberRow):
    """What became of an ``add`` (added, changed, unchanged), and the secret where we made one: it is shown this once."""

    outcome: str = "added"
    secret: str = ""


class SubscriberRemoved(SubscriberRow):
    """Who hears of nothing more; ``dropped`` events that were on their way are not sent."""

    dropped: int = 0


class DeliveryView(Canonical):
    """One event for one subscriber, and how far it came; ``dead`` ones wait for a person."""

    id: int
    event: str
    type: str = ""
    case: str = ""
    facility: str = ""
    subscriber: str = ""
    state: str = ""
    attempts: int = 0
    error: str = ""
    occurred_at: datetime | None = None
    next_at: datetime | None = None
    changed_at: datetime | None = None


class ActView(Canonical):
    """What an operator did to the platform itself."""

    at: datetime | None = None
    actor: str
    known_by: str = ""
    verb: str
    about: str = ""
    reason: str = ""
    detail: str = ""


class Replayed(Canonical):
    """A message that was routed once more, and what became of it; ``outcome`` says what came of it anew."""

    id: str
    kind: str = ""
    before: str = ""
    state: str = ""
    reason: str = ""
    case: str = ""
    outcome: str = ""
    replay: str = ""
    dry_run: bool = False


class LoadedRecord(Canonical):
    """What became of one record of a load."""

    kind: str
    code: str = ""
    outcome: str  # loaded, unchanged or refused
    reason: str = ""
    where: str = ""


class LoadReport(Canonical):
    """What became of a load: how many were loaded, unchanged and refused, and why."""

    source: str
    loaded: int = 0
    unchanged: int = 0
    refused: int = 0
    dry_run: bool = False
    records: tuple[LoadedRecord, ...] = ()


class BankConfirmed(Canonical):
    """A supplier's bank details, of which only a fingerprint is known, as somebody confirmed them; who waited for that.

    ``told``: the cases that look again now; ``not_running``: those that wait too, but whose run was stopped.
    """

    supplier: str
    fingerprint: str
    confirmed_by: str = ""
    confirmed_at: datetime | None = None
    told: tuple[str, ...] = ()
    not_running: tuple[str, ...] = ()
    dry_run: bool = False


class RegisterRow(Canonical):
    """A record of the register as it stands."""

    kind: str
    facility: str = ""
    code: str
    valid_from: str = ""
    source: str = ""
    record: dict[str, Any] = Field(default_factory=dict)


class DriftRow(Canonical):
    """Where a master file says otherwise than the register."""

    id: str
    facility: str = ""
    kind: str = ""
    code: str = ""
    field: str = ""
    ours: str = ""
    theirs: str = ""
    since: date | None = None
    source: str = ""
    state: str = "open"
    message: str = ""
    path: str = ""
    decided_by: str = ""
    decided_why: str = ""


class Foreseen(Canonical):
    """What taking a noun would do: ``new``, ``same`` or ``conflict`` for a case; ``drift`` for a master file, with what differs."""

    outcome: str
    case: str = ""
    detail: str = ""
    differ: tuple[DriftRow, ...] = ()
