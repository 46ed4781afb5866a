"""``fascia usage``: what was used, what stands in its way and a person's word on it, what was consumed and what was charged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from rich.console import RenderableType

from canonical.stock_reports import BY_DEFAULT, DIMENSIONS, ChargeRow, ConflictRow, ConsumedRow, ReportOf
from cli.command import DryRun, Limit, command, noun
from cli.exits import not_found, wrong_usage
from cli.house import first, open_house
from cli.moments import moment
from cli.output import Output, listing, table, when
from cli.usage_views import UsageFilter, UsageRow, UsageView, UsageWord

app = noun("What was used: usage events, what a person decides on them, consumption and charges.")

VERBS = ("post", "correct", "dismiss")
OF_KIND = {"void": "void of ", "empty-bin": "empty bin of "}
LOOKED_BACK = timedelta(days=30)  # of a report without --from

EventId = Annotated[str, typer.Argument(metavar="ID", help="The event's id, as `fascia usage list` has it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept with who decided.")]
Facility = Annotated[str, typer.Option("--facility", help="Of this facility.")]
Location = Annotated[str, typer.Option("--location", help="Of this location.")]
Before = Annotated[str, typer.Option("--before", help="Go on below this one: the last of the page before.")]


@command(app, "list")
async def list_usage(
    out: Output,
    state: Annotated[
        str, typer.Option("--state", help="waiting, taken, posted, review, parked, voided, dismissed.")
    ] = "",
    finding: Annotated[str, typer.Option("--finding", help="With this finding: recalled, expired ...")] = "",
    facility: Facility = "",
    location: Location = "",
    item: Annotated[str, typer.Option("--item", help="Of this item.")] = "",
    lot: Annotated[str, typer.Option("--lot", help="Of this lot.")] = "",
    procedure: Annotated[str, typer.Option("--procedure", help="Of this procedure, by its opaque reference.")] = "",
    since: Annotated[str, typer.Option("--since", help="Came since: 2026-11-20, 2026-11-20T08:00Z, 2h.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that need nobody.")] = False,
    after: Annotated[str, typer.Option("--after", help="Go on from this one: the last of the page before.")] = "",
    limit: Limit = 50,
) -> None:
    """List usage events in the order they came; without a filter those that wait for a person: in review and parked."""
    named = {"state": state, "finding": finding, "item": item, "lot": lot, "procedure": procedure}
    which = UsageFilter(**named, facility=facility, location=location, since=moment(since, "--since"), after=after)
    if not (any(named.values()) or since or everything):
        which = which.model_copy(update={"state": "open"})
    async with open_house() as house:
        rows, more = first(await house.usage.rows(which, limit + 1), limit)
        if location and not rows:
            await house.stock.known(location, facility)
    out.rows(UsageRow, rows, lambda: [_drawn(rows)], more=more)
    if not rows:
        out.say("no usage event waits for a person" if which.state == "open" else "none is like that")
    elif more:
        out.say(f"and more: --after {rows[-1].id}")


@command(app, "show")
async def show_usage(out: Output, event: EventId) -> None:
    """Show one usage event: what came, what was found, its movement, charge and need, and what to press."""
    async with open_house() as house:
        view = await house.usage.show(event)
    if view is None:
        raise not_found("usage event", event, "see `fascia usage list`")
    out.data(view, lambda: _whole(view))


@command(app, "decide")
async def decide(
    out: Output,
    event: EventId,
    verb: Annotated[str, typer.Argument(metavar="post|correct|dismiss", help="What becomes of it.")],
    item: Annotated[str | None, typer.Option("--item", help="It was this item.")] = None,
    lot: Annotated[str | None, typer.Option("--lot", help="Of this lot.")] = None,
    serial: Annotated[str | None, typer.Option("--serial", help="With this serial.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Counted in this unit.")] = None,
    amount: Annotated[str | None, typer.Option("--amount", help="So many of it.")] = None,
    location: Annotated[str | None, typer.Option("--location", help="Taken from here.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="Expires on this day: 2027-01-31.")] = None,
    cost_centre: Annotated[str | None, typer.Option("--cost-centre", help="For this cost centre.")] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Decide on an event that is parked or in review; its location's case does the rest.

    post: as it is, whatever was found. correct: with what is said here instead. dismiss: it is no use of ours, and moves nothing.
    """
    if verb not in VERBS:
        raise wrong_usage(f"{verb} is none of {', '.join(VERBS)}", f"fascia usage decide {event} post --reason ...")
    if not reason.strip():
        raise wrong_usage(f"{verb} needs a reason", f'fascia usage decide {event} {verb} --reason "..."')
    word = UsageWord(
        verb=verb,
        reason=reason,
        item=item,
        lot=lot,
        serial=serial,
        unit=unit,
        amount=_amount(amount),
        location=location,
        expires=_day(expires, "--expires"),
        cost_centre=cost_centre,
    )
    if word.corrections and verb != "correct":
        raise wrong_usage(f"--{next(iter(word.corrections)).replace('_', '-')} is for correct, not for {verb}")
    if verb == "correct" and not word.corrections:
        raise wrong_usage(
            "correct says what it was instead", "--item, --lot, --serial, --unit, --amount, --location ..."
        )
    async with open_house() as house:
        row = await house.usage.decide(event, word, dry_run)
    back = "given back to its location's case"
    did = {"post": f"{back}, to be posted as it is", "correct": f"{back}, corrected", "dismiss": "dismissed"}[verb]
    told = f"{row.item or row.number} at {row.location or 'no location'} {'would be' if dry_run else 'is'} {did}"
    out.data({**row.model_dump(), "dry_run": dry_run}, lambda: [f"{told}; now {row.state}"])


