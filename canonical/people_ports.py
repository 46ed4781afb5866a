"""The verbs of people: what cases ask of our own store, of the sources that verify, and of the systems that are told.

Every call may be made twice and then has one effect. Raised everywhere: Unavailable, Throttled, Rejected, Malformed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from canonical.access import (
    AccessStanding,
    AccessTarget,
    Block,
    OffSeen,
    RevocationStanding,
    TargetSeen,
    Wanted,
)
from canonical.base import Canonical
from canonical.credentials import CheckKind, ClinicianPolicy, ClinicianRole, Evidence, VerificationSource
from canonical.onboarding import OnboardingFile, OnboardingStanding, PersonTask, PersonWord, PersonWordTaken
from canonical.people import ClinicianRecord, HrEvent, HrKept


class HrInbox(Protocol):
    """Where what HR systems say is kept: each event once under its name, matched to a person or waiting for one who says."""

    async def keep(self, events: Sequence[HrEvent], message: str, sender: str, corrects: str = "") -> Sequence[HrKept]:
        """Keep the events of one message, all or none, match each to a person and wake the cases concerned.

        An event with ``emergency`` of a known person commits a revocation block in the same transaction.
        """
        ...


class People(Protocol):
    """People and what is known of them, as a facility's case works with it."""

    async def standing(self, facility: str, person: str, as_of: datetime) -> OnboardingStanding:
        """Bring into force what is due by ``as_of`` (events, ended privileges), open the tasks the rules ask for, and say how
        it stands.

        ``known`` is False where the facility knows no such person. Answers the wake, and wakes the person's access where what is
        wanted may have changed.
        """
        ...

    async def file(self, facility: str, person: str, as_of: datetime) -> OnboardingFile | None:
        """The facts as they stand on a moment; changes nothing."""
        ...

    async def record_of(self, person: str) -> ClinicianRecord:
        """Who it is; only for a step that must tell another system.

        Raises:
            Rejected: nobody is known by this key.
        """
        ...

    async def take(self, facility: str, person: str, word: PersonWord, by: str, as_of: datetime) -> PersonWordTaken:
        """Carry a checked word out: once under its id.

        Raises:
            Rejected: it does not fit as things stand (decided otherwise, by oneself, not two people, too old a verification).
        """
        ...

    async def verified(self, person: str, kind: CheckKind, subject: str, evidence: Evidence, as_of: datetime) -> None:
        """Keep what a source answered."""
        ...

    async def tasks(self, facility: str, person: str) -> Sequence[PersonTask]:
        """What people are to do for this case, open ones first."""
        ...


class ClinicianRegister(Protocol):
    """The register's rows about clinicians, as in force on a day."""

    async def clinician_policy(self, facility: str, as_of: date) -> ClinicianPolicy: ...

    async def clinician_role(self, code: str, as_of: date) -> ClinicianRole | None: ...

    async def access_targets(self, as_of: date) -> Sequence[AccessTarget]: ...

    async def verification_sources(self, as_of: date) -> Sequence[VerificationSource]: ...


class Verifier(Protocol):
    """A source that verifies one kind of thing."""

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        """What the source says of this person.

        Raises:
            Rejected: it cannot be asked this (nothing to ask by: no NPI, no licence of that state): a person mends the record.
        """
        ...


class Access(Protocol):
    """What is wanted and what stands, for each person and target; and the blocks. The block is read in each call that says
    what to write."""

    async def standing(self, person: str, as_of: datetime) -> AccessStanding:
        """What is to be written or looked at now. Answers the wake."""
        ...

    async def target(self, code: str, as_of: datetime) -> AccessTarget | None:
        """A system that is told of people, also one that was put out of use; None where the register has no such row then."""
        ...

    async def wanted(self, person: str, target: str, as_of: datetime) -> Wanted:
        """What is to stand in a target now: inactive where a block stands. Changes nothing."""
        ...

    async def begin(self, person: str, target: str, as_of: datetime) -> Wanted:
        """The same, immediately before a write: a write that gives something is marked as under way in the same transaction.

        The mark stands until its end is heard of, so that who revokes knows what may still be carried out there; that of an
        earlier write stands on. A block and this one come one after the other: a write that begins after
        a block gives nothing.
        """
        ...

    async def blocked(self, person: str) -> Block | None:
        """The block that stands; read it again after each write."""
        ...

    async def wrote(
        self,
        person: str,
        target: str,
        wanted: Wanted,
        seen: TargetSeen,
        as_of: datetime,
        *,
        crossed: bool = False,
        heard: bool = True,
    ) -> str:
        """Keep what was written and seen; the state it is in. ``crossed``: it is what undid a write that crossed a block;
        ``heard`` False: that write never answered, and may still be carried out."""
        ...

    async def saw(self, person: str, target: str, seen: TargetSeen, as_of: datetime) -> str:
        """Keep what was found by looking; the state it is in: what stands otherwise than wanted is due again."""
        ...

    async def refused(
        self, person: str, target: str, code: str, reason: str, as_of: datetime, *, gave: bool = False
    ) -> str:
        """The target refuses: it waits for a person, or for what it lacks (``cost-centre-missing``), and is tried again when
        due. ``code`` ``unavailable`` or ``throttled``: it did not answer, what was asked may still be done there. ``gave``: it
        was a write that gives something, of which a no is the end; a look or a taking that is refused ends no grant."""
        ...

    async def block(self, block: Block) -> Block:
        """Commit a block; the one that stands where there is one, and the one of this ``id``, lifted or not, where it was given."""
        ...

    async def revocation(self, person: str, as_of: datetime) -> RevocationStanding:
        """Each target that could hold access of the person, and how often it was seen off since the block.

        Confirmed is written down once all of them are that a system of ours can see.
        """
        ...

    async def seen_off(self, person: str, target: str, seen: TargetSeen, at: datetime, apart: int) -> OffSeen:
        """Count a look since the block: twice off and ``apart`` seconds between is confirmed; one that is on begins anew."""
        ...


class ClinicianTarget(Protocol):
    """A system that is told of people. Our key for a person (``externalId``) makes a repeat harmless."""

    async def look(self, wanted: Wanted) -> TargetSeen:
        """What stands there about the person, and whether it is as wanted."""
        ...

    async def write(self, wanted: Wanted) -> TargetSeen:
        """Make it so, and say what was seen there afterwards.

        Raises:
            Rejected: it cannot be so (``cost-centre-missing``, a name taken by another): a person, or time, mends it.
        """
        ...


class WakeOfPerson(Canonical):
    """A case of people that is to look: ``process`` is clinician_onboarding, clinician_access or clinician_revocation.

    ``since``: when it was asked for; the same moment again means that nobody has looked yet.
    """

    process: str
    person: str
    facility: str = ""
    since: datetime | None = None
