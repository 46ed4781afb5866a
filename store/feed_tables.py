"""The tables of what departments and others hear and say of our data: differences from the register, replies that are due."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Index, Integer, Table, text

from store.tables import Words, metadata, moment, words

drift = Table(
    "drift",
    metadata,
    Column("id", Words, primary_key=True),
    words("facility"),
    words("kind"),
    words("code"),
    words("field"),
    words("source"),
    words("ours"),
    words("theirs"),
    Column("since", Date, nullable=True),
    words("message"),
    words("path"),
    words("record"),
    words("state"),
    words("decided_by"),
    words("decided_why"),
    moment("seen_at"),
    moment("changed_at"),
    Index(None, "state", "changed_at"),
)

# One for each business event that a department is to hear of as a reply to its message; written with the event.
replies = Table(
    "replies",
    metadata,
    Column("event", BigInteger, primary_key=True, autoincrement=False),
    words("case"),
    words("state"),
    words("reason"),
    words("message"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment("next_at"),
    moment("changed_at"),
    Index("ix_replies_waiting", "next_at", postgresql_where=text("state = 'waiting'")),
    Index(None, "case"),
)
