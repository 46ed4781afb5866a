"""All channels of the register: each sends by itself, side by side, from exactly one worker at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from canonical.errors import FasciaError
from canonical.senders import Channel
from store.channels import StoredChannels
from store.ids import now
from workers.loops.channel_sender import LEASE, Accept, ChannelSender, WayTo

LAST_ANSWERS = 3.0  # seconds a message under way has when we stop
UNFIT_AGAIN = timedelta(
    minutes=1
)  # until a row that could not be used is tried again: its certificate may be there by now

SENT = ("mllp", "fhir")  # the kinds of channels that have a sender

log = structlog.get_logger(__name__)


class Terms(Protocol):
    """The register, as far as channels need it."""

    async def channels(self) -> Sequence[Channel]: ...


class ChannelSenders:
    """The loop: sees which channels have something to send, and keeps the ones that are ours."""

    def __init__(
        self,
        terms: Terms,
        store: StoredChannels,
        way_to: WayTo,
        holder: str,
        *,
        accept: Accept = lambda _: None,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._terms = terms
        self._store = store
        self._holder = holder
        self._clock = clock
        self._way_to = way_to
        self._accept = accept
        self._sleep = sleep
        self._senders: dict[str, ChannelSender] = {}
        self._unfit: dict[str, tuple[Channel, datetime]] = {}  # the row, and when it is tried again
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()

    async def once(self) -> None:
        """One round: new and changed channels, leases renewed, senders begun where something is due."""
        await self._renew()
        await self._terms_as_they_are()
        for held in list(self._senders.values()):
            await held.tell_strays()
        for code in await self._store.due(self._clock()):
            sender = self._senders.get(code)
            if sender is not None and not sender.leaving and code not in self._tasks:
                self._tasks[code] = asyncio.create_task(self._drain(code))

    async def close(self) -> None:
        """End what was begun: an answer that comes soon is still taken; then others may send."""
        self._stop.set()
        if tasks := list(self._tasks.values()):
            _, late = await asyncio.wait(tasks, timeout=LAST_ANSWERS)
            for task in late:  # its connection closes, and the same bytes go again from the next worker
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for sender in self._senders.values():
            await sender.close()

    async def _drain(self, code: str) -> None:
        try:
            await self._senders[code].drain(self._stop)
        except FasciaError as away:
            log.warning("channel waits", channel=code, problem=away.message, system=away.system)
        except Exception:
            log.exception("channel failed", channel=code)
        finally:
            del self._tasks[code]

    async def _renew(self) -> None:
        """Whoever has lost its channel, for being cut off too long, stops at once: another sends from it."""
        held = set(await self._store.renew(self._holder, LEASE))
        for code, sender in list(self._senders.items()):
            if sender.holding and code not in held:
                log.warning("channel lost to another worker", channel=code)
                await self._halt(code)
                await sender.close()

    async def _terms_as_they_are(self) -> None:
        rows = {channel.code: channel for channel in await self._terms.channels() if _ours(channel)}
        for code, sender in list(self._senders.items()):
            if rows.get(code) != sender.channel:
                sender.leaving = True  # the message under way ends first
                if code not in self._tasks:
                    del self._senders[code]
                    await sender.close()
        for code, channel in rows.items():
            if code in self._senders or not self._may_be_tried(channel):
                continue
            try:
                self._senders[code] = ChannelSender(
                    channel,
                    self._store,
                    self._way_to,
                    self._holder,
                    accept=self._accept,
                    clock=self._clock,
                    sleep=self._sleep,
                )
            except FasciaError as wrong:  # a certificate that cannot be read: this channel only
                if self._unfit.get(code, (None,))[0] != channel:  # said once
                    log.error("channel cannot be used", alert=True, channel=code, problem=wrong.message)
                self._unfit[code] = channel, self._clock() + UNFIT_AGAIN
            else:
                self._unfit.pop(code, None)

    def _may_be_tried(self, channel: Channel) -> bool:
        row, again = self._unfit.get(channel.code, (None, None))
        return row != channel or again is None or again <= self._clock()

    async def _halt(self, code: str) -> None:
        task = self._tasks.get(code)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _ours(channel: Channel) -> bool:
    return channel.active and channel.kind in SENT and bool(channel.host and channel.port)
