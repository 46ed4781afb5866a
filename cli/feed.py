"""``fascia feed``: which messages we read, and what a message would become and do if its sender sent it today."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from canonical.base import Canonical
from canonical.errors import FasciaError
from cli.command import Limit, command, noun
from cli.drift import drawn as drift_drawn
from cli.exits import Exit
from cli.house import House, first, open_house
from cli.output import Output, plain, table
from cli.views import Foreseen

if TYPE_CHECKING:
    from gateway.simulate import Simulated

app = noun("Feeds: which messages we read, and what one would become.")
LARGEST = 64 * 1024 * 1024
MOST_SHOWN = 20  # entries of a master file, for people


class FeedRow(Canonical):
    """A feed: which kind of message it reads, in which dialect, and whose, where it is one sender's own."""

    dialect: str
    kind: str
    sender: str = ""
    feed: str
    reads: str = ""


class Effect(Canonical):
    """One noun a message would become, and what taking it would do; without a store to ask, nothing is said of that."""

    noun: str
    content: dict[str, object]
    would: Foreseen | None = None


class SimulatedRow(Canonical):
    """One message of the file."""

    kind: str
    control: str = ""
    sender: str = ""
    facility: str = ""
    known: bool = False
    outcome: str
    problems: tuple[dict[str, object], ...] = ()
    effects: tuple[Effect, ...] = ()


@command(app, "list")
def list_feeds(out: Output, limit: Limit = 200) -> None:
    """List the kinds of messages that are read."""
    from gateway import registry

    found = [_feed(*key, "", feed) for key, feed in registry.FEEDS.items()]
    found += [_feed(*key, feed) for key, feed in registry.OVERRIDES.items()]
    found += [_feed(*key, "", feed) for key, feed in registry.HL7_FEEDS.items()]
    found += [_feed(*key, feed) for key, feed in registry.HL7_OVERRIDES.items()]
    found += [_feed(*key, "", feed.read) for key, feed in registry.CSV_FEEDS.items()]
    found += [_feed(*key, feed.read) for key, feed in registry.CSV_OVERRIDES.items()]
    found += [_feed(*key, "", feed) for key, feed in registry.REST_FEEDS.items()]
    found += [_feed(*key, feed) for key, feed in registry.REST_OVERRIDES.items()]
    found += [_feed(*key, "", feed) for key, feed in registry.FHIR_FEEDS.items()]
    found += [_feed(*key, feed) for key, feed in registry.FHIR_OVERRIDES.items()]
    rows, more = first(found, limit)

    def show() -> list[RenderableType]:
        shown = table("dialect", "kind", "sender", "feed", "reads")
        for row in rows:
            shown.add_row(row.dialect, row.kind, row.sender, row.feed, row.reads)
        return [shown]

    out.rows(FeedRow, rows, show, more=more)


def _feed(dialect: str, kind: str, sender: str, feed: object) -> FeedRow:
    module = str(getattr(feed, "__module__", ""))
    said = __import__(module, fromlist=["__doc__"]).__doc__ or ""
    return FeedRow(
        dialect=dialect, kind=kind, sender=sender, feed=module.rpartition(".")[2], reads=said.strip().split("\n")[0]
    )


@command(app, "simulate")
async def simulate(
    out: Output,
    file: Annotated[
        Path, typer.Argument(help="HL7 (messages, batches, MLLP frames), X12, FHIR JSON or CSV.", exists=True)
    ],
    sender: Annotated[str, typer.Option("--sender", "-s", help="Read it as this sender's or partner's.")] = "",
    facility: Annotated[str, typer.Option("--facility", "-f", help="Where the sender has no row.")] = "",
    as_of: Annotated[str, typer.Option("--as-of", help="The day its mapping tables hold (YYYY-MM-DD); today.")] = "",
    release: Annotated[str, typer.Option("--release", help="Of FHIR: r4b or r5; without, the one it fits.")] = "",
) -> None:
    """Show what each message would become and do; nothing is kept, nothing is sent.

    Without a database each sender is read as one that speaks our codes, and nothing is said of what is there already.
    """
    day = _day(as_of)
    data = file.read_bytes()[: LARGEST + 1]
    try:
        async with open_house() as house:
            rows = await _rows(house, data, sender, facility, day, release)
    except FasciaError as away:
        if away.code not in ("unavailable", "not-allowed"):
            raise
        out.say(
            f"without the register and the store ({away.message}): each sender is read as one that speaks our codes"
        )
        rows = await _rows(None, data, sender, facility, day, release)
    _shown(out, rows)
    refused = sum(1 for row in rows if row.outcome == "refused")
    if refused:
        raise typer.Exit(Exit.PARTLY if refused < len(rows) else Exit.FAILED)


