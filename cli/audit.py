"""``fascia audit``: what operators did to the platform itself, by whom, when and why."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import Limit, command, noun
from cli.house import first, open_house
from cli.output import Output, table, when
from cli.views import ActView

app = noun("What operators did to the platform itself.")


@command(app, "list")
async def list_acts(
    out: Output,
    about: Annotated[
        str,
        typer.Option(
            "--about",
            help="Done to this: subscriber/NAME, delivery/NUMBER, message/ID, channel/CODE, key/ID, register/KIND, person/KEY, "
            "hr_event/ID.",
        ),
    ] = "",
    limit: Limit = 50,
) -> None:
    """List deeds, newest first; what was decided on a case stands with the case."""
    async with open_house() as house:
        rows, more = first(await house.acts(about, limit + 1), limit)

    def show() -> list[RenderableType]:
        shown = table("when", "who", "did", "to", "why", "what")
        for row in rows:
            who = f"{row.actor} ({row.known_by})"
            shown.add_row(when(row.at), who, row.verb, row.about, row.reason, row.detail)
        return [shown]

    out.rows(ActView, rows, show, more=more)
    if not rows:
        out.say("nothing was done" + (f" to {about}" if about else ""))
