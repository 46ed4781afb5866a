"""Counts of stock are kept, and what came of each of their lines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0022"
branch_labels = None
depends_on = None


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False) for name in names]


def _moments(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "stock_counts",
        sa.Column("id", sa.Text(), nullable=False),
        *_words("facility", "location", "source", "number", "kind", "hash", "message", "sender", "state", "reason"),
        sa.Column("round", sa.Integer(), nullable=True),
        *_moments("counted_at", "at", "changed_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_counts")),
        sa.UniqueConstraint("facility", "source", "number", name=op.f("uq_stock_counts_facility_source_number")),
    )
    waiting, parked = sa.text("state = 'waiting'"), sa.text("state = 'parked'")
    op.create_index("ix_stock_counts_waiting", "stock_counts", ["facility", "location", "id"], postgresql_where=waiting)
    op.create_index("ix_stock_counts_parked", "stock_counts", ["id"], postgresql_where=parked)
    op.create_index("ix_stock_counts_location", "stock_counts", ["facility", "location", "counted_at"])
    op.create_table(
        "stock_count_lines",
        *_words("count"),
        sa.Column("line", sa.Integer(), nullable=False),
        *_words("item", "code", "lot", "serial"),
        sa.Column("amount", sa.Numeric(21, 6), nullable=True),
        *_words("unit"),
        sa.Column("counted", sa.BigInteger(), nullable=True),
        sa.Column("expected", sa.BigInteger(), nullable=True),
        sa.Column("adjusted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        *_words("state", "cause", "reason"),
        sa.Column("expires", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("count", "line", name=op.f("pk_stock_count_lines")),
    )
    op.create_index("ix_stock_count_lines_parked", "stock_count_lines", ["code", "lot"], postgresql_where=parked)
