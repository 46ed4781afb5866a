"""Recalls: notices, what they mean and met, tasks and words; warnings of what expires."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recalls",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("classification", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("firm", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("product", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("event", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("initiated", sa.Date(), nullable=True),
        sa.Column("uncertain", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("blocked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("closed_why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_recalls")),
    )
    op.create_index("ix_recalls_at_number", "recalls", ["at", "number"], unique=False)
    op.create_index(
        "ix_recalls_open", "recalls", ["number"], unique=False, postgresql_where=sa.text("state <> 'closed'")
    )
    op.create_index(
        "ix_recalls_woken", "recalls", ["woken_at"], unique=False, postgresql_where=sa.text("woken_at IS NOT NULL")
    )
    op.create_table(
        "recall_scopes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("recall", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("device", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("item", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("supplier", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("catalogue", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot_from", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot_to", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial_from", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial_to", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("everything", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_scopes")),
    )
    op.create_index(
        "ix_recall_scopes_device", "recall_scopes", ["device"], unique=False, postgresql_where=sa.text("device <> ''")
    )
    op.create_index("ix_recall_scopes_recall", "recall_scopes", ["recall"], unique=False)
    op.create_table(
        "recall_tasks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recall", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("procedure", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sequence", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("outcome", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("expected", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_tasks")),
        sa.UniqueConstraint(
            "recall",
            "kind",
            "facility",
            "location",
            "procedure",
            "sequence",
            name=op.f("uq_recall_tasks_recall_kind_facility_location_procedure_sequence"),
        ),
    )
    op.create_index(
        "ix_recall_tasks_due", "recall_tasks", ["due"], unique=False, postgresql_where=sa.text("state = 'open'")
    )
    op.create_index(
        "ix_recall_tasks_open",
        "recall_tasks",
        ["recall", "due"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "recall_matches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("recall", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("task", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("procedure", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("item", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("event", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("quantity", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("certain", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_matches")),
    )
    op.create_index(
        "ix_recall_matches_new", "recall_matches", ["recall"], unique=False, postgresql_where=sa.text("task = ''")
    )
    op.create_index(
        "ix_recall_matches_task", "recall_matches", ["task"], unique=False, postgresql_where=sa.text("task <> ''")
    )
    op.create_index(
        "uq_recall_matches_stock",
        "recall_matches",
        ["recall", "facility", "location", "item", "lot", "serial"],
        unique=True,
        postgresql_where=sa.text("event = ''"),
    )
    op.create_index(
        "uq_recall_matches_use",
        "recall_matches",
        ["recall", "event"],
        unique=True,
        postgresql_where=sa.text("event <> ''"),
    )
    op.create_table(
        "recall_words",
        sa.Column("recall", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("verb", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("recall", "id", name=op.f("pk_recall_words")),
    )
    op.create_table(
        "expiry_warnings",
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("item", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("expires", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "facility", "location", "item", "lot", "serial", "expires", "days", name=op.f("pk_expiry_warnings")
        ),
    )
