"""A run that is still there may take a person's decision until it is ended: its successor knows of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import WorkflowExecutionStatus

from canonical.errors import Rejected
from cli import successor
from workers.wiring import Wiring

CASE = "purchase_order/NGH/PO000001"


class House:
    """A case whose run takes a decision at the very moment it is terminated, and its record in our own store."""

    def __init__(self) -> None:
        self.generation, self.carried = 1, "as it stood"
        self.begun_with: list[str] = []
        self.running = True
        self.known = True

    async def terminate(self, **_: Any) -> None:
        if self.generation == 1:  # else its record is passed over, though the person was told "taken"
            self.carried = "decided"
        self.running = False

    async def describe(self, **_: Any) -> Any:
        return SimpleNamespace(status=WorkflowExecutionStatus.RUNNING if self.running else None)

    async def raise_generation(self, case: str) -> int:
        self.generation += 1
        return self.generation

    async def start(self, wiring: Wiring, case: str) -> successor.Begin:
        if not self.known:
            raise Rejected("our own store does not know what it was to order", code="not-found")
        carried = self.carried

        async def begin() -> str:
            self.begun_with.append(carried)
            return "run-2"

        return begin

    async def _done(self, *_: Any) -> None: ...

    def wiring(self) -> Wiring:
        cases = SimpleNamespace(
            raise_generation=self.raise_generation, keep_resumed=self._done, mark_running=self._done
        )
        run = SimpleNamespace(terminate=self.terminate, describe=self.describe)
        client = SimpleNamespace(get_workflow_handle=lambda case: run)
        journal = SimpleNamespace(route_again=self._done)
        return cast(Wiring, SimpleNamespace(cases=cases, client=client, journal=journal))


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    house = House()
    monkeypatch.setattr(successor, "_order", house.start)
    monkeypatch.setattr(successor, "_attached_again", house._done)
    return house


async def test_what_the_run_took_before_it_was_ended_is_what_its_successor_begins_with(house: House) -> None:
    resumed = await successor.start_successor(house.wiring(), CASE, "it hangs")
    assert (resumed.generation, resumed.run, resumed.terminated) == (2, "run-2", True)
    assert house.begun_with == ["decided"]


async def test_a_run_that_nothing_could_follow_is_not_ended(house: House) -> None:
    house.known = False
    with pytest.raises(Rejected, match="does not know"):
        await successor.start_successor(house.wiring(), CASE, "it hangs")
    assert house.running and house.generation == 1


async def test_it_is_asked_whether_a_successor_can_be_made_and_nothing_is_done(house: House) -> None:
    assert await successor.can_start(house.wiring(), CASE)
    assert house.running and house.generation == 1 and house.begun_with == []
    house.running = False
    assert not await successor.can_start(house.wiring(), CASE)
    house.known = False
    with pytest.raises(Rejected, match="does not know"):
        await successor.can_start(house.wiring(), CASE)
