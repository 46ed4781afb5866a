"""What the commands ask of the platform, and how they come by it: our own store and Temporal, or the REST door by a key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import Field, field_validator

from canonical.base import Canonical, FacilityCode
from canonical.cases import Actor, Answer, Decision
from cli.access_views import AccessDeskView
from cli.attention_views import StuckRow
from cli.channel_views import Channels
from cli.clinician_views import Clinicians
from cli.exclusion_views import Exclusions
from cli.monitoring_views import MonthlyDesk
from cli.people_views import PeopleDesk
from cli.recall_views import Recalls
from cli.replay_views import Replays
from cli.usage_views import StockDesk, UsageDesk
from cli.views import (
    ActView,
    BankConfirmed,
    CaseRow,
    CaseView,
    DeliveryView,
    DriftRow,
    Foreseen,
    KeyRow,
    LoadReport,
    MessageRow,
    MessageView,
    NewKey,
    RegisterRow,
    SubscriberAdded,
    SubscriberRemoved,
    SubscriberRow,
    UnmatchedRow,
)

if TYPE_CHECKING:  # the commands that need it load it
    from gateway.simulate import Book


class CaseFilter(Canonical):
    """Which cases a list is about; empty fields let everything through."""

    process: str = ""
    facility: str = ""
    state: str = ""
    supplier: str = ""
    attention: bool = False
    waiting: bool = False
    everything: bool = False
    search: str = ""


class MessageFilter(Canonical):
    """Which messages a list is about."""

    direction: str = ""
    partner: str = ""
    sender: str = ""
    door: str = ""
    kind: str = ""
    state: str = ""
    case: str = ""
    owner: str = ""
    stream: str = ""
    since: datetime | None = None
    until: datetime | None = None


SCOPES: Final = (
    *("decisions", "documents", "fhir", "files", "lookups", "people", "requisitions", "revocations", "usage"),
)
"""What a key may be made for; each door asks for one of them."""


class KeyRequest(Canonical):
    """The key a sender is to get."""

    sender: str = Field(min_length=1, max_length=80)
    facility: FacilityCode
    person: str = Field(default="", max_length=40)
    scopes: tuple[str, ...] = ()
    per_minute: int = Field(default=60, ge=0, le=1_000_000)
    days: int | None = Field(default=None, gt=0, le=36_500)
    hmac: bool = False

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """A key that may what nobody asks for may nothing."""
        if unknown := [one for one in scopes if one not in SCOPES and not one.startswith("source:")]:
            raise ValueError(f"{', '.join(unknown)}: no such scope; there are {', '.join(SCOPES)}")
        return scopes


class SubscriberRequest(Canonical):
    """Who is to hear of what: a webhook, event types (``order.*`` takes all of them), facilities (none: all of them);
    ``sender``: only of what that sender asked for; ``form``: in which words, empty for our own."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")  # it names the file of its secret too
    url: str = Field(pattern=r"^https?://[^\s@]+$", max_length=500)  # a user and password in it would be shown in lists
    types: tuple[str, ...] = ("*",)
    facilities: tuple[FacilityCode, ...] = ()
    sender: str = Field(default="", max_length=40)
    form: str = Field(default="", pattern=r"^(fhir/(r4b|r5))?$")
    per_second: int = Field(default=0, ge=0, le=100_000)


class DeliveryFilter(Canonical):
    """Which deliveries a list is about."""

    state: str = ""
    subscriber: str = ""


class Resumed(Canonical):
    """A case that has a successor run now."""

    case: str
    generation: int
    run: str
    terminated: bool = False


