"""What the engine sweep asks every few seconds costs by open cases, not by all there ever were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_cases_standing", "cases", ["case"], postgresql_where=sa.text("NOT closed"))
    op.create_index("ix_cases_stopped", "cases", ["case"], postgresql_where=sa.text("NOT closed AND stopped <> ''"))
    op.create_index(
        "ix_cases_untold", "cases", ["parent"], postgresql_where=sa.text("closed AND NOT parent_told AND parent <> ''")
    )
    op.create_index("ix_claims_at", "claims", ["at", "case"])
