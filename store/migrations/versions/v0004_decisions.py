"""Two decisions under one id are both kept: who tried first does not hide who decided."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("uq_decisions_checked", table_name="decisions")
