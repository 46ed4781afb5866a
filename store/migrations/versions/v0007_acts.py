"""A subscriber may hear of some facilities only, and what operators did is written down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscribers", sa.Column("facilities", sa.Text(), server_default=sa.text("''"), nullable=False))
    words = [
        sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False)
        for name in ("verb", "about", "actor", "known_by", "reason", "detail")
    ]
    op.create_table(
        "acts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        *words,
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acts")),
    )
    op.create_index(op.f("ix_acts_about"), "acts", ["about"])
