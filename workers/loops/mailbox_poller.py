"""Looks into every partner's mailbox and takes in what waits there: read, kept, answered, only then moved out of the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog

from canonical.errors import FasciaError
from canonical.parties import Partner
from canonical.ports import Mailbox
from gateway.files import FilesDoor
from workers import telemetry
from workers.loops.pace import Turn, always

AT_ONCE = 4  # mailboxes; each holds a connection to our own store while it is looked into
LARGEST = 20_000_000  # bytes; a document of a thousand lines has 72,000

log = structlog.get_logger(__name__)


class Partners(Protocol):
    """Everyone we exchange with."""

    async def partners(self) -> Sequence[Partner]: ...


class MailboxPoller:
    """One round looks into every mailbox at once, so a partner who is away keeps no other waiting."""

    def __init__(
        self,
        partners: Partners,
        mailbox_for: Callable[[Partner], Mailbox],
        door: FilesDoor,
        turn: Turn = always,
    ) -> None:
        self._partners = partners
        self._mailbox_for = mailbox_for
        self._door = door
        self._turn = turn
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._away: dict[str, str] = {}
        self._passed_over: set[str] = set()

    async def once(self) -> None:
        """Look into every mailbox once."""
        now = datetime.now(UTC)
        known = await self._partners.partners()
        partners = [one for one in known if one.active and one.mailbox_host and one.window.is_open(now)]
        await asyncio.gather(*(self._look(partner) for partner in partners))

    async def _look(self, partner: Partner) -> None:
        try:
            async with self._slots, self._turn(f"mailbox/{partner.code}") as mine:
                if mine:
                    await self._take_in(partner)
        except FasciaError as away:
            if self._away.get(partner.code) != away.message:  # said once, not every two seconds
                log.warning("mailbox not read", partner=partner.code, problem=away.message)
            self._away[partner.code] = away.message
        except Exception:
            log.exception("mailbox not read", partner=partner.code)
        else:
            if self._away.pop(partner.code, ""):
                log.info("mailbox is back", partner=partner.code)

    async def _take_in(self, partner: Partner) -> None:
        mailbox = self._mailbox_for(partner)
        for file in await mailbox.list():
            if file.size > LARGEST:
                await self._too_large(partner, file.name, file.size)
                continue
            with telemetry.span("mailbox file") as trace:
                await self._door.accept(partner, file.name, await mailbox.read(file.name), trace)
                await mailbox.take(file.name)
            log.info("file taken in", partner=partner.code, size=file.size)

    async def _too_large(self, partner: Partner, name: str, size: int) -> None:
        key = f"{partner.code}/{name}/{size}"
        if key not in self._passed_over:
            await self._door.refuse(partner, name, size, LARGEST)
            self._passed_over.add(key)
            log.error("file too large, left where it is", alert=True, partner=partner.code, size=size, limit=LARGEST)
