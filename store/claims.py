"""One case for one requisition and one order, whoever starts it, however often and from wherever."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, and_, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Money, content_hash, total
from canonical.messages import NewMessage
from canonical.ports import Unmatched
from canonical.purchasing import PurchaseOrder
from canonical.steps import Claimed, ClaimRequest, OpenOrder, OrderNumbers, OrdersRequest
from store.announcing import StoredAnnouncements, held_in, named
from store.case_tables import cases
from store.claim_rules import Held, Start, elsewhere, judge, misnamed, of_another, read_start
from store.database import at_once, transaction
from store.ids import now
from store.journal import keep_in, read_in
from store.money import budget_left, release, reserve, reserved
from store.moves import mark_in, moved, moving
from store.numbering import hold, take
from store.order_starts import conflict, forged, may_not_begin
from store.tables import Words, claims, commitments, messages, order_numbers, orders
from store.unmatched import put_in


def _taking() -> Any:
    """A run takes the claim a door announced for this content, and its message is routed, in one statement.

    A message in a stream may ask for several cases: only its router knows when all of them have begun, and says so.
    """
    run, content = bindparam("of_run", type_=Words), bindparam("of_hash", type_=Words)
    ours = and_(claims.c.run.is_(None), claims.c.hash == content)
    held = update(claims).where(
        claims.c.case == bindparam("of_case", type_=Words), claims.c.generation == 1, claims.c.message != "", ours
    )
    trace = func.coalesce(func.nullif(claims.c.trace, ""), bindparam("of_trace", type_=Words))
    taken = held.values(run=run, trace=trace).returning(claims.c.message).cte("taken")
    return select(taken.c.message).add_cte(
        moving(select(taken.c.message).scalar_subquery(), only_if=messages.c.stream == "")
    )


_TAKE = _taking()  # built once: it runs for every case


def as_written(number: str) -> str:
    """An order number without what suppliers add or lose on the way: case, blanks, dashes."""
    return re.sub(r"[^A-Z0-9]", "", number.upper())


class StoredClaims(StoredAnnouncements):
    """Claims in our own database. Two runs at once are decided by the claim's own row."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, request: ClaimRequest) -> Claimed:
        """Journal the bytes of a start, read them strictly and claim the case for its first run."""
        if why := of_another(request.case):
            return await self._elsewhere(request, why)
        start = read_start(request)
        if not start.outcome and (message := await self._announced(request, start)):
            return Claimed(outcome="claimed", case=request.case, message=message, requisition=start.requisition)
        async with transaction(self._engine) as connection:
            if start.outcome == "misnamed" or not start.hash:
                return await self._not_claimed(connection, request, start)
            new = await _claim(
                connection, request.case, hash=start.hash, run=request.run, trace=request.trace, at=request.as_of
            )
            held = await held_in(connection, request.case)
            outcome = "claimed" if new else judge(_as_held(held), request.run, start.hash)
            if outcome in ("claimed", "resumed"):
                return await self._go_on(connection, request, start, held, outcome)
            message = await _journalled(connection, request)
            why = {
                "duplicate": f"the same content as {request.case} was started with",
                "conflict": f"{request.case} was started with other content",
            }[outcome]
            await mark_in(connection, message, "refused", reason=why, case=request.case, kind="requisition")
            if outcome == "conflict" and start.requisition is not None:
                await put_in(
                    connection,
                    Unmatched(
                        id=f"conflict-{message}",
                        kind="requisition",
                        number=start.requisition.number,
                        facility=start.requisition.facility,
                        reason=why,
                        message=message,
                        case=request.case,
                        at=request.as_of,
                    ),
                )
        return Claimed(
            outcome=outcome,
            case=request.case,
            first=request.case,
            generation=held["generation"],
            message=message,
            requisition=start.requisition,
        )

    async def _announced(self, request: ClaimRequest, start: Start) -> str:
        """The usual way, in one statement: a door announced this content, and its first run takes it. Gives the message."""
        values = {
            "of_case": request.case,
            "of_hash": start.hash,
            "of_run": request.run,
            "of_trace": request.trace,
            **moved("", "routed", case=request.case),
        }
        async with at_once(self._engine) as connection:
            return await connection.scalar(_TAKE, values) or ""

    async def _elsewhere(self, request: ClaimRequest, why: str) -> Claimed:
        """A start under another process's name is listed for a person. Its message is of no case: the name is another's."""
        async with transaction(self._engine) as connection:
            message = await _journalled(connection, request, case="")
            await mark_in(connection, message, "dead", reason=why, kind="requisition")
            await put_in(connection, elsewhere(request, why, message))
        return Claimed(outcome="conflict", case=request.case, message=message, reason=why)

    async def _not_claimed(self, connection: AsyncConnection, request: ClaimRequest, start: Start) -> Claimed:
        """What does not read, or stands under a wrong name, takes no number away from whoever has it right.

        Where a door announced the right one meanwhile, this run takes that in its place: there is one run under a name.
        """
        held = await _held_or_none(connection, request.case)
        right = await _right_one(connection, request, held) if held is not None else None
        if held is not None and start.outcome == "unreadable" and judge(_as_held(held), request.run, "") == "resumed":
            return await self._go_on(connection, request, right or start, held, "resumed")
        message = await _journalled(connection, request)
        if held is not None and right is not None and judge(_as_held(held), request.run, right.hash) == "claimed":
            why = f"superseded by message {held['message']}: {start.outcome}"
            await mark_in(connection, message, "dead", reason=why, case=request.case, kind="requisition")
            return await self._go_on(connection, request, right, held, "claimed")
        why = start.problem.reason if start.problem else start.outcome
        await mark_in(connection, message, "dead", reason=why, case=request.case, kind="requisition")
        return Claimed(
            outcome=start.outcome,
            case=request.case,
            message=message,
            requisition=start.requisition,
            problem=start.problem,
        )

    async def _go_on(
        self, connection: AsyncConnection, request: ClaimRequest, start: Start, held: RowMapping, outcome: str
    ) -> Claimed:
        message = held["message"] or await _journalled(connection, request)
        kept = await read_in(connection, message)
        if kept is None or not kept.stream:  # what is in a stream its router settles, once all it asks for has begun
            await mark_in(connection, message, "routed", case=request.case)
        content = {"hash": start.hash} if start.hash and not held["hash"] else {}
        trace = held["trace"] or request.trace
        await connection.execute(
            update(claims)
            .where(claims.c.case == request.case)
            .values(run=request.run, message=message, trace=trace, **content)
        )
        again = held["run"] == request.run  # a run that was reset has had its say already
        return await _claimed(connection, held, outcome, message=message, start=start, again=again)

    async def open_order(self, request: OpenOrder) -> Claimed:
        """Claim an order's case; commit its budget; register order number and supplier for replies.

        Nothing begins but what a requisition made and numbered: anything else is a conflict, which leaves no claim behind.
        """
        order = request.order
        case, content = order.case_id, content_hash(order)
        async with transaction(self._engine) as connection:
            if why := misnamed(request) or await may_not_begin(connection, request):
                await put_in(connection, forged(request, content, why))
                return Claimed(outcome="conflict", case=case, first=case, reason=why)
            new = await _claim(connection, case, hash=content, run=request.run, at=request.as_of)
            held = await held_in(connection, case)
            outcome = "claimed" if new else judge(_as_held(held), request.run, content)
            if outcome == "conflict":
                await put_in(connection, conflict(request, content, f"{case} was started with other content"))
            if outcome not in ("claimed", "resumed"):
                return Claimed(outcome=outcome, case=case, first=case, generation=held["generation"])
            await connection.execute(update(claims).where(claims.c.case == case).values(run=request.run))
            await _commit(connection, order, request)
            again = request.goes_on and held["run"] == request.run
            return await _claimed(connection, held, outcome, again=again)

    async def order_numbers(
        self, request: OrdersRequest, groups: Mapping[str, Money], contents: Mapping[str, str]
    ) -> OrderNumbers:
        """A number for each group of lines, and the group's amount reserved of the budget, in one step; once, when asked again.

        With the number goes the hash of the order it is for. A step a dead worker took is taken again, perhaps on another day
        and at other prices, or for a requisition corrected since: the orders that leave are those it makes last, what they come to
        is asked of the budget again where it differs, and what was reserved for others is free.
        """
        facility = request.requisition.facility
        scope = f"orders/{facility}"
        asked = select(order_numbers.c.part, order_numbers.c.number).where(order_numbers.c.case == request.case)
        async with transaction(self._engine) as connection:
            await hold(connection, scope)  # whoever asks for this facility meanwhile waits, and then sees what we took
            numbers = {row.part: row.number for row in await connection.execute(asked)}
            new = [group for group in groups if group not in numbers]
            before = await reserved(connection, request.case) if numbers else {}
            other = [
                group
                for group, amount in groups.items()
                if group in numbers and before[numbers[group]] not in (None, amount)
            ]
            left = await budget_left(connection, request) if (new or other) and not request.above_budget else None
            needed = request.amount or total(list(groups.values()), request.currency)
            if left is not None and needed.amount > left.amount:
                return OrderNumbers(budget_left=left)
            for group in groups.keys() & numbers.keys():
                number = and_(order_numbers.c.case == request.case, order_numbers.c.part == group)
                await connection.execute(update(order_numbers).where(number).values(content=contents[group]))
            if gone := [number for group, number in numbers.items() if group not in groups]:
                await release(connection, request.case, request.as_of or now(), gone)
            for group in other:
                await reserve(connection, request, numbers[group], groups[group])
            for group in new:
                numbers[group] = f"PO{await take(connection, scope):06d}"
                row = {"case": request.case, "part": group, "facility": facility, "number": numbers[group]}
                await connection.execute(insert(order_numbers).values(row | {"content": contents[group]}))
                await reserve(connection, request, numbers[group], groups[group])
        return OrderNumbers(numbers=tuple(numbers[group] for group in groups))

    async def raise_generation(self, case: str) -> int:
        """Free a claim for a successor of its run, which goes on from what the case carried; returns its generation.

        What a run of an earlier generation still writes is passed over from now on.
        """
        async with transaction(self._engine) as connection:
            raised = await connection.scalar(
                update(claims)
                .where(claims.c.case == case)
                .values(generation=claims.c.generation + 1, run=None)
                .returning(claims.c.generation)
            )
            if raised is None:  # never claimed (it could not be read): its successor reads the same bytes again
                return int(await connection.scalar(select(cases.c.generation).where(cases.c.case == case)) or 1)
            await connection.execute(update(cases).where(cases.c.case == case).values(generation=raised))
            return int(raised)


