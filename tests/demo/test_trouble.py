"""How peers of the demonstration are told to misbehave."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.trouble import Trouble, Unruly, behave, trouble_file, troubles


def test_a_line_is_about_everybody_or_about_one(tmp_path: Path) -> None:
    accounts, another = Unruly(tmp_path, "accounts"), Unruly(tmp_path, "another")
    behave(tmp_path, "accounts", "late 30 key-1", "down key-2", "slow 1.5")
    assert accounts.at("/Users/key-1") == Trouble("late", 30, "key-1")
    assert accounts.at("key-2") == Trouble("down", who="key-2")
    assert accounts.at("key-3") == accounts.at("") == Trouble("slow", 1.5)
    behave(tmp_path, "accounts")
    assert accounts.at("key-1") == another.at("key-1") == Trouble()


def test_a_line_that_has_an_end_is_met_so_often_and_anew_when_it_is_said_anew(tmp_path: Path) -> None:
    accounts = Unruly(tmp_path, "accounts")
    lines = ("lost key-1 times 1", "stale 2 key-1")
    for _ in range(2):
        behave(tmp_path, "accounts", *lines)
        words = []
        for _ in range(4):
            accounts.meet(now := accounts.at("key-1"))
            words.append(now.word)
        assert words == ["lost", "stale", "stale", ""]
        behave(tmp_path, "accounts")
        assert accounts.at("key-1") == Trouble()


@pytest.mark.parametrize("line", ["asleep", "slow", "slow key-1", "lost times often"])
def test_a_line_nobody_would_understand_is_refused_and_changes_nothing(tmp_path: Path, line: str) -> None:
    behave(tmp_path, "ehr", "down")
    with pytest.raises(ValueError):
        behave(tmp_path, "ehr", line)
    assert troubles(tmp_path, "ehr") == [Trouble("down")]
    assert [path.name for path in trouble_file(tmp_path, "ehr").parent.iterdir()] == ["trouble"]
