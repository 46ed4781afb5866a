"""Uses that came again under a number with other content: the first stands, and a person says what becomes of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Rejected
from canonical.stock_reports import ConflictRow
from canonical.usage import UsageEvent
from store.acts import Act, note_in
from store.database import transaction
from store.usage_tables import usage_conflicts, usage_events


class StoredConflicts:
    """The list, in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def list(self, *, everything: bool = False, after: str = "", limit: int = 100) -> Sequence[ConflictRow]:
        """Conflicts in the order they came, those that are open unless ``everything``."""
        asked = _rows().order_by(usage_conflicts.c.id).limit(limit)
        if not everything:
            asked = asked.where(usage_conflicts.c.state == "open")
        if after:
            asked = asked.where(usage_conflicts.c.id > after)
        async with transaction(self._engine) as connection:
            return [_row(row) for row in await connection.execute(asked)]

    async def find(self, conflict: str) -> ConflictRow | None:
        """One by its id."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(_rows().where(usage_conflicts.c.id == conflict))).one_or_none()
        return _row(row) if row is not None else None

    async def dismiss(self, conflict: str, act: Act) -> ConflictRow:
        """The first stands, and nothing more is asked; again, nothing happens.

        Raises:
            Rejected: there is none of that id.
        """
        async with transaction(self._engine) as connection:
            asked = _rows().where(usage_conflicts.c.id == conflict).with_for_update(of=usage_conflicts)
            row = (await connection.execute(asked)).one_or_none()
            if row is None:
                raise Rejected(f"there is no conflict {conflict}", code="not-found", system="store")
            if row.state == "open":
                settled = update(usage_conflicts).where(usage_conflicts.c.id == conflict).values(state="dismissed")
                await connection.execute(settled)
                await note_in(connection, act.model_copy(update={"about": f"usage/{row.event}", "detail": conflict}))
        return _row(row).model_copy(update={"state": "dismissed"})


def _rows() -> Select[Any]:
    used = usage_events.c
    kept = (used.facility, used.location, used.source, used.number, used.sequence, used.content.label("kept"))
    return select(usage_conflicts, *kept).join(usage_events, used.id == usage_conflicts.c.event)


def _row(row: Row[Any]) -> ConflictRow:
    return ConflictRow.model_validate(dict(row._mapping) | {"differs": _differs(row.kept, row.content)})


def _differs(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """What is said otherwise, by name and both values."""
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return tuple(f"{name}: {_said(name, one)}, then {_said(name, other)}" for name in names)


def _said(name: str, content: Mapping[str, Any]) -> str:
    """A value in short; what was kept as its default (an amount of 1, a use) is named, since it was not nothing."""
    field = UsageEvent.model_fields.get(name)
    default = field.default if field is not None and not field.is_required() else None
    return _short(content.get(name, default))


def _short(value: Any) -> str:
    text = "nothing" if value in (None, "") else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
