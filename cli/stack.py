"""The local stack from the command line: ``fascia up``, ``down``, ``migrate``, and ``doctor``, which asks every part."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from canonical.errors import Unavailable
from cli.command import command
from cli.exits import Exit, Stop, wrong_usage
from cli.output import Output, table
from stack import control, launch
from stack.__main__ import hold
from stack.doctor import Finding, examine
from stack.held import News
from stack.home import Home, StackError
from stack.pace import Pace
from stack.supervisor import Stack
from workers import settings

LABELS = {
    "FASCIA_TEMPORAL_UI_URL": "Temporal UI",
    "FASCIA_API_URL": "API",
    "FASCIA_ERP_URL": "ERP",
    "TEMPORAL_ADDRESS": "Temporal",
    "FASCIA_DATABASE_URL": "database",
}
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}

Foreground = Annotated[bool, typer.Option("--foreground", help="Stay in front; Ctrl-C stops everything.")]
Parts = Annotated[list[str] | None, typer.Option("--part", help="Ask this part only; may be repeated.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Put the old databases aside and begin with empty ones.")]


def add_to(root: typer.Typer) -> None:
    """Make these commands those of the root."""
    command(root, "up")(up)
    command(root, "down")(down)
    command(root, "doctor")(doctor)
    command(root, "migrate")(migrate)


def up(out: Output, foreground: Foreground = False, fresh: Fresh = False) -> None:
    """Start PostgreSQL, Temporal, its Web UI, the workers and the doors, and print their addresses."""
    home = Home(settings.load().home)
    with _failures():
        if control.is_answering(home):
            if fresh:
                raise Stop(f"a stack runs in {home.path}", code="conflict", hint="stop it first: fascia down")
            _addresses(out, control.ask(home, "status"), "Running already; stop it with: fascia down")
            return
        if fresh and (aside := launch.set_aside(home)) is not None:
            out.say(f"the old state is kept in {aside}")
        with _telling(out) as tell:
            if foreground:
                asyncio.run(_hold(home, tell, out))
            else:
                _addresses(out, launch.up(home, tell), "Fascia runs; stop it with: fascia down")


def down(out: Output) -> None:
    """Stop everything that the supervisor of this state folder holds."""
    home = Home(settings.load().home)
    with _failures():
        if not control.is_answering(home):
            out.say(f"nothing runs in {home.path}")
            return
        launch.down(home)
        out.say("stopped")


async def doctor(out: Output, part: Parts = None) -> None:
    """Ask every part how it is, whoever started it, and say what to do about it."""
    from cli.checks import CHECKS  # the servers' libraries take a second, which the other commands need not wait

    if unknown := sorted(set(part or ()) - set(CHECKS)):
        raise wrong_usage(f"no part {', '.join(unknown)}", hint=f"the parts are {', '.join(CHECKS)}")
    asked = {name: check for name, check in CHECKS.items() if not part or name in part}
    found = await examine(settings.load(), asked)
    out.data({"checks": found}, lambda: [_findings(found)])
    if any(finding.state == "fail" for finding in found):
        raise typer.Exit(Exit.FAILED)


async def migrate(out: Output) -> None:
    """Bring the tables of our own database to this version; `fascia up` does it by itself."""
    from store.database import open_engine
    from store.migrate import upgrade

    url = settings.load().database_url.get_secret_value()
    if not url:
        raise Unavailable("no database address is set: run `fascia up` or set FASCIA_DATABASE_URL", system="store")
    engine = open_engine(url, pool=1)
    try:
        revision = await upgrade(engine)
    finally:
        await engine.dispose()
    out.data({"revision": revision}, lambda: [f"our tables are at {revision}"])


async def _hold(home: Home, tell: launch.Tell, out: Output) -> None:
    await hold(
        Stack(home.path, say=tell),
        lambda stack: _addresses(out, stack.status(), "Fascia runs; stop it with Ctrl-C"),
    )


@contextmanager
def _failures() -> Iterator[None]:
    """The stack's own failures, as commands end."""
    try:
        yield
    except StackError as error:
        raise Stop(str(error), code="stack") from error


@contextmanager
def _telling(out: Output) -> Iterator[launch.Tell]:
    """Tell on standard error what the stack does: a moving line on a terminal, elsewhere a line for each part, and one every
    half minute for a step that takes long."""
    errors = Console(stderr=True)
    if out.quiet or out.as_json or not errors.is_terminal:
        pace = Pace()

        def say(news: News) -> None:
            if (news.kind != "progress" or news.goes_on) and pace.lets(news):
                out.say(news.text)

        yield say
        return
    with errors.status("starting") as status:

        def tell(news: News) -> None:
            if news.kind == "progress":
                status.update(news.text.replace("[", r"\["))
            else:
                out.say(news.text)
            if news.kind == "ready":
                status.stop()

        yield tell


def _addresses(out: Output, status: Mapping[str, Any], title: str) -> None:
    drawn = table("part", "address", title=title)
    for name, address in _rows(status):
        drawn.add_row(name, address)
    out.data({"addresses": status["addresses"], "parts": status["parts"]}, lambda: [drawn])


def _rows(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The addresses people want, first; then those of parts that are not among them."""
    addresses: Mapping[str, str] = status["addresses"]
    for name, label in LABELS.items():
        if name in addresses:
            yield label, addresses[name]
    for name, part in status["parts"].items():
        if part["address"] and not any(part["address"] in address for address in addresses.values()):
            yield name, part["address"]


def _findings(found: list[Finding]) -> Table:
    drawn = table("part", "state", "address", "what was found", "what to do")
    for finding in found:
        state = Text(finding.state, style=COLOURS[finding.state])
        drawn.add_row(finding.part, state, finding.address, finding.text, finding.fix)
    return drawn
