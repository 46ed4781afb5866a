"""What we keep in our own database: messages, claims, numbers, money promised, the register and the keys of senders."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def fit(value: str) -> str:
    """Text as PostgreSQL takes it."""
    if value.isascii() and "\x00" not in value:
        return value
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


class Words(TypeDecorator[str]):
    """Text from anywhere. PostgreSQL takes no NUL and no half characters: what a partner sent in their place is marked."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else fit(value)


def words(name: str, **options: Any) -> Column[str]:
    return Column(name, Words, nullable=False, server_default=text("''"), **options)


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def serial() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


# ---- the journal ----------------------------------------------------------------------------------------------------

# Partitioned by time (store/partitions.py): ids begin with their moment. A waiting message is not routed yet.
_WAITING = "direction = 'in' AND state IN ('received', 'validated')"

messages = Table(
    "messages",
    metadata,
    Column("id", Words, primary_key=True),
    words("direction"),
    words("door"),
    words("partner"),
    words("sender"),
    words("kind"),
    words("control_number"),
    words("key"),
    words("state"),
    words("reason"),
    words("case"),
    words("trace"),
    words("hash"),
    Column("size", BigInteger, nullable=False, server_default=text("0")),
    words("duplicate_of"),
    words("conflicts_with"),
    words("answer"),
    moment("at"),
    words("stream"),
    Column("priority", SmallInteger, nullable=False, server_default=text("5")),
    moment("occurred", nullable=True),
    words("channel"),
    words("version_of"),
    words("replay_of"),
    words("owner"),  # of a dead letter: its sender's
    words("note"),
    Column("slot", SmallInteger, nullable=False, server_default=text("0")),  # which router's it is (store/shards.py)
    Column("parked", Boolean, nullable=False, server_default=text("false")),  # passed over quickly (store/streams.py)
    Column("packing", SmallInteger, nullable=False),  # store/packing.py
    Column("payload", LargeBinary, nullable=False),
    Index("ix_messages_unordered", "at", "id", postgresql_where=text(f"{_WAITING} AND stream = ''")),
    Index("ix_messages_next", "priority", "id", postgresql_where=text(f"{_WAITING} AND stream <> '' AND NOT parked")),
    Index("ix_messages_behind", "stream", "id", postgresql_where=text(f"{_WAITING} AND stream <> ''")),
    Index("ix_messages_state", "state", "id", postgresql_where=text("state <> 'routed'")),
    Index("ix_messages_kind", "kind", "id"),
    Index("ix_messages_sender", "sender", "id", postgresql_where=text("sender <> ''")),
    Index("ix_messages_partner", "partner", "id", postgresql_where=text("partner <> ''")),
    Index("ix_messages_stream", "stream", "id", postgresql_where=text("stream <> ''")),
    Index("ix_messages_case", "case", "id", postgresql_where=text("\"case\" <> ''")),
    Index("ix_messages_owner", "owner", "id", postgresql_where=text("owner <> ''")),
    Index("ix_messages_version_of", "version_of", postgresql_where=text("version_of <> ''")),
    Index("ix_messages_replay_of", "replay_of", postgresql_where=text("replay_of <> ''")),
    Index("ix_messages_control", "partner", "control_number", postgresql_where=text("direction = 'out'")),
    postgresql_partition_by="RANGE (id)",
)

