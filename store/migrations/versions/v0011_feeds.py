"""Where others' master files differ from our register is listed for a person; departments hear what became of their orders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = "facility kind code field source ours theirs message path record state decided_by decided_why"
    words = [sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False) for name in names.split()]
    op.create_table(
        "drift",
        sa.Column("id", sa.Text(), nullable=False),
        *words,
        sa.Column("since", sa.Date(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift")),
    )
    op.create_index(op.f("ix_drift_state_changed_at"), "drift", ["state", "changed_at"])
    words = [
        sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False)
        for name in ("case", "state", "reason", "message")
    ]
    op.create_table(
        "replies",
        sa.Column("event", sa.BigInteger(), nullable=False, autoincrement=False),
        *words,
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_replies")),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_replies_waiting", "replies", ["next_at"], postgresql_where=waiting)
    op.create_index(op.f("ix_replies_case"), "replies", ["case"])
