"""The burst's verdict: what was acknowledged and is not in the journal, or is there twice, is told; so is a kill that hit nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from demo import story_gateway
from demo.department_line import Sent
from demo.story_gateway import GATEWAY_SCENES
from demo.story_scene import Scene


def rows(*numbers: str, state: str = "routed") -> list[dict[str, str]]:
    return [{"control_number": number, "state": state} for number in numbers]


async def verdict(monkeypatch: pytest.MonkeyPatch, kept: list[dict[str, str]], *, again: bool = True) -> list[str]:
    async def journal(*_: Any) -> dict[str, Any]:
        return {"items": kept}

    monkeypatch.setattr(story_gateway, "fascia", journal)
    sent = Sent(answers={"M1": "AA", "M2": "AA", "M3": "AA"}, again={"M3"} if again else set())
    return await story_gateway._counted(cast(Scene, SimpleNamespace(stage=None)), sent, 3)


async def test_each_acknowledged_message_is_in_the_journal_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await verdict(monkeypatch, rows("M3", "M2", "M1", "another day's"))
    assert found == ["3 of 3 acknowledged", "3 of them kept once", "those under way when it was killed were sent again"]


async def test_a_lost_message_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await verdict(monkeypatch, rows("M1", "M2"))
    assert found[1:3] == ["2 of them kept once", "1 MISSING"]


async def test_a_doubled_message_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await verdict(monkeypatch, rows("M1", "M2", "M2", "M3"))
    assert found[1:3] == ["2 of them kept once", "1 DOUBLED"]


async def test_a_message_that_was_kept_and_went_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await verdict(monkeypatch, [*rows("M1", "M2"), *rows("M3", state="refused")])
    assert "1 MISSING" in found


async def test_a_kill_that_hit_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await verdict(monkeypatch, rows("M1", "M2", "M3"), again=False)
    told = next(scene for scene in GATEWAY_SCENES if scene.id == "gateway_killed")
    assert found[-1] == "NOTHING was under way"
    assert found[-1] not in told.ends.also
