"""A claim keeps what its message says, where that is not JSON: a run that could not be read, or a successor, goes on with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("claims", sa.Column("content", sa.Text(), server_default=sa.text("''"), nullable=False))
