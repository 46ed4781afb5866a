"""Cases as people see them, and everything a case asks of our own store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Literal

from pydantic import Field
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical
from canonical.cases import Attention, CaseChange, CaseStatus, LineState, Trouble
from canonical.purchasing import Requisition
from canonical.steps import OrderEnded
from store.case_tables import STOPPED, case_attention, case_changes, case_lines, case_troubles, cases
from store.claim_rules import ends_without_orders
from store.claims import StoredClaims, as_written
from store.database import transaction
from store.decisions import StoredDecisions
from store.ids import now
from store.money import StoredMoney, release
from store.open_cases import StoredOpenCases
from store.order_starts import StoredOrderStarts
from store.record import write
from store.register_reading import utc_today
from store.replenishment import used_for
from store.tables import claims, control_numbers, order_numbers, orders
from store.unmatched import StoredUnmatched


class EndedChild(Canonical):
    """An order's case that ended, and the open requisition's case that may not have heard of it."""

    parent: str
    ended: OrderEnded = Field()


class StoredCases(StoredClaims, StoredDecisions, StoredMoney, StoredOpenCases, StoredOrderStarts, StoredUnmatched):
    """The port Cases in our own database, and what the sweeps and ``case resume`` need beside it."""

    def __init__(self, engine: AsyncEngine, seal_key: bytes, today: Callable[[], date] = utc_today) -> None:
        StoredDecisions.__init__(self, engine, seal_key, today)

    async def record(self, change: CaseChange) -> None:
        """Write the case as it stands, its documents, lineage and outbox events, in one transaction.

        Within a run the revision must grow or the word be later (steps a dead worker took are taken again); another run of
        the same or a higher generation replaces what is there; what an earlier generation still writes is passed over.
        A requisition that ends without orders frees what it had reserved of its budget.
        """
        async with transaction(self._engine) as connection:
            if await write(connection, change) and ends_without_orders(change):
                await release(connection, change.case, change.changed_at)

    async def was_used(self, requisition: Requisition) -> bool:
        """Whether a use in our own store asked for exactly this order after use."""
        return await used_for(self._engine, requisition)

    async def status(self, case: str) -> CaseStatus | None:
        """The case as the read model has it."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(cases).where(cases.c.case == case))).mappings().one_or_none()
            if row is None:
                return None
            attention = await connection.scalars(
                select(case_attention.c.content)
                .where(case_attention.c.case == case)
                .order_by(case_attention.c.position)
            )
            lines = await connection.scalars(
                select(case_lines.c.content).where(case_lines.c.case == case).order_by(case_lines.c.position)
            )
            numbers = await connection.scalars(
                select(order_numbers.c.number).where(order_numbers.c.case == case).order_by(order_numbers.c.number)
            )
            return CaseStatus.model_validate(
                {
                    **row,
                    "attention": [Attention.model_validate_json(text) for text in attention],
                    "lines": [LineState.model_validate_json(text) for text in lines],
                    "orders": tuple(numbers),
                }
            )

    async def trouble(self, trouble: Trouble) -> None:
        """Show (or clear: without a system's name, of any) that an outside system does not answer; the first moment stays."""
        c = case_troubles.c
        async with transaction(self._engine) as connection:
            if trouble.since is None:
                over = delete(case_troubles).where(c.case == trouble.case, c.step == trouble.step)
                await connection.execute(over.where(c.system == trouble.system) if trouble.system else over)
                return
            await _show_claimed(
                connection, trouble.case
            )  # a case may wait for the ERP before it first says how it stands
            asked = upsert(case_troubles).values(trouble.model_dump())
            await connection.execute(
                asked.on_conflict_do_update(
                    index_elements=["case", "system", "step"], set_={"message": asked.excluded.message}
                )
            )

    async def troubles(self, case: str) -> Sequence[Trouble]:
        """Which outside systems the case waits for, and since when."""
        asked = select(case_troubles).where(case_troubles.c.case == case).order_by(case_troubles.c.since)
        async with transaction(self._engine) as connection:
            return [Trouble.model_validate(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def order_case(self, order: str, supplier: str = "") -> str | None:
        """The case of an order number as the supplier writes it, open or not; None when unknown.

        An order of another supplier is unknown to this one. Where two facilities gave the same number, the open one is
        meant; if that does not decide it, a person does.
        """
        asked = (
            select(orders.c.case, func.coalesce(cases.c.closed, False).label("closed"))
            .join(cases, cases.c.case == orders.c.case, isouter=True)
            .where(orders.c.written == as_written(order), orders.c.written != "")
        )
        if supplier:
            asked = asked.where(orders.c.supplier == supplier)
        async with transaction(self._engine) as connection:
            found = list(await connection.execute(asked))
        candidates = found if len(found) < 2 else [row for row in found if not row.closed]
        return candidates[0].case if len(candidates) == 1 else None

    async def case_of_control_number(self, partner: str, kind: str, number: str) -> str | None:
        """The case whose outbound interchange (kind TA1) or group (kind 997) had this number, last."""
        if not number.isdecimal() or len(number) > 18:
            return None
        column = control_numbers.c.interchange if kind == "TA1" else control_numbers.c.group
        asked = (
            select(control_numbers.c.case)
            .where(control_numbers.c.partner == partner, column == int(number))
            .order_by(control_numbers.c.given_at.desc())
            .limit(1)
        )
        async with transaction(self._engine) as connection:
            return await connection.scalar(asked) or None

    async def mark_stopped(
        self, case: str, kind: Literal["stopped outside", "engine fault"], *, owner: str, next_action: str
    ) -> bool:
        """Show a case as stopped by something other than its process; false when it was shown so already or is closed."""
        at = now()
        async with transaction(self._engine) as connection:
            await _show_claimed(connection, case)
            row = (
                await connection.execute(
                    update(cases)
                    .where(cases.c.case == case, ~cases.c.closed, cases.c.stopped != kind)
                    .values(stopped=kind, owner=owner, next_action=next_action, changed_at=at)
                    .returning(cases)
                )
            ).one_or_none()
            if row is None:
                return False
            history = {name: getattr(row, name) for name in ("case", "run", "generation", "revision", "state")}
            await connection.execute(
                insert(case_changes).values(**history, business_state=kind, owner=owner, next_action=next_action, at=at)
            )
        return True

    async def mark_running(self, case: str) -> None:
        """A stopped case was seen to run again: shown as its process last left it, with the owner it had."""
        last_word = (
            select(case_changes.c.owner, case_changes.c.next_action)
            .where(case_changes.c.case == case, case_changes.c.business_state.not_in(STOPPED))
            .order_by(case_changes.c.id.desc())
            .limit(1)
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(last_word)).one_or_none()
            as_before = (
                {"owner": row.owner, "next_action": row.next_action} if row else {"owner": "", "next_action": ""}
            )
            await connection.execute(
                update(cases).where(cases.c.case == case, cases.c.stopped != "").values(stopped="", **as_before)
            )

    async def ended_children_not_told(self, older_than: datetime, limit: int = 200) -> Sequence[EndedChild]:
        """Orders that ended before then, whose requisition is still open and was not told again by the sweep.

        One whose requisition is shown as stopped outside waits until that goes on: nobody would hear it.
        """
        parent = cases.alias("parent")
        asked = (
            select(cases.c.case, cases.c.parent, cases.c.business_state, orders.c.number)
            .join(parent, parent.c.case == cases.c.parent)
            .join(orders, orders.c.case == cases.c.case)
            .where(cases.c.closed, ~cases.c.parent_told, cases.c.parent != "", cases.c.changed_at < older_than)
            .where(~parent.c.closed, parent.c.stopped != "stopped outside")
            .order_by(cases.c.changed_at)
            .limit(limit)
        )
        children = []
        async with transaction(self._engine) as connection:
            for row in list(await connection.execute(asked)):
                contents = await connection.scalars(
                    select(case_lines.c.content).where(case_lines.c.case == row.case).order_by(case_lines.c.position)
                )
                lines = [LineState.model_validate_json(text) for text in contents]
                ended = OrderEnded(
                    order=row.number,
                    case=row.case,
                    business_state=row.business_state,
                    lines=tuple((line.requisition_line or line.line, line.state) for line in lines),
                )
                children.append(EndedChild(parent=row.parent, ended=ended))
        return children

    async def nobody_to_tell(self, older_than: datetime, limit: int = 1000) -> int:
        """Orders whose requisition closed before then need not be told of again; gives how many were settled so.

        Without this every order there ever was would be looked at in every round.
        """
        parent = cases.alias("parent")
        settled = (
            select(cases.c.case)
            .join(parent, parent.c.case == cases.c.parent)
            .where(cases.c.closed, ~cases.c.parent_told, cases.c.parent != "")
            .where(parent.c.closed, parent.c.changed_at < older_than)
            .limit(limit)
        )
        async with transaction(self._engine) as connection:
            done = await connection.execute(update(cases).where(cases.c.case.in_(settled)).values(parent_told=True))
            return done.rowcount

    async def child_told(self, case: str) -> None:
        """The sweep has told the requisition's case that this order's case ended."""
        async with transaction(self._engine) as connection:
            await connection.execute(update(cases).where(cases.c.case == case).values(parent_told=True))


async def _show_claimed(connection: AsyncConnection, case: str) -> None:
    """Let a claimed case that never wrote a word be seen: as received, by the run that claimed it."""
    claimed = select(
        claims.c.case,
        claims.c.process,
        claims.c.facility,
        func.coalesce(claims.c.run, ""),
        func.coalesce(None, "received"),
        claims.c.at,
        claims.c.at,
    ).where(claims.c.case == case)
    columns = ["case", "process", "facility", "run", "state", "opened_at", "changed_at"]
    await connection.execute(upsert(cases).from_select(columns, claimed).on_conflict_do_nothing())
