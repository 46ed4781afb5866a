"""The case as it stands, written whole or not at all: state, lines, documents, where they came from, who hears of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, Boolean, Column, and_, bindparam, case, delete, exists, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.cases import CaseChange, DocumentRef
from store.case_tables import (
    case_attention,
    case_changes,
    case_lines,
    case_troubles,
    cases,
    decisions,
    document_states,
    documents,
    links,
)
from store.lineage import case_ref, document_links, line_links, message_ref
from store.outbox import put_events
from store.tables import claims

# Built once: this is the busiest write of the platform, and building a statement costs as much as running it.
_OF: BindParameter[str] = bindparam("of_case")


def _given(name: str, column: Column[Any]) -> BindParameter[Any]:
    return bindparam(f"new_{name}", type_=column.type)


_DECISION = _given("decision", case_changes.c.decision)


def _put_case() -> Any:
    """The case as it stands, unless a newer word is there, and the change in its history: one statement."""
    given = [column for column in cases.c if column.name != "parent_told"]
    asked = upsert(cases).values({column.name: _given(column.name, column) for column in given})
    new = asked.excluded
    # A worker may write and die before Temporal hears of it: its run then takes the same steps again, perhaps with more to go
    # by, under revisions that are here already. What it says later holds. (Who marks a case as stopped moves `changed_at` too.)
    says_later = or_(cases.c.changed_at < new.changed_at, cases.c.stopped != "")
    same_run_goes_on = and_(cases.c.run == new.run, or_(cases.c.revision < new.revision, says_later))
    newer = or_(
        cases.c.generation < new.generation,
        and_(cases.c.generation == new.generation, or_(cases.c.run != new.run, same_run_goes_on)),
    )
    kept = ("case", "opened_at", "parent_told", "carried")
    written: dict[str, Any] = {column.name: new[column.name] for column in cases.c if column.name not in kept}
    written["carried"] = case((new.carried == "", cases.c.carried), else_=new.carried)
    put = asked.on_conflict_do_update(index_elements=[cases.c.case], set_=written, where=newer)
    done = put.returning(cases.c.case).cte("done")
    told = ("run", "generation", "revision", "state", "business_state", "owner", "next_action")
    history = [done.c.case, *(_given(name, cases.c[name]) for name in told)]
    history += [_DECISION, _given("changed_at", cases.c.changed_at)]
    # What comes again word for word is in the history already; and so is a decision in the log.
    of_this_run = and_(
        case_changes.c.case == done.c.case,
        *(case_changes.c[name] == _given(name, cases.c[name]) for name in ("run", "generation")),
    )
    word_for_word = (case_changes.c[name] == _given(name, cases.c[name]) for name in told[2:])
    known = exists().where(of_this_run, *word_for_word, case_changes.c.decision == _DECISION)
    rows = select(*history).where(~known)
    noted = insert(case_changes).from_select(["case", *told, "decision", "at"], rows).cte("noted")
    not_new = and_(
        case_changes.c.revision >= _given("revision", cases.c.revision), case_changes.c.decision == _DECISION
    )
    logged = exists().where(of_this_run, not_new).label("logged")  # as it was before this statement
    return select(done.c.case, logged).add_cte(noted)


def _drop_parts() -> Any:
    """What the change says anew goes; gives the lines there were, and the message a first word follows from."""
    lines = delete(case_lines).where(case_lines.c.case == _OF).returning(case_lines.c.line).cte("lines")
    attention = delete(case_attention).where(case_attention.c.case == _OF).cte("attention")
    closed = bindparam("is_closed", type_=Boolean)
    troubles = delete(case_troubles).where(case_troubles.c.case == _OF, closed).cte("troubles")
    before = select(func.array_agg(lines.c.line)).scalar_subquery()
    started_by = select(claims.c.message).where(claims.c.case == _OF).scalar_subquery()
    return select(before.label("lines"), started_by.label("message")).add_cte(attention, troubles)


def _put_documents() -> Any:
    asked = upsert(documents)
    kept = ("case", "name", "first_at")
    written = {column.name: asked.excluded[column.name] for column in documents.c if column.name not in kept}
    return asked.on_conflict_do_update(index_elements=["case", "name"], set_=written)


_PUT_CASE = _put_case()
_PUT_DOCUMENTS = _put_documents()
_PUT_LINKS = upsert(links).on_conflict_do_nothing()
_DROP_PARTS = _drop_parts()
_DOCUMENTS = select(documents.c.name, documents.c.state, documents.c.content).where(documents.c.case == _OF)


async def write(connection: AsyncConnection, change: CaseChange) -> bool:
    """Write a change; false when a newer one is there already, which is as good."""
    done = (await connection.execute(_PUT_CASE, _case(change))).one_or_none()
    if done is None:
        return False
    if (change.decision or change.declined) and not done.logged:
        said = (("taken", change.decision), ("refused", change.declined))
        rows = [
            {"case": change.case, "kind": kind, "content": what, "at": change.changed_at} for kind, what in said if what
        ]
        await connection.execute(insert(decisions), rows)
    # Only now: what another run wrote of this case while we waited for its row must be seen, and go.
    before = (await connection.execute(_DROP_PARTS, {"of_case": change.case, "is_closed": change.closed})).one()
    if change.attention:
        attention = [
            {"case": change.case, "position": position, "kind": what.kind, "content": what.model_dump_json()}
            for position, what in enumerate(change.attention)
        ]
        await connection.execute(insert(case_attention), attention)
    stated = await _write_lines(connection, change, set(before.lines or ()))
    stated |= await _write_documents(connection, change)
    if change.revision <= 1:
        stated |= line_links(change)
        if before.message:
            stated.add((message_ref(before.message), case_ref(change.case)))
    if stated:
        rows = [{"parent": parent, "child": child, "case": change.case} for parent, child in sorted(stated)]
        await connection.execute(_PUT_LINKS, rows)
    await put_events(connection, change.events)
    return True


def _case(change: CaseChange) -> dict[str, Any]:
    values = {
        "case": change.case,
        "process": change.process,
        "facility": change.facility,
        "run": change.run,
        "generation": change.generation,
        "revision": change.revision,
        "state": change.state,
        "business_state": change.business_state,
        "owner": change.owner,
        "due": change.due,
        "next_action": change.next_action,
        "summary": change.summary,
        "parent": change.parent,
        "supplier": change.supplier,
        "amount": change.amount.amount if change.amount else None,
        "currency": change.amount.currency if change.amount else "",
        "carried": change.carried,
        "closed": change.closed,
        "stopped": "",
        "opened_at": change.changed_at,
        "changed_at": change.changed_at,
        "decision": "; ".join(filter(None, (change.decision, change.declined))),
    }
    return {f"new_{name}": value for name, value in values.items()}


async def _write_lines(connection: AsyncConnection, change: CaseChange, before: set[str]) -> set[tuple[str, str]]:
    """The lines as they stand; gives the links that lines which were not there before have."""
    if not change.lines:
        return set()
    rows = [
        {"case": change.case, "position": position, "line": line.line, "content": line.model_dump_json()}
        for position, line in enumerate(change.lines)
    ]
    await connection.execute(insert(case_lines), rows)
    return set() if before >= {line.line for line in change.lines} else line_links(change)


async def _write_documents(connection: AsyncConnection, change: CaseChange) -> set[tuple[str, str]]:
    """The documents that are new or changed; gives their links."""
    if not change.documents:
        return set()
    before = {row.name: row for row in await connection.execute(_DOCUMENTS, {"of_case": change.case})}
    rows, moved, stated = [], [], set()
    for name, document in {document.name: document for document in change.documents}.items():  # the last word on each
        content = document.model_dump_json()
        if name in before and before[name].content == content:
            continue
        rows.append(_document(change, name, document, content))
        stated |= document_links(change.case, document)
        if name not in before or before[name].state != document.state:
            moved.append(
                {
                    "case": change.case,
                    "name": name,
                    "state": document.state,
                    "owner": change.owner,
                    "at": change.changed_at,
                }
            )
    if rows:
        await connection.execute(_PUT_DOCUMENTS, rows)
    if moved:
        await connection.execute(insert(document_states), moved)
    return stated


def _document(change: CaseChange, name: str, document: DocumentRef, content: str) -> dict[str, Any]:
    return {
        "case": change.case,
        "name": name,
        "kind": document.kind,
        "number": document.number,
        "system": document.system,
        "state": document.state,
        "message": document.message,
        "parent": document.parent,
        "content": content,
        "first_at": change.changed_at,
        "changed_at": change.changed_at,
    }
