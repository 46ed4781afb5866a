"""What our own store knows, as the commands show it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from canonical.messages import Kept
from canonical.parties import Employee
from cli.exits import wrong_usage
from cli.house import CaseFilter, MessageFilter
from cli.journal import as_text
from cli.views import CaseRow, CaseView, MessageRow, MessageState, MessageView, RegisterRow
from store.authority import KINDS
from store.keys import Caller, StoredKeys
from store.moves import STATES
from store.query_models import CaseQuery, MessageQuery
from store.replays import StoredReplays
from workers.settings import Settings
from workers.wiring import Wiring

Row = TypeVar("Row")
PAGE = 200


async def cases(wiring: Wiring, which: CaseFilter, limit: int) -> Sequence[CaseRow]:
    """Cases, newest change first; those that need a person, longest first."""
    query = CaseQuery(
        **which.model_dump(include={"process", "facility", "state", "supplier", "attention", "waiting", "search"}),
        open_only=not which.everything,
    )

    async def page(after: str, size: int) -> tuple[Sequence[Any], str]:
        found = await wiring.queries.cases(query, after=after, limit=size)
        return found.cases, found.next

    return [CaseRow.model_validate(row.model_dump()) for row in await _pages(page, limit)]


async def find(wiring: Wiring, name: str) -> Sequence[CaseRow]:
    """The cases a person may mean by a name."""
    return [CaseRow.model_validate(row.model_dump()) for row in await wiring.queries.find(name)]


async def case(wiring: Wiring, name: str) -> CaseView | None:
    """One case with everything on it, and where else one can look at it."""
    found = await wiring.queries.case(name)
    if found is None:
        return None
    return CaseView.model_validate({**found.model_dump(), "links": links(wiring.settings, name, found.run)})


def query_of(which: MessageFilter) -> MessageQuery:
    """The store's question. A misspelt state would find nothing, and look as if all were well.

    Raises:
        Stop: no message is ever in that state, or goes in that direction.
    """
    for option, said, known in (("--state", which.state, STATES), ("--direction", which.direction, ("in", "out"))):
        if said and said not in known:
            raise wrong_usage(f"{option} is never {said}", f"one of {', '.join(known)}")
    return MessageQuery(**which.model_dump())


async def messages(wiring: Wiring, which: MessageFilter, limit: int) -> Sequence[MessageRow]:
    """Messages, newest first."""
    query = query_of(which)

    async def page(after: str, size: int) -> tuple[Sequence[Any], str]:
        found = await wiring.queries.messages(query, after=after, limit=size)
        return found.messages, found.next

    found = await _pages(page, limit)
    return [MessageRow.model_validate(row.model_dump() | {"control_number": row.number}) for row in found]


async def message(wiring: Wiring, name: str, opened: Callable[[Kept], Awaitable[str]]) -> MessageView | None:
    """One message with its bytes and every state it was in. ``opened`` notes who sees them, or says why they are not shown."""
    kept = await wiring.journal.read(name)
    if kept is None:
        return None
    history = [
        MessageState(state=state, reason=reason, at=at) for state, reason, at in await wiring.journal.history(name)
    ]
    withheld = await opened(kept)
    text, encoding = as_text(b"" if withheld else kept.data)
    fields = kept.model_dump(exclude={"data", "key"}) | {"withheld": withheld}
    if withheld:
        fields["control_number"] = kept.number
    replays = [item.job for item in await StoredReplays(wiring.database).of_message(name)]
    corrections = [one.id for one in (await wiring.queries.messages(MessageQuery(version_of=name))).messages]
    more = {"history": history, "replays": replays, "corrections": corrections[::-1]}
    return MessageView.model_validate({**fields, **more, "data": text, "encoding": encoding})


async def register(wiring: Wiring, kind: str, facility: str, code: str, limit: int) -> Sequence[RegisterRow]:
    """Records of a kind as in force today."""
    if kind not in KINDS:
        raise wrong_usage(f"the register has no {kind}", f"one of {', '.join(KINDS)}")

    async def page(after: str, size: int) -> tuple[Sequence[Any], str]:
        found = await wiring.queries.records(kind, facility, code=code, after=after, limit=size)
        return found.records, found.next

    rows = await _pages(page, limit)
    return [
        RegisterRow(
            kind=row.kind,
            facility=row.facility,
            code=row.code,
            valid_from=row.valid_from.isoformat(),
            source=row.source,
            record=row.record,
        )
        for row in rows
    ]


async def employee(wiring: Wiring, facility: str, login: str) -> Employee | None:
    """The active employee behind a shell login; where a document is of no facility, of any."""

    async def page(after: str, size: int) -> tuple[Sequence[Any], str]:
        found = await wiring.queries.records("employee", facility, after=after, limit=size)
        return found.records, found.next

    people = [Employee.model_validate(row.record) for row in await _pages(page, 100_000)]
    return next((person for person in people if person.active and person.os_user == login), None)


async def caller(wiring: Wiring, secret: str) -> Caller | None:
    """Whose key this is, or None for one that is not valid."""
    return await StoredKeys(wiring.database).caller(secret)


async def key_holder(wiring: Wiring, facility: str, secret: str) -> Employee | None:
    """The active employee of a facility whom a key stands for."""
    found_key = await caller(wiring, secret)
    if found_key is None or not found_key.person or found_key.facility != facility:
        return None
    found = await wiring.queries.records("employee", facility, code=found_key.person)
    people = [Employee.model_validate(row.record) for row in found.records]
    return next((person for person in people if person.active), None)


def links(settings: Settings, case: str, run: str) -> dict[str, str]:
    """Where else one can look at a case."""
    if not settings.temporal_ui_url:
        return {}
    base = f"{settings.temporal_ui_url.rstrip('/')}/namespaces/{quote(settings.temporal_namespace, safe='')}/workflows"
    return {"Temporal UI": f"{base}/{quote(case, safe='')}{f'/{run}/history' if run else ''}"}


async def _pages(page: Callable[[str, int], Any], limit: int) -> list[Any]:
    """Page after page until there are as many as asked for."""
    found: list[Any] = []
    after = ""
    while len(found) < limit:
        rows, after = await page(after, min(PAGE, limit - len(found)))
        found += rows
        if not after:
            break
    return found
