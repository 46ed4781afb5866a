"""A clinician's case at a facility: how it stands in facets that move beside each other, and what people say to it."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from typing import Final, Literal, get_args

from pydantic import Field, model_validator

from canonical.base import Canonical, FacilityCode, Text
from canonical.cases import Actor, Decision
from canonical.credentials import CheckDue, CheckKind, ClinicianPolicy, ClinicianRole, Privilege, Verification
from canonical.people import PersonKey, Position, PrivilegeScope, onboarding_case

Headline = Literal[
    "offer accepted",
    "provisional",
    "in verification",
    "committee pending",
    "temporary privileges",
    "privileged",
    "active",
    "suspended",
    "terminated",
    "withdrawn",
    "unknown",
]
HEADLINES: Final[tuple[Headline, ...]] = get_args(Headline)
FacetName = Literal["identity", "verification", "privileges", "access", "payroll", "scheduling"]
EmploymentState = Literal["offered", "working", "away", "ended", "withdrawn"]
EMPLOYMENT_STATES: Final[tuple[EmploymentState, ...]] = get_args(EmploymentState)

MAY_SAY: Final[dict[str, frozenset[str]]] = {
    "verify": frozenset({"medical_staff", "admin"}),
    "request": frozenset({"medical_staff", "admin"}),
    "approve": frozenset({"credentials_committee", "admin"}),
    "reject": frozenset({"credentials_committee", "admin"}),
    "temporary": frozenset({"credentials_committee", "admin"}),
    "revoke": frozenset({"credentials_committee", "admin"}),
    "suspend": frozenset({"medical_staff", "credentials_committee", "admin"}),
    "reinstate": frozenset({"credentials_committee", "admin"}),
    "withdraw": frozenset({"hr", "medical_staff", "admin"}),
    "leave": frozenset({"hr", "admin"}),
    "noticed": frozenset({"medical_staff", "admin"}),
    "done": frozenset({"medical_staff", "hr", "support", "admin"}),
}
"""Who may say what to a case, by role. ``approve``, ``temporary`` and ``reinstate`` need two people."""


class PersonAsked(Canonical):
    """A step about one person at one facility, as of a moment."""

    facility: FacilityCode
    person: PersonKey
    as_of: datetime


class CheckAsked(Canonical):
    """A verification to be made: the activity reads the person's record from our store."""

    facility: FacilityCode
    person: PersonKey
    kind: CheckKind
    subject: str = ""
    as_of: datetime


class CheckMade(Canonical):
    """What became of a verification: its state and finding, never what was compared."""

    state: str
    finding: str = ""


class Appointment(Canonical):
    """Somebody's employment at one facility, as the events in force say it on a day.

    ``state``: offered (accepted, not begun), working, away (deactivated or on leave), ended, withdrawn. ``ends_on``: last day
    of work.
    ``next_change``: the day the next event comes into force.
    """

    person: PersonKey
    facility: FacilityCode
    state: EmploymentState
    position: Position = Position()
    offered_at: datetime
    starts: date | None = None
    ends_on: date | None = None
    ended_why: str = ""
    next_change: date | None = None
    changed_at: datetime | None = None


class PersonTask(Canonical):
    """Something a person does for a case: education, a reference, keys and devices to bring back, a lapse to look at."""

    id: str
    person: PersonKey
    facility: FacilityCode
    kind: str = Field(max_length=40)
    subject: str = ""
    state: Literal["open", "done"] = "open"
    owner: Text = ""
    due: datetime | None = None
    opened_at: datetime
    done_at: datetime | None = None
    done_by: str = ""


class TargetStanding(Canonical):
    """How one target stands with a person: what was written last, and whether it was seen so.

    ``state``: absent (nothing of the person there), waiting (for what it depends on), due (to be written), written, confirmed
    (seen as
    wanted), refused (a person decides), off (seen off). ``elsewhere``: what stands there is what the person's other facilities want,
    and nothing of this one's.
    """

    target: str
    kind: str
    facility: str = ""
    state: Literal["absent", "waiting", "due", "written", "confirmed", "refused", "off"]
    active: bool = False
    reason: Text = ""
    finding: str = ""
    since: datetime | None = None
    elsewhere: bool = False

    @property
    def gone(self) -> bool:
        """Whether nothing of the person stands there, or nothing of this facility's."""
        return self.state in ("absent", "off") or (self.state == "confirmed" and (not self.active or self.elsewhere))


class OnboardingFile(Canonical):
    """Every fact the rules read about a person at a facility; no identity in it. ``blocked``: a revocation block stands;
    ``record_changed_at``: when something of who they are (a number, a name) changed last.
    """

    appointment: Appointment
    role: ClinicianRole
    policy: ClinicianPolicy
    verifications: tuple[Verification, ...] = ()
    privileges: tuple[Privilege, ...] = ()
    tasks: tuple[PersonTask, ...] = ()
    targets: tuple[TargetStanding, ...] = ()
    blocked: bool = False
    suspended: bool = False
    reinstating: str = ""
    dea_numbers: int = 0
    record_changed_at: datetime | None = None


class Facet(Canonical):
    """One side of a case: its state in words, whose it is, since when, until when."""

    name: FacetName
    state: str
    owner: Text = ""
    since: datetime | None = None
    due: datetime | None = None
    stops: bool = False
    reason: Text = ""


