"""What a person may reach in other systems, what stands there, and the block that ends it all at once."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from canonical.base import CODE, Canonical, FacilityCode, Text, content_hash
from canonical.cases import Attention
from canonical.people import ClinicianRecord, PersonKey, Position, PrivilegeScope, access_case, revocation_case

TargetKind = Literal["identity", "directory", "scheduling", "erp", "manual"]
"""Accounts (SCIM); who works where, for the EHR and others (HL7 MFN^M02 and PMU, FHIR PractitionerRole); eligibility for the
schedule;
employee, cost centre and payroll in the ERP; what a person takes back (devices, keys)."""
NOT_BLOCKED: Final = (
    "no block is known to stand: say it again until it is taken, and until then take the account away in its own system"
)
"""What who asked for a block is told where our own database is away."""
LIFTED: Final = "two people lifted the block of this call since: nobody is blocked by it; to block anew, give another"
"""And the name of what tells one call from another: what who says a call again is told once its block stands no more."""
MAY_BLOCK: Final = frozenset({"hr", "medical_staff", "credentials_committee", "support", "admin"})
MAY_LIFT: Final = frozenset({"credentials_committee", "admin"})
MAY_END: Final = frozenset({"support", "admin"})
"""Who says that a target is gone for good."""
BY_HAND: Final = frozenset({"manual"})  # kinds that a person takes back: nothing of ours can see them off
REVOKED_FIRST: Final[tuple[TargetKind, ...]] = ("identity", "scheduling", "directory", "erp", "manual")
"""In which order access is taken back: what opens doors first."""
TargetCode = Annotated[str, CODE]


class AccessTarget(Canonical):
    """A system that is told of people: a row of the register.

    ``adapter``: what speaks to it (``scim``, ``rest_scheduling``, ``tryton``, ``channel``, ``manual``). ``facility`` empty: of
    all of them.
    ``after``: targets that must be confirmed before somebody is given this one. ``channel``: of a directory, the channel it
    hears by.
    ``token_file`` names a file among our secrets. ``timeout``: seconds one write or look may take, all of its calls together;
    ``settles_within``: seconds after which what we gave up waiting for is carried out there no more.
    ``per_second``: calls it allows. ``look_every``: seconds between two looks at what stands there when nothing is to be
    written, at the least: what has stood for long is looked at more seldom. ``refused_again``: seconds after which what it
    refused (``cost-centre-missing``) is asked for again, at first: the pauses double, up to twelve times that;
    where it did not answer, from 2 seconds up to twice that. ``remove``: what is done to who leaves.
    """

    code: TargetCode
    kind: TargetKind
    adapter: Annotated[str, CODE]
    facility: FacilityCode | Literal[""] = ""
    name: Text = ""
    url: str = Field(default="", max_length=500)
    channel: str = Field(default="", max_length=40)
    token_file: str = Field(default="", max_length=120)
    after: tuple[str, ...] = ()
    timeout: float = Field(default=10.0, gt=0, le=300)
    settles_within: float = Field(default=60.0, ge=0, le=3600)
    per_second: float = Field(default=20.0, gt=0, le=1000)
    look_every: int = Field(default=3600, ge=1, le=86_400 * 31)
    refused_again: int = Field(default=300, ge=1, le=86_400)
    remove: Literal["disable", "delete"] = "disable"
    active: bool = True


class Held(Canonical):
    """What a person is at one facility, as targets are told: position, groups, privileges in force, eligibility."""

    facility: FacilityCode
    position: Position = Position()
    employed: bool = False
    eligible: bool = False
    groups: tuple[str, ...] = ()
    privileges: tuple[PrivilegeScope, ...] = ()
    starts: date | None = None
    ends: date | None = None


class Wanted(Canonical):
    """What is to stand in a target about a person: the union over facilities. Made where it is written; holds a person's data.

    ``active`` False: nothing of the person may work there; ``record`` is then of no interest. ``exists`` False: nobody has to
    be there. ``known_as``: the target's own id of the record, as it was seen last; of what is wanted it says nothing.
    """

    person: PersonKey
    target: TargetCode
    active: bool
    exists: bool = True
    groups: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    record: ClinicianRecord = Field(default=ClinicianRecord(), repr=False)
    known_as: str = Field(default="", max_length=200)

    @property
    def hash(self) -> str:
        """Of all that is wanted: what was written under it need not be written again."""
        return content_hash(self, without=frozenset({"known_as"}))


class TargetSeen(Canonical):
    """What stands in a target about a person: no identity, only what the rules compare.

    ``version``: the target's own mark of this state (SCIM ``meta.version``); ``reference``: its own id of the record;
    ``as_wanted``: all
    that was asked stands there; ``finding``: what a person should know (``enabled-outside``: on again though we had it off).
    """

    present: bool
    active: bool = False
    groups: tuple[str, ...] = ()
    version: str = ""
    reference: str = Field(default="", max_length=200)
    as_wanted: bool = True
    finding: str = ""


class AccessCase(Canonical):
    """What opens (or continues) the one case that writes a person's access.

    ``told``: targets of which was told that they were switched on outside; ``parked``: what needs a person, with its clocks.
    """

    person: PersonKey
    generation: int = Field(default=1, ge=1)
    revision: int = Field(default=0, ge=0)
    told: tuple[str, ...] = ()
    parked: tuple[Attention, ...] = ()

    @property
    def case_id(self) -> str:
        """The case's one name."""
        return access_case(self.person)