@command(app, "conflicts", lists=True)
async def conflicts(
    out: Output,
    verb: Annotated[str, typer.Argument(metavar="[dismiss]", help="Without it, the list.")] = "",
    name: Annotated[str, typer.Argument(metavar="[ID]", help="Which conflict.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those dismissed.")] = False,
    after: Annotated[str, typer.Option("--after", help="Go on from this one.")] = "",
    reason: Reason = "",
    limit: Limit = 50,
    dry_run: DryRun = False,
) -> None:
    """List uses that came again under their number with other content; the first stands. Dismiss one that is seen to.

    Where the second is right: correct the first while it is parked, else have it taken back and sent anew under a new number.
    """
    if verb:
        if verb != "dismiss" or not name:
            raise wrong_usage("give dismiss and the ID of a conflict", "see `fascia usage conflicts`")
        if not reason.strip():
            raise wrong_usage("dismiss needs a reason", f'`fascia usage conflicts dismiss {name} --reason "..."`')
        async with open_house() as house:
            row = await house.usage.dismiss_conflict(name, reason, dry_run)
        told = f"{row.source} {row.number} {'would be' if dry_run else 'is'} as it came first"
        out.data({**row.model_dump(), "dry_run": dry_run}, lambda: [told])
        return
    async with open_house() as house:
        rows, more = first(await house.usage.conflicts(everything, after, limit + 1), limit)

    def show() -> list[RenderableType]:
        shown = table("id", "event", "number", "location", "differs", "message", "since", "state")
        for one in rows:
            number = f"{one.source} {one.number}/{one.sequence}"
            shown.add_row(
                one.id, one.event, number, one.location, "; ".join(one.differs), one.message, when(one.at), one.state
            )
        return [shown]

    out.rows(ConflictRow, rows, show, more=more)
    if not rows:
        out.say("none")


@command(app, "report", lists=True)
async def report(
    out: Output,
    since: Annotated[str, typer.Option("--from", help="From this day or moment on.", show_default="30 days ago")] = "",
    until: Annotated[str, typer.Option("--to", help="Up to and with this day, or before this moment.")] = "",
    by: Annotated[list[str] | None, typer.Option("--by", help=f"Rows by: {', '.join(DIMENSIONS)}. Repeatable.")] = None,
    facility: Facility = "",
    location: Location = "",
    item: Annotated[str, typer.Option("--item", help="Of this item.")] = "",
    procedure: Annotated[str, typer.Option("--procedure", help="Of this procedure.")] = "",
    service_line: Annotated[str, typer.Option("--service-line", help="Of this service line.")] = "",
    limit: Limit = 1000,
) -> None:
    """Report what was consumed: uses, quantities, value at contract price, wasted and charged; what was taken back is left out."""
    now = datetime.now(UTC)
    if wrong := set(by or ()) - set(DIMENSIONS):
        raise wrong_usage(f"--by {sorted(wrong)[0]} is none of {', '.join(DIMENSIONS)}")
    of = ReportOf(
        since=moment(since, "--from") or now - LOOKED_BACK,
        until=_until(until) or now,
        by=tuple(dict.fromkeys(by)) if by else BY_DEFAULT,
        facility=facility,
        location=location,
        item=item,
        procedure=procedure,
        service_line=service_line,
    )
    async with open_house() as house:
        rows, more = first(await house.usage.report(of), limit)
    out.rows(ConsumedRow, rows, lambda: [_report(of, rows)], more=more)
    if not rows:
        out.say("nothing was consumed then")


@command(app, "charges", lists=True)
async def charges(
    out: Output,
    charge: Annotated[list[str] | None, typer.Argument(metavar="[CHARGE...]", help="With --again: these.")] = None,
    state: Annotated[str, typer.Option("--state", help="due, written, needless or dead.")] = "",
    facility: Facility = "",
    again: Annotated[bool, typer.Option("--again", help="Write once more what could not be written.")] = False,
    before: Before = "",
    reason: Reason = "",
    limit: Limit = 50,
    dry_run: DryRun = False,
) -> None:
    """List what billing is told of uses, newest first: charges and credits, and the message each became.

    A dead one could not be written: mend what it names (an item's charge code, the channel), then --again. What billing itself
    refused is a dead letter of its channel (`fascia channel show`).
    """
    if charge and not again:
        raise wrong_usage("charges are named for --again only", "fascia usage charges CHARGE --again")
    if again and (state or before):
        raise wrong_usage("--again takes charges by name, or all that are dead (of a --facility)")
    async with open_house() as house:
        if again:
            found = await house.usage.charge_again(charge or [], facility, reason, dry_run)
            if out.as_csv:
                out.rows(ChargeRow, found, lambda: [])
            else:
                out.data({**listing(found), "dry_run": dry_run}, lambda: [_charges(found)] if found else [])
            out.say(f"{len(found)} {'would be' if dry_run else 'are'} written once more")
            return
        rows, more = first(await house.usage.charges(state, facility, before, limit + 1), limit)
    out.rows(ChargeRow, rows, lambda: [_charges(rows)], more=more)
    if not rows:
        out.say("there is none")
    elif more:
        out.say(f"and more: --before {rows[-1].id}")


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise wrong_usage(f"--amount {text} is no number") from None


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise wrong_usage(f"{option} {text} is no day", "2027-01-31") from None


