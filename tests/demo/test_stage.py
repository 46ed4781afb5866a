"""The stage: a hospital that begins afresh meets suppliers who do not know it; and the whole demonstration, as a visitor starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from demo import stage
from demo.partner_script import SEED
from demo.stage_parts import forget_another_hospital
from demo.story import STORY
from stack.home import Home
from stack.supervisor import Stack

ROOT = Path(__file__).parents[2]


def test_suppliers_of_a_hospital_that_was_set_aside_are_set_aside_with_it(tmp_path: Path) -> None:
    stack = cast(Stack, SimpleNamespace(home=Home(tmp_path)))
    book = tmp_path / "partners" / ".memory" / "ALPINE.json"
    forget_another_hospital(stack)
    book.parent.mkdir(parents=True)
    book.write_text("{}")
    forget_another_hospital(stack)
    assert book.exists()
    assert stack.home.set_aside() is not None
    forget_another_hospital(stack)
    assert not book.exists()
    assert len(list((tmp_path / "old").glob("partners-*/.memory/ALPINE.json"))) == 1
    (tmp_path / "billing").mkdir()
    forget_another_hospital(stack, "billing", "billing")
    assert len(list((tmp_path / "old").glob("billing-*"))) == 1 and not (tmp_path / "billing").exists()


def test_everybody_the_story_needs_has_a_key() -> None:
    people = {row.split(",")[0] for row in (SEED / "employees.csv").read_text().splitlines()[1:]}
    assert set(stage.PEOPLE) <= people


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_the_whole_story_ends_as_told_and_nothing_is_left_running(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--once", "--home", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "FASCIA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    rows = json.loads((tmp_path / "demo-report.json").read_text())["cases"]
    assert [row["id"] for row in rows] == [scenario.id for scenario in STORY]
    assert all(row["expected_end"] == row["found_end"] for row in rows)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in running
