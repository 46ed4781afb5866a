"""``fascia target``: the systems that are told of people, and the word that one of them is gone for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import RenderableType

from canonical.access import TargetRow, TargetWord
from canonical.base import in_words
from cli.command import Limit, Yes, command, noun
from cli.exits import Stop, wrong_usage
from cli.house import first, open_house
from cli.output import Output, table, when

app = noun("Targets: the systems that are told of people, and what counts of one that is gone for good.")

Code = Annotated[str, typer.Argument(metavar="CODE", help="The target's code in the register (access_target).")]


@command(app, "list")
async def list_targets(out: Output, limit: Limit = 100) -> None:
    """List the targets: in use or not, of how many people something may stand there, and who says that one is gone."""
    async with open_house() as house:
        rows, more = first(await house.access.targets(), limit)
    out.rows(TargetRow, rows, lambda: [_listed(rows)], more=more)


@command(app, "gone")
async def gone(
    out: Output,
    target: Code,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept with who said it.")] = "",
    yes: Yes = False,
) -> None:
    """Say that a target that is out of use is gone for good, with what stood there of people; two people say it.

    From the second word on nobody looks there, and revocations wait for it no more; each person's trace names who said so. The
    word is void once the target's row is in use again: then it is looked at as any other. For the roles support and admin.
    """
    word = _word(target, reason)
    if out.interactive and not yes and not out.ask(f"{target} is gone for good: never look there again?"):
        raise Stop("nothing was done", code="interrupted")
    async with open_house() as house:
        told = await house.access.gone(word)
    out.data(told, lambda: [told.message])


def _word(target: str, reason: str) -> TargetWord:
    try:
        return TargetWord(target=target, reason=reason)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        match first["loc"][0] if first["loc"] else "":
            case "target":
                raise wrong_usage(f"{target} is no code of a target", "see `fascia target list`") from None
            case "reason" if not reason.strip():
                raise wrong_usage("gone needs a reason", "give it by --reason") from None
            case where:
                raise wrong_usage(f"{where}: {in_words(first['msg'])}") from None


def _listed(rows: Sequence[TargetRow]) -> RenderableType:
    shown = table("target", "kind", "facility", "in use", "people", "gone since", "said by", right=("people",))
    for row in rows:
        by = " and ".join(filter(None, (row.asked_by, row.said_by)))
        since = when(row.gone_since) if row.gone_since else "asked for" if row.asked_by else ""
        shown.add_row(row.target, row.kind, row.facility, "yes" if row.active else "no", str(row.people), since, by)
    return shown
