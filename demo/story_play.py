"""Plays the story: scenes side by side where they do not disturb each other, each judged outside when it is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from temporalio.client import Client
from temporalio.service import RPCError

from canonical.base import case_parts
from demo.erp_rpc import ErpRefused
from demo.stage import Stage, StageError
from demo.story_doors import Doors, StoryError
from demo.story_outside import Outside
from demo.story_scene import PAYER, Scenario, Scene
from stack.home import StackError

AT_ONCE = 6  # scenes side by side: two cores carry workers, ERP and Temporal as well
PLAYS = "story.json"
GOES_WRONG = (
    StoryError,
    StageError,
    StackError,
    ErpRefused,
    LookupError,
    httpx.HTTPError,
    RPCError,
    TimeoutError,
    ValueError,
)


@dataclass
class Played:
    """One scene after it was played; ``found`` is its ending as counted outside."""

    scenario: Scenario
    found: str
    documents: list[dict[str, Any]] = field(default_factory=list)
    events: int = 0
    seconds: float = 0.0
    shows: str = ""

    @property
    def as_told(self) -> bool:
        return self.found == self.scenario.ends.text()

    def row(self) -> dict[str, Any]:
        """As it stands in the report."""
        return {
            "id": self.scenario.id,
            "process": self.scenario.process,
            "story": self.scenario.story,
            "expected_end": self.scenario.ends.text(),
            "found_end": self.found,
            "erp_documents": self.documents,
            "history_events": self.events,
            "seconds": round(self.seconds, 1),
        }


Told = Callable[[str, str], None]
"""Called with a scene's id and what is happening in it."""


class Play:
    """One playing of the story on a stage."""

    def __init__(self, stage: Stage, doors: Doors, told: Told, erp_away: float = 60.0) -> None:
        self._stage = stage
        self.doors = doors
        self._outside = Outside(stage.erp, stage.home)
        self._told = told
        self._erp_away = erp_away
        self._scenes: list[Scene] = []
        self.histories: Path | None = None

    @classmethod
    async def on(cls, stage: Stage, told: Told, erp_away: float = 60.0) -> Play:
        """Set one up, with doors for everybody in it."""
        addresses = stage.stack.addresses
        temporal = await Client.connect(addresses["TEMPORAL_ADDRESS"], namespace=addresses["TEMPORAL_NAMESPACE"])
        return cls(stage, Doors(stage.api_url, stage.keys, temporal), told, erp_away)

    async def of(self, story: Sequence[Scenario]) -> list[Played]:
        """Play these scenes; then look whether the ERP holds orders that belong to none of them."""
        before = await self._outside.all_orders()
        number = int(self._stage.stack.home.read(PLAYS).get("plays", 0)) + 1
        self._stage.stack.home.write(PLAYS, {"plays": number})
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(scenario: Scenario) -> Played:
            async with slots:
                return await self._play(scenario, f"P{number:03d}-{scenario.id}")

        played = list(await asyncio.gather(*(one(scenario) for scenario in story if not scenario.alone)))
        for scenario in story:
            if scenario.alone:
                played.append(await self._play(scenario, f"P{number:03d}-{scenario.id}"))
        await self._nothing_else(before, played)
        return sorted(played, key=lambda done: [scenario.id for scenario in story].index(done.scenario.id))

    async def _play(self, scenario: Scenario, tag: str) -> Played:
        began = time.monotonic()
        scene = Scene(
            self._stage,
            self.doors,
            self._outside,
            tag,
            erp_away=self._erp_away,
            told=lambda what: self._told(scenario.id, what),
        )
        self._scenes.append(scene)
        self._told(scenario.id, "playing")
        wrong = ""
        try:
            await scenario.play(scene)
        except GOES_WRONG as error:
            wrong = f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - began
        try:
            played = await self._judged(scenario, scene, wrong)
        except GOES_WRONG as error:
            played = Played(scenario, f"could not be judged: {type(error).__name__}: {error} {wrong}".strip())
        self._told(scenario.id, "ended as told" if played.as_told else f"ENDED OTHERWISE: {played.found}")
        return replace(played, seconds=seconds)

    async def _judged(self, scenario: Scenario, scene: Scene, wrong: str) -> Played:
        orders = await scene.orders()
        shown = sorted({await asked.shows() for asked in scene.requisitions})
        ending, documents = await self._outside.ending(
            ", ".join(shown) or scene.said, [order.number for order in orders]
        )
        ending = replace(ending, also=tuple(scene.also))
        found = f"{ending.text()} (the scene broke off: {wrong})" if wrong else ending.text()
        names = [*(case.name for case in (*scene.requisitions, *orders)), *scene.others]
        events = sum([await self.doors.events(name) for name in names])
        if self.histories is not None:
            await self._keep_histories(self.histories, scenario, names)
        return Played(scenario, found, documents, events, shows=ending.said)

    async def _keep_histories(self, folder: Path, scenario: Scenario, names: Sequence[str]) -> None:
        """The first requisition's and the first order's histories of a scene: one of each kind tells its ending."""
        folder.mkdir(parents=True, exist_ok=True)
        kinds = {name.split("/")[0]: name for name in reversed(names)}
        for kind, name in kinds.items():
            for run, history in enumerate(await self.doors.histories(name), start=1):
                path = folder / f"{scenario.id}.{kind}{f'.{run}' if run > 1 else ''}.json"
                path.write_text(history + "\n", encoding="utf-8")

    async def _nothing_else(self, before: dict[str, int], played: Sequence[Played]) -> None:
        """Every order of the ERP is there once and belongs to a scene or to whoever else orders meanwhile; what belongs to nobody
        is put on the scene that is told last."""
        ours = {order.number for scene in self._scenes for order in await scene.orders()}
        now = await self._outside.all_orders()
        strange = [
            f"{number} {times} times"
            for number, times in now.items()
            if times != 1 or (number not in before.keys() | ours and not await self._asked_by_others(number))
        ]
        if strange and played:
            played[-1].found += f"; orders in the ERP that nobody asked for: {', '.join(sorted(strange))}"

    async def _asked_by_others(self, order: str) -> bool:
        """Whether it has a case, of a requisition that no scene of this playing made."""
        found = await self.doors.look(PAYER, f"/v1/orders/{quote(order, safe='')}")
        requisition = case_parts(str(found.get("parent", "")))[-1] if found else ""
        return bool(requisition) and not any(requisition.startswith(f"{scene.tag}-") for scene in self._scenes)
