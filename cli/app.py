"""The ``fascia`` command: the same nouns and verbs as the console and the API, for people at a terminal and for scripts."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from functools import cache, partial
from importlib.metadata import version

import typer
from typer.main import get_command

from cli import (
    attention,
    audit,
    case,
    channel,
    clinician,
    clinician_words,
    completion,
    config,
    decide,
    demo,
    dev,
    drift,
    exclusions,
    feed,
    generate,
    journal,
    key,
    monitoring,
    outbox,
    people,
    person_access,
    recall,
    register,
    replay,
    resume,
    schema,
    stack,
    stock,
    stock_counts,
    stock_expiring,
    subscriber,
    target,
    udi,
    unmatched,
    usage,
)
from cli.command import leave_quietly
from cli.exits import Exit, Stop
from cli.output import Output

SDK = "temporalio.bridge.temporal_sdk_bridge"  # is loaded where a command asked Temporal
app = typer.Typer(
    name="fascia",
    help="From a department's requisition to a paid invoice: start the stack, see cases, decide, look things up.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
stack.add_to(app)
demo.add_to(app)
generate.add_to(app)
for noun in (
    case,
    unmatched,
    journal,
    replay,
    feed,
    register,
    key,
    subscriber,
    outbox,
    channel,
    usage,
    stock,
    audit,
    udi,
    recall,
    exclusions,
    monitoring,
    clinician,
    target,
    attention,
    schema,
    config,
    dev,
):
    app.add_typer(noun.app, name=noun.__name__.rpartition(".")[2])
app.add_typer(people.app, name="person")
completion.add_to(app)

VERBS_OF_OTHERS = (
    decide,
    resume,
    drift,
    stock_counts,
    stock_expiring,
    person_access,
    clinician_words,
)  # loaded so that their commands are there


@app.callback(invoke_without_command=True)
def _root(
    show_version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if show_version:
        print(f"fascia {version('fascia')}")
        raise typer.Exit


# All of them with their options. To put them together takes longer than most of them do, so who gives several does it once.
commands = cache(partial(get_command, app))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and say how it ended."""
    completion.answer_shells()
    if (empty := _empty(arguments)) is not None:
        why = f"{empty} is empty" if empty else "an argument is empty"
        return Output(as_json="--json" in arguments).problem(
            Stop(why, code="usage", hint="a variable of the shell that is not set? leave out what is not asked for")
        )
    try:
        ended = commands().main(list(arguments), prog_name=completion.PROGRAM, standalone_mode=False)
    except typer.Abort:
        return Exit.INTERRUPTED
    except typer.TyperException as wrong:
        return _usage(wrong, arguments)
    return ended if isinstance(ended, int) else Exit.OK


def _empty(arguments: Sequence[str]) -> str | None:
    """The option that was given nothing (empty for an argument without one), if any: `--channel "$C"` with C not set means all."""
    for before, given in zip(["", *arguments], arguments, strict=False):
        if re.fullmatch("--[a-z-]+=", given):
            return given.removesuffix("=")
        if not given:
            return before if before.startswith("-") else ""
    return None


def _usage(wrong: typer.TyperException, arguments: Sequence[str]) -> int:
    """The command line does not fit: say so in the form that was asked for."""
    as_json = "--json" in arguments
    context = getattr(wrong, "ctx", None)
    hint = f"try `{context.command_path} --help`" if context else ""
    message = wrong.format_message()
    if not as_json and "Usage:" in message:  # a noun alone: its verbs are the answer
        print(message, file=sys.stderr)
        return Exit.USAGE
    ending = Output(as_json=as_json).problem(Stop(message, code="usage", hint=hint))
    return ending if wrong.exit_code == Exit.USAGE else wrong.exit_code


def main() -> None:
    """The entry point."""
    ended = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        leave_quietly()
    if SDK in sys.modules:  # its threads sometimes crash an interpreter that shuts down; all is done: leave without
        sys.stderr.flush()
        os._exit(ended)
    sys.exit(ended)


if __name__ == "__main__":
    main()
