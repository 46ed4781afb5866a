"""Watches folders for senders' files: what is whole is claimed by one move, kept, taken, and only then archived.

A source is one process's at a time, by a lock in our store; what a killed one had claimed lies in the claimed folder, and the next
one begins with that. Nothing is deleted: a file ends in the archive or among the refused ones, by the day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import Final, Protocol

import structlog

from canonical.errors import FasciaError, Rejected
from canonical.folders import UNFINISHED, FileSource, Folder, FolderFile
from gateway.csv_results import ENDING
from gateway.folders import FolderDoor
from workers import telemetry
from workers.loops.pace import Turn, always

AT_ONCE: Final = 4  # sources; each holds a connection to our own store while it is looked into
CHECKSUM: Final = ".sha256"

log = structlog.get_logger(__name__)


class Sources(Protocol):
    """The folders that are watched."""

    async def file_sources(self) -> Sequence[FileSource]: ...


class FolderWatch:
    """One round looks into every source at once, so one that is away keeps no other waiting."""

    def __init__(
        self,
        sources: Sources,
        folder_for: Callable[[FileSource], Folder],
        door: FolderDoor,
        turn: Turn = always,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._sources = sources
        self._folder_for = folder_for
        self._door = door
        self._turn = turn
        self._clock = clock
        self._today = today
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._seen: dict[tuple[str, str], tuple[int, float, float]] = {}  # size, time, and since when by our clock
        self._away: dict[str, str] = {}
        self._passed_over: set[str] = set()

    async def once(self) -> None:
        """Look into every source once."""
        sources = [one for one in await self._sources.file_sources() if one.active]
        await asyncio.gather(*(self._look(source) for source in sources))

    async def _look(self, source: FileSource) -> None:
        try:
            async with self._slots, self._turn(f"file source/{source.code}") as mine:
                if mine:
                    await self._take_in(source, self._folder_for(source))
        except FasciaError as away:
            if self._away.get(source.code) != away.message:  # said once, not every two seconds
                log.warning("file source not read", source=source.code, problem=away.message)
            self._away[source.code] = away.message
        except Exception:
            log.exception("file source not read", source=source.code)
        else:
            if self._away.pop(source.code, ""):
                log.info("file source is back", source=source.code)

    async def _take_in(self, source: FileSource, folder: Folder) -> None:
        await self._door.ready(source)
        for left in await folder.list(source.claimed):  # by a process that ended, or it waited for something
            if not await self._take(source, folder, left.name):
                return
        waiting = await folder.list()
        names = {one.name for one in waiting}
        self._forget(source, names)
        for file in waiting:
            if not _is_one(source, file.name):
                continue
            if not file.named:
                await self._pass_over(source, file, "its name is not UTF-8: rename it")
            elif file.size > source.largest:
                why = f"its {file.size} bytes are more than {source.largest}: it is left where it is"
                await self._pass_over(source, file, why)
            elif self._is_whole(source, file, names) and await folder.move(file.name, "", source.claimed, exactly=True):
                self._seen.pop((source.code, file.name), None)
                if not await self._take(source, folder, file.name):
                    return

    def _is_whole(self, source: FileSource, file: FolderFile, names: set[str]) -> bool:
        if source.checksum == "required" and file.name + CHECKSUM not in names:
            return False
        if source.complete == "marker":
            return file.name + source.marker in names
        if source.complete == "rename":
            return True
        now, key = self._clock(), (source.code, file.name)
        size, modified, since = self._seen.get(key, (-1, 0.0, now))
        if (size, modified) != (file.size, file.modified):
            self._seen[key] = (file.size, file.modified, now)
            return False
        return now - since >= source.stable_for

    def _forget(self, source: FileSource, names: set[str]) -> None:
        gone = [key for key in self._seen if key[0] == source.code and key[1] not in names]
        for key in gone:
            del self._seen[key]

    async def _take(self, source: FileSource, folder: Folder, name: str) -> bool:
        """Take in a claimed file; False where it waits, and so must what came after it."""
        with telemetry.span("watched file") as trace:
            try:
                data = await folder.read(name, source.claimed)
            except Rejected as wrong:
                if wrong.code != "not-found":  # else another one was quicker
                    await self._door.unread(source, name, 0, f"it lies in {source.refused}: {wrong.message}")
                    await folder.move(name, source.claimed, f"{source.refused}/{self._today().isoformat()}")
                return True
            outcome = await self._door.accept(
                source, name, data, checksum=await _beside(folder, name + CHECKSUM), trace=trace
            )
        if outcome == "waits":
            log.warning("file waits where it was claimed", source=source.code, size=len(data))
            return False
        to = f"{source.archive if outcome == 'archive' else source.refused}/{self._today().isoformat()}"
        await folder.move(name, source.claimed, to)
        for companion in (name + CHECKSUM, name + source.marker):
            await folder.move(companion, "", to)
        log.info("file taken in", source=source.code, size=len(data), to=to)
        return True

    async def _pass_over(self, source: FileSource, file: FolderFile, why: str) -> None:
        """List a file that stays where it is, once."""
        key = f"{source.code}/{file.name}/{file.size}"
        if key not in self._passed_over:
            await self._door.unread(source, file.name, file.size, why)
            self._passed_over.add(key)
            log.error("file left where it is", alert=True, source=source.code, size=file.size)


class FolderResults:
    """Where senders look for what became of their files: the folder of results of their source."""

    def __init__(self, sources: Sources, folder_for: Callable[[FileSource], Folder]) -> None:
        self._sources = sources
        self._folder_for = folder_for

    async def put(self, source: str, name: str, data: bytes) -> None:
        """Put a result where the source's row says.

        Raises:
            Unavailable: the folder is away.
            Rejected: it does not let us, or the source has no row any more.
        """
        found = await self._source(source)
        await self._folder_for(found).put(name, data, found.results)

    async def bad_rows(self, source: str) -> str | None:
        """What the source's row says of bad rows, where it says anything."""
        try:
            return (await self._source(source)).bad_rows
        except Rejected:
            return None

    async def _source(self, code: str) -> FileSource:
        for one in await self._sources.file_sources():
            if one.code == code:
                return one
        raise Rejected(f"file source {code} has no row in the register", code="configuration")


def _is_one(source: FileSource, name: str) -> bool:
    """Whether it is a file of the source's: no result of ours, nothing that only goes with another, nothing unfinished."""
    if name.endswith((*UNFINISHED, ENDING, CHECKSUM, source.marker)):
        return False
    return fnmatchcase(name, source.pattern)


async def _beside(folder: Folder, name: str) -> bytes | None:
    """What stands in a file that goes with another; None where there is none."""
    try:
        return await folder.read(name)
    except Rejected as missing:
        if missing.code != "not-found":
            raise
        return None
