"""What we keep of use and stock: usage events, rounds of locations, balances, movements, needs and charges."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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

from store.tables import Words, metadata, moment, words


def whole(name: str, *, nullable: bool = False) -> Column[Any]:
    """Base units of an item."""
    return Column(name, BigInteger, nullable=nullable, server_default=None if nullable else text("0"))


# One use, or the taking back of one. ``content`` is the event in JSON as its feed read it, without its encounter. ``round``: the
# round of its location that took it; ``finding``: what validation found (canonical.usage.FINDINGS), posted or not.
usage_events = Table(
    "usage_events",
    metadata,
    Column("id", Words, primary_key=True),
    words("facility"),
    words("source"),
    words("number"),
    Column("sequence", Integer, nullable=False, server_default=text("1")),
    words("kind"),
    words("hash"),
    words("message"),
    words("sender"),
    words("state"),
    words("owner"),
    words("finding"),
    words("reason"),
    Column("findings", JSONB, nullable=False, server_default=text("'[]'")),  # all of them
    Column("allowed", JSONB, nullable=False, server_default=text("'[]'")),  # findings a person said yes to
    words("location"),
    words("item"),
    words("lot"),
    words("serial"),
    Column("expires", Date, nullable=True),
    whole("quantity", nullable=True),  # base units, once validated
    words("cost_centre"),
    words("service_line"),
    words("procedure"),
    words("procedure_code"),
    Column("chargeable", Boolean, nullable=False, server_default=text("false")),
    words("voids"),  # the id of the use it takes back
    words("voids_number"),  # and its number at its source
    words("voided_by"),
    Column("round", BigInteger, nullable=True),
    Column("content", JSONB, nullable=False),
    Column("corrected", JSONB, nullable=True),  # what a person said instead, beside what came
    moment("used_at"),
    moment("at"),
    moment("changed_at"),
    moment("posted_at", nullable=True),
    words("decided_by"),
    words("decided_why"),
    UniqueConstraint("facility", "source", "number", "sequence"),
    Index("ix_usage_events_waiting", "facility", "location", "id", postgresql_where=text("state = 'waiting'")),
    Index("ix_usage_events_round", "facility", "location", "round", postgresql_where=text("round IS NOT NULL")),
    Index("ix_usage_events_open", "state", "id", postgresql_where=text("state IN ('review', 'parked', 'taken')")),
    Index("ix_usage_events_lot", "facility", "item", "lot"),
    Index("ix_usage_events_serial", "facility", "item", "serial", postgresql_where=text("serial <> ''")),
    Index("ix_usage_events_procedure", "facility", "procedure", postgresql_where=text("procedure <> ''")),
    Index("ix_usage_events_voids", "voids", postgresql_where=text("voids <> ''")),
    Index(
        "ix_usage_events_voids_early",
        "facility",
        "source",
        "voids_number",
        postgresql_where=text("state = 'parked' AND finding = 'unknown-use'"),
    ),
    Index("ix_usage_events_used", "facility", "used_at"),
    Index("ix_usage_events_message", "message"),
)

# A use that came under a known name with other content: a person decides which holds.
usage_conflicts = Table(
    "usage_conflicts",
    metadata,
    Column("id", Words, primary_key=True),
    words("event"),
    words("hash"),
    words("message"),
    Column("content", JSONB, nullable=False),
    words("state"),
    moment("at"),
    UniqueConstraint("event", "hash"),
    Index("ix_usage_conflicts_open", "id", postgresql_where=text("state = 'open'")),
    Index("ix_usage_conflicts_settled", "at", postgresql_where=text("state <> 'open'")),
)

# Each location's case: the last round it was given, the wake it has not answered, and when its books were last compared.
usage_locations = Table(
    "usage_locations",
    metadata,
    words("facility"),
    words("location"),
    Column("round", BigInteger, nullable=False, server_default=text("0")),
    moment("woken_at", nullable=True),
    moment("answered_at", nullable=True),
    moment("taken_at", nullable=True),
    moment("count_due", nullable=True),
    moment("counted_at", nullable=True),
    PrimaryKeyConstraint("facility", "location"),
)

# A round: what it took, what the ERP was told and said. ``postings`` in JSON, in their order; ``outcomes`` by posting key, once known.
usage_rounds = Table(
    "usage_rounds",
    metadata,
    words("facility"),
    words("location"),
    Column("round", BigInteger, nullable=False),
    words("state"),  # taken, recorded; refused: of before, when all of a round was put aside
    Column("taken", JSONB, nullable=False),
    Column("postings", JSONB, nullable=False, server_default=text("'[]'")),
    Column("outcomes", JSONB, nullable=False, server_default=text("'{}'")),
    Column("recorded", JSONB, nullable=True),
    words("reason"),
    moment("at"),
    moment("changed_at"),
    PrimaryKeyConstraint("facility", "location", "round"),
    Index("ix_usage_rounds_open", "at", postgresql_where=text("state = 'taken'")),
    Index("ix_usage_rounds_over", "at", postgresql_where=text("state <> 'taken'")),
)

# ``reserved``: taken by rounds that are not recorded yet, of this location or of one it supplies.
stock_balances = Table(
    "stock_balances",
    metadata,
    words("facility"),
    words("location"),
    words("item"),
    words("lot"),
    words("serial"),
    whole("on_hand"),
    whole("reserved"),
    Column("expires", Date, nullable=True),
    moment("changed_at"),
    PrimaryKeyConstraint("facility", "location", "item", "lot", "serial"),
    Index("ix_stock_balances_lot", "facility", "item", "lot"),
    Index(
        "ix_stock_balances_expires", "facility", "expires", postgresql_where=text("on_hand > 0 AND expires IS NOT NULL")
    ),
)

# Every change of a balance, once under its key; the sum of a balance's movements is the balance.
stock_movements = Table(
    "stock_movements",
    metadata,
    Column("key", Words, primary_key=True),
    words("facility"),
    words("location"),
    words("item"),
    words("lot"),
    words("serial"),
    whole("quantity"),  # above zero in, below zero out
    words("kind"),  # opening, use, void, supply, receipt, adjust, drift
    words("event"),
    words("need"),
    Column("round", BigInteger, nullable=True),
    words("erp_document"),
    words("reason"),
    moment("at"),
    Index(None, "facility", "location", "item", "at"),
    Index("ix_stock_movements_event", "event", postgresql_where=text("event <> ''")),
    Index("ix_stock_movements_need", "need", postgresql_where=text("need <> ''")),
)

# What is to be brought to a location. One open need of an item at a time, by the index; after-use orders have one per event.
stock_needs = Table(
    "stock_needs",
    metadata,
    Column("id", Words, primary_key=True),
    words("facility"),
    words("location"),
    words("item"),
    words("supply"),
    words("event"),  # of an order after use
    words("warehouse"),
    Column("package", BigInteger, nullable=False, server_default=text("1")),
    words("state"),  # open, ordered, back-ordered, received, cancelled, refused
    whole("quantity"),
    whole("received"),
    whole("put_away"),
    words("case"),
    words("orders"),
    words("reason"),
    Column("round", BigInteger, nullable=True),
    Column("expected", Date, nullable=True),
    Column("requisition", JSONB, nullable=True),
    Column("lots", JSONB, nullable=False, server_default=text("'[]'")),  # what came so far: lot, expires, quantity
    moment("at"),
    moment("changed_at"),
    Index(
        "uq_stock_needs_open",
        "facility",
        "location",
        "item",
        unique=True,
        postgresql_where=text("event = '' AND state IN ('open', 'ordered', 'back-ordered')"),
    ),
    Index("uq_stock_needs_event", "event", unique=True, postgresql_where=text("event <> ''")),
    Index("ix_stock_needs_unfinished", "at", postgresql_where=text("state IN ('open', 'ordered', 'back-ordered')")),
    Index(
        "ix_stock_needs_due",
        "facility",
        "location",
        postgresql_where=text("state <> 'refused' AND (received > put_away OR (warehouse <> '' AND state = 'open'))"),
    ),
    Index(
        "ix_stock_needs_warehouse",
        "facility",
        "warehouse",
        "item",
        postgresql_where=text("warehouse <> '' AND state = 'back-ordered'"),
    ),
    Index("ix_stock_needs_case", "case", postgresql_where=text("\"case\" <> ''")),
    Index("ix_stock_needs_refused", "id", postgresql_where=text("state = 'refused'")),
    Index("ix_stock_needs_of_no_use", "id", postgresql_where=text("reason = 'its use was taken back'")),
)

# What recalls in force forbid: lots or serials of an item from one to another, in the order of their characters; both empty: all of
# them. ``facility`` empty: everywhere.
recall_blocks = Table(
    "recall_blocks",
    metadata,
    Column("id", Words, primary_key=True),
    words("recall"),
    words("facility"),
    words("item"),
    words("lot_from"),
    words("lot_to"),
    words("serial_from"),
    words("serial_to"),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    moment("at"),
    moment("changed_at"),
    Index("ix_recall_blocks_item", "item", postgresql_where=text("active")),
    Index("ix_recall_blocks_recall", "recall"),
)

# What billing is told of a use, in order of ``id``: a charge, or the credit that takes it back.
charges = Table(
    "charges",
    metadata,
    Column("id", Words, primary_key=True),
    words("facility"),
    words("event"),
    words("kind"),  # charge, credit
    words("channel"),
    words("state"),  # due, written, needless, dead
    words("message"),
    words("reason"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment("again_at"),
    moment("at"),
    moment("changed_at"),
    UniqueConstraint("event", "kind"),
    CheckConstraint("kind IN ('charge', 'credit')", name="ck_charges_kind"),
    Index("ix_charges_due", "again_at", postgresql_where=text("state = 'due'")),
    Index("ix_charges_dead", "id", postgresql_where=text("state = 'dead'")),
)
