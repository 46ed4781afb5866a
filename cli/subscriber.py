"""``fascia subscriber``: which systems hear of our business events, by signed webhooks."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import RenderableType

from canonical.base import read_strictly
from cli.command import DryRun, Limit, Yes, command, noun
from cli.exits import Stop, wrong_usage
from cli.house import SubscriberRequest, first, open_house
from cli.output import Output, as_json, table
from cli.views import SubscriberRow

app = noun("Systems that hear of our events, by webhook.")

SECRET = "FASCIA_SUBSCRIBER_SECRET"  # noqa: S105 the name of a variable
SHORTEST = 16

Name = Annotated[str, typer.Argument(metavar="NAME", help="What we call it: inventory, analytics ...")]


@command(app, "list")
async def list_subscribers(
    out: Output,
    everyone: Annotated[bool, typer.Option("--all", help="Also those that were removed.")] = False,
    limit: Limit = 50,
) -> None:
    """List who hears of what; the secrets are shown nowhere."""
    async with open_house() as house:
        rows, more = first(await house.subscribers(everyone, limit + 1), limit)

    def show() -> list[RenderableType]:
        shown = table("subscriber", "address", "events", "facilities", "state")
        for row in rows:
            state = "listens" if row.active else "removed"
            shown.add_row(row.name, row.url, " ".join(row.types), " ".join(row.facilities) or "all", state)
        return [shown]

    out.rows(SubscriberRow, rows, show, more=more)
    if not rows:
        out.say("nobody listens yet: `fascia subscriber add NAME --url URL`")


@command(app, "add")
async def add(
    out: Output,
    name: Name,
    url: Annotated[str, typer.Option("--url", help="Where its webhook is: https://...")],
    event: Annotated[
        list[str] | None, typer.Option("--event", help="An event, or order.* for all of them; may be repeated.")
    ] = None,
    facility: Annotated[
        list[str] | None, typer.Option("--facility", "-f", help="Of this facility only; may be repeated.")
    ] = None,
    sender: Annotated[
        str, typer.Option("--sender", help="Only of what this sender of ours asked for; its code in the register.")
    ] = "",
    fhir: Annotated[
        str, typer.Option("--fhir", help="As FHIR notifications of this release, r4b or r5; needs --sender.")
    ] = "",
    per_second: Annotated[int, typer.Option("--per-second", min=0, help="Call it no more often; 0: no limit.")] = 0,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help=f"Read its secret from stdin (or set {SECRET}).")
    ] = False,
    new_secret: Annotated[bool, typer.Option("--new-secret", help="Make another secret for it.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Change one that is there.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Let a system hear of what happens from now on. A secret we make is printed this once; the same again changes nothing."""
    told = {"name": name, "url": url, "types": event or ["*"], "facilities": facility or [], "per_second": per_second}
    if fhir and not sender:
        raise wrong_usage("--fhir tells a sender of its own requests: name it by --sender")
    told |= {"sender": sender, "form": f"fhir/{fhir}" if fhir else ""}
    request = read_strictly(SubscriberRequest, as_json(told))
    secret = _secret(secret_stdin)
    if secret and new_secret:
        raise wrong_usage("--new-secret makes one; it takes none")
    if dry_run:
        what = (
            f"would let {name} hear of {' '.join(request.types)} at {' '.join(request.facilities) or 'every facility'}"
        )
        out.data({**request.model_dump(), "dry_run": True}, lambda: [what])
        return
    async with open_house() as house:
        done = await house.subscribe(request, secret, replace, new_secret)
    if url.startswith("http://"):
        out.say(f"events to {url} are signed, but anybody on the way can read them: use https where you can")
    out.say(f"{name}: {done.outcome}" + ("; this is its secret, shown this once:" if done.secret else ""))
    out.data(done, lambda: [done.secret] if done.secret else [])


@command(app, "remove")
async def remove(out: Output, name: Name, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Let a system hear of nothing more; what was on its way to it is dropped."""
    if dry_run:
        out.data({"name": name, "dry_run": True}, lambda: [f"would remove {name}"])
        return
    if out.interactive and not yes and not out.ask(f"remove the subscriber {name}?"):
        raise Stop("nothing was removed", code="interrupted")
    async with open_house() as house:
        row = await house.unsubscribe(name)
    out.data(row, lambda: [f"{row.name} is removed; {row.dropped} events on their way are dropped"])


def _secret(from_stdin: bool) -> str:
    """The secret somebody gives, never as an argument, which others on the machine can read; empty where none is given."""
    secret = sys.stdin.readline().strip() if from_stdin else os.environ.get(SECRET, "").strip()
    if from_stdin and not secret:
        raise wrong_usage("there is no secret on stdin")
    if secret and (len(secret) < SHORTEST or not secret.isascii() or not secret.isprintable()):
        raise wrong_usage(f"a secret is at least {SHORTEST} printable ASCII characters")
    return secret
