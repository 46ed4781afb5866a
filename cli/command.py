"""What every command has in common: its options for output, how its failures end, and that it may wait on servers."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, get_type_hints

import typer

from canonical.errors import FasciaError
from cli.exits import wrong_usage
from cli.output import Output

PANEL = "Output"
Json = Annotated[bool, typer.Option("--json", help="Print JSON; also errors.", rich_help_panel=PANEL)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer only.", rich_help_panel=PANEL)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.", rich_help_panel=PANEL)]
NoColor = Annotated[
    bool, typer.Option("--no-color", help="Print without colour (as NO_COLOR does).", rich_help_panel=PANEL)
]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, with a header.", rich_help_panel=PANEL)]
_SHARED = {"as_json": Json, "quiet": Quiet, "verbose": Verbose, "no_color": NoColor}

Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most this many.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")]

Run = Callable[..., Coroutine[Any, Any, None] | None]


def noun(help_text: str) -> typer.Typer:
    """The commands of one noun."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def leave_quietly() -> None:
    """Let what is still to be printed go nowhere: nobody reads it any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def command(app: typer.Typer, name: str, *, lists: bool = False, **settings: Any) -> Callable[[Run], Run]:
    """Make a function a command. Its first argument is the :class:`Output`; the options for that are added here, and
    ``--csv`` where it lists."""
    shared_here = _SHARED | ({"as_csv": Csv} if lists or name == "list" else {})

    def register(run: Run) -> Run:
        @functools.wraps(run)
        def wrapped(**given: Any) -> None:
            out = Output(**{shared: given.pop(shared) for shared in shared_here})
            try:
                if out.as_json and out.as_csv:
                    raise wrong_usage("--json or --csv, not both")
                result = run(out, **given)
                if inspect.iscoroutine(result):
                    asyncio.run(result)
            except FasciaError as problem:
                raise typer.Exit(out.problem(problem)) from None
            except BrokenPipeError:  # `fascia journal list | head`: whoever read has read enough
                leave_quietly()

        hints = get_type_hints(run, include_extras=True)
        own = list(inspect.signature(run).parameters.values())[1:]
        parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + [
            inspect.Parameter(shared, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
            for shared, option in shared_here.items()
        ]
        wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, **settings)(wrapped)
        return run

    return register
