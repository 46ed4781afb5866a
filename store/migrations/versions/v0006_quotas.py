"""How often each key has called in the last minute: not logged, since a count lost in a crash harms nobody."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.ARRAY(sa.Integer()), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_quotas")),
        prefixes=["UNLOGGED"],
        postgresql_with={"fillfactor": "50"},
    )
