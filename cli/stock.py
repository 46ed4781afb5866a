"""``fascia stock``: what lies at a location, what it should hold, what is on its way, and every movement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from canonical.stock_reports import HeldItem, LotHeld, MovementFilter, MovementRow, NeedRow
from cli.command import DryRun, Limit, command, noun
from cli.exits import wrong_usage
from cli.house import first, open_house
from cli.moments import moment
from cli.output import Output, table, when

app = noun("What lies where: on hand, par levels, what is on its way, movements.")

LocationCode = Annotated[str, typer.Argument(metavar="LOCATION", help="Its code.")]
Facility = Annotated[str, typer.Option("--facility", help="Of this facility; needed where several have the code.")]
Item = Annotated[str, typer.Option("--item", help="Of this item.")]
Before = Annotated[str, typer.Option("--before", help="Go on below this one: the last of the page before.")]


@command(app, "show", lists=True)
async def show_stock(
    out: Output,
    location: LocationCode,
    facility: Facility = "",
    item: Item = "",
    lots: Annotated[bool, typer.Option("--lots", help="Each lot and serial in a line of its own.")] = False,
    limit: Limit = 500,
) -> None:
    """Show what is at a location, item by item: on hand, on order, come and not put away, par, days until the first lot expires."""
    async with open_house() as house:
        where = await house.stock.facility_of(location, facility)
        found = [one for one in await house.stock.held(where, location) if item in ("", one.item)]
    rows, more = first(found, limit)
    out.rows(HeldItem, rows, lambda: [_by_lot(rows) if lots else _by_item(rows)], more=more)
    if not rows:
        out.say("nothing lies there, and nothing should")


@command(app, "levels", lists=True)
async def levels(
    out: Output,
    facility: Annotated[str, typer.Option("--facility", help="Of this facility.")],
    location: Annotated[str, typer.Option("--location", help="Of this location.")] = "",
    item: Item = "",
    below: Annotated[
        bool, typer.Option("--below", help="Only where less is there and on its way than should be.")
    ] = False,
    limit: Limit = 500,
) -> None:
    """List what locations should hold (par, reorder point, two bins) beside what they have."""
    async with open_house() as house:
        rows, more = first(await house.stock.levels(facility, location, item, below), limit)
        if location and not rows:
            await house.stock.known(location, facility)
    out.rows(HeldItem, rows, lambda: [_by_item(rows, located=True)], more=more)
    if not rows:
        out.say("none is below" if below else "the register has none: `fascia register load stock_levels.csv`")


@command(app, "needs", lists=True)
async def needs(
    out: Output,
    facility: Annotated[str, typer.Option("--facility", help="Of this facility.")] = "",
    location: Annotated[str, typer.Option("--location", help="Of this location.")] = "",
    item: Item = "",
    state: Annotated[
        str, typer.Option("--state", help="open, ordered, back-ordered, received, cancelled or refused.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that came or were given up.")] = False,
    again: Annotated[
        str, typer.Option("--again", metavar="NEED", help="Judge this one once more: it was refused or given up.")
    ] = "",
    before: Before = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="With --again: why; kept with who asked.")] = "",
    limit: Limit = 50,
    dry_run: DryRun = False,
) -> None:
    """List what is to be brought to locations, newest first: how much, by whom, and how far it is.

    A need that was refused (the register, or the ERP) is tried again by itself once the register is mended or the item moves; --again
    asks at once, and what was given up with its requisition is asked for anew.
    """
    if again:
        if not reason.strip():
            raise wrong_usage("--again needs a reason", f'fascia stock needs --again {again} --reason "..."')
        async with open_house() as house:
            row = await house.stock.need_again(again, reason, dry_run)
        told = f"{row.quantity} of {row.item} for {row.location} {'would be' if dry_run else 'are'} {row.state}"
        out.data({**row.model_dump(), "dry_run": dry_run}, lambda: [f"{told}; need {row.id}"])
        return
    async with open_house() as house:
        asked = (facility, location, item, state, everything, before)
        rows, more = first(await house.stock.needs(*asked, limit + 1), limit)
        if location and not rows:
            await house.stock.known(location, facility)
    out.rows(NeedRow, rows, lambda: [_needs(rows)], more=more)
    if not rows:
        out.say("nothing is on its way")
    elif more:
        out.say(f"and more: --before {rows[-1].id}")


@command(app, "movements", lists=True)
async def movements(
    out: Output,
    location: LocationCode,
    facility: Facility = "",
    item: Item = "",
    lot: Annotated[str, typer.Option("--lot", help="Of this lot.")] = "",
    serial: Annotated[str, typer.Option("--serial", help="Of this serial.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="opening, use, void, supply, receipt, adjust or drift.")] = "",
    since: Annotated[str, typer.Option("--since", help="Since: 2026-11-20, 2026-11-20T08:00Z, 2h.")] = "",
    before: Before = "",
    limit: Limit = 50,
) -> None:
    """List what moved at a location, newest first, each with the ERP's document and the use it was for."""
    async with open_house() as house:
        where = await house.stock.facility_of(location, facility)
        which = MovementFilter(
            facility=where,
            location=location,
            item=item,
            lot=lot,
            serial=serial,
            kind=kind,
            since=moment(since, "--since"),
            before=before,
        )
        rows, more = first(await house.stock.movements(which, limit + 1), limit)
    out.rows(MovementRow, rows, lambda: [_movements(rows)], more=more)
    if not rows:
        out.say("nothing moved")
    elif more:
        out.say(f"and more: --before {rows[-1].key}")