async def _commit(connection: AsyncConnection, order: PurchaseOrder, request: OpenOrder) -> None:
    """What the order promises of the budget and the number a reply will name; what is already there has moved on."""
    promised = {
        "facility": order.facility,
        "order": order.number,
        "cost_centre": order.cost_centre,
        "amount": order.amount.amount,
        "currency": order.currency,
        "as_of": request.as_of,
    }
    await connection.execute(upsert(commitments).values(promised).on_conflict_do_nothing())
    known = {
        "case": order.case_id,
        "facility": order.facility,
        "number": order.number,
        "written": as_written(order.number),
        "supplier": order.supplier,
    }
    await connection.execute(upsert(orders).values(known).on_conflict_do_nothing())


async def _claim(connection: AsyncConnection, case: str, **values: Any) -> bool:
    new = upsert(claims).values(named(case) | values).on_conflict_do_nothing().returning(claims.c.case)
    return await connection.scalar(new) is not None


async def _held_or_none(connection: AsyncConnection, case: str) -> RowMapping | None:
    asked = select(claims).where(claims.c.case == case).with_for_update()
    return (await connection.execute(asked)).mappings().one_or_none()


async def _right_one(connection: AsyncConnection, request: ClaimRequest, held: RowMapping) -> Start | None:
    """The start that was announced (or taken) under this name, as the claim or the journal has it; None where neither does."""
    data = held["content"].encode()
    if not data:
        message = await read_in(connection, held["message"])
        if message is None:
            return None
        data = message.data
    right = read_start(request.model_copy(update={"data": data, "encoding": "json/plain"}))
    return right if not right.outcome and right.hash == held["hash"] else None