def _day(text: str) -> date:
    from cli.exits import wrong_usage

    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError:
        raise wrong_usage("--as-of is a date YYYY-MM-DD") from None


def _said(whole: Any, given: Any) -> Any:
    """What a noun says, without the fields it leaves at their default; but quantities and amounts whole: whether it is EA or BX, USD
    or EUR, is what one looks for."""
    if isinstance(given, dict):
        if set(whole) in ({"value", "unit"}, {"amount", "currency"}):
            return whole
        return {name: _said(whole[name], value) for name, value in given.items()}
    if isinstance(given, list):
        return [_said(*pair) for pair in zip(whole, given, strict=True)]
    return given


async def _rows(
    house: House | None, data: bytes, sender: str, facility: str, day: date, release: str
) -> list[SimulatedRow]:
    from gateway.simulate import Book
    from gateway.simulate import simulate as simulated

    book = await house.book(day) if house else Book(day)

    async def row(one: Simulated) -> SimulatedRow:
        effects = []
        for each in one.nouns:
            would = await house.foresee(each, one.facility or facility, day) if house and not one.refused else None
            content = _said(each.model_dump(mode="json"), each.model_dump(mode="json", exclude_defaults=True))
            effects.append(Effect(noun=type(each).__name__, content=content, would=would))
        return SimulatedRow(
            **one.model_dump(include={"kind", "control", "sender", "facility", "known"}),
            outcome=_outcome(one),
            problems=tuple(problem.model_dump() for problem in one.problems),
            effects=tuple(effects),
        )

    return [await row(one) for one in simulated(data, book, sender=sender, facility=facility, release=release)]


def _outcome(one: Simulated) -> str:
    if one.refused:
        return "refused"
    if one.nouns:
        return "read"
    return "read, nothing in it is for us" if one.reads else "kept, nothing reads it"


def _shown(out: Output, rows: Sequence[SimulatedRow]) -> None:
    def show() -> list[RenderableType]:
        return [line for row in rows for line in _drawn(row)]

    out.data({"messages": [row.model_dump(mode="json") for row in rows]}, show)


def _apart(effect: Effect) -> list[dict[str, object]]:
    """Rows of a master file that would be set apart, since they cannot be read."""
    found = effect.content.get("bad_rows")
    return [dict(one) for one in found] if isinstance(found, list | tuple) else []


def _content(effect: Effect) -> list[RenderableType]:
    """What a message would become; of a master file its first entries, and each row that would be set apart."""
    content, entries = dict(effect.content), effect.content.get("entries")
    lines: list[RenderableType] = []
    if isinstance(entries, list | tuple):
        apart = _apart(effect)
        lines.append(f"  {len(entries)} entries" + (f", {len(apart)} rows that would be set apart:" if apart else ""))
        lines += [f"    row {one.get('row', '')}: {one.get('reason', '')}" for one in apart]
        content = {name: value for name, value in content.items() if name != "bad_rows"}
        content["entries"] = list(entries[:MOST_SHOWN])
    lines.append(json.dumps(plain(content), indent=2, ensure_ascii=False))
    if isinstance(entries, list | tuple) and len(entries) > MOST_SHOWN:
        lines.append(f"  and {len(entries) - MOST_SHOWN} entries more (--json shows all)")
    return lines


def _drawn(row: SimulatedRow) -> list[RenderableType]:
    who = f"{row.sender}{'' if row.known else ' (no row in the register)'}"
    what = " ".join(filter(None, (row.kind, row.control)))
    lines: list[RenderableType] = [f"{what} of {who}: {row.outcome}"]
    for problem in row.problems:
        path, reason = str(problem["path"]), str(problem["reason"])
        where = "" if not path or path in reason else f"{path}: "
        lines.append(f"  {'refused' if problem['refuses'] else 'noted'}: {where}{reason}")
    for effect in row.effects:
        lines += _content(effect)
        if effect.would is not None:
            said = f"{effect.would.case}: {effect.would.detail}" if effect.would.case else effect.would.detail
            lines.append(f"  {effect.noun} -> {effect.would.outcome}: {said}")
            if effect.would.differ:
                lines.append(drift_drawn(effect.would.differ))
    return lines
