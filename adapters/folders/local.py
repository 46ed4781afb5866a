"""A watched folder of this machine: files are moved in one step and written whole, and no link leads out of it."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Final, TypeVar

from canonical.errors import FasciaError, Rejected, Unavailable
from canonical.folders import FileSource, FolderFile
from canonical.mailboxes import UNFINISHED

SYSTEM: Final = "files"
MOST_OF_ONE_NAME: Final = 10_000
RENAME_NOREPLACE: Final = 1  # linux/fs.h
NOT_HERE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
Found = TypeVar("Found")


class LocalFolder:
    """The folders of a source on this machine. Every call goes to a thread: a network file system may take its time."""

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._path = source.path

    async def list(self, folder: str = "") -> Sequence[FolderFile]:
        """Its files, oldest first."""

        def look() -> list[FolderFile]:
            found = []
            try:
                with self._opened(folder) as place, os.scandir(place) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue
                        try:
                            seen = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue
                        if stat.S_ISREG(seen.st_mode):
                            found.append(FolderFile.of(entry.name, seen.st_size, seen.st_mtime))
            except FileNotFoundError:
                if not folder:
                    raise
            return sorted(found, key=lambda one: (one.modified, one.name))

        return await self._done(look)

    async def read(self, name: str, folder: str = "") -> bytes:
        """A file's bytes; not while somebody writes it."""

        def read() -> bytes:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe put in its place would never be opened
            with self._opened(folder) as place, os.fdopen(os.open(_name(name), flags, dir_fd=place), "rb") as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    raise Rejected("that is no file", code="data-invalid", system=SYSTEM)
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
            first = _name(under or name)
            with self._opened(folder) as source, self._opened(to, made=True) as place:
                for number in range(1 if exactly else MOST_OF_ONE_NAME):
                    target = f"{first}.{number}" if number else first
                    try:
                        return target if _move(source, _name(name), place, target) else ""
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
            final, unfinished = _name(name), f".{name}.tmp"
            with self._opened(folder, made=True) as place:
                with suppress(FileNotFoundError):
                    os.unlink(unfinished, dir_fd=place)  # a link that lies there must not be written through
                handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=place)
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(unfinished, final, src_dir_fd=place, dst_dir_fd=place)

        await self._done(put)

    async def close(self) -> None:
        """Nothing is held."""

    @contextmanager
    def _opened(self, folder: str, *, made: bool = False) -> Iterator[int]:
        """A handle on one of its folders; ``made`` where it is not there.

        Each step is a folder and no link: whoever may write into a watched folder could name any other of this machine by one,
        and have us read, move or write what lies there. By the handle that stays so while we work.
        """
        handle = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in PurePosixPath(folder).parts:
                if made:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=handle)
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    async def _done(self, work: Callable[[], Found]) -> Found:
        try:
            return await asyncio.to_thread(work)
        except OSError as failed:
            raise _told(failed, self._source.code) from failed


def _name(name: str) -> str:
    if not name or "/" in name or "\x00" in name or name in (".", ".."):
        raise Rejected("that is not a file's name", code="data-invalid", system=SYSTEM)
    return name


def _move(source: int, name: str, place: int, target: str) -> bool:
    """Rename in one step and over nothing: whoever puts a new file under the old name meanwhile loses none."""
    try:
        if not _renamed_over_nothing(source, name, place, target):
            if target in os.listdir(place):  # of us, only one works on a source at a time
                raise FileExistsError(errno.EEXIST, "it is there already", target)
            os.rename(name, target, src_dir_fd=source, dst_dir_fd=place)
    except FileNotFoundError:
        return False
    return True


def _renamed_over_nothing(source: int, name: str, place: int, target: str) -> bool:
    """renameat2(2) with RENAME_NOREPLACE; False where this system or file system has no such thing."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(source, os.fsencode(name), place, os.fsencode(target), RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NOT_HERE:
        return False
    raise OSError(number, os.strerror(number), name)


def _told(failed: OSError, code: str) -> FasciaError:
    """A failure of the file system in our words."""
    if isinstance(failed, FileNotFoundError):
        return Rejected(f"file source {code} has no such file or folder", code="not-found", system=SYSTEM)
    if failed.errno in (errno.ENOTDIR, errno.ELOOP):
        why = f"where file source {code} should have a folder or file of its own lies a link or something else"
        return Rejected(why, code="forbidden", system=SYSTEM)
    if failed.errno == errno.ENAMETOOLONG:
        return Rejected(f"file source {code} takes no name as long as this", code="data-invalid", system=SYSTEM)
    if isinstance(failed, PermissionError):
        return Rejected(f"file source {code} does not let us do this", code="forbidden", system=SYSTEM)
    return Unavailable(
        f"file source {code} does not answer ({failed.strerror or type(failed).__name__})", system=SYSTEM
    )
