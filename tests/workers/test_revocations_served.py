"""Whether somebody is told that no process serves revocations."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from workers.loops.revocations_served import REMIND, RevocationsServed


class Marks:
    """When the process last gave a sign of life."""

    def __init__(self, silent: float | None) -> None:
        self.silent = silent

    async def silent_for(self, name: str) -> float | None:
        assert name == "revocations"
        return self.silent


async def alerts(marks: Marks, served: RevocationsServed, rounds: int) -> list[str]:
    with capture_logs() as logs:
        for _ in range(rounds):
            await served.once()
    return [str(one["process"]) for one in logs if one.get("alert")]


@pytest.mark.parametrize(("silent", "said"), [(None, "none ever was"), (61.0, "silent for 61 s")])
async def test_where_no_process_serves_revocations_an_alert_says_so_again_and_again(
    silent: float | None, said: str
) -> None:
    marks = Marks(silent)
    served = RevocationsServed(marks.silent_for)
    assert await alerts(marks, served, 1) == [], "everything may have been started a moment ago"
    assert await alerts(marks, served, 1) == [said]
    assert await alerts(marks, served, 2 * REMIND) == [said, said]


async def test_one_that_gives_signs_of_life_is_served_and_one_that_is_back_is_too() -> None:
    marks = Marks(4.0)
    served = RevocationsServed(marks.silent_for)
    assert await alerts(marks, served, 5) == []
    marks.silent = 90.0
    assert len(await alerts(marks, served, 2)) == 1
    marks.silent = 2.0
    assert await alerts(marks, served, 5) == []
