"""Routes kept messages once more, by the code that routes them the first time, and writes down what became of each.

What a case has taken it knows by its number, so doing an item twice has the effect of once: whoever was killed in the middle is
followed by somebody who does the rest, and what was not written down again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from canonical.errors import Rejected, Throttled, Unavailable
from canonical.messages import Kept
from canonical.ports import Journal
from canonical.replays import CONFLICT, DONE, NEW, NOT_REPLAYED, UNREADABLE, Preview, ReplayItem, ReplayJob
from gateway.intake import Intake
from gateway.preview import Previewer
from gateway.replay_rules import WAITING
from gateway.routing import Routing
from store.ids import now
from store.replays import Result

STREAMS_AT_ONCE: Final = 16
PAUSE_FIRST, PAUSE_LONGEST = timedelta(seconds=1), timedelta(minutes=1)
AWAY: Final = "what it needs is away: the routing sweep brings it when that is back"


class Replays(Protocol):
    """Jobs, as far as they are done."""

    async def begin(self, message: str, job: ReplayJob) -> None: ...
    async def settle(self, job: ReplayJob, results: Sequence[Result]) -> None: ...
    async def later(self, job: ReplayJob, items: Sequence[ReplayItem], reason: str, again_at: datetime) -> None: ...


class Messages(Protocol):
    """Messages with their bytes, many at once."""

    async def kept(self, names: Sequence[str]) -> Mapping[str, Kept]: ...


class Replayer:
    """Does items of jobs. ``previewer`` makes a fresh one for each lot: it remembers what it saw."""

    def __init__(
        self,
        replays: Replays,
        messages: Messages,
        journal: Journal,
        intake: Intake,
        routing: Routing,
        previewer: Callable[[], Previewer],
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._replays = replays
        self._messages = messages
        self._journal = journal
        self._intake = intake
        self._routing = routing
        self._previewer = previewer
        self._clock = clock

    async def do(self, job: ReplayJob, items: Sequence[ReplayItem]) -> list[Result]:
        """Route the messages of these items, streams side by side and each in its order; gives what is done by now."""
        kept = _as_before(items, await self._messages.kept([one.message for one in items]))
        there = [kept[one.message] for one in items if one.message in kept]
        told = {one.message: one for one in await self._previewer().preview(there)}
        streams: dict[str, list[ReplayItem]] = {}
        for item in items:
            streams.setdefault(item.stream or item.message, []).append(item)
        results: list[Result] = []
        waiting = iter(streams.values())

        async def work() -> None:
            for own in waiting:
                await self._stream(job, own, kept, told, results)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(STREAMS_AT_ONCE, len(streams))):
                    group.create_task(work())
        finally:
            await self._replays.settle(job, results)
        return results

    async def _stream(
        self,
        job: ReplayJob,
        items: Sequence[ReplayItem],
        kept: Mapping[str, Kept],
        told: Mapping[str, Preview],
        results: list[Result],
    ) -> None:
        for place, item in enumerate(items):
            message = kept.get(item.message)
            if message is None:
                results.append(Result(item=item, outcome=NOT_REPLAYED, detail="it is not in the journal any more"))
                continue
            try:
                results.append(await self._one(job, item, message, told[item.message]))
            except (Unavailable, Throttled) as away:
                pause = min(PAUSE_FIRST * 2 ** min(item.attempts, 10), PAUSE_LONGEST)
                if isinstance(away, Throttled):
                    pause = max(pause, timedelta(seconds=away.retry_after))
                await self._replays.later(job, items[place:], away.message, self._clock() + pause)
                return

    async def _one(self, job: ReplayJob, item: ReplayItem, message: Kept, told: Preview) -> Result:
        case = next(iter(told.cases), "")
        settled = told.outcome == DONE and message.state == "routed"
        # A correction that conflicts is refused by its routing: left as it came it would hold its stream with no way to pass it over.
        left = told.outcome == NOT_REPLAYED or (told.outcome == CONFLICT and not _new_version(message))
        if settled or left:
            return Result(item=item, outcome=told.outcome, detail=told.detail, case=case)
        if not message.stream:
            return await self._by_its_door(job, item, message, told)
        move = await self._routing.route(message)
        return Result(
            item=item,
            outcome=_came_of(move.state, told),
            detail=told.detail if move.state == "routed" else move.reason,
            case=move.case or case,
            state=move.state,
            move=move,
            unpark=move.state == "routed" or await self._goes_on(message),
        )

    async def _goes_on(self, message: Kept) -> bool:
        sender = await self._routing.reader.sender(message.sender)
        return sender is not None and sender.on_dead != "park"

    async def _by_its_door(self, job: ReplayJob, item: ReplayItem, message: Kept, told: Preview) -> Result:
        """What is in no stream is marked by the corridor itself."""
        try:
            await self._replays.begin(message.id, job)
        except Rejected as never:
            return Result(item=item, outcome=CONFLICT, detail=never.message)
        await self._intake.route(message)
        after = await self._journal.read(message.id) or message
        state = after.state
        unread = _new_version(message) and told.outcome == UNREADABLE
        if state == "refused" and (
            message.state == "dead" or unread
        ):  # nobody could be told before, and nobody was told now
            await self._journal.mark(message.id, "dead", reason=after.reason)
            state = "dead"
        detail = AWAY if state in WAITING else after.reason
        return Result(item=item, outcome=_came_of(state, told), detail=detail, case=after.case, state=state)


def _as_before(items: Sequence[ReplayItem], kept: Mapping[str, Kept]) -> Mapping[str, Kept]:
    """Messages as they were when they were asked for: who got half-way before us may have left one announced."""
    found = dict(kept)
    for item in items:
        message = found.get(item.message)
        if message is not None and message.state in WAITING and item.before not in WAITING:
            found[item.message] = message.model_copy(update={"state": item.before})
    return found


def _new_version(message: Kept) -> bool:
    return bool(message.version_of) and message.state in WAITING


def _came_of(state: str, told: Preview) -> str:
    if state == "dead":
        return UNREADABLE
    if state == "refused":
        return CONFLICT
    return told.outcome if told.outcome in (NEW, DONE) else NEW
