"""A watched folder of this machine: files are moved in one step and written whole, and no link leads out of it."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from canonical.errors import FasciaError, Rejected, Unavailable
from canonical.folders import FileSource, FolderFile
from canonical.mailboxes import UNFINISHED

SYSTEM: Final = "files"
MOST_OF_ONE_NAME: Final = 10_000
AT_FDCWD: Final = -100  # linux/fcntl.h
RENAME_NOREPLACE: Final = 1  # linux/fs.h
NOT_HERE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
Found = TypeVar("Found")


class LocalFolder:
    """The folders of a source on this machine. Every call goes to a thread: a network file system may take its time."""

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._path = Path(source.path)

    async def list(self, folder: str = "") -> Sequence[FolderFile]:
        """Its files, oldest first."""

        def look() -> list[FolderFile]:
            found = []
            place = self._folder(folder)
            if folder and not place.exists():
                return []
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    try:
                        seen = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISREG(seen.st_mode):
                        found.append(FolderFile.of(entry.name, seen.st_size, seen.st_mtime))
            return sorted(found, key=lambda one: (one.modified, one.name))

        return await self._done(look)

    async def read(self, name: str, folder: str = "") -> bytes:
        """A file's bytes; not while somebody writes it."""

        def read() -> bytes:
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
            with os.fdopen(os.open(self._file(name, folder), flags), "rb") as file:
                before = os.fstat(file.fileno())
                if before.st_size > self._source.largest:
                    raise Rejected(f"it is larger than {self._source.largest} bytes", code="too-large", system=SYSTEM)
                data = file.read()
                after = os.fstat(file.fileno())
            if len(data) != after.st_size or before.st_mtime_ns != after.st_mtime_ns:
                why = f"a file of source {self._source.code} is still being written"
                raise Unavailable(why, code=UNFINISHED, system=SYSTEM)
            return data

        return await self._done(read)

    async def move(self, name: str, folder: str, to: str, *, exactly: bool = False, under: str = "") -> str:
        """Move a file in one step, over nothing."""

        def move() -> str:
            source, first = self._file(name, folder), self._file(under or name, to)
            first.parent.mkdir(parents=True, exist_ok=True)
            for number in range(1 if exactly else MOST_OF_ONE_NAME):
                target = first.with_name(f"{first.name}.{number}") if number else first
                try:
                    return target.name if _move(source, target) else ""
                except FileExistsError:
                    continue
            if exactly:
                return ""
            why = f"a name lies in {to} of file source {self._source.code} {MOST_OF_ONE_NAME} times"
            raise Rejected(why, code="data-invalid", system=SYSTEM)

        return await self._done(move)

    async def put(self, name: str, data: bytes, folder: str) -> None:
        """Write a file whole or not at all."""

        def put() -> None:
            place = self._folder(folder)
            place.mkdir(parents=True, exist_ok=True)
            unfinished = place / f".{name}.tmp"
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._file(name, folder))

        await self._done(put)

    async def close(self) -> None:
        """Nothing is held."""

    def _folder(self, folder: str) -> Path:
        return self._path / folder if folder else self._path

    def _file(self, name: str, folder: str) -> Path:
        if not name or "/" in name or "\x00" in name or name in (".", ".."):
            raise Rejected("that is not a file's name", code="data-invalid", system=SYSTEM)
        return self._folder(folder) / name

    async def _done(self, work: Callable[[], Found]) -> Found:
        try:
            return await asyncio.to_thread(work)
        except OSError as failed:
            raise _told(failed, self._source.code) from failed


def _move(source: Path, target: Path) -> bool:
    """Rename in one step and over nothing: whoever puts a new file under the old name meanwhile loses none."""
    try:
        if not _renamed_over_nothing(source, target):
            if target.exists():  # of us, only one works on a source at a time
                raise FileExistsError(errno.EEXIST, "it is there already", str(target))
            source.rename(target)
    except FileNotFoundError:
        return False
    return True


def _renamed_over_nothing(source: Path, target: Path) -> bool:
    """renameat2(2) with RENAME_NOREPLACE; False where this system or file system has no such thing."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NOT_HERE:
        return False
    raise OSError(number, os.strerror(number), str(source))


def _told(failed: OSError, code: str) -> FasciaError:
    """A failure of the file system in our words."""
    if isinstance(failed, FileNotFoundError):
        return Rejected(f"file source {code} has no such file or folder", code="not-found", system=SYSTEM)
    if failed.errno == errno.ENAMETOOLONG:
        return Rejected(f"file source {code} takes no name as long as this", code="data-invalid", system=SYSTEM)
    if isinstance(failed, PermissionError):
        return Rejected(f"file source {code} does not let us do this", code="forbidden", system=SYSTEM)
    return Unavailable(
        f"file source {code} does not answer ({failed.strerror or type(failed).__name__})", system=SYSTEM
    )
