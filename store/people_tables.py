"""What we keep of people: who they are, what HR says, what was verified and decided, what stands in other systems, and the trace."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.recall_tables import flag
from store.tables import Words, metadata, moment, serial, words

# One person, by an opaque key. ``content``: who it is (canonical.people.ClinicianRecord), the only place besides hr_events and the
# journal where that stands. What matching compares stands in columns of its own, folded; ``national_hash`` is keyed.
people = Table(
    "people",
    metadata,
    Column("person", Words, primary_key=True),
    Column("content", JSONB, nullable=False),
    words("family_folded"),
    words("given_folded"),
    Column("birth_date", Date, nullable=True),
    words("npi"),
    words("national_hash"),
    Column("links", Integer, nullable=False, server_default=text("0")),  # of the trace: how many entries it has
    words("link"),  # the hash of the last of them
    moment("woken_at", nullable=True),  # its access is to be looked at
    moment("access_next_at", nullable=True),  # when it is, in any case
    moment("at"),
    moment("changed_at"),
    Index("ix_people_name", "family_folded", "birth_date"),
    Index("ix_people_birth_date", "birth_date", postgresql_where=text("birth_date IS NOT NULL")),
    Index("ix_people_npi", "npi", postgresql_where=text("npi <> ''")),
    Index("ix_people_national", "national_hash", postgresql_where=text("national_hash <> ''")),
    Index("ix_people_woken", "woken_at", postgresql_where=text("woken_at IS NOT NULL")),
    Index("ix_people_access_next", "access_next_at", postgresql_where=text("access_next_at IS NOT NULL")),
)

# Every name that was said of a person, folded as it is compared (canonical.people_matching.folded): former ones among them.
person_names = Table(
    "person_names",
    metadata,
    words("person"),
    words("family_folded"),
    words("given_folded"),
    PrimaryKeyConstraint("person", "family_folded", "given_folded"),
    Index(None, "family_folded"),
)

# What each HR system calls a person: once it is known whose number it is, its events are that person's.
person_numbers = Table(
    "person_numbers",
    metadata,
    words("source"),
    words("number"),
    words("person"),
    words("by"),  # how it is known: rule, or who said so
    moment("at"),
    PrimaryKeyConstraint("source", "number"),
    Index(None, "person"),
)

# One thing an HR system said (canonical.people.HrEvent in ``content``), with a state and an owner. ``position`` in time: said_at, id.
hr_events = Table(
    "hr_events",
    metadata,
    Column("id", Words, primary_key=True),
    words("facility"),
    words("source"),
    words("number"),
    words("hash"),
    words("message"),
    words("sender"),
    words("kind"),
    words("source_person"),
    words("person"),
    words("state"),
    words("owner"),
    words("reason"),
    Column("candidates", JSONB, nullable=False, server_default=text("'[]'")),  # keys of whom it may be
    Column("content", JSONB, nullable=False),
    Column("effective", Date, nullable=False),
    flag("emergency"),
    moment("said_at"),
    moment("at"),
    moment("changed_at"),
    moment("applied_at", nullable=True),
    words("decided_by"),
    UniqueConstraint("facility", "source", "number"),
    Index("ix_hr_events_person", "person", "facility", "said_at"),
    Index("ix_hr_events_source_person", "source", "source_person"),
    Index("ix_hr_events_message", "message"),
    Index("ix_hr_events_open", "state", "at", postgresql_where=text("state IN ('waiting', 'possible', 'parked')")),
    Index("ix_hr_events_due", "effective", postgresql_where=text("state = 'matched'")),
)

# Somebody's employment at a facility, folded from the events in force (canonical.onboarding.Appointment). ``headline`` as it was
# derived last.
appointments = Table(
    "appointments",
    metadata,
    words("facility"),
    words("person"),
    words("state"),
    words("headline"),
    Column("position", JSONB, nullable=False, server_default=text("'{}'")),
    moment("offered_at"),
    Column("starts", Date, nullable=True),
    Column("ends_on", Date, nullable=True),
    words("ended_why"),
    Column("next_change", Date, nullable=True),
    flag("suspended"),
    words("suspended_why"),
    words(
        "basis"
    ),  # a hash of what access is given by, as it was derived last: when it is another, access is to be looked at
    words("reinstating"),  # who asked for the reinstatement that a second person must confirm
    moment("changed_at"),
    moment("woken_at", nullable=True),
    moment("next_at", nullable=True),
    PrimaryKeyConstraint("facility", "person"),
    Index(None, "person"),
    Index("ix_appointments_woken", "woken_at", postgresql_where=text("woken_at IS NOT NULL")),
    Index("ix_appointments_next", "next_at", postgresql_where=text("next_at IS NOT NULL")),
)

# The last evidence of each kind and subject; what came before stands in the trace.
verifications = Table(
    "verifications",
    metadata,
    words("person"),
    words("kind"),
    words("subject"),
    words("state"),
    words("finding"),
    words("detail"),
    words("source"),
    Column("verified_on", Date, nullable=True),
    Column("expires_on", Date, nullable=True),
    words("reference"),
    Column("hits", JSONB, nullable=False, server_default=text("'[]'")),
    Column("cleared", JSONB, nullable=False, server_default=text("'[]'")),  # hits and findings a person knows of
    words("by"),
    words("rules"),
    moment("checked_at", nullable=True),
    moment("changed_at"),
    PrimaryKeyConstraint("person", "kind", "subject"),
    Index("ix_verifications_expires", "expires_on", postgresql_where=text("expires_on IS NOT NULL")),
)

privileges = Table(
    "privileges",
    metadata,
    Column("id", Words, primary_key=True),
    words("person"),
    words("facility"),
    Column("scope", JSONB, nullable=False),
    flag("temporary"),
    words("state"),
    words("requested_by"),
    words("seconded_by"),
    words("decided_by"),
    moment("requested_at"),
    moment("decided_at", nullable=True),
    moment("starts", nullable=True),
    moment("until", nullable=True),
    moment("noticed_at", nullable=True),
    moment("ended_at", nullable=True),
    words("ended_why"),
    words("rules"),
    Index(None, "person", "facility"),
    Index("ix_privileges_until", "until", postgresql_where=text("state = 'granted'")),
)

# What a person does for a case: evidence of education, a lapse to look at, keys to bring back.
person_tasks = Table(
    "person_tasks",
    metadata,
    Column("id", Words, primary_key=True),
    words("person"),
    words("facility"),
    words("kind"),
    words("subject"),
    words("state"),
    words("owner"),
    words("outcome"),
    moment("due", nullable=True),
    moment("opened_at"),
    moment("done_at", nullable=True),
    words("done_by"),
    Index("ix_person_tasks_open", "due", postgresql_where=text("state = 'open'")),
    Index(None, "person", "facility"),
)

# Each word of a person to a case that was taken, once under its id, with the answer it was given.
person_words = Table(
    "person_words",
    metadata,
    words("case"),
    words("id"),
    words("verb"),
    words("hash"),
    words("by"),
    words("message"),
    moment("at"),
    PrimaryKeyConstraint("case", "id"),
)

# A revocation block: while one stands for a person nobody writes any access. ``id`` is the call's own name.
revocation_blocks = Table(
    "revocation_blocks",
    metadata,
    serial(),
    words("person"),
    words("call"),
    words("by"),
    words("reason"),
    moment("since"),
    words("lift_asked_by"),
    words("lift_reason"),
    moment("lift_asked_at", nullable=True),
    words("lifted_by"),
    moment("lifted_at", nullable=True),
    moment("confirmed_at", nullable=True),  # every target was seen off twice
    moment("woken_at", nullable=True),
    Index("uq_revocation_blocks_standing", "person", unique=True, postgresql_where=text("lifted_at IS NULL")),
    Index("ix_revocation_blocks_open", "since", postgresql_where=text("lifted_at IS NULL AND confirmed_at IS NULL")),
)

# How one target stands with one person (canonical.onboarding.TargetStanding). ``wanted``: hash of what was tried, written or confirmed
# last; ``offs``, ``off_at``: how often it was seen off since the block; ``asked_at``: a write that gives something began then, and its
# end was not heard of; ``unheard_at``: so did one before it.
access_states = Table(
    "access_states",
    metadata,
    words("person"),
    words("target"),
    words("kind"),
    words("facility"),
    words("state"),
    words("wanted"),
    Column("active", Boolean, nullable=False, server_default=text("false")),
    words("version"),
    words("reference"),
    words("reason"),
    words("finding"),
    moment("since", nullable=True),
    moment("written_at", nullable=True),
    moment("seen_at", nullable=True),
    moment("again_at", nullable=True),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("offs", Integer, nullable=False, server_default=text("0")),
    moment("off_at", nullable=True),
    moment("asked_at", nullable=True),
    moment("unheard_at", nullable=True),
    PrimaryKeyConstraint("person", "target"),
    Index("ix_access_states_target", "target", "state"),
    Index("ix_access_states_refused", "since", postgresql_where=text("state = 'refused'")),
)

# What a directory was told last of a person (canonical.directory.Said); the messages themselves are in the journal.
directory_said = Table(
    "directory_said",
    metadata,
    words("target"),
    words("person"),
    Column("number", Integer, nullable=False),
    words("hash"),
    flag("active"),
    Column("places", JSONB, nullable=False, server_default=text("'[]'")),
    Column("messages", JSONB, nullable=False, server_default=text("'[]'")),
    moment("at"),
    PrimaryKeyConstraint("target", "person"),
)

# One full exclusion list as it was loaded; the ``current`` one of a source is what people are held against.
exclusion_lists = Table(
    "exclusion_lists",
    metadata,
    serial(),
    words("source"),
    words("file_hash"),
    Column("published", Date, nullable=True),
    Column("rows", Integer, nullable=False),
    flag("current"),
    words("by"),
    moment("at"),
    moment("seen_at", nullable=True),  # when its source last had no other
    Index("uq_exclusion_lists_current", "source", unique=True, postgresql_where=text("current")),
)

exclusions = Table(
    "exclusions",
    metadata,
    Column("list", BigInteger, nullable=False),
    Column("row", Integer, nullable=False),
    words("family_folded"),
    words("given_folded"),
    words("middle_folded"),
    words("business"),
    words("npi"),
    Column("birth_date", Date, nullable=True),
    words("state"),
    words("kind"),
    Column("excluded_on", Date, nullable=True),
    Column("waived_on", Date, nullable=True),
    words("waiver_state"),
    PrimaryKeyConstraint("list", "row"),
    Index("ix_exclusions_npi", "list", "npi", postgresql_where=text("npi <> ''")),
    Index("ix_exclusions_name", "list", "family_folded", "birth_date"),
)

# A list whose last file was not taken, until one is: why, and since when.
exclusion_refusals = Table(
    "exclusion_refusals",
    metadata,
    Column("source", Words, primary_key=True),
    words("why"),
    moment("at"),
)

# How a source that verifies stands, for all workers: when the next question keeps its rate, and its breaker.
source_states = Table(
    "source_states",
    metadata,
    Column("source", Words, primary_key=True),
    moment("free_at", nullable=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    moment("opened_at", nullable=True),
    moment("probe_at", nullable=True),
    words("error"),
    moment("error_at", nullable=True),
)

# One run of the monthly monitoring: what it held people against, and how far it came.
monitoring_runs = Table(
    "monitoring_runs",
    metadata,
    Column("id", Words, primary_key=True),
    moment("as_of"),
    words("state"),  # running, done
    Column("people", Integer, nullable=False, server_default=text("0")),
    Column("held", Integer, nullable=False, server_default=text("0")),  # against the lists
    Column("asked", Integer, nullable=False, server_default=text("0")),  # licences
    Column("owed", Integer, nullable=False, server_default=text("0")),  # whose source has not answered
    Column("differing", Integer, nullable=False, server_default=text("0")),  # who stands otherwise than before
    Column("again", Integer, nullable=False, server_default=text("0")),  # times a list changed in the middle
    words("lists"),
    words("trouble"),
    moment("changed_at"),
    moment("ended_at", nullable=True),
    Index("ix_monitoring_runs_at", "as_of"),
)

# A warning that a licence, certificate, registration or privilege expires, once for each number of days before.
credential_warnings = Table(
    "credential_warnings",
    metadata,
    words("person"),
    words("facility"),
    words("name"),  # licence:IL, or privilege:<id>
    Column("expires", Date, nullable=False),
    Column("days", Integer, nullable=False),
    moment("at"),
    PrimaryKeyConstraint("person", "facility", "name", "expires", "days"),
)

# Who did, saw, decided and sent what of a person, when, by which version of the rules. Each entry holds the hash of the one before.
person_trace = Table(
    "person_trace",
    metadata,
    words("person"),
    Column("link", Integer, nullable=False),
    words("facility"),
    words("did"),  # a verb: heard, matched, applied, verified, decided, wrote, saw, blocked, lifted, read, ...
    words("what"),
    words("by"),
    Column(
        "content", JSONB, nullable=False, server_default=text("'{}'")
    ),  # codes, dates, counts and hashes; never a name
    words("rules"),
    words("before"),
    words("hash"),
    moment("at"),
    PrimaryKeyConstraint("person", "link"),
)
