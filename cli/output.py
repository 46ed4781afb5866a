"""What a command prints: data on stdout, in a table for people or in JSON for programs; everything else on stderr."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr
from rich.console import Console, RenderableType
from rich.table import Table

from canonical.base import Money, Quantity
from canonical.errors import FasciaError
from cli.exits import Exit, exit_for

_WIDE = 240  # a pipe has no width; cut nothing that a program may look for


class Output:
    """Where one command's words go. Nothing here asks a question unless a person sits at a terminal."""

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False, no_color: bool = False
    ) -> None:
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose
        plain = no_color or bool(os.environ.get("NO_COLOR"))
        self._out = Console(
            file=sys.stdout, no_color=plain, highlight=False, width=None if sys.stdout.isatty() else _WIDE
        )
        self._err = Console(file=sys.stderr, no_color=plain, highlight=False, soft_wrap=True)

    @property
    def interactive(self) -> bool:
        """Whether somebody can answer a question."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.as_json

    def data(self, data: Any, show: Callable[[], Iterable[RenderableType]] | None = None) -> None:
        """The answer: as JSON where that was asked for, else as ``show`` draws it."""
        if self.as_json:
            print(json.dumps(plain(data), indent=2, ensure_ascii=False))
            return
        for part in show() if show else ():
            self._out.print(part, markup=not isinstance(part, str))

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
            self._err.print(message, markup=False)

    def detail(self, message: str) -> None:
        """What only somebody looking for a cause wants to read."""
        if self.verbose:
            self._err.print(message, markup=False, style="dim")

    def ask(self, question: str) -> bool:
        """A yes or no from a person; without a terminal the answer is no."""
        if not self.interactive:
            return False
        self._err.print(f"{question} [y/N] ", end="", markup=False)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def problem(self, problem: FasciaError) -> Exit:
        """Say why the command ends here, in the form that was asked for, and how it ends."""
        ending = exit_for(problem)
        hint, path = getattr(problem, "hint", ""), getattr(problem, "path", "")
        if self.as_json:
            print(json.dumps(error(problem.code, problem.message, ending, path=path, hint=hint), indent=2))
        else:
            self._err.print(f"fascia: {problem.message}", markup=False, style="bold red")
            if hint:
                self._err.print(f"  {hint}", markup=False)
        return ending


def error(code: str, message: str, ending: Exit, *, path: str = "", hint: str = "") -> dict[str, Any]:
    """The one shape of every error in JSON."""
    return {"error": {"code": code, "message": message, "path": path, "hint": hint, "exit_code": int(ending)}}


def listing(items: Sequence[Any], *, more: bool = False) -> dict[str, Any]:
    """The one shape of every list in JSON; ``more`` says that the limit cut it."""
    return {"items": list(items), "count": len(items), "more": more}


def table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """A table the way all of ours look; the first column is never cut."""
    drawn = Table(title=title, box=None, pad_edge=False, title_justify="left", header_style="bold", title_style="bold")
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
