"""An order's number is kept with the hash of the order it was given to: no other order begins under it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_numbers", sa.Column("content", sa.Text(), server_default=sa.text("''"), nullable=False))
