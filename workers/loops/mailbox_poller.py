"""Looks into every partner's mailbox and takes in what waits there: read, kept, answered, only then moved out of the way.

A file that cannot be read or moved is left, listed for a person and tried again later; it keeps no other file waiting.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from canonical.errors import FasciaError, Rejected, Throttled, Unavailable
from canonical.mailboxes import FAILED, UNFINISHED, Mailbox, MailboxFile
from canonical.parties import Partner
from gateway.files import FilesDoor
from workers import telemetry
from workers.loops.pace import Turn, always

AT_ONCE = 4  # mailboxes; each holds a connection to our own store while it is looked into
LARGEST = 20_000_000  # bytes; a document of a thousand lines has 72,000
AGAIN = timedelta(minutes=5)  # until a file that was left is tried once more: somebody may have mended it
SETTLES: Final = timedelta(
    seconds=10
)  # in which a file that cannot be read to its end must not change to be taken for whole
WHOLE_MAILBOX: Final = ("host-key", "unauthenticated", "configuration")  # what a mailbox refuses us for, not one file

log = structlog.get_logger(__name__)


class Partners(Protocol):
    """Everyone we exchange with."""

    async def partners(self) -> Sequence[Partner]: ...


@dataclass
class _Trouble:
    """What is known of a file that could not be taken in."""

    times: int = 0  # that something was away while it was its turn
    again: datetime | None = None
    seen: str = ""  # hash of its bytes, where they could not be read to their end
    accepted: str = ""  # hash of its bytes, once they are kept: they are not answered again


class MailboxPoller:
    """One round looks into every mailbox at once, so a partner who is away keeps no other waiting."""

    def __init__(
        self,
        partners: Partners,
        mailbox_for: Callable[[Partner], Mailbox],
        door: FilesDoor,
        turn: Turn = always,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._partners = partners
        self._mailbox_for = mailbox_for
        self._door = door
        self._turn = turn
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._away: dict[str, str] = {}
        self._troubles: dict[tuple[str, str, int], _Trouble] = {}  # by partner, name and size

    async def once(self) -> None:
        """Look into every mailbox once."""
        now = self._clock()
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
        waiting = await mailbox.list()
        known = {(partner.code, file.name, file.size) for file in waiting}
        for gone in [key for key in self._troubles if key[0] == partner.code and key not in known]:
            del self._troubles[gone]
        # a file at whose turn something was away goes behind the others: should it be the reason, they are read all the same
        for file in sorted(waiting, key=lambda one: self._trouble(partner, one).times):
            again = self._trouble(partner, file).again
            if again is None or again <= self._clock():
                await self._one(partner, mailbox, file)

    def _trouble(self, partner: Partner, file: MailboxFile) -> _Trouble:
        return self._troubles.get((partner.code, file.name, file.size), _Trouble())

    async def _one(self, partner: Partner, mailbox: Mailbox, file: MailboxFile) -> None:
        """Take one file in, or leave it; raises only what concerns the whole mailbox."""
        key = (partner.code, file.name, file.size)
        trouble = self._troubles.setdefault(key, _Trouble())
        reason = ""
        try:
            if file.size > LARGEST:
                reason = f"a file of {file.size} bytes, more than {LARGEST}"
            else:
                await self._taken(partner, mailbox, file, trouble)
        except (Unavailable, Throttled) as away:
            if away.code == UNFINISHED:
                return
            if away.code != FAILED:
                trouble.times += 1
                raise
            reason = away.message
        except Rejected as refused:
            if refused.code in WHOLE_MAILBOX:
                raise
            if refused.code == "not-found":  # its sender took it back
                return
            reason = refused.message
        except Exception as bug:
            log.exception("file could not be taken in", partner=partner.code)
            reason = f"unexpected {type(bug).__name__}"
        if reason:
            trouble.again = self._clock() + AGAIN
            await self._door.left(partner, file.name, file.size, reason)
        else:
            del self._troubles[key]
            log.info("file taken in", partner=partner.code, size=file.size)

    async def _taken(self, partner: Partner, mailbox: Mailbox, file: MailboxFile, trouble: _Trouble) -> None:
        with telemetry.span("mailbox file") as trace:
            data = await mailbox.read(file.name)
            digest = hashlib.sha256(data).hexdigest()
            if trouble.accepted != digest:
                if trouble.seen != digest and not await self._door.is_whole(data):
                    trouble.seen, trouble.again = digest, self._clock() + SETTLES
                    raise Unavailable("a file may still be on its way", code=UNFINISHED, system="supplier")
                await self._accepted(partner, file.name, data, trace)
                trouble.accepted = digest
            await mailbox.take(file.name)

    async def _accepted(self, partner: Partner, name: str, data: bytes, trace: str) -> None:
        """A mailbox that could not take our answer is away; that is not the fault of the file it answers."""
        try:
            await self._door.accept(partner, name, data, trace)
        except Unavailable as away:
            raise Unavailable(away.message, system=away.system) from away
