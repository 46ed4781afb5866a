"""``fascia completion``: the script that lets a shell complete our commands, for the shell one names."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script  # the public one asks which shell we run in

from cli.command import command, noun
from cli.output import Output

PROGRAM = "fascia"
VARIABLE = "_FASCIA_COMPLETE"


class Shell(StrEnum):
    """The shells we complete in."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


app = noun("Shell completion.")


def add_to(root: typer.Typer) -> None:
    """Make ``completion`` a command of the root: it has a shell for its argument, not verbs."""

    @command(root, "completion")
    def completion(out: Output, shell: Annotated[Shell, typer.Argument(help="The shell to complete in.")]) -> None:
        """Print a completion script: `fascia completion bash > ~/.local/share/bash-completion/completions/fascia`."""
        out.text(script(shell))


def answer_shells() -> None:
    """Typer answers a shell's question only where its own completion option is on; ours is a command instead."""
    completion_init()


def script(shell: Shell) -> str:
    """The script for a shell."""
    return get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value) + "\n"
