"""Moments as people type them, at the edges of the calendar."""

from __future__ import annotations

import pytest

from cli.exits import Stop
from cli.moments import FIRST, moment
from store.ids import lowest_id


@pytest.mark.parametrize("text", ["1960-01-01", "0001-01-02", "9999w"])
def test_what_is_before_everything_is_the_beginning_of_the_journal(text: str) -> None:
    found = moment(text, "--since")
    assert found == FIRST and lowest_id(found)


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "999999w", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00"])
def test_what_is_no_moment_is_wrong_usage(text: str) -> None:
    with pytest.raises(Stop, match="is no moment"):
        moment(text, "--since")
