"""The journal: every message in or out is here, byte for byte, before anybody is told that we have it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Text, and_, cast, exists, func, literal_column, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.messages import KeepResult, Kept, Move, NewMessage
from store.case_tables import STOPPED, case_changes, cases
from store.database import at_once, driven, transaction
from store.keep import keep_in, keep_many
from store.kept import KEPT, conflict_with, first_state, kept, short_key
from store.moves import STATES, mark_in, mark_many_by, unknown
from store.streams import WAITS, StoredStreams
from store.tables import control_numbers, fit, message_keys, message_states, messages

__all__ = ["STATES", "StoredJournal", "keep_in", "kept", "mark_in", "read_in", "short_key"]

DOCUMENTS = ("x12", "erp_document")  # kinds of messages that go to a case as documents
# ISA13 as it is written, which is how an index has it: of all that went to a partner one message is read.
_NUMBERED = messages.c.control_number == func.lpad(cast(control_numbers.c.interchange, Text), 9, "0")
_SENT = messages.c.direction == literal_column("'out'", Text)
_IN_NO_STREAM = messages.c.stream == literal_column("''", Text)


async def read_in(connection: AsyncConnection, message: str) -> Kept | None:
    """The message with its bytes, or None, in a transaction of the caller's."""
    row = (await connection.execute(select(*KEPT).where(messages.c.id == message))).mappings().one_or_none()
    return kept(row) if row is not None else None


