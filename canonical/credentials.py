"""What must be shown before somebody treats patients: verifications with their sources, privileges, and the rules of a
facility."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from canonical.base import CODE, Canonical, FacilityCode, Text
from canonical.people import OWNER, PersonKey, PrivilegeScope, RoleCode, StateCode

CheckKind = Literal["npi", "licence", "dea", "board", "exclusion", "education", "reference"]
BY_PEOPLE: Final = frozenset(
    {"board", "education", "reference"}
)  # no source of ours answers: a person does, with evidence
HARD_STOPS: Final = frozenset({"exclusion", "licence", "dea"})
RULES_VERSION: Final = (
    "2026-11"  # of the rules below and in canonical.onboarding_rules; stands on whatever was decided by them
)

EvidenceState = Literal["confirmed", "possible", "refuted", "unknown"]
"""The source says yes; it may be this person or another and a person says; the source says no; the source has no such record."""


class ClinicianRole(Canonical):
    """What a role (a row of the register) asks and gives.

    ``checks``: the verifications it needs; a licence and DEA check are one for each state of practice. ``least``: groups of
    access
    once employed; ``clinical``: those only the privileged have. ``clinical_role`` False is for people who need no privileges
    (a scheduler): they are active once verified. ``taxonomies``: NUCC codes that fit; empty: any.
    """

    code: RoleCode
    name: Text = ""
    clinical_role: bool = True
    prescriber: bool = False
    checks: tuple[CheckKind, ...] = ("npi", "licence", "exclusion", "education", "reference")
    least: tuple[str, ...] = ()
    clinical: tuple[str, ...] = ()
    taxonomies: tuple[str, ...] = ()


class ClinicianPolicy(Canonical):
    """A facility's rules for its clinicians, in force on a day. Days unless said otherwise.

    ``verified_within``: how old a verification may be at the committee's decision (NCQA CR 3, from 2025-07-01: 120; 90 for a
    certified
    body). ``notice_within``: until when the applicant hears the decision. ``temporary_seconds``: longest temporary privileges
    (Joint
    Commission MS.06.01.13: 120 days); ``privileged_years`` before they are granted anew (MS.06.01.07: 3), by state where it
    says 2.
    ``recheck_days``: exclusions, sanctions and licences are looked at as often (NCQA: monthly). ``warn_days`` before something
    expires.
    ``seen_off_apart``: seconds between the two looks that confirm access is off, longer than any client waits for an answer.
    ``escalate_after``: seconds a revocation may take before it is escalated.
    """

    facility: FacilityCode
    valid_from: date = date(2000, 1, 1)
    valid_to: date | None = None
    state: StateCode = "IL"
    verified_within: int = Field(default=120, ge=1, le=3650)
    notice_within: int = Field(default=30, ge=1, le=365)
    temporary_seconds: int = Field(default=120 * 86_400, ge=1, le=120 * 86_400)
    privileged_years: int = Field(default=3, ge=1, le=3)
    recheck_days: int = Field(default=31, ge=1, le=366)
    warn_days: tuple[int, ...] = (90, 60, 30)
    seen_off_apart: int = Field(default=20, ge=1, le=3600)
    escalate_after: int = Field(default=60, ge=5, le=86_400)
    hr_grants: Literal["requested", "granted"] = "requested"  # what a privilege granted by HR is to the committee
    task_days: int = Field(default=14, ge=1, le=365)
    approvers: tuple[str, ...] = ("credentials_committee", "admin")
    owner: Text = OWNER

    @property
    def temporary_for(self) -> timedelta:
        """The longest temporary privileges."""
        return timedelta(seconds=self.temporary_seconds)


class VerificationSource(Canonical):
    """Where a kind of verification is looked up: a row of the register. ``state`` empty: of every state.

    ``token_file`` names a file among our secrets. ``per_second``: requests the source allows; ``active`` False: a person looks.
    Of an exclusion list: ``may_lose`` is the share of the rows in force that may be gone from its next edition (OIG takes dozens
    of some 80,000 away in a month), ``least_rows`` what any edition has, also the first.
    """

    code: Annotated[str, CODE]
    kind: CheckKind
    state: StateCode | Literal[""] = ""
    adapter: Annotated[str, CODE]
    url: str = Field(default="", max_length=500)
    token_file: str = Field(default="", max_length=120)
    per_second: float = Field(default=5.0, gt=0, le=1000)
    timeout: float = Field(default=20.0, gt=0, le=300)
    active: bool = True
    may_lose: float = Field(default=0.005, ge=0, le=1)
    least_rows: int = Field(default=0, ge=0)


class CheckDue(Canonical):
    """One thing to be verified of a person: for which kind, of which state (licence, DEA), and since when it is wanted."""

    kind: CheckKind
    subject: str = Field(default="", max_length=40)
    since: datetime | None = None

    @property
    def name(self) -> str:
        """Its name within the person: ``licence:IL``."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind


class Evidence(Canonical):
    """What a source answered. ``finding`` is a short code and ``detail`` words without anybody's identity.

    ``verified_on``: the day the source's answer is of; ``expires_on``: until when it says so; ``reference``: how to find it
    again (a
    document's number, a hash of what was received), ``hits``: rows of an exclusion list that may be the person.
    """

    state: EvidenceState
    finding: str = Field(default="", max_length=60)
    detail: Text = ""
    source: str = Field(default="", max_length=60)
    verified_on: date
    expires_on: date | None = None
    reference: str = Field(default="", max_length=200)
    hits: tuple[str, ...] = ()


class Verification(Canonical):
    """A verification as it stands: the last evidence, or the person who gave it by hand (``by``)."""

    person: PersonKey
    kind: CheckKind
    subject: str = ""
    state: Literal["due", "confirmed", "possible", "refuted", "unknown", "waived"] = "due"
    finding: str = ""
    detail: Text = ""
    source: str = ""
    verified_on: date | None = None
    expires_on: date | None = None
    reference: str = ""
    by: str = ""
    checked_at: datetime | None = None
    rules: str = RULES_VERSION

    @property
    def name(self) -> str:
        """Its name within the person."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind


class Privilege(Canonical):
    """What somebody may do at a facility, and by whose word.

    ``requested``: the committee has it; ``seconded``: one of the two who decide said yes; ``granted`` until ``until``;
    ``ended``: by
    time, by leaving or revoked. ``temporary``: until the committee decides, ``until`` is then a moment in at most the policy's
    time.
    """

    id: str
    person: PersonKey
    facility: FacilityCode
    scope: PrivilegeScope = PrivilegeScope()
    temporary: bool = False
    state: Literal["requested", "seconded", "granted", "rejected", "ended"] = "requested"
    requested_by: str = ""
    seconded_by: str = ""
    decided_by: str = ""
    requested_at: datetime
    decided_at: datetime | None = None
    starts: datetime | None = None
    until: datetime | None = None
    noticed_at: datetime | None = None
    ended_at: datetime | None = None
    ended_why: str = ""
    rules: str = RULES_VERSION

    def holds(self, as_of: datetime) -> bool:
        """Whether it may be used at that moment."""
        started = self.starts is None or self.starts <= as_of
        return self.state == "granted" and started and (self.until is None or as_of < self.until)
