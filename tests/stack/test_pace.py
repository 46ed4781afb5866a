"""A log file is told now and then how far a long step is, a terminal every second."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli import stack as commands
from cli.output import Output
from demo.report import Screen
from stack import pace
from stack.held import News
from stack.pace import Pace

SERVER = "building temporal-server (1 of 3, once on this machine)"


def progress(text: str) -> News:
    return News("progress", "temporal", text)


def test_a_long_step_is_told_at_its_beginning_and_every_half_minute() -> None:
    now = 0.0
    paced = Pace(lambda: now)
    told = []
    for second in range(95):
        now = float(second)
        if paced.lets(progress(f"{SERVER}: {second // 60}:{second % 60:02d} go/types")):
            told.append(second)
    assert told == [0, 30, 60, 90]


def test_another_step_is_told_at_once_and_what_is_no_progress_always() -> None:
    paced = Pace(lambda: 0.0)
    assert paced.lets(progress(f"{SERVER}: 0:01 a"))
    assert not paced.lets(progress(f"{SERVER}: 0:02 b"))
    assert paced.lets(News("died", "temporal", f"{SERVER}: 0:02 b"))
    assert paced.lets(progress("building temporal-sql (2 of 3, once on this machine): 0:00 c"))


def test_the_demonstration_prints_a_build_of_a_minute_in_a_few_lines_where_nobody_looks() -> None:
    said = io.StringIO()
    screen = Screen(Console(file=said, width=160))
    screen.open("bringing the hospital up", 8)
    for second in range(60):
        screen.news(progress(f"{SERVER}: 0:{second:02d} go/types"))
    screen.news(News("started", "temporal", "temporal runs"))
    screen.close()
    lines = said.getvalue().splitlines()
    assert len([line for line in lines if SERVER in line]) == 1 and "temporal runs" in lines[-1]


def test_up_tells_a_log_file_of_long_steps_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "EVERY", 0.0)
    with commands._telling(Output()) as tell:
        tell(progress("starting database"))
        tell(progress(f"{SERVER}: 0:31 go/types"))
        tell(News("started", "database", "database runs"))
    assert capsys.readouterr().err.splitlines() == [f"{SERVER}: 0:31 go/types", "database runs"]