class StoredJournal(StoredStreams):
    """The journal in our own database."""

    async def keep(self, message: NewMessage) -> KeepResult:
        """Keep a message whole, or find that it is here already: one key, one first message, whichever door it came by.

        What comes in starts as received, what goes out as validated (we made it). Other bytes under a key that is taken
        are a conflict and kept under an id of their own, once.
        """
        return (await self.keep_many([message]))[0]

    async def keep_many(self, messages: Sequence[NewMessage]) -> list[KeepResult]:
        """Keep many in their order, each as :meth:`keep` would, by one statement and one commit.

        What is new is durable with the first commit; what its key says is here already is looked at, and conflicts are
        kept, in a second. After Unavailable some may have been kept: who brings them again finds them as duplicates.
        """
        return await keep_many(self._engine, messages)

    async def mark(
        self, message: str, state: str, *, reason: str = "", case: str = "", kind: str = "", control_number: str = ""
    ) -> None:
        """Move a message to a state, with the reason; each change stays in its history.

        Raises:
            Rejected: there is no such message.
        """
        async with at_once(self._engine) as connection:
            await mark_in(
                connection, message, state, reason=reason, case=case, kind=kind, control_number=control_number
            )

    async def mark_many(self, moves: Sequence[Move]) -> None:
        """Make many moves, all or none, each as :meth:`mark` would; those of one message in the order given.

        Raises:
            Rejected: there is no such message.
        """
        if moves:
            async with driven(self._engine) as driver, driver.transaction():
                await mark_many_by(driver, moves)

    async def answered(self, message: str, answer: str) -> None:
        """Link the message that answers this one (its 997, TA1 or reply).

        Raises:
            Rejected: there is no such message.
        """
        linked = update(messages).where(messages.c.id == message).values(answer=answer).returning(messages.c.id)
        async with transaction(self._engine) as connection:
            if await connection.scalar(linked) is None:
                raise unknown(message)

    async def acknowledged(self, partner: str, kind: str, number: str, *, by: str, reason: str = "") -> str | None:
        """Find what we sent under this number (kind TA1: interchange, 997: group), and note that ``by`` answers it."""
        column = control_numbers.c.interchange if kind == "TA1" else control_numbers.c.group
        if not number.isdecimal():
            return None
        async with transaction(self._engine) as connection:
            found = await connection.scalar(
                select(messages.c.id)
                .join(control_numbers, (control_numbers.c.partner == messages.c.partner) & _NUMBERED)
                .where(_SENT, messages.c.partner == partner, column == int(number))
                .order_by(messages.c.id.desc())
                .limit(1)
            )
            if found is not None:
                await mark_in(connection, found, "acknowledged", reason=reason, answer=by)
            return found

    async def read(self, message: str) -> Kept | None:
        """The message with its bytes, or None."""
        async with transaction(self._engine) as connection:
            return await read_in(connection, message)

    async def history(self, message: str) -> Sequence[tuple[str, str, datetime]]:
        """Every state the message had: which, why, since when. It began as its direction says."""
        asked = select(message_states).where(message_states.c.message == message).order_by(message_states.c.id)
        first = (messages.c.direction, messages.c.at, messages.c.conflicts_with, messages.c.state, messages.c.reason)
        began = select(*first).where(messages.c.id == message)
        async with transaction(self._engine) as connection:
            found = [(row.state, row.reason, row.at) for row in await connection.execute(asked)]
            row = (await connection.execute(began)).one_or_none()
        if row is None:
            return found
        if not found:  # it never moved: also where its door refused it from the start
            return [(row.state, row.reason, row.at)]
        why = conflict_with(row.conflicts_with) if row.conflicts_with else ""
        return [(first_state(row.direction), why, row.at), *found]

    async def route_again(self, case: str, overlap: timedelta = timedelta(hours=1)) -> int:
        """Let what was routed to a case since its last word be routed once more; gives how many messages that are.

        A run that ended may never have looked at it, and its successor passes over what was seen. ``overlap``: a case's
        own moments are those of its last task. An interchange for several cases names none: the supplier's go again.
        """
        said = case_changes.c.business_state.not_in(STOPPED)
        last = select(func.max(case_changes.c.at)).where(case_changes.c.case == case, said).scalar_subquery()
        supplier = select(cases.c.supplier).where(cases.c.case == case, cases.c.supplier != "").scalar_subquery()
        since = and_(
            message_states.c.message == messages.c.id,
            message_states.c.state == "routed",
            or_(last.is_(None), message_states.c.at >= last - overlap),
        )
        asked = select(messages.c.id).where(
            messages.c.direction == "in",
            messages.c.state == "routed",
            messages.c.kind.in_(DOCUMENTS),
            or_(messages.c.case == case, and_(messages.c.case == "", messages.c.partner == supplier)),
            exists().where(since),
        )
        async with transaction(self._engine) as connection:
            found = list(await connection.scalars(asked.order_by(messages.c.at, messages.c.id)))
            for message in found:
                await mark_in(connection, message, "validated", reason=f"brought again to {case}")
        return len(found)

    async def kept_under(self, prefix: str) -> Sequence[Kept]:
        """What came in under keys that begin so, in the order it was kept; conflicts left out."""
        # Its own order of letters makes the beginning a range of the index; see message_keys.
        named = message_keys.c.key.startswith(fit(prefix), autoescape=True)
        asked = (
            select(*KEPT)
            .join(message_keys, message_keys.c.message == messages.c.id)
            .where(message_keys.c.direction == "in", messages.c.direction == "in", named)
            .order_by(messages.c.at, messages.c.id)
        )
        async with transaction(self._engine) as connection:
            return [kept(row) for row in (await connection.execute(asked)).mappings()]

    async def unrouted(self, older_than: datetime, limit: int = 100, *, after: Kept | None = None) -> Sequence[Kept]:
        """What was kept outside any stream and is not routed, oldest first, for the sweep; ``after``: the page before's last."""
        asked = (
            select(*KEPT)
            .where(WAITS, _IN_NO_STREAM, messages.c.at < older_than)
            .order_by(messages.c.at, messages.c.id)
            .limit(limit)
        )
        if after is not None:
            asked = asked.where(tuple_(messages.c.at, messages.c.id) > (after.at, after.id))
        async with transaction(self._engine) as connection:
            return [kept(row) for row in (await connection.execute(asked)).mappings()]
