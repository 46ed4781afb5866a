"""``fascia register``: load master data from a file or from the ERP, and look up what we know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import DryRun, Limit, Yes, command, noun
from cli.exits import Exit, Stop, not_found, wrong_usage
from cli.house import first, open_house
from cli.output import Output, listing, plain, table
from cli.views import LoadReport, RegisterRow

app = noun("The register: items, suppliers, people, cost centres, rules.")

Facility = Annotated[str, typer.Option("--facility", "-f", help="The facility it is for.")]
Kind = Annotated[
    str, typer.Option("--kind", "-k", help="item, supplier, cost_centre, employee, partner, sender, policy ...")
]


@command(app, "load")
async def load(
    out: Output,
    path: Annotated[Path | None, typer.Argument(help="A CSV or JSON file, or a folder of them.", exists=True)] = None,
    kind: Kind = "",
    facility: Facility = "",
    source: Annotated[
        str, typer.Option("--source", help="Whose word the file is: hospital, or erp for an export from it.")
    ] = "hospital",
    from_erp: Annotated[bool, typer.Option("--from-erp", help="Take what the ERP is the authority for.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Load records and report what was loaded, what was there already, and what was refused and why (exit code 6)."""
    if (path is None) == (not from_erp):
        raise wrong_usage("give a file to load, or --from-erp")
    if from_erp and not facility:
        raise wrong_usage("--from-erp needs --facility")
    async with open_house() as house:
        if path is not None:
            report = await house.load(path, kind, facility, source, dry_run)
        else:
            report = await house.load_from_erp(facility, dry_run)
    out.data(report, lambda: _report(report, everything=out.verbose))
    if report.refused:
        raise typer.Exit(Exit.PARTLY if report.loaded or report.unchanged else Exit.FAILED)


def _report(report: LoadReport, *, everything: bool) -> list[RenderableType]:
    shown = table("record", "outcome", "where", "reason")
    for record in report.records:
        if everything or record.outcome == "refused":
            shown.add_row(f"{record.kind} {record.code}".strip(), record.outcome, record.where, record.reason)
    tried = "would be " if report.dry_run else ""
    counts = f"{report.loaded} {tried}loaded, {report.unchanged} unchanged, {report.refused} refused"
    return [f"{report.source}: {counts}", *([shown] if shown.row_count else [])]


@command(app, "show")
async def show(
    out: Output,
    kind: Annotated[
        str, typer.Argument(help="item, supplier, cost_centre, employee, partner, policy, sender, channel, mapping ...")
    ],
    code: Annotated[str, typer.Argument(help="One record; without it, all of the kind.")] = "",
    facility: Facility = "",
    limit: Limit = 50,
) -> None:
    """Show a record of the register, or list those of a kind."""
    async with open_house() as house:
        rows, more = first(await house.register(kind, facility, code, limit + 1), limit)
    if code and not rows:
        raise not_found(kind, code, f"see `fascia register show {kind}`")

    def drawn() -> list[RenderableType]:
        if code:
            return [json.dumps(plain(row.record), indent=2, ensure_ascii=False) for row in rows]
        shown = table("code", "facility", "valid from", "source", "what")
        for row in rows:
            shown.add_row(
                row.code, row.facility or str(row.record.get("facility") or ""), row.valid_from, row.source, _what(row)
            )
        return [shown]

    out.data(listing(rows, more=more), drawn)
    if not rows:
        out.say(f"the register has no {kind} yet")
    if more:
        out.say(f"and more: the first {limit} are shown (--limit)")


def _what(row: RegisterRow) -> str:
    """The words that tell one record of a list from another."""
    if row.kind == "mapping":
        return f"{len(row.record.get('rows') or {})} codes"
    return str(row.record.get("description") or row.record.get("name") or row.record.get("status") or "")


@command(app, "confirm-bank")
async def confirm_bank(
    out: Output,
    supplier: Annotated[str, typer.Argument(help="The supplier's code.")],
    fingerprint: Annotated[
        str, typer.Option("--fingerprint", help="Only these bank details; without, those the register has now.")
    ] = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Say that you checked a supplier's changed bank details with the supplier; payments that wait for it go on.

    For the role finance, and not for who changed them. The register keeps who said so, when, and of which fingerprint.
    """
    async with open_house() as house:
        if out.interactive and not yes and not dry_run:
            seen = await house.confirm_bank(supplier, fingerprint, True)
            if not out.ask(f"did {supplier} confirm the bank details of fingerprint {seen.fingerprint}?"):
                raise Stop("nothing was confirmed", code="interrupted")
            fingerprint = seen.fingerprint
        done = await house.confirm_bank(supplier, fingerprint, dry_run)

    def shown() -> list[RenderableType]:
        if done.dry_run:
            return [f"would confirm fingerprint {done.fingerprint} of {supplier}; {len(done.told)} case(s) wait for it"]
        stopped = [f"{case} does not run: `fascia case resume` it, then retry" for case in done.not_running]
        return [
            f"the bank details of {supplier} (fingerprint {done.fingerprint}) are confirmed",
            *(f"{case} goes on" for case in done.told),
            *stopped,
        ]

    out.data(done, shown)
