"""``fascia case resume``: a case that was stopped outside goes on from where our own store knows it to be."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.case import CaseName, app, find_case, said
from cli.command import DryRun, Yes, command
from cli.exits import Stop, not_found
from cli.house import open_house
from cli.output import Output


@command(app, "resume")
async def resume(
    out: Output,
    case: CaseName,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also a case that still runs: its run is terminated first.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Start a successor of a stopped case. No document is made twice: the successor finds what is there already.

    A case that was only held goes on by `fascia case release-hold`.
    """
    async with open_house() as house:
        name = await find_case(house, case)
        view = await house.case(name)
        if view is None:
            raise not_found("case", name)
        if view.closed:
            raise Stop(f"{name} is {view.business_state}: nothing is left to do", code="not-open")
        if not view.stopped and not force:
            raise Stop(
                f"{name} runs ({said(view)})",
                code="conflict",
                hint="--force terminates its run and starts another; `release-hold` lets a held case go on",
            )
        if dry_run:
            runs = await house.can_resume(name)
            plan = {"case": name, "generation": view.generation + 1, "terminates": runs, "dry_run": True}
            ends = "; the run that is there would be terminated" if runs else ""
            out.data(plan, lambda: [f"would start generation {view.generation + 1} of {name}{ends}"])
            return
        if out.interactive and not yes and not out.ask(f"start {name} again ({said(view)})?"):
            raise Stop("nothing was started", code="interrupted")
        resumed = await house.resume(name, reason)
    out.data(resumed, lambda: [f"{name} goes on as generation {resumed.generation}, run {resumed.run}"])
