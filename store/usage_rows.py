"""Usage events as rows of ours."""

from __future__ import annotations

from typing import Final

from sqlalchemy import RowMapping

from canonical.usage_kept import KeptUse
from store.usage_tables import usage_events

COLUMNS: Final = [usage_events.c[name] for name in KeptUse.model_fields]


def kept_use(row: RowMapping) -> KeptUse:
    """An event as its row has it."""
    return KeptUse.model_validate(dict(row))