class TaskDue(Canonical):
    """Something people are to do as the rules have it. ``episode`` tells one time from the next (a day, a moment), so that what was
    done once is asked for again only when it comes again.

    ``days``: how long its people have from the moment it is opened, however long ago what it is about began (a hire we heard of
    late); 0: ``due`` says until when, or nothing does.
    """

    kind: str = Field(max_length=40)
    subject: str = ""
    episode: str = ""
    owner: Text = ""
    due: datetime | None = None
    days: int = 0

    def due_when(self, opened_at: datetime) -> datetime | None:
        """Until when it is to be done where it is opened at that moment."""
        return opened_at + timedelta(days=self.days) if self.days else self.due


class ExpiryWarning(Canonical):
    """Something of a person expires on ``expires``, in ``days`` days or fewer; ``name`` as credentials are named (``licence:IL``)."""

    name: str
    expires: date
    days: int


class OnboardingStanding(Canonical):
    """How a case stands as of a moment, derived by :mod:`canonical.onboarding_rules`. Keys, codes and dates alone.

    ``checks``: what is to be verified now; ``tasks``: what people are to do; ``stopped``: why nothing clinical may be done, in codes;
    ``taken_back``: all that was given is; ``ended_privileges``: those whose time is over; ``open_tasks``, ``overdue``: how many tasks
    wait; ``next_at``: when the rules may say something else without anybody doing anything. ``finished``: nothing is left to do.
    """

    known: bool = True
    headline: Headline = "unknown"
    facets: tuple[Facet, ...] = ()
    checks: tuple[CheckDue, ...] = ()
    tasks: tuple[TaskDue, ...] = ()
    stopped: tuple[str, ...] = ()
    taken_back: bool = False
    ended_privileges: tuple[str, ...] = ()
    notices_due: tuple[str, ...] = ()
    role: str = ""
    department: str = ""
    cost_centre: str = ""
    open_tasks: int = 0
    overdue: int = 0
    next_at: datetime | None = None
    finished: bool = False
    policy: ClinicianPolicy | None = None


class PersonWord(Canonical):
    """A person's word to a case. ``id`` is its own name: the same id twice is one word.

    ``verify``: evidence of what no source answers, or what a ``possible`` hit is (``outcome`` confirmed, refuted); ``request``
    privileges
    of a scope for the committee; ``approve``, ``reject`` (``privilege``); ``temporary``: grant them for ``days`` while the
    committee
    has them; ``revoke``; ``suspend``, ``reinstate``; ``withdraw`` the offer; ``leave``: the last day is ``on``; ``noticed``:
    the applicant has been
    told; ``done``: a task. All but ``verify``, ``noticed`` and ``done`` need a reason.
    """

    verb: Literal[
        "verify", "request", "approve", "reject", "temporary", "revoke", "suspend", "reinstate", "withdraw", "leave",
        "noticed", "done"
    ]  # fmt: skip
    check: str = Field(default="", max_length=60)
    outcome: Literal["", "confirmed", "refuted"] = ""
    reference: str = Field(default="", max_length=200)
    expires_on: date | None = None
    privilege: str = Field(default="", max_length=40)
    task: str = Field(default="", max_length=40)
    scope: PrivilegeScope | None = None
    days: int | None = Field(default=None, ge=1, le=120)
    on: date | None = None
    reason: Text = ""
    actor: Actor = Actor()
    id: str = Field(min_length=1, max_length=120)
    seal: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> PersonWord:
        needs = {
            "verify": (self.check and self.outcome, "a verification names its check and what came out"),
            "request": (self.scope is not None, "a request says which privileges"),
            "approve": (self.privilege, "an approval names the privilege"),
            "reject": (self.privilege, "a rejection names the privilege"),
            "temporary": (self.privilege, "temporary privileges name the privilege that was requested"),
            "revoke": (self.privilege, "a revocation names the privilege"),
            "noticed": (self.privilege, "a notice names the privilege it is about"),
            "leave": (self.on is not None, "leaving has a last day"),
            "done": (self.task, "name the task that is done"),
        }
        fits, why = needs.get(self.verb, (True, ""))
        if not fits:
            raise ValueError(why)
        if self.verb not in ("verify", "noticed", "done") and not self.reason.strip():
            raise ValueError(f"{self.verb} needs a reason")
        return self

    @property
    def decision(self) -> Decision:
        """The word as decisions are checked and kept; its ``document`` stands for all of its content."""
        content = self.model_dump_json(exclude={"reason", "actor", "id", "seal"})
        about = self.privilege or self.check or self.task or self.verb
        told = f"{about}:{hashlib.sha256(content.encode()).hexdigest()[:40]}"
        verb = f"person_{self.verb}"
        return Decision(verb=verb, document=told, reason=self.reason, actor=self.actor, id=self.id, seal=self.seal)

    def sealed(self, facility: str, person: str, key: bytes) -> PersonWord:
        """The same word with our door's seal on it, for this case and no other."""
        seal = self.decision.sealed(onboarding_case(facility, person), key).seal
        return self.model_copy(update={"seal": seal})


class PersonWordGiven(Canonical):
    """A word to a case, for the step that checks who gave it and carries it out."""

    facility: FacilityCode
    person: PersonKey
    word: PersonWord
    as_of: datetime


class PersonWordTaken(Canonical):
    """What became of a word: taken, or why not (``code``: not-found, not-allowed, not-open, conflict, data-invalid)."""

    taken: bool
    message: Text
    code: str = ""
