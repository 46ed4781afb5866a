"""What we keep of recalls and of what expires: notices, what they mean, what they met with us, the tasks, and warnings given."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.tables import Words, metadata, moment, serial, words
from store.usage_tables import whole


def flag(name: str) -> Column[bool]:
    """Yes or no; no until said."""
    return Column(name, Boolean, nullable=False, server_default=text("false"))


# A notice as it stands by its last word; ``content`` in JSON (canonical.recall.RecallNotice). ``woken_at``: its case is to look
# again and has not yet. ``uncertain``: a person has not yet looked at what it leaves open. ``blocked``: its blocks stand.
recalls = Table(
    "recalls",
    metadata,
    Column("number", Words, primary_key=True),
    words("state"),  # scope, open, answered, closed
    words("classification"),
    words("status"),
    words("source"),
    words("firm"),
    words("product"),
    words("event"),
    words("hash"),
    Column("content", JSONB, nullable=False),
    Column("initiated", Date, nullable=True),
    flag("uncertain"),
    flag("blocked"),
    moment("woken_at", nullable=True),
    moment("at"),
    moment("changed_at"),
    moment("closed_at", nullable=True),
    words("closed_by"),
    words("closed_why"),
    Index("ix_recalls_open", "number", postgresql_where=text("state <> 'closed'")),
    Index("ix_recalls_woken", "woken_at", postgresql_where=text("woken_at IS NOT NULL")),
    Index(None, "at", "number"),
)

# What a notice, or a person (``by``), says is meant. The blocks (recall_blocks) are these with our items' codes.
recall_scopes = Table(
    "recall_scopes",
    metadata,
    serial(),
    words("recall"),
    words("facility"),
    words("device"),
    words("item"),
    words("supplier"),
    words("catalogue"),
    words("lot_from"),
    words("lot_to"),
    words("serial_from"),
    words("serial_to"),
    flag("everything"),
    words("by"),
    words("why"),
    moment("at"),
    Index(None, "recall"),
    Index("ix_recall_scopes_device", "device", postgresql_where=text("device <> ''")),
)

# What each place must answer; a place whose task was answered gets another where more comes to it later.
recall_tasks = Table(
    "recall_tasks",
    metadata,
    Column("id", Words, primary_key=True),
    words("recall"),
    words("kind"),  # location, procedure, use
    words("facility"),
    words("location"),
    words("procedure"),
    Column("sequence", Integer, nullable=False, server_default=text("1")),
    words("state"),  # open, answered
    words("outcome"),
    whole("expected"),
    whole("found", nullable=True),
    words("reason"),
    moment("due"),
    moment("opened_at"),
    moment("answered_at", nullable=True),
    words("answered_by"),
    UniqueConstraint("recall", "kind", "facility", "location", "procedure", "sequence"),
    Index("ix_recall_tasks_open", "recall", "due", postgresql_where=text("state = 'open'")),
    Index("ix_recall_tasks_due", "due", postgresql_where=text("state = 'open'")),
)

# What a recall met: a use (``event``) or what a location holds. ``certain``: lot and serial are known and meant; else our books do
# not say which lot the location holds, and somebody looks.
recall_matches = Table(
    "recall_matches",
    metadata,
    serial(),
    words("recall"),
    words("task"),
    words("kind"),
    words("facility"),
    words("location"),
    words("procedure"),
    words("item"),
    words("lot"),
    words("serial"),
    words("event"),
    whole("quantity"),
    flag("certain"),
    moment("at"),
    Index("uq_recall_matches_use", "recall", "event", unique=True, postgresql_where=text("event <> ''")),
    Index(
        "uq_recall_matches_stock",
        "recall",
        "facility",
        "location",
        "item",
        "lot",
        "serial",
        unique=True,
        postgresql_where=text("event = ''"),
    ),
    Index("ix_recall_matches_task", "task", postgresql_where=text("task <> ''")),
    Index("ix_recall_matches_new", "recall", postgresql_where=text("task = ''")),
)

# Each word of a person to a recall that was taken, once under its id, with the answer it was given.
recall_words = Table(
    "recall_words",
    metadata,
    words("recall"),
    words("id"),
    words("verb"),
    words("hash"),
    words("by"),
    words("message"),
    moment("at"),
    PrimaryKeyConstraint("recall", "id"),
)

# A warning that something expires was given: once for each balance, expiry and number of days before.
expiry_warnings = Table(
    "expiry_warnings",
    metadata,
    words("facility"),
    words("location"),
    words("item"),
    words("lot"),
    words("serial"),
    Column("expires", Date, nullable=False),
    Column("days", Integer, nullable=False),
    whole("quantity"),
    moment("at"),
    PrimaryKeyConstraint("facility", "location", "item", "lot", "serial", "expires", "days"),
)
