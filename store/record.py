"""The case as it stands, written whole or not at all: state, lines, documents, where they came from, who hears of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.cases import CaseChange
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
from store.lineage import case_ref, links_of, message_ref
from store.outbox import put_events
from store.tables import claims


async def write(connection: AsyncConnection, change: CaseChange) -> bool:
    """Write a change; false when a newer one is there already, which is as good."""
    if not await _write_case(connection, change):
        return False
    await _write_history(connection, change)
    await _write_parts(connection, change)
    await _write_documents(connection, change)
    await _write_links(connection, change)
    await put_events(connection, change.events)
    if change.closed:
        await connection.execute(delete(case_troubles).where(case_troubles.c.case == change.case))
    return True


async def _write_case(connection: AsyncConnection, change: CaseChange) -> bool:
    values: dict[str, Any] = {
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
        "closed": change.closed,
        "stopped": "",
        "changed_at": change.changed_at,
    }
    if change.carried:
        values["carried"] = change.carried
    asked = upsert(cases).values(case=change.case, opened_at=change.changed_at, **values)
    same_run_goes_on = and_(cases.c.run == asked.excluded.run, cases.c.revision < asked.excluded.revision)
    newer = or_(
        cases.c.generation < asked.excluded.generation,
        and_(
            cases.c.generation == asked.excluded.generation,
            or_(cases.c.run != asked.excluded.run, same_run_goes_on),
        ),
    )
    written = asked.on_conflict_do_update(index_elements=[cases.c.case], set_=values, where=newer).returning(
        cases.c.case
    )
    return await connection.scalar(written) is not None


async def _write_history(connection: AsyncConnection, change: CaseChange) -> None:
    await connection.execute(
        insert(case_changes).values(
            case=change.case,
            run=change.run,
            generation=change.generation,
            revision=change.revision,
            state=change.state,
            business_state=change.business_state,
            owner=change.owner,
            next_action=change.next_action,
            decision=change.decision,
            at=change.changed_at,
        )
    )
    if change.decision:
        await connection.execute(
            insert(decisions).values(case=change.case, kind="taken", content=change.decision, at=change.changed_at)
        )


async def _write_parts(connection: AsyncConnection, change: CaseChange) -> None:
    await connection.execute(delete(case_attention).where(case_attention.c.case == change.case))
    await connection.execute(delete(case_lines).where(case_lines.c.case == change.case))
    attention = [
        {"case": change.case, "position": position, "kind": what.kind, "content": what.model_dump_json()}
        for position, what in enumerate(change.attention)
    ]
    lines = [
        {"case": change.case, "position": position, "line": line.line, "content": line.model_dump_json()}
        for position, line in enumerate(change.lines)
    ]
    if attention:
        await connection.execute(insert(case_attention), attention)
    if lines:
        await connection.execute(insert(case_lines), lines)


async def _write_documents(connection: AsyncConnection, change: CaseChange) -> None:
    if not change.documents:
        return
    held = await connection.execute(select(documents.c.name, documents.c.state).where(documents.c.case == change.case))
    before = {row.name: row.state for row in held}
    named = {document.name: document for document in change.documents}  # the last word on each
    rows = [
        {
            "case": change.case,
            "name": name,
            "kind": document.kind,
            "number": document.number,
            "system": document.system,
            "state": document.state,
            "message": document.message,
            "parent": document.parent,
            "content": document.model_dump_json(),
            "first_at": change.changed_at,
            "changed_at": change.changed_at,
        }
        for name, document in named.items()
    ]
    asked = upsert(documents).values(rows)
    told = {column: asked.excluded[column] for column in rows[0] if column not in ("case", "name", "first_at")}
    await connection.execute(asked.on_conflict_do_update(index_elements=["case", "name"], set_=told))
    moved = [
        {"case": change.case, "name": name, "state": document.state, "owner": change.owner, "at": change.changed_at}
        for name, document in named.items()
        if before.get(name) != document.state
    ]
    if moved:
        await connection.execute(insert(document_states), moved)


async def _write_links(connection: AsyncConnection, change: CaseChange) -> None:
    stated = links_of(change)
    if change.revision <= 1:
        started_by = await connection.scalar(select(claims.c.message).where(claims.c.case == change.case))
        if started_by:
            stated.add((message_ref(started_by), case_ref(change.case)))
    rows = [{"parent": parent, "child": child, "case": change.case} for parent, child in sorted(stated)]
    if rows:
        await connection.execute(upsert(links).values(rows).on_conflict_do_nothing())
