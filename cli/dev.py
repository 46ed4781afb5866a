"""``fascia dev``: what those who work on Fascia itself need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.case import CaseName, find_case
from cli.command import command, noun
from cli.house import open_house
from cli.output import Output

app = noun("For work on Fascia itself.")


@command(app, "history")
async def history(
    out: Output,
    case: CaseName,
    run: Annotated[str, typer.Option("--run", help="A run of it.", show_default="its last")] = "",
    save: Annotated[Path | None, typer.Option("--save", help="Write it into this file.")] = None,
) -> None:
    """Export a case's history as JSON, as the replay tests read it (tests/histories)."""
    async with open_house() as house:
        text = await house.history(await find_case(house, case), run)
    if save is not None:
        save.write_text(text + "\n", encoding="utf-8")
        out.say(f"written to {save}")
    else:
        out.text(text + "\n")