# What happened to a message after it was kept; how it began is the message itself.
message_states = Table(
    "message_states",
    metadata,
    Column("message", Words, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    words("state"),
    words("reason"),
    moment("at"),
    postgresql_partition_by="RANGE (message)",
)

# The first message under each key, outside the partitions: a key is remembered longer than its message, or not as long.
message_keys = Table(
    "message_keys",
    metadata,
    Column("direction", Words, primary_key=True),
    Column("key", Words(collation="C"), primary_key=True),  # so that keys that begin alike stand together
    words("hash"),
    words("message"),
    moment("at"),
    moment("until", nullable=True),
    Index("ix_message_keys_until", "until", postgresql_using="brin"),
)

message_conflicts = Table(
    "message_conflicts",
    metadata,
    Column("first", Words, primary_key=True),
    Column("hash", Words, primary_key=True),
    words("message"),
)

parked_streams = Table(
    "parked_streams",
    metadata,
    Column("stream", Words, primary_key=True),
    words("message"),
    words("reason"),
    moment("at"),
)

# What was asked to be routed once more, and what became of each message of it; `what` is the filter, in JSON.
replay_jobs = Table(
    "replay_jobs",
    metadata,
    Column("id", Words, primary_key=True),
    words("what"),
    words("reason"),
    words("actor"),
    words("known_by"),
    words("state"),
    words("cancelled_by"),
    words("cancelled_why"),
    Column("total", Integer, nullable=False, server_default=text("0")),
    moment("made_at"),
    moment("began_at", nullable=True),
    moment("ended_at", nullable=True),
    Index("ix_replay_jobs_open", "id", postgresql_where=text("state IN ('waiting', 'running')")),
)

replay_items = Table(
    "replay_items",
    metadata,
    Column("job", Words, primary_key=True),
    Column("message", Words, primary_key=True),
    Column("position", Integer, nullable=False),
    words("stream"),
    words("state"),
    words("before"),
    words("outcome"),
    words("detail"),
    words("case"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment("next_at"),
    moment("changed_at"),
    Index("ix_replay_items_waiting", "job", "position", postgresql_where=text("state = 'waiting'")),
    Index(None, "message"),
)

# ---- claims and numbers ---------------------------------------------------------------------------------------------

claims = Table(
    "claims",
    metadata,
    Column("case", Words, primary_key=True),
    words("process"),
    words("facility"),
    words("source"),
    words("number"),
    words("hash"),
    Column("run", Words, nullable=True),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    words("message"),
    words("content"),  # the requisition in JSON, where its message says it in other words
    words("trace"),
    moment("at"),
    UniqueConstraint("process", "facility", "source", "number"),
    Index("ix_claims_at", "at", "case"),
)

counters = Table(
    "counters",
    metadata,
    Column("scope", Words, primary_key=True),
    Column("last", BigInteger, nullable=False, server_default=text("0")),
)

order_numbers = Table(
    "order_numbers",
    metadata,
    Column("case", Words, primary_key=True),
    Column("part", Words, primary_key=True),
    words("facility"),
    words("number"),
    words(
        "content"
    ),  # hash of the order as its requisition made it; empty for numbers given before there was this column
    UniqueConstraint("facility", "number"),
)

orders = Table(
    "orders",
    metadata,
    Column("case", Words, primary_key=True),
    words("facility"),
    words("number"),
    words("written"),
    words("supplier"),
    Index(None, "written"),
)

control_numbers = Table(
    "control_numbers",
    metadata,
    Column("partner", Words, primary_key=True),
    Column("key", Words, primary_key=True),
    words("kind"),
    words("case"),
    Column("interchange", BigInteger, nullable=False),
    Column("group", BigInteger, nullable=False),
    Column("transaction_set", BigInteger, nullable=False),
    moment("given_at"),
    Index(None, "partner", "interchange"),
    Index(None, "partner", "group"),
)

commitments = Table(
    "commitments",
    metadata,
    Column("facility", Words, primary_key=True),
    Column("order", Words, primary_key=True),
    words("cost_centre"),
    Column("amount", Numeric(24, 6), nullable=False),
    words("currency"),
    words("key"),  # says which requisition has only reserved it; empty once the order's own case has spoken
    moment("as_of"),
    Index(None, "facility", "cost_centre"),
)

invoices = Table(
    "invoices",
    metadata,
    Column("key", Words, primary_key=True),
    words("supplier"),
    words("number"),
    words("case"),
    words("message"),
    moment("at"),
    Index(None, "supplier", "number"),
)

# ---- the register and the keys of senders ---------------------------------------------------------------------------

register = Table(
    "register",
    metadata,
    Column("kind", Words, primary_key=True),
    Column("facility", Words, primary_key=True),
    Column("code", Words, primary_key=True),
    Column("valid_from", Date, primary_key=True),
    words("document"),
    words("source"),
    words("hash"),
    moment("loaded_at"),
)

# Other names of a record: an item's catalogue numbers, an employee's login and roles, the item of a contract price.
register_keys = Table(
    "register_keys",
    metadata,
    Column("kind", Words, primary_key=True),
    Column("facility", Words, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("code", Words, primary_key=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Words, primary_key=True),
    Column("hash", Words, nullable=False, unique=True),
    words("sender"),
    words("facility"),
    words("person"),
    words("scopes"),
    Column("per_minute", Integer, nullable=False, server_default=text("60")),
    moment("made_at"),
    moment("expires_at", nullable=True),
    moment("revoked_at", nullable=True),
    words(
        "sealed"
    ),  # the secret of a sender that signs (store/sealing.py); its row has no hash anybody could be known by
    Index(None, "sender", postgresql_where=text("sealed <> ''")),
)

# Calls of each key in steps of five seconds, newest first (store/quotas.py). Room beside a row: it changes with every call.
quotas = Table(
    "quotas",
    metadata,
    Column("key", Words, primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("calls", ARRAY(Integer), nullable=False),
    prefixes=["UNLOGGED"],
    postgresql_with={"fillfactor": "50"},
)

# Up to when each sender with a quota has been given messages ahead of its pace, and what it was given last (store/quotas.py).
allowances = Table(
    "allowances",
    metadata,
    Column("key", Words, primary_key=True),
    moment("paid_until"),
    Column("granted", Integer, nullable=False),
    moment("granted_at"),
    prefixes=["UNLOGGED"],
    postgresql_with={"fillfactor": "50"},
)

# Which process works on which file of rows (store/file_work.py).
file_work = Table(
    "file_work",
    metadata,
    Column("message", Words, primary_key=True),
    words("owner"),
    moment("at"),
    Column("rows", Integer, nullable=False, server_default=text("0")),
    Column("done", Integer, nullable=False, server_default=text("0")),
    prefixes=["UNLOGGED"],
)

marks = Table("marks", metadata, Column("name", Words, primary_key=True), moment("at"))