def _as_held(row: RowMapping) -> Held:
    return Held(run=row["run"], generation=row["generation"], hash=row["hash"])


async def _journalled(connection: AsyncConnection, request: ClaimRequest, case: str | None = None) -> str:
    """The start's bytes in the journal, once per run and content however often its first step is tried."""
    content = hashlib.sha256(request.data).hexdigest()
    kept = await keep_in(
        connection,
        NewMessage(
            door=request.door,
            data=request.data,
            kind="requisition",
            key=f"start/{request.case}/{request.run}/{content[:16]}",
            case=request.case if case is None else case,
            trace=request.trace,
            at=request.as_of,
        ),
    )
    return kept.message.id


async def _claimed(
    connection: AsyncConnection,
    held: RowMapping,
    outcome: str,
    *,
    message: str = "",
    start: Start | None = None,
    again: bool = False,
) -> Claimed:
    case: str = held["case"]
    revision, carried = 0, ""
    if again or outcome == "resumed":
        found = await connection.execute(select(cases.c.revision, cases.c.carried).where(cases.c.case == case))
        row = found.one_or_none()
        revision, carried = (row.revision, row.carried) if row is not None else (0, "")
    return Claimed(
        outcome=outcome,
        case=case,
        generation=held["generation"],
        revision=revision,
        carried=carried,
        message=message,
        requisition=start.requisition if start else None,
    )