def _by_item(rows: Sequence[HeldItem], *, located: bool = False) -> RenderableType:
    numbers = ("on hand", "on order", "arrived", "par", "point", "days")
    first_columns = ("location", "item") if located else ("item",)
    shown = table(
        *first_columns, "description", "unit", *numbers[:5], "supply", "", "expires", numbers[5], right=numbers
    )
    for row in rows:
        names = (row.location, row.item) if located else (row.item,)
        counts = (str(row.on_hand), str(row.on_order or ""), str(row.arrived or ""))
        kept = (
            _number(row.par),
            _number(row.point),
            f"{row.supply} {row.method}".strip(),
            "below" if row.below else "",
        )
        ends = (row.expires.isoformat() if row.expires else "", _number(row.days))
        shown.add_row(*names, row.description, row.unit, *counts, *kept, *ends)
    return shown


def _by_lot(rows: Sequence[HeldItem]) -> RenderableType:
    shown = table("item", "lot", "serial", "on hand", "unit", "expires", "days", right=("on hand", "days"))
    for row, one in _lots(rows):
        expires = one.expires.isoformat() if one.expires else ""
        shown.add_row(row.item, one.lot, one.serial, str(one.on_hand), row.unit, expires, _number(one.days))
    return shown


def _lots(rows: Sequence[HeldItem]) -> Iterator[tuple[HeldItem, LotHeld]]:
    return ((row, one) for row in rows for one in row.lots)


def _needs(rows: Sequence[NeedRow]) -> RenderableType:
    numbers = ("quantity", "received", "put away")
    shown = table("id", "location", "item", "by", *numbers, "state", "expected", "case", "why", "since", right=numbers)
    for row in rows:
        counts = (str(row.quantity), str(row.received), str(row.put_away))
        expected = row.expected.isoformat() if row.expected else ""
        names = (row.id, row.location, row.item, row.supply)
        shown.add_row(*names, *counts, row.state, expected, row.case or row.orders, row.reason, when(row.at))
    return shown


def _movements(rows: Sequence[MovementRow]) -> RenderableType:
    shown = table(
        "at", "item", "lot/serial", "quantity", "kind", "ERP document", "use or need", "why", right=("quantity",)
    )
    for row in rows:
        thing = "/".join(part for part in (row.lot, row.serial) if part)
        about = (row.kind, row.erp_document, row.event or row.need, row.reason)
        shown.add_row(when(row.at), row.item, thing, f"{row.quantity:+d}", *about)
    return shown


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
