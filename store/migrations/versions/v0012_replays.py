"""Dead letters have an owner, messages taken with faults a note; replays are jobs with a result for each message."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False) for name in names]


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    for column in _words("owner", "note"):
        op.add_column("messages", column)
    op.create_index("ix_messages_owner", "messages", ["owner", "id"], postgresql_where=sa.text("owner <> ''"))
    op.create_index(op.f("ix_unmatched_message"), "unmatched", ["message"])
    op.create_table(
        "replay_jobs",
        sa.Column("id", sa.Text(), nullable=False),
        *_words("what", "reason", "actor", "known_by", "state", "cancelled_by", "cancelled_why"),
        sa.Column("total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("made_at"),
        _moment("began_at", nullable=True),
        _moment("ended_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replay_jobs")),
    )
    open_ones = sa.text("state IN ('waiting', 'running')")
    op.create_index("ix_replay_jobs_open", "replay_jobs", ["id"], postgresql_where=open_ones)
    op.create_table(
        "replay_items",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *_words("stream", "state", "before", "outcome", "detail", "case"),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("next_at"),
        _moment("changed_at"),
        sa.PrimaryKeyConstraint("job", "message", name=op.f("pk_replay_items")),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_replay_items_waiting", "replay_items", ["job", "position"], postgresql_where=waiting)
    op.create_index(op.f("ix_replay_items_message"), "replay_items", ["message"])
