"""What a command prints: data on stdout, in a table for people or in JSON for programs; everything else on stderr."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, SecretStr
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from canonical.base import Money, Quantity
from canonical.errors import FasciaError
from cli.exits import Exit, exit_for

# What a partner sent must not move the cursor or rename the window of whoever reads it: control characters are shown, not sent.
_SHOWN = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_SHOWN |= dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
_UNSEEN = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_FORMULA = tuple("=+-@\t\r\n")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_WIDE = 240  # a pipe has no width; cut nothing that a program may look for


class Output:
    """Where one command's words go. Nothing here asks a question unless a person sits at a terminal."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        as_csv: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        no_color: bool = False,
    ) -> None:
        self.as_json, self.as_csv, self.quiet, self.verbose = as_json, as_csv, quiet, verbose
        plain = no_color or bool(os.environ.get("NO_COLOR"))
        colours: Literal["auto"] | None = None if plain else "auto"  # without any, bold is left out too
        wide = None if sys.stdout.isatty() else _WIDE
        self._out = Console(file=sys.stdout, no_color=plain, color_system=colours, highlight=False, width=wide)
        self._err = Console(file=sys.stderr, no_color=plain, color_system=colours, highlight=False, soft_wrap=True)

    @property
    def interactive(self) -> bool:
        """Whether somebody can answer a question."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.as_json

    def data(self, data: Any, show: Callable[[], Iterable[RenderableType]] | None = None) -> None:
        """The answer: as JSON where that was asked for, else as ``show`` draws it."""
        if self.as_json:
            print(as_json(plain(data)))
            return
        for part in show() if show else ():
            self._out.print(safe(part) if isinstance(part, str) else part, markup=not isinstance(part, str))

    def rows(
        self,
        kind: type[BaseModel],
        rows: Sequence[BaseModel],
        show: Callable[[], Iterable[RenderableType]],
        *,
        more: bool = False,
    ) -> None:
        """The answer as a list of one kind of thing: JSON, CSV with a column for each field, or drawn."""
        if self.as_csv:
            sys.stdout.write(as_csv(tuple(kind.model_fields), [plain(row) for row in rows]))
            if more:  # CSV has no place for it, and a cut export must not pass for a whole one
                self.say(f"and more: the first {len(rows)} are shown (--limit)")
            return
        self.data(listing(rows, more=more), show)

    @property
    def screen(self) -> Console:
        """Where the answer is drawn, for what moves."""
        return self._out

    def text(self, text: str) -> None:
        """The answer as bare text, exactly as it is."""
        sys.stdout.write(text)

    def raw(self, data: bytes) -> None:
        """The answer as bytes, exactly as they are."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)

    def say(self, message: str) -> None:
        """A word to the person at the terminal, not part of the answer."""
        if not self.quiet:
            self._err.print(safe(message), markup=False)

    def detail(self, message: str) -> None:
        """What only somebody looking for a cause wants to read."""
        if self.verbose:
            self._err.print(safe(message), markup=False, style="dim")

    def ask(self, question: str) -> bool:
        """A yes or no from a person; without a terminal the answer is no."""
        if not self.interactive:
            return False
        self._err.print(safe(f"{question} [y/N] "), end="", markup=False)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def problem(self, problem: FasciaError) -> Exit:
        """Say why the command ends here, in the form that was asked for, and how it ends."""
        ending = exit_for(problem)
        hint, path = getattr(problem, "hint", ""), getattr(problem, "path", "")
        if self.as_json:
            print(as_json(error(problem.code, problem.message, ending, path=path, hint=hint)))
        else:
            self._err.print(safe(f"fascia: {problem.message}"), markup=False, style="bold red")
            if hint:
                self._err.print(safe(f"  {hint}"), markup=False)
        return ending


def safe(text: str) -> str:
    """Text that leaves the terminal as it is."""
    return text.translate(_SHOWN)


def as_json(data: Any) -> str:
    """The one form of JSON we print; what a terminal might obey is written as its code."""
    return sealed_json(json.dumps(data, indent=2, ensure_ascii=False))


def sealed_json(text: str) -> str:
    """JSON in which what a terminal might obey is written as its code."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """RFC 4180 with a header and bare line ends; a list or an object is a cell of JSON.

    What a spreadsheet would take for a formula begins with an apostrophe; numbers stay as they are.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return safe(json.dumps(value, ensure_ascii=False)) if value else ""
    text = safe(str(value))
    return f"'{text}" if text[:1] in _FORMULA and not _NUMBER.fullmatch(text) else text


class SafeTable(Table):
    """A table whose cells may hold what anybody sent."""

    def add_row(self, *cells: RenderableType | None, **settings: Any) -> None:
        super().add_row(*(Text(safe(cell)) if isinstance(cell, str) else cell for cell in cells), **settings)


def error(code: str, message: str, ending: Exit, *, path: str = "", hint: str = "") -> dict[str, Any]:
    """The one shape of every error in JSON."""
    return {"error": {"code": code, "message": message, "path": path, "hint": hint, "exit_code": int(ending)}}


def listing(items: Sequence[Any], *, more: bool = False) -> dict[str, Any]:
    """The one shape of every list in JSON; ``more`` says that the limit cut it."""
    return {"items": list(items), "count": len(items), "more": more}


def table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """A table the way all of ours look; the first column is never cut."""
    drawn = SafeTable(
        title=title, box=None, pad_edge=False, title_justify="left", header_style="bold", title_style="bold"
    )
    for place, column in enumerate(columns):
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=place == 0)
    return drawn


def when(moment: datetime | None) -> str:
    """A time as ISO 8601 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else ""


def plain(value: Any) -> Any:
    """Any of our values as JSON has them: decimals exact in text, times in UTC, secrets masked."""
    if isinstance(value, Money | Quantity | BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
