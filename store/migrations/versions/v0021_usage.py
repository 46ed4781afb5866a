"""What is used in care and what it does to stock: usage events, rounds, balances, movements, needs, charges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("number", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sequence", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sender", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("finding", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("findings", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("allowed", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("item", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("expires", sa.Date(), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("cost_centre", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("service_line", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("procedure", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("procedure_code", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("chargeable", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("voids", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("voids_number", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("voided_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=True),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("corrected", postgresql.JSONB(), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("decided_why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_events")),
        sa.UniqueConstraint(
            "facility", "source", "number", "sequence", name=op.f("uq_usage_events_facility_source_number_sequence")
        ),
    )
    op.create_index("ix_usage_events_lot", "usage_events", ["facility", "item", "lot"], unique=False)
    op.create_index("ix_usage_events_message", "usage_events", ["message"], unique=False)
    op.create_index(
        "ix_usage_events_open",
        "usage_events",
        ["state", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('review', 'parked', 'taken')"),
    )
    op.create_index(
        "ix_usage_events_procedure",
        "usage_events",
        ["facility", "procedure"],
        unique=False,
        postgresql_where=sa.text("procedure <> ''"),
    )
    op.create_index(
        "ix_usage_events_round",
        "usage_events",
        ["facility", "location", "round"],
        unique=False,
        postgresql_where=sa.text("round IS NOT NULL"),
    )
    op.create_index(
        "ix_usage_events_serial",
        "usage_events",
        ["facility", "item", "serial"],
        unique=False,
        postgresql_where=sa.text("serial <> ''"),
    )
    op.create_index(
        "ix_usage_events_voids_early",
        "usage_events",
        ["facility", "source", "voids_number"],
        unique=False,
        postgresql_where=sa.text("state = 'parked' AND finding = 'unknown-use'"),
    )
    op.create_index("ix_usage_events_used", "usage_events", ["facility", "used_at"], unique=False)
    op.create_index(
        "ix_usage_events_voids", "usage_events", ["voids"], unique=False, postgresql_where=sa.text("voids <> ''")
    )
    op.create_index(
        "ix_usage_events_waiting",
        "usage_events",
        ["facility", "location", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "usage_conflicts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_conflicts")),
        sa.UniqueConstraint("event", "hash", name=op.f("uq_usage_conflicts_event_hash")),
    )
    op.create_index(
        "ix_usage_conflicts_open", "usage_conflicts", ["id"], unique=False, postgresql_where=sa.text("state = 'open'")
    )
    op.create_table(
        "usage_locations",
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("round", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("count_due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("facility", "location", name=op.f("pk_usage_locations")),
    )
    op.create_table(
        "usage_rounds",
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("taken", postgresql.JSONB(), nullable=False),
        sa.Column("postings", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("outcomes", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("recorded", postgresql.JSONB(), nullable=True),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("facility", "location", "round", name=op.f("pk_usage_rounds")),
    )
    op.create_index(
        "ix_usage_rounds_open", "usage_rounds", ["at"], unique=False, postgresql_where=sa.text("state = 'taken'")
    )
    op.create_table(
        "stock_balances",
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("item", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires", sa.Date(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("facility", "location", "item", "lot", "serial", name=op.f("pk_stock_balances")),
    )
    op.create_index(
        "ix_stock_balances_expires",
        "stock_balances",
        ["facility", "expires"],
        unique=False,
        postgresql_where=sa.text("on_hand > 0 AND expires IS NOT NULL"),
    )
    op.create_index("ix_stock_balances_lot", "stock_balances", ["facility", "item", "lot"], unique=False)
    op.create_table(
        "stock_movements",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("item", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("quantity", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("event", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("need", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=True),
        sa.Column("erp_document", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stock_movements")),
    )
    op.create_index(
        "ix_stock_movements_event", "stock_movements", ["event"], unique=False, postgresql_where=sa.text("event <> ''")
    )
    op.create_index(
        "ix_stock_movements_need", "stock_movements", ["need"], unique=False, postgresql_where=sa.text("need <> ''")
    )
    op.create_index(
        op.f("ix_stock_movements_facility_location_item_at"),
        "stock_movements",
        ["facility", "location", "item", "at"],
        unique=False,
    )
    op.create_table(
        "stock_needs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("location", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("item", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("supply", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("event", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("warehouse", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("package", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("quantity", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("received", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("put_away", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("case", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("orders", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=True),
        sa.Column("expected", sa.Date(), nullable=True),
        sa.Column("requisition", postgresql.JSONB(), nullable=True),
        sa.Column("lots", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_needs")),
    )
    op.create_index(
        "ix_stock_needs_due",
        "stock_needs",
        ["facility", "location"],
        unique=False,
        postgresql_where=sa.text(
            "state <> 'refused' AND (received > put_away OR (warehouse <> '' AND state = 'open'))"
        ),
    )
    op.create_index(
        "ix_stock_needs_warehouse",
        "stock_needs",
        ["facility", "warehouse", "item"],
        unique=False,
        postgresql_where=sa.text("warehouse <> '' AND state = 'back-ordered'"),
    )
    op.create_index(
        "ix_stock_needs_case", "stock_needs", ["case"], unique=False, postgresql_where=sa.text("\"case\" <> ''")
    )
    op.create_index(
        "ix_stock_needs_unfinished",
        "stock_needs",
        ["at"],
        unique=False,
        postgresql_where=sa.text("state IN ('open', 'ordered', 'back-ordered')"),
    )
    op.create_index(
        "uq_stock_needs_event", "stock_needs", ["event"], unique=True, postgresql_where=sa.text("event <> ''")
    )
    op.create_index(
        "uq_stock_needs_open",
        "stock_needs",
        ["facility", "location", "item"],
        unique=True,
        postgresql_where=sa.text("event = '' AND state IN ('open', 'ordered', 'back-ordered')"),
    )
    op.create_table(
        "recall_blocks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recall", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("item", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot_from", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot_to", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial_from", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("serial_to", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_blocks")),
    )
    op.create_index(
        "ix_recall_blocks_item", "recall_blocks", ["item"], unique=False, postgresql_where=sa.text("active")
    )
    op.create_index("ix_recall_blocks_recall", "recall_blocks", ["recall"], unique=False)
    op.create_table(
        "charges",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("facility", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("event", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("channel", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("again_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('charge', 'credit')", name="ck_charges_kind"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        sa.UniqueConstraint("event", "kind", name=op.f("uq_charges_event_kind")),
    )
    op.create_index("ix_charges_dead", "charges", ["id"], unique=False, postgresql_where=sa.text("state = 'dead'"))
    op.create_index("ix_charges_due", "charges", ["again_at"], unique=False, postgresql_where=sa.text("state = 'due'"))
