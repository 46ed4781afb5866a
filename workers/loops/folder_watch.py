"""Watches folders for senders' files: what is whole is claimed by one move, kept, taken, and only then archived.

A source is one process's at a time, by a lock in our store; what a killed one had claimed lies in the claimed folder, and the next
one begins with that. Nothing is deleted: a file ends in the archive or among the refused ones, by the day, with what goes with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import Final, Protocol

import structlog

from canonical.errors import FasciaError, Rejected, Unavailable
from canonical.folders import UNFINISHED as UNFINISHED_NAMES
from canonical.folders import FileSource, Folder, FolderFile
from canonical.mailboxes import UNFINISHED
from gateway.csv_results import ENDING
from gateway.folders import FolderDoor, said_digest
from workers import telemetry
from workers.loops.folder_claims import (
    CHECKSUM,
    Claim,
    FolderClaims,
    beside,
    claimed_companion,
    goes_with,
    lacking,
    read_beside,
    token_of,
)
from workers.loops.pace import Turn, always

AT_ONCE: Final = 4  # sources; each holds a connection to our own store while it is looked into

LOOKED: Final = 10.0  # seconds between two signs that a source was looked into
MARK: Final = "file source/"  # how the names of these signs begin

log = structlog.get_logger(__name__)


async def _nobody_asks(name: str) -> None:
    """For who is alone."""


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
        looked: Callable[[str], Awaitable[None]] = _nobody_asks,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._sources = sources
        self._folder_for = folder_for
        self._door = door
        self._turn = turn
        self._looked = looked
        self._said: dict[str, float] = {}  # when it was last said that a source was looked into
        self._clock = clock
        self._today = today
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._seen: dict[tuple[str, str], tuple[int, float, float]] = {}  # size, time, and since when by our clock
        self._since: dict[tuple[str, str, str], float] = {}  # what waits for what, by our clock
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
                    await self._say_looked(source)
        except FasciaError as away:
            if self._away.get(source.code) != away.message:  # said once, not every two seconds
                log.warning("file source not read", source=source.code, problem=away.message)
            self._away[source.code] = away.message
        except Exception:
            log.exception("file source not read", source=source.code)
        else:
            if self._away.pop(source.code, ""):
                log.info("file source is back", source=source.code)

    async def _say_looked(self, source: FileSource) -> None:
        now = self._clock()
        if now - self._said.get(source.code, -LOOKED) >= LOOKED:
            await self._looked(f"{MARK}{source.code}")
            self._said[source.code] = now

    async def _take_in(self, source: FileSource, folder: Folder) -> None:
        await self._door.ready(source)
        claims = FolderClaims(source, folder, self._today())
        waiting = await _lying(folder)
        left, orphans = await claims.left(waiting)
        for one in orphans:
            why = f"its file was exchanged or taken back before we had it: it lies in {source.refused}"
            await self._door.unread(source, f"{one.of}{one.suffix}", 0, why)
            await claims.aside(one.name, source.claimed, f"{one.of}{one.suffix}")
        for claim in left:  # by a process that ended, or it waited for something
            if not await self._take(source, folder, claims, await claims.late(claim, waiting)):
                return
        if left or orphans:
            waiting = await _lying(folder)
        self._forget(source, waiting)
        for file in waiting.values():
            with_what = goes_with(source, file.name)
            if with_what is not None and _is_one(source, with_what[0]):
                if with_what[0] not in waiting:
                    await self._alone(source, folder, claims, file, *with_what)
            elif _is_one(source, file.name) and await self._ready(source, folder, file, waiting):
                claimed = await self._claimed(source, claims, file, beside(source, file.name, waiting))
                if claimed is None:
                    continue
                self._seen.pop((source.code, file.name), None)
                if not await self._take(source, folder, claims, claimed):
                    return

    async def _claimed(
        self, source: FileSource, claims: FolderClaims, file: FolderFile, there: Mapping[str, FolderFile]
    ) -> Claim | None:
        try:
            return await claims.claim(file, there)
        except Rejected as never:
            if never.code != "data-invalid":
                raise
            await self._pass_over(
                source, file, f"{never.message}: it is left where it is"
            )  # and keeps no other waiting
            return None

    async def _ready(
        self, source: FileSource, folder: Folder, file: FolderFile, waiting: Mapping[str, FolderFile]
    ) -> bool:
        """Whether a file is to be claimed now. One that never is as it lies there is listed."""
        there = beside(source, file.name, waiting)
        if not file.named:
            await self._pass_over(source, file, "its name is not UTF-8: rename it")
        elif claimed_companion(source, file.name) is not None:
            await self._pass_over(source, file, "names like this one are ours: rename it")
        elif file.size > source.largest:
            why = f"its {file.size} bytes are more than {source.largest}: it is left where it is"
            await self._pass_over(source, file, why)
        elif missing := lacking(source, there):
            if self._waited(source, file.name, missing) >= source.companions_within:
                why = f"its {missing} has not come within {source.companions_within} s: it is left where it is"
                await self._pass_over(source, file, why)
        elif self._is_whole(source, file, there.get(source.marker)):
            return not await self._doubtful(source, folder, file, there.get(CHECKSUM))
        return False

    def _is_whole(self, source: FileSource, file: FolderFile, marker: FolderFile | None) -> bool:
        if source.complete == "rename":
            return True
        if source.complete == "marker" and marker is not None and marker.modified >= file.modified:
            return True  # an older one was put for what the file was before
        now, key = self._clock(), (source.code, file.name)
        size, modified, since = self._seen.get(key, (-1, 0.0, now))
        if (size, modified) != (file.size, file.modified):
            self._seen[key] = (file.size, file.modified, now)
            return False
        return now - since >= source.stable_for

    async def _doubtful(
        self, source: FileSource, folder: Folder, file: FolderFile, checksum: FolderFile | None
    ) -> bool:
        """Whether the sum beside a file may be that of one before it: its own may come yet, and is waited for.

        It is not the file's, and it is the sum of the last one of that name or was written before this file.
        """
        if checksum is None:
            return False
        about = f"{token_of(file)} {token_of(checksum)}"
        if (source.code, file.name, about) not in self._since:
            last = await self._door.last(source, file.name)
            said = said_digest(await read_beside(folder, checksum.name) or b"")
            if said != last and checksum.modified >= file.modified:
                return False
            try:
                if hashlib.sha256(await read_beside(folder, file.name) or b"").hexdigest() == said:
                    return False
            except Unavailable as away:
                if away.code != UNFINISHED:
                    raise
                return True
        return self._waited(source, file.name, about) < source.companions_within

    async def _alone(
        self, source: FileSource, folder: Folder, claims: FolderClaims, one: FolderFile, of: str, suffix: str
    ) -> None:
        """Something that goes with a file which is not there: it may come yet, or was taken before this came."""
        if self._waited(source, of, f"alone {one.name} {token_of(one)}") < source.companions_within:
            return
        last, why = await self._door.last(source, of), "its file has not come"
        if last and suffix == CHECKSUM:
            if said_digest(await read_beside(folder, one.name) or b"") == last:
                await claims.archive_late(one.name, of, suffix)
                return
            why += ", and the last one of that name has another sum: that one may have been spoilt on its way"
        elif last and source.complete != "marker":
            await claims.archive_late(one.name, of, suffix)
            return
        why = f"{why} within {source.companions_within} s: it lies in {source.refused}"
        await self._pass_over(source, one, why)
        await claims.aside(one.name)

    def _waited(self, source: FileSource, name: str, what: str) -> float:
        """Seconds by our clock since this was so for the first time."""
        now = self._clock()
        return now - self._since.setdefault((source.code, name, what), now)

    def _forget(self, source: FileSource, waiting: Mapping[str, FolderFile]) -> None:
        for key in [key for key in self._seen if key[0] == source.code and key[1] not in waiting]:
            del self._seen[key]
        there = {*waiting, *(found[0] for name in waiting if (found := goes_with(source, name)) is not None)}
        for waits in [key for key in self._since if key[0] == source.code and key[1] not in there]:
            del self._since[waits]

    async def _take(self, source: FileSource, folder: Folder, claims: FolderClaims, claim: Claim) -> bool:
        """Take in a claimed file; False where it waits, and so must what came after it."""
        name, refused = claim.name, f"{source.refused}/{self._today().isoformat()}"
        if missing := lacking(source, claim.companions):
            if not await claims.give_back(claim):
                why = f"its {missing} is not there, and another file of its name is: it lies in {source.refused}"
                await self._door.unread(source, name, claim.file.size, why)
                await claims.archive(Claim(claim.file), refused)
            return True
        with telemetry.span("watched file") as trace:
            try:
                data = await folder.read(name, source.claimed)
            except Rejected as wrong:
                if wrong.code != "not-found":  # else another one was quicker
                    await self._door.unread(source, name, 0, f"it lies in {source.refused}: {wrong.message}")
                    await claims.archive(claim, refused)
                return True
            beside_it = claim.companions.get(CHECKSUM)
            checksum = await read_beside(folder, beside_it, source.claimed) if beside_it else None
            outcome = await self._door.accept(source, name, data, checksum=checksum, trace=trace)
        if outcome == "waits":
            log.warning("file waits where it was claimed", source=source.code, size=len(data))
            return False
        to = f"{source.archive}/{self._today().isoformat()}" if outcome == "archive" else refused
        await claims.archive(claim, to)
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
    if name.endswith((*UNFINISHED_NAMES, ENDING, CHECKSUM, source.marker)):
        return False
    return fnmatchcase(name, source.pattern)


async def _lying(folder: Folder) -> dict[str, FolderFile]:
    """What lies in the watched folder, oldest first."""
    return {one.name: one for one in await folder.list()}