class House(Protocol):
    """The platform behind the commands. ``limit`` of a list is one more than is shown, so that one knows of the rest."""

    async def whoami(self) -> Actor:
        """Who gives this command, as decisions name them."""
        ...

    async def cases(self, which: CaseFilter, limit: int) -> Sequence[CaseRow]: ...
    async def find(self, name: str) -> Sequence[CaseRow]:
        """The cases a person may mean by a name: its own, or a requisition's or order's number."""
        ...

    async def case(self, case: str) -> CaseView | None: ...
    async def decide(self, case: str, decision: Decision) -> Answer: ...
    async def may_decide(self, case: str, decision: Decision) -> str:
        """Refuse what a decision would be refused for before its case is asked; gives what only the case can say."""
        ...

    async def resume(self, case: str, reason: str) -> Resumed: ...
    async def can_resume(self, case: str) -> bool:
        """Whether a run is there that a successor would end; refuses what a successor could not be made of."""
        ...

    async def history(self, case: str, run: str) -> str:
        """The history of a run as JSON, as replay tests read it."""
        ...

    async def attention(self, limit: int) -> Sequence[StuckRow]:
        """Everything that stands still and needs a person, longest first."""
        ...

    async def unmatched(self, state: str, facility: str, limit: int) -> Sequence[UnmatchedRow]: ...
    async def attach(self, document: str, case: str, why: str, dry_run: bool) -> UnmatchedRow: ...
    async def dismiss(self, document: str, why: str, dry_run: bool) -> UnmatchedRow: ...

    async def messages(self, which: MessageFilter, limit: int) -> Sequence[MessageRow]: ...
    async def message(self, message: str) -> MessageView | None: ...

    async def load(self, path: Path, kind: str, facility: str, source: str, dry_run: bool) -> LoadReport: ...
    async def load_from_erp(self, facility: str, dry_run: bool) -> LoadReport: ...
    async def register(self, kind: str, facility: str, code: str, limit: int) -> Sequence[RegisterRow]: ...

    async def drift(self, facility: str, state: str, limit: int) -> Sequence[DriftRow]: ...
    async def settle_drift(self, verb: str, drift: str, why: str, dry_run: bool) -> DriftRow:
        """Accept what a master file says into the register, or dismiss it."""
        ...

    async def book(self, as_of: date) -> Book:
        """Who sends to us and how each is understood on a day."""
        ...

    async def foresee(self, noun: Canonical, facility: str, as_of: date) -> Foreseen:
        """What taking a noun would do; nothing is changed."""
        ...

    async def confirm_bank(self, supplier: str, fingerprint: str, dry_run: bool) -> BankConfirmed:
        """Confirm a supplier's bank details, as they are now or of this fingerprint, and let the cases go on that wait."""
        ...

    async def keys(self, limit: int) -> Sequence[KeyRow]: ...
    async def add_keys(self, requests: Sequence[KeyRequest]) -> Sequence[NewKey]:
        """Make keys, all of them or none."""
        ...

    async def revoke_key(self, key: str) -> KeyRow: ...

    async def subscribers(self, everyone: bool, limit: int) -> Sequence[SubscriberRow]: ...
    async def subscribe(
        self, request: SubscriberRequest, secret: str, replace: bool, new_secret: bool
    ) -> SubscriberAdded:
        """Add or change a subscriber. Without a ``secret`` it keeps the one it has, or gets one of ours."""
        ...

    async def unsubscribe(self, name: str) -> SubscriberRemoved: ...
    async def deliveries(self, which: DeliveryFilter, limit: int) -> Sequence[DeliveryView]: ...
    async def retry_deliveries(
        self, ids: Sequence[int], subscriber: str, why: str, dry_run: bool
    ) -> Sequence[DeliveryView]:
        """Try dead deliveries again: these, or all (of one subscriber) where none is named."""
        ...

    async def acts(self, about: str, limit: int) -> Sequence[ActView]: ...

    @property
    def channels(self) -> Channels:
        """The ways out to other systems."""
        ...

    @property
    def people(self) -> PeopleDesk:
        """People by key, and what HR systems said of them."""
        ...

    @property
    def access(self) -> AccessDeskView:
        """What people may reach, and taking it all away."""
        ...

    @property
    def recalls(self) -> Recalls:
        """Recalls, and what expires."""
        ...

    @property
    def clinicians(self) -> Clinicians:
        """Clinicians' cases."""
        ...

    @property
    def exclusions(self) -> Exclusions:
        """Lists of people nobody may employ or pay."""
        ...

    @property
    def monitoring(self) -> MonthlyDesk:
        """The monthly look at everybody."""
        ...

    @property
    def replays(self) -> Replays:
        """Messages routed once more, and corrections."""
        ...

    @property
    def usage(self) -> UsageDesk:
        """What was used, decided on, consumed and charged."""
        ...

    @property
    def stock(self) -> StockDesk:
        """What lies where."""
        ...


Opener = Callable[[], AbstractAsyncContextManager[House]]


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    """The platform, closed again when the command ends."""
    async with _opener() as house:
        yield house


def _from_settings() -> AbstractAsyncContextManager[House]:
    from cli.ours import our_house  # the servers' libraries are loaded by the commands that need them only

    return our_house()


_opener: Opener = _from_settings


def open_by(opener: Opener) -> Opener:
    """Open the platform another way from now on (tests do); returns the way so far."""
    global _opener
    before, _opener = _opener, opener
    return before


def first(rows: Sequence[Any], limit: int) -> tuple[Sequence[Any], bool]:
    """The rows to show, and whether there are more."""
    return rows[:limit], len(rows) > limit
