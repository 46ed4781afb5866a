"""Documents without an open case: nothing a partner sends is lost, a person attaches it or sets it aside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.errors import Rejected
from canonical.ports import Unmatched
from store.case_tables import unmatched
from store.database import transaction
from store.tables import messages
from store.usage_conflicts import settled_by_listing

Give = Callable[[Unmatched], Awaitable[None]]  # brings a document to its case, or raises

SETTLED_BY_ROUTING: Final = ("unreadable", "requisition", "conflict", "interchange")
ROWS: Final = (
    "catalogue_row",
    "requisition_row",
)  # where a row is a message of its own; one of an X12 file may still be bad
BY_US: Final = "fascia"  # who decided, where nobody did: what was listed came right

_SHOWN = [column for column in unmatched.c if column.name not in ("decided_by", "decided_why")]


async def put_in(connection: AsyncConnection, document: Unmatched) -> None:
    """List a document in a transaction of the caller's; one that is listed already stays as it is."""
    await connection.execute(upsert(unmatched).values(document.model_dump()).on_conflict_do_nothing())


async def settle_in(connection: AsyncConnection, names: Sequence[str], by: str, why: str) -> None:
    """Set aside what waits for a person about these messages, or those they correct: it came right, or somebody decided it.

    What we have set aside ourselves a person may still put a name to.
    """
    about = found = {name for name in names if name}
    while found:
        asked = select(messages.c.version_of).where(messages.c.id.in_(found), messages.c.version_of != "")
        found = set(await connection.scalars(asked)) - about
        about |= found
    waits = (unmatched.c.state == "open") | ((unmatched.c.state == "set_aside") & (unmatched.c.decided_by == BY_US))
    own = select(messages.c.id).where(messages.c.id.in_(about), messages.c.kind.like("csv\\_%\\_rows"))
    whole = unmatched.c.message.in_(about) & unmatched.c.kind.in_(SETTLED_BY_ROUTING)
    of = (whole | (unmatched.c.message.in_(own) & unmatched.c.kind.in_(ROWS))) & waits
    said = {"state": "set_aside", "decided_by": by, "decided_why": why}
    await connection.execute(update(unmatched).where(of).values(said))


class StoredUnmatched:
    """The list of unmatched documents in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put_unmatched(self, document: Unmatched) -> None:
        """List a document that has no open case."""
        async with transaction(self._engine) as connection:
            await put_in(connection, document)

    async def settle_unmatched(self, messages: Sequence[str], why: str) -> None:
        """What was listed of messages that were taken after all waits for nobody any more."""
        async with transaction(self._engine) as connection:
            await settle_in(connection, messages, BY_US, why)

    async def unmatched(self, state: str = "open", *, facility: str = "", limit: int = 100) -> Sequence[Unmatched]:
        """The documents that wait for a person, oldest first; ``state`` empty for all of them."""
        asked = select(*_SHOWN).order_by(unmatched.c.at, unmatched.c.id).limit(limit)
        if state:
            asked = asked.where(unmatched.c.state == state)
        if facility:
            asked = asked.where(unmatched.c.facility.in_(("", facility)))
        async with transaction(self._engine) as connection:
            return [Unmatched.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def count(self, kind: str) -> int:
        """How many of a kind wait for a person."""
        asked = select(func.count()).select_from(unmatched).where(unmatched.c.kind == kind, unmatched.c.state == "open")
        async with transaction(self._engine) as connection:
            return int(await connection.scalar(asked) or 0)

    async def unmatched_document(self, document: str) -> Unmatched | None:
        """One of them, or None."""
        asked = select(*_SHOWN).where(unmatched.c.id == document)
        async with transaction(self._engine) as connection:
            row = (await connection.execute(asked)).mappings().one_or_none()
        return Unmatched.model_validate(dict(row)) if row is not None else None

    async def attach(self, document: str, case: str, *, by: str, give: Give, why: str = "") -> Unmatched:
        """Note that a person gave the document to a case, once ``give`` has brought it there.

        Until then it stays on the list, whatever ends a door in between; a case takes it once under its key, and who
        gives it elsewhere meanwhile waits. The same again is no other deed, and is brought again.

        Raises:
            Rejected: no such document, it was given to another case or set aside, or the case does not take it.
        """
        return await self._decide(document, "attached", case, by, why, give)

    async def set_aside(self, document: str, *, by: str, why: str) -> Unmatched:
        """Note that a person decided that nothing follows from the document.

        Raises:
            Rejected: no such document, or it was attached to a case.
        """
        return await self._decide(document, "set_aside", None, by, why)

    async def _decide(
        self, document: str, state: str, case: str | None, by: str, why: str, give: Give | None = None
    ) -> Unmatched:
        async with transaction(self._engine) as connection:
            asked = select(*_SHOWN).where(unmatched.c.id == document).with_for_update()
            row = (await connection.execute(asked)).mappings().one_or_none()
            if row is None:
                raise Rejected(f"no unmatched document {document}", code="not-found", system="store")
            held = Unmatched.model_validate(dict(row))
            wanted = held.model_copy(update={"state": state, "case": held.case if case is None else case})
            if held != wanted and held.state != "open":
                what = f"attached to {held.case}" if held.state == "attached" else "set aside"
                raise Rejected(f"document {document} was {what}", code="conflict", system="store")
            if give is not None:
                await give(held)
            if held == wanted:
                return held
            values = {"state": state, "case": wanted.case, "decided_by": by, "decided_why": why}
            await connection.execute(update(unmatched).where(unmatched.c.id == document).values(values))
            await settled_by_listing(connection, held)
        return wanted
