"""A subscriber may be who asked by FHIR: it hears of its own requests alone, and as FHIR tells it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("sender", "form"):
        op.add_column("subscribers", sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))
