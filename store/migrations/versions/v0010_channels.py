"""What leaves us by channels, in order, and where each channel stands."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False) for name in names]


def _moment(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def upgrade() -> None:
    op.add_column("subscribers", _count("per_second"))
    op.create_table(
        "channel_states",
        sa.Column("channel", sa.Text(), nullable=False),
        *_words("paused_by", "paused_known_by", "paused_why"),
        _moment("paused_at"),
        *_words("breaker"),
        _count("failures"),
        _count("openings"),
        _count("given_up"),
        _moment("opened_at"),
        _moment("probe_at"),
        *_words("error"),
        _moment("error_at"),
        _moment("free_at"),
        *_words("holder"),
        _moment("held_until"),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_channel_states")),
    )
    op.create_table(
        "outbound",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        *_words("channel", "message", "control_id", "state"),
        sa.Column("blocks", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _count("attempts"),
        *_words("answer", "application", "said"),
        _moment("next_at", nullable=False),
        _moment("put_at", nullable=False),
        _moment("changed_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbound")),
        sa.UniqueConstraint("channel", "control_id", name=op.f("uq_outbound_channel_control_id")),
    )
    op.create_index(op.f("ix_outbound_message"), "outbound", ["message"])
    unfinished = sa.text("state IN ('waiting', 'sent') OR blocks")
    op.create_index("ix_outbound_open", "outbound", ["channel", "id"], postgresql_where=unfinished)
    op.create_index("ix_outbound_dead", "outbound", ["channel", "id"], postgresql_where=sa.text("state = 'dead'"))
