"""What operators did to the platform itself: who, what, when and why, written with the deed and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.cases import Actor
from store.case_tables import acts, cases, documents
from store.database import transaction
from store.ids import now
from store.tables import messages

MOST_NAMED = 10  # records of a load, in what is told of it


class Act(Canonical):
    """A deed: the verb (``outbox retry``), what it was about, and who did it, known by what."""

    verb: str
    about: str
    actor: Actor
    reason: str = ""
    detail: str = ""
    at: datetime | None = None


async def note_in(connection: AsyncConnection, *what: Act) -> None:
    """Write deeds down in the transaction that does them."""
    if what:
        await connection.execute(insert(acts), [_row(act) for act in what])


async def noted_in(connection: AsyncConnection, act: Act) -> int:
    """Write one deed down likewise; gives its number, by which a person's trace names it."""
    number: int = (await connection.execute(insert(acts).values(_row(act)).returning(acts.c.id))).scalar_one()
    return number


def _row(act: Act) -> dict[str, object]:
    known = {"actor": act.actor.id, "known_by": act.actor.known_by, "at": act.at or now()}
    return act.model_dump(exclude={"actor", "at"}) | known


def of_a_load(act: Act, kind: str, codes: Sequence[str], facility: str) -> Act:
    """What a load of the register changed: how many records, and the first of them by name."""
    more = f" and {len(codes) - MOST_NAMED} more" if len(codes) > MOST_NAMED else ""
    where = f" of {facility}" if facility else ""
    said = f"{act.detail}: " if act.detail else ""
    detail = f"{said}{len(codes)} changed{where}: {', '.join(codes[:MOST_NAMED])}{more}"
    return act.model_copy(update={"about": f"register/{kind}", "detail": detail})


class StoredActs:
    """Deeds in our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def acts(self, about: str = "", limit: int = 100) -> Sequence[Act]:
        """Deeds, newest first; ``about`` names what they were done to."""
        asked = select(acts).order_by(acts.c.id.desc()).limit(limit)
        if about:
            asked = asked.where(acts.c.about == about)
        async with transaction(self._engine) as connection:
            return [_act(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def cases_of(self, message: str) -> Sequence[tuple[str, bool]]:
        """The cases a message came to, and whether each is closed."""
        brought = select(documents.c.case).where(documents.c.message == message)
        routed = select(messages.c.case).where(messages.c.id == message)
        asked = select(cases.c.case, cases.c.closed).where(or_(cases.c.case.in_(brought), cases.c.case.in_(routed)))
        async with transaction(self._engine) as connection:
            return [(row.case, row.closed) for row in await connection.execute(asked.order_by(cases.c.case))]


def _act(row: dict[str, object]) -> Act:
    actor = Actor(id=str(row["actor"]), known_by=str(row["known_by"]))
    return Act.model_validate(row | {"actor": actor})
