"""Indexes of what is asked for again and again of use and stock: needs refused or of no use, old rounds, settled conflicts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    over, settled = sa.text("state <> 'taken'"), sa.text("state <> 'open'")
    refused, of_no_use = sa.text("state = 'refused'"), sa.text("reason = 'its use was taken back'")
    op.create_index("ix_usage_rounds_over", "usage_rounds", ["at"], postgresql_where=over)
    op.create_index("ix_usage_conflicts_settled", "usage_conflicts", ["at"], postgresql_where=settled)
    op.create_index("ix_stock_needs_refused", "stock_needs", ["id"], postgresql_where=refused)
    op.create_index("ix_stock_needs_of_no_use", "stock_needs", ["id"], postgresql_where=of_no_use)
