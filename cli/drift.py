"""``fascia register drift``: where others' master files say otherwise than the register, and what becomes of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import DryRun, Limit, command
from cli.exits import wrong_usage
from cli.house import first, open_house
from cli.output import Output, table
from cli.register import Facility, app
from cli.views import DriftRow

VERBS = ("accept", "dismiss")


@command(app, "drift", lists=True)
async def drift(
    out: Output,
    verb: Annotated[str, typer.Argument(metavar="[accept|dismiss]", help="Without it, the list.")] = "",
    name: Annotated[str, typer.Argument(metavar="[ID]", help="Which difference.")] = "",
    facility: Facility = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those accepted, dismissed or settled.")] = False,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")] = "",
    limit: Limit = 50,
    dry_run: DryRun = False,
) -> None:
    """List what catalogues and location files say otherwise than the register; accept or dismiss one.

    Accepting takes their word where the hospital is the authority (prices of contracts); the ERP's own is changed in the ERP.
    """
    if not verb:
        await _list(out, facility, everything, limit)
        return
    if verb not in VERBS or not name:
        raise wrong_usage("give accept or dismiss, and the ID of a difference", "see `fascia register drift`")
    if verb == "dismiss" and not reason.strip():
        raise wrong_usage("dismiss needs a reason", f'`fascia register drift dismiss {name} --reason "..."`')
    async with open_house() as house:
        row = await house.settle_drift(verb, name, reason, dry_run)
    did = f"{'would be ' if dry_run else ''}{'accepted' if verb == 'accept' else 'dismissed'}"
    told = f"{row.kind} {row.code} {row.field}: {row.theirs or 'nothing'} of {row.source} {did} (ours: {row.ours or 'none'})"
    out.data({**row.model_dump(), "dry_run": dry_run}, lambda: [told])


async def _list(out: Output, facility: str, everything: bool, limit: int) -> None:
    async with open_house() as house:
        rows, more = first(await house.drift(facility, "" if everything else "open", limit + 1), limit)
    out.rows(DriftRow, rows, lambda: [drawn(rows)], more=more)
    if not rows:
        out.say("nothing differs")


def drawn(rows: Sequence[DriftRow]) -> RenderableType:
    """Differences as a table."""
    shown = table("id", "facility", "what", "field", "ours", "theirs", "since", "says", "state")
    for row in rows:
        since = row.since.isoformat() if row.since else ""
        what = f"{row.kind} {row.code}"
        shown.add_row(row.id, row.facility, what, row.field, row.ours, row.theirs, since, row.source, row.state)
    return shown
