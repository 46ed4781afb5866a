"""The door of watched folders: a file is kept whole under its source, name and content, and only then read.

The same name with the same content as the last time is the same file, and its result is put again; with other content it is a
new one. What a checksum contradicts was spoilt on its way: it is kept, refused and listed.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final, Literal, Protocol

import structlog

from canonical.errors import FasciaError, Rejected, Unavailable
from canonical.folders import Arrival, FileSource
from canonical.messages import Kept, NewMessage
from canonical.senders import Sender
from gateway.csv_files import CsvFiles
from gateway.intake import Intake
from gateway.registry import csv_feed

DOOR: Final = "files"
SPOILT: Final = "its .sha256 file says another sum"  # how the reason of such a file begins
Outcome = Literal["archive", "refused", "waits"]

log = structlog.get_logger(__name__)


class Arrivals(Protocol):
    """What came before."""

    async def last(self, sender: str, source: str, name: str) -> Arrival | None:
        """The last file of this name from a source."""
        ...


class FolderDoor:
    """Takes in the files of watched folders, one after the other of each source."""

    def __init__(self, intake: Intake, files: CsvFiles, arrivals: Arrivals) -> None:
        self._intake = intake
        self._journal = intake.journal
        self._files = files
        self._arrivals = arrivals

    async def ready(self, source: FileSource) -> Sender:
        """The sender of a source; nothing of it is touched before this is known.

        Raises:
            Rejected: the source's row is not complete: its sender is no one who may send, or nobody reads such files.
        """
        sender = await self._files.sender(source.sender)
        if sender is None or not sender.active:
            raise Rejected(f"file source {source.code}: sender {source.sender} has no active row", code="configuration")
        if csv_feed(source.feed, sender.code) is None:
            raise Rejected(f"file source {source.code}: nobody reads files of {source.feed}", code="configuration")
        return sender

    async def last(self, source: FileSource, name: str) -> str:
        """The SHA-256 of the last file of this name from a source, in hex; empty where there was none."""
        found = await self._arrivals.last(source.sender, source.code, name)
        return found.hash if found is not None else ""

    async def accept(
        self, source: FileSource, name: str, data: bytes, *, checksum: bytes | None = None, trace: str = ""
    ) -> Outcome:
        """Keep a file and take it where it belongs; says where it goes then. The same again, at any time, changes nothing.

        ``checksum`` is what a file of SHA-256 beside it says. ``waits``: something it needs is away; it stays where it is,
        and so does what came after it.

        Raises:
            Unavailable: our store or the folder of results is away.
        """
        sender = await self.ready(source)
        message = await self._kept(source, sender, name, data, checksum, trace)
        if message.state == "refused" and not message.answer:  # by this door, before its sender was told
            await self._files.refuse(message, sender, message.reason)
        elif message.state in ("received", "validated"):
            try:
                if not await self._intake.route(message):
                    return "waits"
            except FasciaError as away:
                log.warning("file waits", source=source.code, message=message.id, problem=away.message)
                return "waits"
        elif message.answer:
            await self._files.told_again(message)
        stands = await self._journal.read(message.id)
        if stands is None:
            raise Unavailable(f"message {message.id} is not in the journal", system="store")
        if stands.state in ("received", "validated"):
            return "waits"
        return "archive" if stands.state == "routed" else "refused"

    async def _kept(
        self, source: FileSource, sender: Sender, name: str, data: bytes, checksum: bytes | None, trace: str
    ) -> Kept:
        digest = hashlib.sha256(data).hexdigest()
        spoilt = checksum is not None and said_digest(checksum) != digest
        key, known_as = f"file/{source.code}/{name}/{digest}", name
        if spoilt:
            key, known_as = f"{key}/spoilt", f"{name} (spoilt)"
        else:
            last = await self._arrivals.last(sender.code, source.code, name)
            if last is not None:
                key = last.key if last.hash == digest else f"{key}/after {last.id}"
        feed = csv_feed(source.feed, sender.code)
        assert feed is not None
        new = NewMessage(
            door=DOOR,
            data=data,
            sender=sender.code,
            kind=feed.kind,
            control_number=known_as,
            channel=source.code,
            key=key,
            trace=trace,
            priority=sender.priority,
            remember=timedelta(days=sender.duplicates_for),
            refused=f"{SPOILT}: it was spoilt on its way" if spoilt else "",
        )
        return (await self._journal.keep(new)).message

    async def unread(self, source: FileSource, name: str, size: int, why: str) -> None:
        """List a file nobody can take in: a person is told which, where it lies and why; once for a file."""
        reason = f"a file of source {source.code} (its message says which): {why}"
        notice = f"{name} ({size} bytes)".encode()
        key = f"file/{source.code}/{hashlib.sha256(notice).hexdigest()}/unread"
        new = NewMessage(door=DOOR, data=notice, sender=source.sender, kind="file_notice", key=key, channel=source.code)
        kept = await self._journal.keep(new)
        if kept.message.state != "dead":
            sender = await self._files.sender(source.sender)
            await self._intake.dead(kept.message, reason, facility=sender.facility if sender else "")


def said_digest(checksum: bytes) -> str:
    """The sum in a file as sha256sum writes it (``<hex>  <name>``), or with nothing but the sum."""
    return checksum[:200].decode("ascii", "replace").split(maxsplit=1)[0].lower() if checksum.strip() else ""
