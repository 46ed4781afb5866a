"""``fascia key``: the keys by which departments' systems and people are known at the REST door."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer
from pydantic import RootModel
from rich.console import RenderableType

from canonical.base import read_strictly
from cli.command import DryRun, Limit, Yes, command, noun
from cli.exits import Stop, wrong_usage
from cli.house import SCOPES, KeyRequest, first, open_house
from cli.output import Output, listing, table, when
from cli.views import KeyRow, NewKey
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
            may = ("signs: " if row.hmac else "") + (" ".join(row.scopes) or "everything")
            shown.add_row(
                row.id, row.sender, row.facility, row.person, may, str(row.per_minute), when(row.made_at), ends
            )
        return [shown]

    out.rows(KeyRow, rows, show, more=more)
    if not rows:
        out.say("no keys yet: `fascia key add SENDER --facility F`")


class Wish(KeyRequest):
    """A key of a file of keys to make, and the file its secret is to be written into."""

    save: Path | None = None


class Wishes(RootModel[tuple[Wish, ...]]):
    """A file of keys to make."""


@command(app, "add")
async def add(
    out: Output,
    sender: Annotated[str, typer.Argument(help="The system or person that gets it.")] = "",
    facility: Annotated[str, typer.Option("--facility", "-f", help="The one facility it is for.")] = "",
    person: Annotated[str, typer.Option("--person", help="The employee who decides by it.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help=f"What it may: {', '.join(SCOPES)}; without, everything.")
    ] = None,
    per_minute: Annotated[int, typer.Option("--per-minute", min=0, help="Requests a minute; 0 for any number.")] = 60,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="The ordering system it sends for; without, the sender's name.")
    ] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="How long it is good.")] = None,
    hmac: Annotated[
        bool, typer.Option("--hmac", help="It signs its requests (POST /v1/hooks/SENDER) instead of sending the key.")
    ] = False,
    save: Annotated[Path | None, typer.Option("--save", help="Write the secret into this file (mode 0600).")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Make the keys of this JSON list, all or none: sender, facility, person, ..., save."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Make a key, or all those of a file. Each secret is printed this once and kept nowhere."""
    if file is not None:
        if sender or facility or save:
            raise wrong_usage("--from takes every key from its file", "give it without SENDER, --facility and --save")
        wishes = _read(file)
    elif not (sender and facility):
        raise wrong_usage("whose key, and for which facility?", "fascia key add SENDER --facility F, or --from FILE")
    else:
        scopes = [*(scope or ()), *(f"{SOURCE}{name}" for name in source or ())]
        given = {"sender": sender, "facility": facility, "person": person, "scopes": scopes, "days": days}
        told = given | {"per_minute": per_minute, "hmac": hmac, "save": str(save) if save else None}
        wishes = (read_strictly(Wish, json.dumps(told)),)
    if dry_run:
        rows = [{**wish.model_dump(exclude={"save"}), "dry_run": True} for wish in wishes]
        what = [f"would make a key for {wish.sender} at {wish.facility}" for wish in wishes]
        out.data(rows[0] if file is None else listing(rows), lambda: what)
        return
    made = await _made(wishes)
    for wish, key in zip(wishes, made, strict=True):
        where = f"its secret is in {wish.save}" if wish.save else "this is its secret, shown this once:"
        out.say(f"key {key.id} for {key.sender} at {key.facility}; {where}")
    if file is None:
        out.data(made[0], lambda: [made[0].secret] if made[0].secret else [])
    else:
        out.data(listing(made), lambda: [_secrets(made)])


def _read(file: Path) -> tuple[Wish, ...]:
    """The keys a file asks for.

    Raises:
        Stop: it cannot be read, or names one file for two secrets.
        Malformed: a key in it is not complete, with its path (``0.facility``).
    """
    try:
        wishes = read_strictly(Wishes, file.read_bytes()).root
    except OSError as unreadable:
        raise wrong_usage(f"{file} cannot be read ({unreadable.strerror})") from None
    saved = [wish.save for wish in wishes if wish.save]
    if len(saved) > len(set(saved)):
        raise wrong_usage(f"{file} names one file for the secrets of two keys")
    return wishes


async def _made(wishes: Sequence[Wish]) -> Sequence[NewKey]:
    """The keys; secrets that went into a file are not in the answer."""
    requests = [KeyRequest(**wish.model_dump(exclude={"save"})) for wish in wishes]
    with ExitStack() as files:
        opened = [files.enter_context(_reserved(wish.save)) if wish.save else None for wish in wishes]
        async with open_house() as house:
            made = await house.add_keys(requests)
        for file, key in zip(opened, made, strict=True):
            if file is not None:
                file.write(key.secret + "\n")
    return [
        key if wish.save is None else key.model_copy(update={"secret": ""})
        for wish, key in zip(wishes, made, strict=True)
    ]


@contextmanager
def _reserved(path: Path) -> Iterator[TextIO]:
    """A new file only we may read, there before its secret is made: no secret is lost for want of a place."""
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except FileExistsError:
        raise Stop(f"{path} is there already", code="conflict") from None
    except OSError as refused:
        raise wrong_usage(f"{path} cannot be written ({refused.strerror})") from None
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _secrets(made: Sequence[NewKey]) -> RenderableType:
    shown = table("key", "sender", "facility", "person", "secret")
    for key in made:
        shown.add_row(key.id, key.sender, key.facility, key.person, key.secret or "in its file")
    return shown


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
