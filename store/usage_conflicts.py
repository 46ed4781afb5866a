"""Uses that came again under a number with other content: the first stands, and a person says what becomes of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.errors import Rejected
from canonical.ports import Unmatched
from canonical.stock_reports import ConflictRow
from canonical.usage import UsageEvent
from store.acts import Act, note_in
from store.database import transaction
from store.usage_tables import usage_conflicts, usage_events

# One conflict stands in two lists: ours, and that of unmatched documents, where each message that brought it has a row.
_OTHERS: Final = text("SELECT count(*) FROM usage_conflicts WHERE event = :event AND state = 'open'")
_SETTLE_LISTED: Final = text("""
UPDATE unmatched SET state = 'set_aside', decided_by = :by, decided_why = :why
WHERE kind = 'usage' AND state = 'open' AND facility = :facility AND number = :number AND starts_with(reason, :reason)""")
_SETTLE_OURS: Final = text("""
UPDATE usage_conflicts AS c SET state = 'dismissed' FROM usage_events AS u
WHERE u.id = c.event AND c.state = 'open' AND u.facility = :facility AND u.number = :number
AND starts_with(:reason, 'use ' || u.number || '/' || u.sequence || ' of ' || u.source || ' is known')
AND NOT EXISTS (SELECT FROM unmatched AS m WHERE m.kind = 'usage' AND m.state = 'open' AND m.facility = :facility
    AND m.number = :number AND m.message = c.message AND m.id <> :id AND m.reason = :reason)
AND (c.message = :message OR NOT EXISTS (SELECT FROM unmatched AS m WHERE m.kind = 'usage' AND m.state = 'open'
    AND m.facility = :facility AND m.number = :number AND m.id <> :id AND m.reason = :reason))""")


async def settled_by_listing(connection: AsyncConnection, document: Unmatched) -> None:
    """A person set aside what was listed of a conflict: nothing more is asked of it here either."""
    if document.kind == "usage":
        names = ("id", "facility", "number", "message", "reason")
        await connection.execute(_SETTLE_OURS, {name: getattr(document, name) for name in names})


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
                if not await connection.scalar(_OTHERS, {"event": row.event}):
                    told = f"use {row.number}/{row.sequence} of {row.source} is known"
                    given = {"facility": row.facility, "number": row.number, "reason": told}
                    await connection.execute(_SETTLE_LISTED, given | {"by": act.actor.id, "why": act.reason})
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
    said = "nothing" if value in (None, "") else str(value)
    return said if len(said) <= 60 else f"{said[:59]}…"