def _until(text: str) -> datetime | None:
    """A day alone is meant with all its hours."""
    found = moment(text, "--to")
    return found + timedelta(days=1) if found and len(text) == len("2026-11-20") else found


def _drawn(rows: Sequence[UsageRow]) -> RenderableType:
    shown = table(
        "id", "used", "location", "item", "lot/serial", "quantity", "state", "found", "owner", right=("quantity",)
    )
    for row in rows:
        thing = "/".join(part for part in (row.lot, row.serial) if part)
        names = (
            row.id,
            when(row.used_at),
            row.location,
            f"{OF_KIND.get(row.kind, '')}{row.item}",
            thing,
        )
        shown.add_row(*names, _much(row), row.state, row.finding or row.reason, row.owner)
    return shown


def _much(row: UsageRow) -> str:
    if row.quantity is not None:
        return str(row.quantity)
    return f"{row.amount:f} {row.unit}".strip() if row.amount is not None else ""


def _whole(view: UsageView) -> Iterator[RenderableType]:
    thing, place = view.item or view.barcode or "nothing known", view.location or "no location"
    yield f"{view.id}   {view.kind} of {thing} at {place}: {view.state}"
    shown = table("", "")
    shown.show_header = False
    found = "; ".join(f"{code}: {text}" for code, text in view.findings.items())
    facts = {
        "found": found or view.reason,
        "press": view.press,
        "owner": view.owner,
        "as sent": f"{view.source} {view.number}/{view.sequence}, {_sent(view)}",
        "barcode": view.barcode,
        "lot": view.lot,
        "serial": view.serial,
        "expires": view.expires.isoformat() if view.expires else "",
        "quantity": f"{view.quantity} base units" if view.quantity is not None else "",
        "used": when(view.used_at),
        "procedure": " ".join(part for part in (view.procedure, view.procedure_code) if part),
        "cost centre": view.cost_centre,
        "service line": view.service_line,
        "corrected": ", ".join(f"{name} {value}" for name, value in view.corrected.items()),
        "allowed": ", ".join(view.allowed),
        "decided": f"{view.decided_by}: {view.decided_why}" if view.decided_by else "",
        "takes back": view.voids,
        "taken back by": view.voided_by,
        "posted": f"{when(view.posted_at)}, round {view.round}" if view.posted_at else "",
        "message": f"{view.message} of {view.sender}" if view.sender else view.message,
    }
    for name, value in facts.items():
        if value:
            shown.add_row(name, value)
    yield shown
    for movement in view.movements:
        yield f"moved {movement.quantity:+d} ({movement.kind}) at {when(movement.at)}: ERP {movement.erp_document or 'none'}"
    for charge in view.charges:
        yield f"{charge.kind} {charge.id} to {charge.channel or 'billing'}: {charge.state} {charge.message or charge.reason}"
    for need in view.needs:
        yield f"need {need.id}: {need.quantity} by {need.supply}, {need.state} {need.case}".rstrip()


def _sent(view: UsageView) -> str:
    much = f"{view.amount:f} {view.unit}".strip() if view.amount is not None else ""
    return ", ".join(part for part in (much, view.description, "wasted" if view.wasted else "") if part)


def _report(of: ReportOf, rows: Sequence[ConsumedRow]) -> RenderableType:
    numbers = ("uses", "quantity", "wasted", "charged", "value", "unpriced")
    shown = table(*(name.replace("_", " ") for name in of.by), *numbers[:2], "unit", *numbers[2:], right=numbers)
    for row in rows:
        named = [str(getattr(row, name) or "") for name in of.by]
        value = f"{row.value} {row.currency}" if row.value is not None else row.currency
        counts = (str(row.uses), str(row.quantity), row.unit, str(row.wasted), str(row.charged), value)
        shown.add_row(*named, *counts, str(row.unpriced) if row.unpriced else "")
    return shown


def _charges(rows: Sequence[ChargeRow]) -> RenderableType:
    shown = table(
        "charge", "kind", "use", "item", "quantity", "to", "state", "message or reason", "since", right=("quantity",)
    )
    for row in rows:
        names = (row.id, row.kind, row.event, row.item, "" if row.quantity is None else str(row.quantity), row.channel)
        shown.add_row(*names, row.state, row.message or row.reason, when(row.at))
    return shown
