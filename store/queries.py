"""What people ask of our own store: which cases there are and how each stands, what is in the journal, what the register says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    RowMapping,
    ScalarSelect,
    Select,
    Table,
    and_,
    cast,
    func,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical, Money
from canonical.cases import Attention, Decision, DocumentRef, LineState, Trouble
from canonical.errors import Rejected
from canonical.messages import Kept
from store.case_tables import (
    case_attention,
    case_changes,
    case_lines,
    case_troubles,
    cases,
    decisions,
    documents,
    links,
)
from store.claims import as_written
from store.database import transaction
from store.decisions import REASON
from store.ids import lowest_id
from store.kept import KEPT, kept
from store.query_models import (
    CaseDetail,
    CasePage,
    CaseQuery,
    CaseRow,
    ChangeRow,
    DecisionRow,
    DocumentRow,
    MessagePage,
    MessageQuery,
    MessageRow,
    RegisterPage,
    RegisterRow,
)
from store.register_reading import utc_today
from store.tables import claims, messages, orders, register, register_keys
from store.ways import ways

_MESSAGE = [
    column for column in messages.c if column.name not in ("payload", "packing", "slot", "parked", "conflicts_with")
]
_HAS_ATTENTION = select(case_attention.c.case).where(case_attention.c.case == cases.c.case).exists()

_WAITS = select(case_troubles.c.case).where(case_troubles.c.case == cases.c.case).exists()
_PARKED_AT = cast(cast(case_attention.c.content, JSONB)["since"].astext, DateTime(timezone=True))
_PARKED_FIRST = select(func.min(_PARKED_AT)).where(case_attention.c.case == cases.c.case).scalar_subquery()

_AS_ASKED = text("SET LOCAL plan_cache_mode = force_custom_plan")


def _first_trouble(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    """What is known of the outside system that a case has waited for longest."""
    of_case = select(column).where(case_troubles.c.case == cases.c.case)
    return of_case.order_by(case_troubles.c.since, case_troubles.c.step).limit(1).scalar_subquery()


def _case_rows() -> Select[Any]:
    return select(
        *(column for column in cases.c if column.name not in ("carried", "parent_told")),
        func.coalesce(claims.c.source, "").label("source"),
        func.coalesce(claims.c.number, "").label("number"),
        func.coalesce(claims.c.trace, "").label("trace"),
        func.coalesce(claims.c.message, "").label("message"),
        or_(_HAS_ATTENTION, cases.c.stopped != "").label("needs_attention"),
        _PARKED_FIRST.label("attention_since"),
        func.coalesce(_first_trouble(case_troubles.c.system), "").label("waiting_for"),
        _first_trouble(case_troubles.c.since).label("waiting_since"),
    ).join_from(cases, claims, claims.c.case == cases.c.case, isouter=True)


def _case_row(row: RowMapping) -> CaseRow:
    return CaseRow.model_validate(_case_fields(row))


def _case_fields(row: RowMapping) -> dict[str, Any]:
    amount = Money(amount=row["amount"], currency=row["currency"]).plain() if row["amount"] is not None else None
    return {**row, "amount": amount}


def _text_of(document: ColumnElement[str], field: str) -> ColumnElement[str]:
    told: ColumnElement[str] = cast(document, JSONB)[field].astext
    return told


def _place(after: str) -> tuple[datetime, str]:
    """Where the page before ended.

    Raises:
        Rejected: not a place we gave.
    """
    moment, _, name = after.partition("|")
    try:
        return datetime.fromisoformat(moment), name
    except ValueError:
        raise Rejected("that is no place in a list of ours", code="data-invalid", system="store") from None


class StoredQueries:
    """Questions to our own database. Pages go on where the one before ended, whatever changed in between."""

    def __init__(self, engine: AsyncEngine, today: Callable[[], date] = utc_today) -> None:
        self._engine = engine
        self._today = today

    async def cases(self, which: CaseQuery, *, after: str = "", limit: int = 50) -> CasePage:
        """Cases, newest change first; those that need a person by how long they do, longest first."""
        waited = func.coalesce(_PARKED_FIRST, cases.c.changed_at)
        place = tuple_(waited, cases.c.case) if which.attention else tuple_(cases.c.changed_at, cases.c.case)
        order = (waited, cases.c.case) if which.attention else (cases.c.changed_at.desc(), cases.c.case.desc())
        asked = _case_rows().order_by(*order).limit(limit + 1)
        wanted = {
            "process": which.process,
            "facility": which.facility,
            "owner": which.owner,
            "supplier": which.supplier,
            "parent": which.parent,
        }
        asked = asked.where(*(cases.c[name] == value for name, value in wanted.items() if value))
        if which.state:
            asked = asked.where(
                or_(cases.c.state == which.state, cases.c.business_state == which.state, cases.c.stopped == which.state)
            )
        if which.open_only:
            asked = asked.where(~cases.c.closed)
        if which.attention:
            asked = asked.where(or_(_HAS_ATTENTION, cases.c.stopped != ""))
        if which.attention_kind:
            of_kind = and_(case_attention.c.case == cases.c.case, case_attention.c.kind == which.attention_kind)
            asked = asked.where(select(case_attention.c.case).where(of_kind).exists())
        if which.waiting:
            asked = asked.where(_WAITS)
        if which.unchanged_since is not None:
            asked = asked.where(cases.c.changed_at <= which.unchanged_since)
        if which.search:
            asked = asked.where(
                or_(
                    cases.c.case.icontains(which.search, autoescape=True),
                    cases.c.summary.icontains(which.search, autoescape=True),
                    claims.c.number.icontains(which.search, autoescape=True),
                )
            )
        if after:
            reached = tuple_(*_place(after))
            asked = asked.where(place > reached if which.attention else place < reached)
        async with transaction(self._engine) as connection:
            rows = [_case_row(row) for row in (await connection.execute(asked)).mappings()]
        last = rows[limit - 1] if len(rows) > limit else None
        if last is None:
            return CasePage(cases=tuple(rows))
        moment = (last.attention_since or last.changed_at) if which.attention else last.changed_at
        return CasePage(cases=tuple(rows[:limit]), next=f"{moment.isoformat()}|{last.case}")

    async def waiting_for(self) -> Mapping[str, int]:
        """How many cases wait for each outside system that does not answer."""
        number = func.count(case_troubles.c.case.distinct())
        asked = select(case_troubles.c.system, number).group_by(case_troubles.c.system).order_by(case_troubles.c.system)
        async with transaction(self._engine) as connection:
            return {row.system: row[1] for row in await connection.execute(asked)}

    async def find(self, name: str) -> Sequence[CaseRow]:
        """The cases a person may mean by a name: its own, or a requisition's or order's number."""
        by_order = select(orders.c.case).where(orders.c.written == as_written(name), orders.c.written != "")
        asked = _case_rows().where(or_(cases.c.case == name, claims.c.number == name, cases.c.case.in_(by_order)))
        async with transaction(self._engine) as connection:
            rows = [_case_row(row) for row in (await connection.execute(asked.order_by(cases.c.case))).mappings()]
        return [row for row in rows if row.case == name] or rows

    async def case(self, case: str) -> CaseDetail | None:
        """One case with everything on it, and the way of each of its lines."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(_case_rows().where(cases.c.case == case))).mappings().one_or_none()
            if row is None:
                return None
            children = await connection.execute(_case_rows().where(cases.c.parent == case).order_by(cases.c.case))
            return CaseDetail.model_validate(
                _case_fields(row)
                | {
                    "children": [_case_row(child) for child in children.mappings()],
                    "attention": await _contents(connection, case_attention, case, Attention),
                    "lines": await _contents(connection, case_lines, case, LineState),
                    "troubles": await _troubles(connection, case),
                    "documents": await _documents(connection, case),
                    "decisions": await _decisions(connection, case),
                    "changes": await _changes(connection, case),
                    "way": await ways(connection, case),
                }
            )

    async def claimed(self, case: str) -> bool:
        """Whether a door has announced this case, or a run has begun it: it may not have said a word of its own yet."""
        async with transaction(self._engine) as connection:
            return await connection.scalar(select(claims.c.case).where(claims.c.case == case)) is not None

    async def waiting_for_bank(self, supplier: str) -> Sequence[str]:
        """The open cases whose payment waits until somebody confirms this supplier's bank details."""
        parked = select(case_attention.c.case).where(case_attention.c.content.contains('"confirm_bank"'))
        asked = select(cases.c.case).where(cases.c.supplier == supplier, ~cases.c.closed, cases.c.case.in_(parked))
        async with transaction(self._engine) as connection:
            return [row.case for row in await connection.execute(asked.order_by(cases.c.case))]

    async def links(self, case: str) -> Sequence[tuple[str, str]]:
        """What came of what, as a case stated it: messages, documents, lines and cases, by their lineage names."""
        asked = (
            select(links.c.parent, links.c.child).where(links.c.case == case).order_by(links.c.parent, links.c.child)
        )
        async with transaction(self._engine) as connection:
            return [(row.parent, row.child) for row in await connection.execute(asked)]

    async def decisions(self, case: str) -> Sequence[DecisionRow]:
        """What was decided on a case, or tried, oldest first."""
        async with transaction(self._engine) as connection:
            return await _decisions(connection, case)

    async def messages(self, which: MessageQuery, *, after: str = "", limit: int = 50) -> MessagePage:
        """Messages without their bytes, newest first. Ids begin with their moment, so a span of time is a span of them."""
        asked = select(*_MESSAGE).where(*matching(which)).order_by(messages.c.id.desc()).limit(limit + 1)
        if after:
            asked = asked.where(messages.c.id < after)
        async with transaction(self._engine) as connection:
            await connection.execute(_AS_ASKED)  # a plan for these values: which index is best depends on them
            rows = [MessageRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]
        return MessagePage(messages=tuple(rows[:limit]), next=rows[limit - 1].id if len(rows) > limit else "")

    async def kept(self, which: MessageQuery, *, after: str = "", limit: int = 500) -> Sequence[Kept]:
        """Messages with their bytes, oldest first: as they would be routed."""
        asked = select(*KEPT).where(*matching(which), messages.c.id > after).order_by(messages.c.id).limit(limit)
        async with transaction(self._engine) as connection:
            await connection.execute(_AS_ASKED)
            return [kept(row) for row in (await connection.execute(asked)).mappings()]

    async def records(
        self, kind: str, facility: str = "", *, code: str = "", search: str = "", after: str = "", limit: int = 50
    ) -> RegisterPage:
        """Records of a kind as in force today, by code and facility; ``search`` looks in code, name, description and catalogue
        numbers."""
        asked = (
            select(register)
            .ext(distinct_on(register.c.code, register.c.facility))
            .where(register.c.kind == kind, register.c.valid_from <= self._today())
            .order_by(register.c.code, register.c.facility, register.c.valid_from.desc())
        )
        if facility:
            asked = asked.where(register.c.facility.in_(("", facility)))
        if code:
            asked = asked.where(register.c.code == code)
        if after:  # one code may be in force at several facilities
            last, _, at = after.rpartition("|")
            asked = asked.where(tuple_(register.c.code, register.c.facility) > (last, at))
        found = asked.subquery()
        page = select(found).order_by(found.c.code, found.c.facility).limit(limit + 1)
        if search:
            named = select(register_keys.c.code).where(
                register_keys.c.kind == kind,
                register_keys.c.key.startswith("catalogue:"),
                func.split_part(register_keys.c.key, "/", 2).icontains(search, autoescape=True),
            )
            page = page.where(
                or_(
                    found.c.code.icontains(search, autoescape=True),
                    found.c.code.in_(named),
                    _text_of(found.c.document, "description").icontains(search, autoescape=True),
                    _text_of(found.c.document, "name").icontains(search, autoescape=True),
                )
            )
        async with transaction(self._engine) as connection:
            rows = [RegisterRow.of(row) for row in (await connection.execute(page)).mappings()]
        last_shown = rows[limit - 1] if len(rows) > limit else None
        place = f"{last_shown.code}|{last_shown.facility}" if last_shown is not None else ""
        return RegisterPage(records=tuple(rows[:limit]), next=place)


