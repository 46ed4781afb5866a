"""``fascia outbox``: events on their way to subscribers; those given up wait here for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import DryRun, Limit, command, noun
from cli.exits import wrong_usage
from cli.house import DeliveryFilter, first, open_house
from cli.output import Output, listing, table, when
from cli.views import DeliveryView

app = noun("Events on their way to subscribers.")

Subscriber = Annotated[str, typer.Option("--subscriber", help="To this subscriber.")]


@command(app, "list")
async def list_deliveries(
    out: Output,
    state: Annotated[str, typer.Option("--state", help="dead, waiting, delivered, dropped, or all.")] = "dead",
    subscriber: Subscriber = "",
    limit: Limit = 50,
) -> None:
    """List deliveries, newest first; those given up unless told otherwise."""
    which = DeliveryFilter(state="" if state == "all" else state, subscriber=subscriber)
    async with open_house() as house:
        rows, more = first(await house.deliveries(which, limit + 1), limit)
    out.rows(DeliveryView, rows, lambda: [_table(rows)], more=more)
    if not rows:
        out.say("no delivery fits" + ("" if state == "all" else "; --state all shows every one"))


@command(app, "retry")
async def retry(
    out: Output,
    delivery: Annotated[
        list[int] | None, typer.Argument(metavar="DELIVERY...", help="Their numbers in the list.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
    subscriber: Subscriber = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Send what was given up once more. An event keeps its name, so who has it already knows it; a repeat changes nothing."""
    if bool(delivery) == everything:
        raise wrong_usage("which ones?", "fascia outbox retry NUMBER ..., or --all")
    async with open_house() as house:
        rows = await house.retry_deliveries(delivery or [], subscriber, reason, dry_run)
    out.data(listing(rows), lambda: [_table(rows)] if rows else [])
    out.say(f"{len(rows)} deliveries {'would be' if dry_run else 'are'} sent in the outbox's next round")


def _table(rows: Sequence[DeliveryView]) -> RenderableType:
    shown = table("delivery", "event", "case", "subscriber", "state", "tries", "error", "changed", right=("tries",))
    for row in rows:
        shown.add_row(
            str(row.id),
            row.type,
            row.case,
            row.subscriber,
            row.state,
            str(row.attempts),
            row.error,
            when(row.changed_at),
        )
    return shown
