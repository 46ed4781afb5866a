"""What people say of the systems that are told of people."""

from __future__ import annotations

from sqlalchemy import Index, Table, text

from store.tables import metadata, moment, serial, words

# Words of people that a target is gone for good: asked for by one, said by another; void once the target is in use again.
targets_gone = Table(
    "targets_gone",
    metadata,
    serial(),
    words("target"),
    words("asked_by"),
    words("reason"),
    moment("asked_at"),
    words("said_by"),
    words("said_reason"),
    moment("said_at", nullable=True),
    moment("void_at", nullable=True),
    Index("uq_targets_gone_standing", "target", unique=True, postgresql_where=text("void_at IS NULL")),
)