def matching(which: MessageQuery) -> list[ColumnElement[bool]]:
    """What a message must be to fit."""
    wanted = which.model_dump(exclude={"since", "until"})
    found: list[ColumnElement[bool]] = [messages.c[name] == value for name, value in wanted.items() if value]
    if which.since is not None:
        found += [messages.c.id >= lowest_id(which.since), messages.c.at >= which.since]
    if which.until is not None:
        found += [messages.c.id < lowest_id(which.until + timedelta(milliseconds=1)), messages.c.at < which.until]
    return found


async def _contents(connection: AsyncConnection, table: Table, case: str, model: type[Canonical]) -> list[Canonical]:
    asked = select(table.c.content).where(table.c.case == case).order_by(table.c.position)
    return [model.model_validate_json(content) for content in await connection.scalars(asked)]


async def _troubles(connection: AsyncConnection, case: str) -> list[Trouble]:
    asked = select(case_troubles).where(case_troubles.c.case == case).order_by(case_troubles.c.since)
    return [Trouble.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]


async def _documents(connection: AsyncConnection, case: str) -> list[DocumentRow]:
    asked = select(documents).where(documents.c.case == case).order_by(documents.c.first_at, documents.c.name)
    found = []
    for row in await connection.execute(asked):
        ref = DocumentRef.model_validate_json(row.content)
        found.append(DocumentRow.model_validate(ref.model_dump() | {"first_at": row.first_at, "at": row.changed_at}))
    return found


async def _changes(connection: AsyncConnection, case: str) -> list[ChangeRow]:
    asked = select(case_changes).where(case_changes.c.case == case).order_by(case_changes.c.id)
    return [ChangeRow.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]


async def _decisions(connection: AsyncConnection, case: str) -> list[DecisionRow]:
    shown = (decisions.c.case == case, decisions.c.kind != REASON)
    asked = select(decisions).where(*shown).order_by(decisions.c.at, decisions.c.id)
    found = []
    for row in (await connection.execute(asked)).mappings():
        what: dict[str, Any] = {"what": row["content"]}
        if row["kind"] == "checked":
            given = Decision.model_validate_json(row["content"])
            about = " ".join(filter(None, (f"line {given.line}" if given.line else "", given.document or "")))
            what = {
                "what": f"{given.verb} {about}".strip(),
                "reason": given.reason,
                "line": given.line or "",
                "document": given.document or "",
            }
        found.append(DecisionRow.model_validate({**row, **what}))
    return found
