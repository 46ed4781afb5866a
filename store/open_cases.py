"""Which cases should be running, by what our own store knows: a bounded page at a time, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, FromClause, Select, Text, any_, bindparam, func, literal, select, tuple_
from sqlalchemy import case as when
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical, case_id
from store.case_tables import cases
from store.database import transaction
from store.tables import claims, order_numbers


class OpenCase(Canonical):
    """A case that should be running, for the sweep. ``run`` empty: announced or resumed, not started."""

    case: str
    process: str
    run: str = ""
    generation: int = 1
    stopped: str = ""
    business_state: str = ""
    changed_at: datetime


class ClaimPlace(NamedTuple):
    """A place in the claims, oldest first."""

    at: datetime
    case: str


_CLAIMED = claims.c.case.is_not(None)
_COLUMNS = (
    func.coalesce(claims.c.case, cases.c.case).label("case"),
    func.coalesce(claims.c.process, cases.c.process).label("process"),
    when((_CLAIMED, func.coalesce(claims.c.run, "")), else_=cases.c.run).label("run"),
    func.coalesce(claims.c.generation, cases.c.generation).label("generation"),
    func.coalesce(cases.c.stopped, "").label("stopped"),
    func.coalesce(cases.c.business_state, "").label("business_state"),
    func.coalesce(cases.c.changed_at, claims.c.at).label("changed_at"),
)
_SHOWN = select(*_COLUMNS).select_from(cases.outerjoin(claims, claims.c.case == cases.c.case)).where(~cases.c.closed)
_NAMES = any_(bindparam("names", type_=ARRAY(Text)))


def _silent(of: FromClause) -> Select[Any]:
    """Of these claims, those whose case never wrote a word."""
    columns = (
        of.c.case,
        of.c.process,
        func.coalesce(of.c.run, "").label("run"),
        of.c.generation,
        literal("").label("stopped"),
        literal("").label("business_state"),
        of.c.at.label("changed_at"),
    )
    return select(*columns).select_from(of.outerjoin(cases, cases.c.case == of.c.case)).where(cases.c.case.is_(None))


class StoredOpenCases:
    """Open cases in our own database: closed ones, however many, cost nothing here."""

    _engine: AsyncEngine

    async def open_among(self, names: Sequence[str]) -> Sequence[OpenCase]:
        """Those of these cases that should be running: not closed, also claimed and without a word so far."""
        if not names:
            return []
        asked = _SHOWN.where(cases.c.case == _NAMES).union_all(_silent(claims).where(claims.c.case == _NAMES))
        return await self._read(asked, names=list(names))

    async def known_among(self, names: Sequence[str]) -> Sequence[str]:
        """Those of these names that our own store knows as cases: announced, claimed, open or closed."""
        if not names:
            return []
        asked = (
            select(cases.c.case)
            .where(cases.c.case == _NAMES)
            .union(select(claims.c.case).where(claims.c.case == _NAMES))
        )
        async with transaction(self._engine) as connection:
            return list((await connection.execute(asked, {"names": list(names)})).scalars())

    async def open_page(self, after: str, limit: int) -> Sequence[OpenCase]:
        """The next open cases by name, of those that have written a word; fewer than ``limit`` at the end."""
        return await self._read(_SHOWN.where(cases.c.case > after).order_by(cases.c.case).limit(limit))

    async def not_begun(self, cases: Sequence[str]) -> Sequence[str]:
        """The cases of orders that these requisitions numbered and that no run has claimed, by name."""
        numbered = select(order_numbers.c.facility, order_numbers.c.number).where(order_numbers.c.case == _NAMES)
        claimed = select(claims.c.case).where(claims.c.case == _NAMES)
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(numbered, {"names": list(cases)})).all() if cases else []
            names = [case_id("purchase_order", row.facility, row.number) for row in rows]
            begun = set(await connection.scalars(claimed, {"names": names})) if names else set()
        return [name for name in names if name not in begun]

    async def stopped_page(self, after: str, limit: int) -> Sequence[OpenCase]:
        """The next of those that are shown as stopped by something other than their process."""
        page = _SHOWN.where(cases.c.case > after, cases.c.stopped != "").order_by(cases.c.case).limit(limit)
        return await self._read(page)

    async def silent_page(self, after: ClaimPlace, limit: int) -> tuple[Sequence[OpenCase], ClaimPlace | None]:
        """Of the next ``limit`` claims by age, those whose case never wrote a word; and where to go on, None at the end."""
        place = tuple_(claims.c.at, claims.c.case)
        begin = tuple_(literal(after.at, claims.c.at.type), literal(after.case, claims.c.case.type))
        # Cut to a page before it is joined: by the condition on the place alone, reading the whole table can seem as good.
        page = select(claims).where(place > begin).order_by(claims.c.at, claims.c.case).limit(limit).subquery()
        last = (
            select(page.c.at, page.c.case, func.count().over().label("looked"))
            .order_by(page.c.at.desc(), page.c.case.desc())
            .limit(1)
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(last)).one_or_none()
            if row is None:
                return [], None
            found = [OpenCase.model_validate(dict(one)) for one in (await connection.execute(_silent(page))).mappings()]
        return found, ClaimPlace(row.at, row.case) if row.looked == limit else None

    async def _read(self, asked: Any, **given: Any) -> Sequence[OpenCase]:
        async with transaction(self._engine) as connection:
            return [OpenCase.model_validate(dict(row)) for row in (await connection.execute(asked, given)).mappings()]
