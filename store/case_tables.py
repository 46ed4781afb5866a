"""What we keep of cases: how they stand, what changed, where each document came from, and what others hear of it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    UniqueConstraint,
    text,
)

from store.tables import Words, metadata, moment, serial, words

# ---- cases as people see them ---------------------------------------------------------------------------------------

cases = Table(
    "cases",
    metadata,
    Column("case", Words, primary_key=True),
    words("process"),
    words("facility"),
    words("run"),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    words("state"),
    words("business_state"),
    words("owner"),
    moment("due", nullable=True),
    words("next_action"),
    words("summary"),
    words("parent"),
    words("supplier"),
    Column("amount", Numeric(24, 6), nullable=True),
    words("currency"),
    words("carried"),
    Column("closed", Boolean, nullable=False, server_default=text("false")),
    words("stopped"),
    Column("parent_told", Boolean, nullable=False, server_default=text("false")),
    moment("opened_at"),
    moment("changed_at"),
    Index(None, "changed_at", "case"),
    Index(None, "parent"),
    Index("ix_cases_open", "process", postgresql_where=text("NOT closed")),
    Index("ix_cases_standing", "case", postgresql_where=text("NOT closed")),
    Index("ix_cases_stopped", "case", postgresql_where=text("NOT closed AND stopped <> ''")),
    Index("ix_cases_untold", "parent", postgresql_where=text("closed AND NOT parent_told AND parent <> ''")),
)

STOPPED = ("stopped outside", "engine fault")  # said of a case by the sweep, not by its process

case_changes = Table(
    "case_changes",
    metadata,
    serial(),
    words("case"),
    words("run"),
    Column("generation", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    words("state"),
    words("business_state"),
    words("owner"),
    words("next_action"),
    words("decision"),
    moment("at"),
    Index(None, "case"),
)

case_attention = Table(
    "case_attention",
    metadata,
    Column("case", Words, primary_key=True),
    Column("position", Integer, primary_key=True),
    words("kind"),
    words("content"),
    Index(None, "kind"),
)

case_lines = Table(
    "case_lines",
    metadata,
    Column("case", Words, primary_key=True),
    Column("position", Integer, primary_key=True),
    words("line"),
    words("content"),
)

case_troubles = Table(
    "case_troubles",
    metadata,
    Column("case", Words, primary_key=True),
    Column("system", Words, primary_key=True),
    Column("step", Words, primary_key=True),
    words("message"),
    moment("since"),
)

documents = Table(
    "documents",
    metadata,
    Column("case", Words, primary_key=True),
    Column("name", Words, primary_key=True),
    words("kind"),
    words("number"),
    words("system"),
    words("state"),
    words("message"),
    words("parent"),
    words("content"),
    moment("first_at"),
    moment("changed_at"),
    Index(None, "kind", "number"),
    Index(None, "message"),
)

document_states = Table(
    "document_states",
    metadata,
    serial(),
    words("case"),
    words("name"),
    words("state"),
    words("owner"),
    moment("at"),
    Index(None, "case"),
)

links = Table(
    "links",
    metadata,
    Column("parent", Words, primary_key=True),
    Column("child", Words, primary_key=True),
    words("case"),
    Index(None, "child"),
    Index(None, "case"),
)

decisions = Table(
    "decisions",
    metadata,
    serial(),
    words("case"),
    words("kind"),
    words("decision"),
    words("verb"),
    words("actor"),
    words("known_by"),
    Column("verified", Boolean, nullable=False, server_default=text("false")),
    words("employee"),
    words("content"),
    Column("data", LargeBinary, nullable=True),
    moment("at"),
    Index(None, "case"),
)

unmatched = Table(
    "unmatched",
    metadata,
    Column("id", Words, primary_key=True),
    words("kind"),
    words("number"),
    words("supplier"),
    words("order"),
    words("facility"),
    words("reason"),
    words("message"),
    words("state"),
    words("document"),
    words("case"),
    words("decided_by"),
    words("decided_why"),
    moment("at"),
    Index(None, "state", "at"),
    Index(None, "message"),
)

# ---- what others hear of --------------------------------------------------------------------------------------------

events = Table(
    "events",
    metadata,
    serial(),
    Column("key", Words, nullable=False, unique=True),
    words("type"),
    words("case"),
    words("facility"),
    words("content"),
    moment("occurred_at"),
    Index(None, "case"),
)

subscribers = Table(
    "subscribers",
    metadata,
    Column("name", Words, primary_key=True),
    words("url"),
    words("secret_file"),
    words("types"),
    words("facilities"),
    words("sender"),
    words("form"),
    Column("per_second", Integer, nullable=False, server_default=text("0")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    moment("at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    serial(),
    Column("event", BigInteger, nullable=False),
    words("subscriber"),
    words("state"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    words("error"),
    moment("next_at"),
    moment("changed_at"),
    UniqueConstraint("event", "subscriber"),
    Index("ix_deliveries_waiting", "next_at", postgresql_where=text("state = 'waiting'")),
)

# ---- what leaves us by channels -------------------------------------------------------------------------------------

# Where each channel stands, seen by all workers; webhooks have a row too (``webhook/<subscriber>``), with no lease.
channel_states = Table(
    "channel_states",
    metadata,
    Column("channel", Words, primary_key=True),
    words("paused_by"),
    words("paused_known_by"),
    words("paused_why"),
    moment("paused_at", nullable=True),
    words("breaker"),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("openings", Integer, nullable=False, server_default=text("0")),
    Column("given_up", Integer, nullable=False, server_default=text("0")),
    moment("opened_at", nullable=True),
    moment("probe_at", nullable=True),
    words("error"),
    moment("error_at", nullable=True),
    moment("free_at", nullable=True),
    words("holder"),
    moment("held_until", nullable=True),
)

# What is sent by a channel, in the order of ``id``. ``blocks``: a dead letter behind which the channel stands still.
outbound = Table(
    "outbound",
    metadata,
    serial(),
    words("channel"),
    words("message"),
    words("control_id"),
    words("state"),
    Column("blocks", Boolean, nullable=False, server_default=text("false")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    words("answer"),
    words("application"),
    words("said"),
    moment("next_at"),
    moment("put_at"),
    moment("changed_at"),
    UniqueConstraint("channel", "control_id"),
    Index(None, "message"),
    Index("ix_outbound_open", "channel", "id", postgresql_where=text("state IN ('waiting', 'sent') OR blocks")),
    Index("ix_outbound_dead", "channel", "id", postgresql_where=text("state = 'dead'")),
)

# ---- what operators did ---------------------------------------------------------------------------------------------

acts = Table(
    "acts",
    metadata,
    serial(),
    words("verb"),
    words("about"),
    words("actor"),
    words("known_by"),
    words("reason"),
    words("detail"),
    moment("at"),
    Index(None, "about"),
)
