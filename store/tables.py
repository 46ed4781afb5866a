"""What we keep in our own database: messages, claims, numbers, money promised, the register and the keys of senders."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
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


class Words(TypeDecorator[str]):
    """Text from anywhere. PostgreSQL takes no NUL and no half characters: what a partner sent in their place is marked."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        if value is None:
            return None
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def words(name: str, **options: Any) -> Column[str]:
    return Column(name, Words, nullable=False, server_default=text("''"), **options)


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def serial() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


# ---- the journal ----------------------------------------------------------------------------------------------------

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
    Column("data", LargeBinary, nullable=False),
    Index(
        "uq_messages_key",
        "direction",
        "key",
        unique=True,
        postgresql_where=text("key <> '' AND conflicts_with = ''"),
    ),
    Index("uq_messages_bytes", "direction", "key", "hash", unique=True, postgresql_where=text("key <> ''")),
    Index(
        "ix_messages_waiting", "at", postgresql_where=text("direction = 'in' AND state IN ('received', 'validated')")
    ),
    Index(None, "case"),
    Index("ix_messages_control", "partner", "control_number", postgresql_where=text("direction = 'out'")),
)

message_states = Table(
    "message_states",
    metadata,
    serial(),
    words("message"),
    words("state"),
    words("reason"),
    moment("at"),
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
    words("key"),
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

marks = Table("marks", metadata, Column("name", Words, primary_key=True), moment("at"))
