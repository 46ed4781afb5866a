"""``fascia schema``: publish the shape of every noun and business event, and refuse a change that would break anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.command import command, noun
from cli.exits import Exit, Stop
from cli.output import Output, listing, table
from cli.published import FOLDER, Finding, compare, published

app = noun("The published JSON Schemas of our nouns and business events.")


@command(app, "export")
def export(
    out: Output,
    check: Annotated[bool, typer.Option("--check", help="Compare only; fail when something is not exported.")] = False,
    to: Annotated[
        Path, typer.Option("--to", help="The folder they are kept in.", file_okay=False, show_default=False)
    ] = FOLDER,
) -> None:
    """Write the JSON Schema of every noun and event; a change that breaks a running case or a partner is refused."""
    schemas = published()
    findings = compare(to, schemas)
    changed = [finding for finding in findings if finding.state != "same"]
    out.data(listing(findings), lambda: [_drawn(changed)] if changed else [f"{len(findings)} schemas, all as exported"])
    if any(finding.breaks for finding in findings):
        _refuse(out)
    if check and changed:
        out.say("added since the last export: run `fascia schema export`")
        raise typer.Exit(Exit.FAILED)
    if check:
        return
    to.mkdir(parents=True, exist_ok=True)
    states = {finding.file: finding.state for finding in findings}
    for schema in schemas:
        if states[schema.file] != "same":
            (to / schema.file).write_text(schema.text(), encoding="utf-8")
    out.say(f"{len(changed)} written to {to}" if changed else "nothing to write")


def _refuse(out: Output) -> None:
    reason = "a published schema would break those who rely on it; nothing was written"
    hint = (
        "give the new field a default, keep the old one, or publish the noun under its next version (cli/published.py)"
    )
    if out.as_json:  # the findings are the answer already
        out.say(f"{reason}: {hint}")
        raise typer.Exit(Exit.FAILED)
    raise Stop(reason, code="schema-broken", hint=hint)


def _drawn(findings: list[Finding]) -> Table:
    drawn = table("schema", "state", "path", "reason")
    for finding in findings:
        for broken in finding.breaks or (None,):
            drawn.add_row(
                finding.file,
                finding.state,
                (broken.path or "document") if broken else "",
                broken.reason if broken else "to be exported",
            )
    return drawn
