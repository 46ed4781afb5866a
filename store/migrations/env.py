"""Run by Alembic: the connection is given by :mod:`store.migrate`, never read from a file."""

from __future__ import annotations

from alembic import context

from store import (
    case_tables,
    count_tables,
    feed_tables,
    hr_tables,
    people_tables,
    recall_tables,
    tables,
    target_tables,
    usage_tables,
)

assert recall_tables.recalls.metadata is tables.metadata
assert case_tables.cases.metadata is feed_tables.drift.metadata is usage_tables.charges.metadata is tables.metadata
assert target_tables.targets_gone.metadata is hr_tables.hr_away.metadata is tables.metadata
assert count_tables.stock_counts.metadata is people_tables.people.metadata is tables.metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
