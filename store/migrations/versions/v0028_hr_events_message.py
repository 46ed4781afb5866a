"""HR events by the message that brought them: whoever opens a message is noted with everybody it concerns."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_hr_events_message", "hr_events", ["message"])
