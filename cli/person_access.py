"""``fascia person revoke``, ``lift`` and ``access``: take all access from somebody by one call, and see what was confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import ValidationError
from rich.console import RenderableType

from canonical.access import BY_HAND, BlockWord
from canonical.access_plan import SYSTEM_GONE
from canonical.base import in_words
from cli.access_views import AccessShown
from cli.command import Yes, command
from cli.exits import Exit, Stop, not_found, wrong_usage
from cli.house import open_house
from cli.output import Output, table, when
from cli.people import Key, app, gone

BY_PEOPLE = "its task is not done yet: fascia clinician show"
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it stays in our own store, with who said it.")]
CallId = Annotated[
    str, typer.Option("--id", help="This call's own name, to repeat it safely.", show_default="a new one")
]


@command(app, "revoke")
async def revoke(out: Output, person: Key, reason: Reason = "", call: CallId = "", yes: Yes = False) -> None:
    """Take all access from a person, everywhere and now. The key need not be known to us; two people lift it again.

    The block holds from this command on, also while Temporal is away; what was confirmed is shown by `fascia person access`.
    Ends with 6 where the events of this key are another's by now: that one is named, and to be revoked too.
    """
    word = _word("revoke", person, reason, call)
    if out.interactive and not yes and not out.ask(f"take all access from {person}, at every facility?"):
        raise Stop("nothing was done", code="interrupted")
    async with open_house() as house:
        told = await house.access.revoke(word)
    said = [f"blocked since {when(told.since)} by {told.by}", told.message, *gone(told.gone_to, "revoke")]
    out.data(told, lambda: said)
    if told.gone_to:
        raise typer.Exit(Exit.PARTLY)


@command(app, "lift")
async def lift(out: Output, person: Key, reason: Reason = "", call: CallId = "") -> None:
    """Ask for a block to be lifted, or, as the second person, lift it: access is then what is known at that moment."""
    word = _word("lift", person, reason, call)
    async with open_house() as house:
        told = await house.access.lift(word)
    out.data(told, lambda: [told.message])


@command(app, "access")
async def access(out: Output, person: Key) -> None:
    """Show what a person may reach: each target, what stands there, and of a revocation what is confirmed and what is not.

    Ends with 1 while a revocation is not confirmed.
    """
    async with open_house() as house:
        view = await house.access.access(person)
    if not view.known and not view.blocked:  # a mistyped key is not somebody who is off everywhere
        raise not_found("person", person, "see `fascia person list --all`")
    out.data(view, lambda: _drawn(view))
    if view.blocked and not view.confirmed:
        raise typer.Exit(Exit.FAILED)


def _word(verb: str, person: str, reason: str, call: str) -> BlockWord:
    try:
        return BlockWord(person=person, reason=reason, id=call or uuid4().hex)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        match first["loc"][0] if first["loc"] else "":
            case "person":
                raise wrong_usage(f"{person} is no key of a person", "see `fascia person list --all`") from None
            case "reason" if not reason.strip():
                raise wrong_usage(f"{verb} needs a reason", "give it by --reason") from None
            case where:
                raise wrong_usage(f"{where}: {in_words(first['msg'])}") from None


def _drawn(view: AccessShown) -> Iterator[RenderableType]:
    yield from gone(view.gone_to, "access")
    if view.blocked:
        asked = f"; {view.lift_asked_by} asks to lift it" if view.lift_asked_by else ""
        yield f"BLOCKED since {when(view.since)} by {view.by}{asked}"
        waited_for = [one for one in view.targets if one.kind not in BY_HAND and one.finding != SYSTEM_GONE]
        missing = [one.target for one in waited_for if not one.confirmed_off]
        yield (
            "off everywhere, seen twice"
            if view.confirmed
            else f"NOT confirmed off: {', '.join(missing) or 'being looked at'}"
        )
    shown = table("target", "kind", "facility", "state", "on", "seen off", "since", "finding", "reason")
    for one in view.targets:
        off = "confirmed" if one.confirmed_off else str(one.times or "")
        about = (one.target, one.kind, one.facility, one.state, "yes" if one.active else "no", off)
        reason = BY_PEOPLE if one.kind in BY_HAND and one.state == "written" else one.reason
        shown.add_row(*about, when(one.since), one.finding, reason[:60])
    yield shown
