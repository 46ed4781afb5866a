"""Channels as one keeps them at a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli.channel_views import ChannelRow
from cli.our_channels import _last_error
from store.channel_keeping import Backlog
from store.standing import Standing
from tests.cli.conftest import Fascia
from tests.cli.house import FakeChannels, FakeHouse


def test_the_list_says_of_each_whether_it_sends_what_waits_and_why_it_does_not(fascia: Fascia) -> None:
    text = fascia("channel", "list").out
    assert "paused by mito since 2026-11-20T" in text and "they update" in text
    assert "breaker open: 5 failures" in text and "LAB cannot be reached" in text
    rows = fascia("channel", "list", "--json").json["items"]
    assert [(row["channel"], row["waiting"], row["dead"]) for row in rows] == [
        ("LAB", 3, 1),
        ("OR", 0, 0),
        ("PHARM", 0, 0),
    ]
    ill = fascia("channel", "list", "--trouble", "--json").json["items"]
    assert [row["channel"] for row in ill] == ["LAB", "PHARM"]


def test_one_is_shown_with_its_terms_and_dead_letters(fascia: Fascia) -> None:
    text = fascia("channel", "show", "LAB").out
    assert "per_second 5.0" in text and "m-9" in text and "AR: no such order" in text and "nothing passes it" in text
    assert fascia("channel", "show", "NONE").code == 3


def test_a_pause_needs_its_reason_and_is_lifted_by_resume(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("channel", "pause", "PHARM").code == 2 and house.asked_for == []
    assert "paused by mito" in fascia("channel", "pause", "PHARM", "--reason", "they update").out
    assert fascia("channel", "resume", "PHARM", "--json").json["state"] == "open"
    assert house.asked_for == [("pause", "PHARM", "they update"), ("resume", "PHARM", "")]


def test_dead_letters_are_sent_again_by_id_or_all_and_one_may_be_passed_over(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("channel", "retry", "m-9", "--reason", "mended", "--json")
    assert [row["state"] for row in ended.json["items"]] == ["waiting"]
    assert fascia("channel", "retry", "--dead", "--channel", "LAB", "--dry-run").code == 0
    assert house.asked_for == [(("m-9",), "", "mended", False), ((), "LAB", "", True)]
    assert fascia("channel", "retry").code == fascia("channel", "retry", "m-9", "--dead").code == 2
    assert fascia("channel", "skip", "m-9").code == 2
    assert "LAB goes on" in fascia("channel", "skip", "m-9", "--reason", "entered by hand").out


def test_a_channel_that_stands_still_names_its_dead_letters_fault_and_not_an_outage_that_is_over() -> None:
    backlog = Backlog(channel="LAB", waiting=2, dead=1, head="m-9", said="AR: no such order", stands_still=True)
    outage = Standing(channel="LAB", error="LAB cannot be reached", error_at=datetime(2026, 11, 20, tzinfo=UTC))
    assert _last_error(backlog, outage) == {"error": "AR: no such order", "error_at": None}
    open_now = outage.model_copy(update={"breaker": "open"})
    assert _last_error(backlog, open_now)["error"] == "LAB cannot be reached"
    assert _last_error(backlog.model_copy(update={"stands_still": False}), outage)["error"] == "LAB cannot be reached"


@pytest.mark.parametrize(
    ("state", "said"),
    [("stands still", "LAB stands still; 3 wait"), ("breaker open", "LAB is tried now (5 failures so far); 3 wait")],
)
def test_resume_says_what_comes_of_it(fascia: Fascia, monkeypatch: pytest.MonkeyPatch, state: str, said: str) -> None:
    async def resumed(self: FakeChannels, channel: str, why: str) -> ChannelRow:
        return ChannelRow(channel=channel, state=state, waiting=3, failures=5)

    monkeypatch.setattr(FakeChannels, "resume", resumed)
    ended = fascia("channel", "resume", "LAB")
    assert said in ended.out and ("dead letter is before them" in ended.err) == (state == "stands still")
