"""``fascia key``: the keys by which departments' systems and people are known at the REST door."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from cli.command import DryRun, Limit, Yes, command, noun
from cli.exits import Stop
from cli.house import KeyRequest, first, open_house
from cli.output import Output, listing, table, when
from gateway.lookups import SOURCE

app = noun("Keys of senders at the REST door.")


@command(app, "list")
async def list_keys(out: Output, limit: Limit = 50) -> None:
    """List keys, newest first; their secrets are kept nowhere."""
    async with open_house() as house:
        rows, more = first(await house.keys(limit + 1), limit)

    def show() -> list[RenderableType]:
        shown = table("key", "sender", "facility", "person", "may", "a minute", "made", "ends")
        for row in rows:
            ends = f"revoked {when(row.revoked_at)}" if row.revoked_at else when(row.expires_at)
            may = " ".join(row.scopes) or "everything"
            shown.add_row(
                row.id, row.sender, row.facility, row.person, may, str(row.per_minute), when(row.made_at), ends
            )
        return [shown]

    out.data(listing(rows, more=more), show)
    if not rows:
        out.say("no keys yet: `fascia key add SENDER --facility F`")


@command(app, "add")
async def add(
    out: Output,
    sender: Annotated[str, typer.Argument(help="The system or person that gets it.")],
    facility: Annotated[str, typer.Option("--facility", "-f", help="The one facility it is for.")],
    person: Annotated[str, typer.Option("--person", help="The employee who decides by it.")] = "",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="What it may; without, everything.")] = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="The ordering system it sends for; without, the sender's name.")
    ] = None,
    per_minute: Annotated[int, typer.Option("--per-minute", min=1, help="Requests a minute.")] = 60,
    days: Annotated[int | None, typer.Option("--days", min=1, help="How long it is good.")] = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write the secret into this file (mode 0600).")] = None,
    dry_run: DryRun = False,
) -> None:
    """Make a key. Its secret is printed this once and kept nowhere."""
    scopes = (*(scope or ()), *(f"{SOURCE}{name}" for name in source or ()))
    request = KeyRequest(
        sender=sender, facility=facility, person=person, scopes=scopes, per_minute=per_minute, days=days
    )
    if dry_run:
        out.data({**request.model_dump(), "dry_run": True}, lambda: [f"would make a key for {sender} at {facility}"])
        return
    if save is not None and save.exists():
        raise Stop(f"{save} is there already", code="conflict")
    async with open_house() as house:
        key = await house.add_key(request)
    if save is not None:
        save.touch(mode=0o600)
        save.write_text(key.secret + "\n", encoding="utf-8")
        key = key.model_copy(update={"secret": ""})
        out.say(f"the secret of {key.id} is in {save}")
    else:
        out.say(f"key {key.id} for {sender} at {facility}; this is its secret, shown this once:")
    out.data(key, lambda: [key.secret] if key.secret else [])


@command(app, "revoke")
async def revoke(
    out: Output,
    key: Annotated[str, typer.Argument(help="The key's id, not its secret.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Revoke a key: from now on nobody is known by it."""
    if dry_run:
        out.data({"id": key, "dry_run": True}, lambda: [f"would revoke {key}"])
        return
    if out.interactive and not yes and not out.ask(f"revoke {key}?"):
        raise Stop("nothing was revoked", code="interrupted")
    async with open_house() as house:
        row = await house.revoke_key(key)
    out.data(row, lambda: [f"{row.id} of {row.sender} is revoked"])
