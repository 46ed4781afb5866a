"""What we keep of counts of stock: each count once under its number, and what came of each of its lines."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    select,
    text,
)

from store.tables import Words, metadata, moment, words
from store.usage_tables import whole

# ``kind``: par, warehouse (somebody counted), erp (its books). ``state``: waiting for its location's next round, taken into one,
# reconciled, or parked: some of it waits for a person.
stock_counts = Table(
    "stock_counts",
    metadata,
    Column("id", Words, primary_key=True),
    words("facility"),
    words("location"),
    words("source"),
    words("number"),
    words("kind"),
    words("hash"),
    words("message"),
    words("sender"),
    words("state"),
    words("reason"),
    Column("round", Integer, nullable=True),
    moment("counted_at"),
    moment("at"),
    moment("changed_at"),
    UniqueConstraint("facility", "source", "number"),
    Index("ix_stock_counts_waiting", "facility", "location", "id", postgresql_where=text("state = 'waiting'")),
    Index("ix_stock_counts_parked", "id", postgresql_where=text("state = 'parked'")),
    Index("ix_stock_counts_location", "facility", "location", "counted_at"),
)

# ``item`` as counted, ``code`` ours; ``counted``, ``expected`` and ``adjusted`` (what was booked of the difference) in base units.
# ``cause``: why they differ, most likely (canonical.counting.CAUSES), or what is wrong with a parked line (FAULTS). Of line 0 and
# below are lots that nobody named where others of their item were counted lot by lot.
stock_count_lines = Table(
    "stock_count_lines",
    metadata,
    words("count"),
    Column("line", Integer, nullable=False),
    words("item"),
    words("code"),
    words("lot"),
    words("serial"),
    Column("amount", Numeric(21, 6), nullable=True),
    words("unit"),
    whole("counted", nullable=True),
    whole("expected", nullable=True),
    whole("adjusted"),
    words("state"),  # waiting, matched, adjusted, explained, parked
    words("cause"),
    words("reason"),
    Column("expires", Date, nullable=True),
    PrimaryKeyConstraint("count", "line"),
    Index("ix_stock_count_lines_parked", "code", "lot", postgresql_where=text("state = 'parked'")),
)


def counted_again() -> ColumnElement[bool]:
    """Whether a count is answered by a later one of its location: of its own kind, by people or of the ERP's books."""
    of, later = stock_counts.c, stock_counts.alias("later").c
    again = select(later.id).where(later.facility == of.facility, later.location == of.location)
    return again.where((later.kind == "erp") == (of.kind == "erp"), later.counted_at > of.counted_at).exists()
