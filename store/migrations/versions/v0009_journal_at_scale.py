"""The journal by weeks: what was kept is taken over, with its states and keys.

Processes of the version before refuse to keep or read from here on (their columns are gone) rather than take the first message
under a key for another: stop doors and workers, upgrade, start the new ones.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from store.ids import moment_of
from store.partitions import AHEAD, WEEK, making, making_defaults, weeks

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WORDS = (
    "direction",
    "door",
    "partner",
    "sender",
    "kind",
    "control_number",
    "key",
    "state",
    "reason",
    "case",
    "trace",
    "hash",
)
_MORE = ("duplicate_of", "conflicts_with", "answer")
_TAKEN_OVER = ", ".join(f'"{name}"' for name in ("id", *_WORDS, "size", *_MORE, "at"))
_WAITING = "direction = 'in' AND state IN ('received', 'validated')"
_INDEXES = (
    ("unordered", ["at", "id"], f"{_WAITING} AND stream = ''"),
    ("next", ["priority", "id"], f"{_WAITING} AND stream <> '' AND NOT parked"),
    ("behind", ["stream", "id"], f"{_WAITING} AND stream <> ''"),
    ("state", ["state", "id"], "state <> 'routed'"),
    ("kind", ["kind", "id"], None),
    ("sender", ["sender", "id"], "sender <> ''"),
    ("partner", ["partner", "id"], "partner <> ''"),
    ("stream", ["stream", "id"], "stream <> ''"),
    ("case", ["case", "id"], "\"case\" <> ''"),
    ("version_of", ["version_of"], "version_of <> ''"),
    ("replay_of", ["replay_of"], "replay_of <> ''"),
    ("control", ["partner", "control_number"], "direction = 'out'"),
)


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False) for name in names]


def _number(name: str, default: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger(), server_default=sa.text(default), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    for table in ("messages", "message_states"):
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
        op.execute(f"ALTER TABLE {table}_before RENAME CONSTRAINT pk_{table} TO pk_{table}_before")
    for index in ("messages_case", "messages_control", "messages_waiting", "message_states_message"):
        op.execute(f"DROP INDEX ix_{index}")
    _make_tables()
    for step in making_defaults():
        op.execute(step)
    for week in weeks(_oldest(), datetime.now(UTC) + AHEAD * WEEK):
        for step in making(week):
            op.execute(step)
    _take_over()
    for table in ("messages", "message_states"):
        op.drop_table(f"{table}_before")
    for name, columns, where in _INDEXES:
        op.create_index(f"ix_messages_{name}", "messages", columns, postgresql_where=sa.text(where) if where else None)


def _make_tables() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Text(), nullable=False),
        *_words(*_WORDS),
        sa.Column("size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        *_words(*_MORE),
        _moment("at"),
        *_words("stream"),
        _number("priority", "5"),
        _moment("occurred", nullable=True),
        *_words("channel", "version_of", "replay_of"),
        _number("slot", "0"),
        sa.Column("parked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("packing", sa.SmallInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_table(
        "message_states",
        *_words("message"),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        *_words("state", "reason"),
        _moment("at"),
        sa.PrimaryKeyConstraint("message", "id", name="pk_message_states"),
        postgresql_partition_by="RANGE (message)",
    )
    op.create_table(
        "message_keys",
        *_words("direction"),
        sa.Column("key", sa.Text(collation="C"), server_default=sa.text("''"), nullable=False),
        *_words("hash", "message"),
        _moment("at"),
        _moment("until", nullable=True),
        sa.PrimaryKeyConstraint("direction", "key", name="pk_message_keys"),
    )
    op.create_index("ix_message_keys_until", "message_keys", ["until"], postgresql_using="brin")
    op.create_table(
        "message_conflicts",
        *_words("first", "hash", "message"),
        sa.PrimaryKeyConstraint("first", "hash", name="pk_message_conflicts"),
    )
    op.create_table(
        "parked_streams",
        *_words("stream", "message", "reason"),
        _moment("at"),
        sa.PrimaryKeyConstraint("stream", name="pk_parked_streams"),
    )


def _oldest() -> datetime:
    """When the oldest message was kept; a name of another form counts for nothing, it goes to the default partition."""
    named = "SELECT min(id) FROM messages_before WHERE id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7'"
    oldest = op.get_bind().scalar(sa.text(named))
    return max(moment_of(oldest), datetime.now(UTC) - 200 * WEEK) if oldest else datetime.now(UTC)


def _take_over() -> None:
    op.execute(
        f"INSERT INTO messages ({_TAKEN_OVER}, packing, payload) SELECT {_TAKEN_OVER}, 0, data FROM messages_before"  # noqa: S608
    )
    # How a message began is the message itself from now on: the first of its states is not taken over.
    op.execute("""
        INSERT INTO message_states (message, state, reason, at)
        SELECT message, state, reason, at FROM (
            SELECT s.*, row_number() OVER (PARTITION BY message ORDER BY id) AS place FROM message_states_before s) numbered
        WHERE place > 1 ORDER BY id
    """)
    op.execute("""
        INSERT INTO message_keys (direction, key, hash, message, at)
        SELECT direction, key, hash, id, at FROM messages_before WHERE key <> '' AND conflicts_with = ''
    """)
    op.execute("""
        INSERT INTO message_conflicts (first, hash, message)
        SELECT conflicts_with, hash, id FROM messages_before WHERE key <> '' AND conflicts_with <> ''
        ON CONFLICT DO NOTHING
    """)
