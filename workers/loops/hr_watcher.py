"""Watches an HR system that tells nobody: each change in it is kept as a message, and goes where every door's HR events go.

What changed is asked for again with an overlap; the journal knows what it has seen, by the HR system's person and state. Who was not
seen before, or begins anew after an end, is hired; the HR system's own word for that is only that there is such a record. Where an
end is gone that was said before, the employment goes on. While it cannot be read, that is noted for people to see.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import structlog

from canonical.errors import Rejected, Throttled, Unavailable
from canonical.hr_ports import HrAway, HrChanges, HrSaid, HrSystem, NotRead
from canonical.messages import Kept, NewMessage
from canonical.ports import Journal
from canonical.senders import Sender
from gateway.directory import Directory
from workers import telemetry
from workers.loops.erp_watcher import Marks

DOOR: Final = "hr"
KIND: Final = "hr_event"  # read by the feed of events by REST: the sender's tables count here as there
OVERLAP: Final = timedelta(seconds=60)
EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)  # the first question is for everybody
REMEMBERED: Final = 20_000
UNHEARD: Final = ("dead", "skipped")

log = structlog.get_logger(__name__)


class HrWatcher:
    """One round asks what changed, keeps each change, and only then moves the mark on."""

    def __init__(
        self,
        sender: str,
        hr: HrSystem,
        journal: Journal,
        directory: Directory,
        marks: Marks,
        away: HrAway,
        shown: Callable[[str], str] = lambda text: hashlib.sha256(text.encode()).hexdigest()[:32],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sender = sender
        self._hr = hr
        self._journal = journal
        self._directory = directory
        self._marks = marks
        self._away, self._alone = away, False
        self._noted = True  # that it is away; perhaps by who ran before us
        self._shown = shown
        self._clock = clock
        self._seen: dict[str, None] = {}

    async def once(self) -> None:
        """Ask what changed since last time."""
        await self._directory.refresh()
        if not self._alone:  # another may have been asked before we were started
            await self._away.only(self._sender)
            self._alone = True
        sender = self._directory.sender(self._sender)
        if sender is None or not sender.active or not sender.takes(KIND):
            log.warning("HR system is not asked: its sender has no row that takes its events", sender=self._sender)
            await self._over(self._sender)
            return
        name = f"hr/{sender.code}"
        since = await self._marks.mark(name)
        changes = await self._changes(sender, (since - OVERLAP) if since is not None else EVER)
        for said in sorted(changes.said, key=lambda one: (one.said_at, one.number)):
            await self._take_in(sender, said)
        if since is None or changes.until > since:
            await self._marks.set_mark(name, changes.until)

    async def _changes(self, sender: Sender, since: datetime) -> HrChanges:
        """What it says. That it says nothing we can use is noted, and the failure goes on to who runs the round."""
        try:
            changes = await self._hr.changes_since(since)
        except Exception as failed:
            self._noted = True
            await self._away.noted(sender.code, _why(failed), sender.owner, self._clock())
            raise
        await self._over(sender.code)
        return changes

    async def _over(self, sender: str) -> None:
        if self._noted:
            await self._away.over(sender)
            self._noted = False

    async def _take_in(self, sender: Sender, said: HrSaid) -> None:
        about = f"hr/{sender.code}/{self._shown(said.person)}/"
        key = f"{about}{said.number}"
        if key in self._seen:
            return
        before = await self._journal.kept_under(about)
        if not any(one.key == key for one in before):
            data = json.dumps(_event(said, before), ensure_ascii=False).encode()
            with telemetry.span("hr change") as trace:
                await self._journal.keep(
                    NewMessage(
                        door=DOOR,
                        data=data,
                        partner=sender.code,
                        sender=sender.code,
                        kind=KIND,
                        key=key,
                        control_number=said.number,
                        stream=f"hr/{sender.code}/{self._shown(key)}",  # what it says has its own order: none waits for another
                        priority=sender.priority_of(KIND),
                        trace=trace,
                        occurred=said.said_at,
                        remember=timedelta(days=sender.keep_for),
                    )
                )
        self._seen[key] = None
        while len(self._seen) > REMEMBERED:
            self._seen.pop(next(iter(self._seen)))


def _why(failed: Exception) -> NotRead:
    """Why it could not be read, as a code: its own words may name somebody."""
    if isinstance(failed, Throttled):
        return "busy"
    if isinstance(failed, Unavailable):
        return "silent"
    return "refuses" if isinstance(failed, Rejected) else "unreadable"


def _event(said: HrSaid, before: Sequence[Kept]) -> dict[str, Any]:
    """The event as a system with a door of its own would send it."""
    kind: str = said.kind
    effective = said.effective
    if kind == "update":
        last = _last(before)
        ended = date.fromisoformat(last["effective"]) if last is not None and last["kind"] == "terminate" else None
        if last is None or (ended is not None and said.starts is not None and said.starts > ended):
            kind, effective = "hire", said.starts or said.effective
        elif ended is not None:  # the employment goes on: its end was taken away again
            kind, effective = "activate", min(said.effective, ended)
    return {
        "person": said.person,
        "kind": kind,
        "effective": effective.isoformat(),
        "said_at": said.said_at.isoformat(),
        "record": said.record,
        "position": said.position,
    }


def _last(before: Sequence[Kept]) -> dict[str, Any] | None:
    """What was said of somebody last; None where nothing was. What could not be read was heard by nobody: whose hire it was is hired
    by what mends it."""
    told: list[dict[str, Any]] = [json.loads(one.data) for one in before if one.state not in UNHEARD]
    return max(told, key=lambda one: str(one["said_at"]), default=None)