class AccessAsked(Canonical):
    """How a person's access stands, as of a moment."""

    person: PersonKey
    as_of: datetime


class TargetDue(Canonical):
    """A target to be written or looked at now."""

    target: TargetCode
    kind: TargetKind
    do: Literal["write", "look"]
    seconds: int = Field(default=30, ge=1)
    takes: bool = False  # what is to be written takes something away


class TargetLine(Canonical):
    """One target of a person as it stands, for who looks at the case. ``state`` as in canonical.onboarding.TargetStanding."""

    target: str
    kind: str
    state: str
    active: bool = False
    reason: Text = ""
    finding: str = ""


class AccessStanding(Canonical):
    """How a person's access stands: what is due now, what waits and why. Keys and codes alone.

    ``finished``: all has been off for long and nothing is wanted; who keeps the clocks wakes the case at ``next_at``.
    """

    known: bool = True
    blocked: bool = False
    due: tuple[TargetDue, ...] = ()
    waiting: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    confirmed: int = 0
    all_off: bool = False
    finished: bool = False
    next_at: datetime | None = None
    targets: tuple[TargetLine, ...] = ()


class TargetAsked(Canonical):
    """A write or look at one target for one person: the activity reads what is wanted, and the block, immediately before."""

    person: PersonKey
    target: TargetCode
    do: Literal["write", "look", "off"]
    as_of: datetime
    apart: int = Field(default=20, ge=1)


class TargetDone(Canonical):
    """What came of it; ``crossed``: a block was committed while we wrote, and what was written was undone at once."""

    target: TargetCode
    state: str
    active: bool = False
    crossed: bool = False
    finding: str = ""


class Block(Canonical):
    """A revocation block: while it stands nobody writes any access for the person. Committed before anything else is done."""

    person: PersonKey
    since: datetime
    by: str = Field(max_length=120)
    reason: Text
    id: str = Field(default="", max_length=120)
    lift_asked_by: str = ""
    lifted_by: str = ""
    lifted_at: datetime | None = None

    @property
    def stands(self) -> bool:
        """Whether it is still in force."""
        return self.lifted_at is None


class RevocationStart(Canonical):
    """What opens the emergency: whose access, by whom, why. ``id``: the call's own name, so that a repeat is one revocation.

    ``parked``: what needs a person, with its clock, where a run goes on from another.
    """

    person: PersonKey
    by: str = Field(default="unknown", max_length=120)
    reason: Text = ""
    id: str = Field(default="", max_length=120)
    generation: int = Field(default=1, ge=1)
    revision: int = Field(default=0, ge=0)
    parked: tuple[Attention, ...] = ()

    @property
    def case_id(self) -> str:
        """The case's one name."""
        return revocation_case(self.person)


class OffSeen(Canonical):
    """How often a target was seen off since the block, and when last.

    ``waits_until``: a grant we never heard the end of may still be carried out there until then, so no look before it counts.
    ``seconds``: how long one try may take. ``answered``: it did, the last time; ``stands``: the block still did then.
    """

    target: TargetCode
    kind: TargetKind
    times: int = 0
    last: datetime | None = None
    confirmed: bool = False
    reason: Text = ""
    answered: bool = True
    stands: bool = True
    waits_until: datetime | None = None
    seconds: int = Field(default=30, ge=1)


class RevocationStanding(Canonical):
    """How a revocation stands. ``apart``: seconds between two looks that confirm; ``escalate_at``: from when it is late."""

    blocked: bool
    since: datetime | None = None
    confirmed: bool = False
    apart: int = Field(default=20, ge=1)
    escalate_at: datetime | None = None
    targets: tuple[OffSeen, ...] = ()


def _says_why(value: str) -> str:
    if not value.strip():
        raise ValueError("say why")
    return value


Why = Annotated[Text, Field(min_length=1), AfterValidator(_says_why)]
"""A person's reason for a word: never blank."""


class BlockWord(Canonical):
    """A person's word about a block: set it, or lift it (two people). ``id`` is the call's own name, for a safe repeat."""

    person: PersonKey
    reason: Why
    id: str = Field(min_length=1, max_length=120)


class LiftTaken(Canonical):
    """What became of a word to lift a block: asked for by the first, lifted by the second."""

    person: PersonKey
    lifted: bool
    asked_by: str
    message: Text


class TargetWord(Canonical):
    """A person's word that a system is gone for good, with what stood in it. Two say it."""

    target: TargetCode
    reason: Why


class TargetWordTaken(Canonical):
    """What became of it: asked for by the first, said by the second; ``people``: of how many something may have stood there."""

    target: TargetCode
    gone: bool
    asked_by: str
    people: int = 0
    message: Text


class TargetRow(Canonical):
    """A target as lists show it. ``people``: of how many something may stand there; ``gone_since``: when two people had said it."""

    target: str
    kind: str = ""
    facility: str = ""
    active: bool = False
    people: int = 0
    asked_by: str = ""
    asked_at: datetime | None = None
    said_by: str = ""
    gone_since: datetime | None = None
