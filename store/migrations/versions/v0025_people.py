"""People: who they are, what HR says, verifications, privileges, tasks, access in other systems, blocks, exclusions, the trace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_states",
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("target", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("wanted", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reference", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("finding", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("again_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("offs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("off_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unheard_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("person", "target", name=op.f("pk_access_states")),
    )
    op.create_index(
        "ix_access_states_refused",
        "access_states",
        ["since"],
        unique=False,
        postgresql_where=sa.text("state = 'refused'"),
    )
    op.create_index("ix_access_states_target", "access_states", ["target", "state"], unique=False)
    op.create_table(
        "appointments",
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("headline", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("position", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("ended_why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("next_change", sa.Date(), nullable=True),
        sa.Column("suspended", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("suspended_why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("basis", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reinstating", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("facility", "person", name=op.f("pk_appointments")),
    )
    op.create_index(op.f("ix_appointments_person"), "appointments", ["person"], unique=False)
    op.create_index(
        "ix_appointments_next",
        "appointments",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index(
        "ix_appointments_woken",
        "appointments",
        ["woken_at"],
        unique=False,
        postgresql_where=sa.text("woken_at IS NOT NULL"),
    )
    op.create_table(
        "credential_warnings",
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("expires", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person", "facility", "name", "expires", "days", name=op.f("pk_credential_warnings")),
    )
    op.create_table(
        "exclusion_lists",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("file_hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("published", sa.Date(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exclusion_lists")),
    )
    op.create_index(
        "uq_exclusion_lists_current", "exclusion_lists", ["source"], unique=True, postgresql_where=sa.text("current")
    )
    op.create_table(
        "exclusions",
        sa.Column("list", sa.BigInteger(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("family_folded", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("given_folded", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("middle_folded", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("business", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("npi", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("excluded_on", sa.Date(), nullable=True),
        sa.Column("waived_on", sa.Date(), nullable=True),
        sa.Column("waiver_state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("list", "row", name=op.f("pk_exclusions")),
    )
    op.create_index("ix_exclusions_name", "exclusions", ["list", "family_folded", "birth_date"], unique=False)
    op.create_index(
        "ix_exclusions_npi", "exclusions", ["list", "npi"], unique=False, postgresql_where=sa.text("npi <> ''")
    )
    op.create_table(
        "source_states",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("error_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_states")),
    )
    op.create_table(
        "monitoring_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("people", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("held", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("asked", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("differing", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("again", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lists", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("trouble", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_runs")),
    )
    op.create_index("ix_monitoring_runs_at", "monitoring_runs", ["as_of"], unique=False)
    op.create_table(
        "hr_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("number", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sender", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("source_person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("candidates", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("effective", sa.Date(), nullable=False),
        sa.Column("emergency", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hr_events")),
        sa.UniqueConstraint("facility", "source", "number", name=op.f("uq_hr_events_facility_source_number")),
    )
    op.create_index(
        "ix_hr_events_due", "hr_events", ["effective"], unique=False, postgresql_where=sa.text("state = 'matched'")
    )
    op.create_index(
        "ix_hr_events_open",
        "hr_events",
        ["state", "at"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'possible', 'parked')"),
    )
    op.create_index("ix_hr_events_person", "hr_events", ["person", "facility", "said_at"], unique=False)
    op.create_index("ix_hr_events_source_person", "hr_events", ["source", "source_person"], unique=False)
    op.create_table(
        "people",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("family_folded", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("given_folded", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("npi", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("national_hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("links", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("link", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("access_next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_people")),
    )
    op.create_index(
        "ix_people_birth_date",
        "people",
        ["birth_date"],
        unique=False,
        postgresql_where=sa.text("birth_date IS NOT NULL"),
    )
    op.create_index(
        "ix_people_access_next",
        "people",
        ["access_next_at"],
        unique=False,
        postgresql_where=sa.text("access_next_at IS NOT NULL"),
    )
    op.create_index("ix_people_name", "people", ["family_folded", "birth_date"], unique=False)
    op.create_index(
        "ix_people_national", "people", ["national_hash"], unique=False, postgresql_where=sa.text("national_hash <> ''")
    )
    op.create_index("ix_people_npi", "people", ["npi"], unique=False, postgresql_where=sa.text("npi <> ''"))
    op.create_index(
        "ix_people_woken", "people", ["woken_at"], unique=False, postgresql_where=sa.text("woken_at IS NOT NULL")
    )
    op.create_table(
        "person_names",
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("family_folded", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("given_folded", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("person", "family_folded", "given_folded", name=op.f("pk_person_names")),
    )
    op.create_index(op.f("ix_person_names_family_folded"), "person_names", ["family_folded"], unique=False)
    op.create_table(
        "person_numbers",
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("number", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "number", name=op.f("pk_person_numbers")),
    )
    op.create_index(op.f("ix_person_numbers_person"), "person_numbers", ["person"], unique=False)
    op.create_table(
        "person_tasks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("subject", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("outcome", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_tasks")),
    )
    op.create_index(
        "ix_person_tasks_open", "person_tasks", ["due"], unique=False, postgresql_where=sa.text("state = 'open'")
    )
    op.create_index(op.f("ix_person_tasks_person_facility"), "person_tasks", ["person", "facility"], unique=False)
    op.create_table(
        "person_trace",
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("link", sa.Integer(), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("did", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("what", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("content", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("rules", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("before", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person", "link", name=op.f("pk_person_trace")),
    )
    op.create_table(
        "person_words",
        sa.Column("case", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("verb", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("case", "id", name=op.f("pk_person_words")),
    )
    op.create_table(
        "privileges",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("scope", postgresql.JSONB(), nullable=False),
        sa.Column("temporary", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("requested_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("seconded_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("decided_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("starts", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("rules", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privileges")),
    )
    op.create_index(op.f("ix_privileges_person_facility"), "privileges", ["person", "facility"], unique=False)
    op.create_index(
        "ix_privileges_until", "privileges", ["until"], unique=False, postgresql_where=sa.text("state = 'granted'")
    )
    op.create_table(
        "revocation_blocks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("call", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lift_asked_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lift_reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lift_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocation_blocks")),
    )
    op.create_index(
        "ix_revocation_blocks_open",
        "revocation_blocks",
        ["since"],
        unique=False,
        postgresql_where=sa.text("lifted_at IS NULL AND confirmed_at IS NULL"),
    )
    op.create_index(
        "uq_revocation_blocks_standing",
        "revocation_blocks",
        ["person"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    op.create_table(
        "verifications",
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("subject", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("finding", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("verified_on", sa.Date(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("reference", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hits", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("cleared", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("rules", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person", "kind", "subject", name=op.f("pk_verifications")),
    )
    op.create_index(
        "ix_verifications_expires",
        "verifications",
        ["expires_on"],
        unique=False,
        postgresql_where=sa.text("expires_on IS NOT NULL"),
    )
    op.create_table(
        "directory_said",
        sa.Column("target", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("places", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("messages", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("target", "person", name=op.f("pk_directory_said")),
    )
