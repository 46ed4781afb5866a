"""What the demonstration tells its visitors: progress while it works, addresses, how each case ended, and the report on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.story_play import Played
from demo.story_scene import Scenario
from stack.held import News
from stack.pace import Pace

REPORT = "demo-report.json"


class Screen:
    """What is said while it is worked: a bar with what is being done on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f} of {task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[doing]}", markup=False),
            console=console,
            transient=True,
            refresh_per_second=4,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._last = ""
        self._pace = Pace()

    def open(self, what: str, steps: int) -> None:
        """Begin a long step."""
        self._bar.start()
        self._task = self._bar.add_task(what, total=steps, doing="")
        if not self.console.is_terminal:
            self.line(what)

    def close(self) -> None:
        """The long step is over."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        self._bar.stop()

    def doing(self, what: str, steps: int = 0) -> None:
        """What is being done right now; ``steps`` further along."""
        if self._task is not None:
            self._bar.update(self._task, advance=steps, doing=what[:90])
        if not self.console.is_terminal and what != self._last:
            self.line(what)
        self._last = what

    def line(self, text: str) -> None:
        """One line that stays."""
        self.console.print(f"{time.monotonic() - self._began:6.1f} s  {text}", markup=False, highlight=False)

    def news(self, news: News) -> None:
        """News of the stack: progress moves the bar's text, deaths and failures stay."""
        if news.kind in ("died", "again", "failed"):
            self.line(news.text)
        elif self.console.is_terminal or self._pace.lets(news):
            self.doing(news.text.splitlines()[0], steps=1 if news.kind == "started" else 0)

    def scene(self, scenario: Scenario, what: str) -> None:
        """What happens in a scene."""
        over = what.startswith(("ended", "ENDED"))
        self.doing(f"{scenario.id}: {what}", steps=1 if over else 0)
        if self.console.is_terminal and what.startswith("ENDED"):
            self.line(f"{scenario.id}: {what}")


def addresses(rows: Sequence[tuple[str, str, str]]) -> Table:
    """Where to look."""
    table = Table(title="Addresses", title_justify="left")
    for column in ("what", "address", "how to get in"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def cases(played: Sequence[Played]) -> Table:
    """What became of each case."""
    table = Table(title="Cases", title_justify="left")
    for column in ("case", "business state", "ended as told", "events", "s"):
        table.add_column(column, overflow="fold", justify="right" if column in ("events", "s") else "left")
    for one in played:
        right = "yes" if one.as_told else f"NO: {one.found}\nexpected: {one.scenario.ends.text()}"
        table.add_row(one.scenario.story, one.shows, right, str(one.events), f"{one.seconds:.0f}")
    return table


def write(home: Path, played: Sequence[Played]) -> Path:
    """The report on disk."""
    path = home / REPORT
    path.write_text(json.dumps({"cases": [one.row() for one in played]}, indent=2) + "\n", encoding="utf-8")
    return path
