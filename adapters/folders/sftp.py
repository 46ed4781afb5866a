"""A watched folder over SFTP: what a sender puts there for us, and the results it fetches. A file is moved once, over nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import asyncssh

from adapters.sftp_session import SftpAddress, SftpSession, path_of
from canonical.errors import Rejected
from canonical.folders import FileSource, FolderFile

SYSTEM: Final = "files"
MOST_OF_ONE_NAME: Final = 1000
TAKEN_ALREADY: Final = (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists)  # version 3 has no word of its own for it


class SftpFolder:
    """The folders of a source on its own machine."""

    def __init__(self, source: FileSource, *, keys: Path | None = None, timeout: float = 30.0) -> None:
        self._source = source
        address = SftpAddress(
            who=f"file source {source.code}",
            host=source.host,
            port=source.port,
            user=source.user,
            key_file=source.key_file,
            host_key=source.host_key,
            system=SYSTEM,
        )
        self._session = SftpSession(address, keys=keys, timeout=timeout)

    async def list(self, folder: str = "") -> Sequence[FolderFile]:
        """Its files, oldest first."""
        place = self._folder(folder)
        async with self._session.client() as client:
            if folder and not await client.exists(place):
                return []
            found = await client.readdir(place)
        files = [
            FolderFile.of(str(one.filename), one.attrs.size or 0, one.attrs.mtime or 0)
            for one in found
            if not str(one.filename).startswith(".") and one.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR
        ]
        return sorted(files, key=lambda one: (one.modified, one.name))

    async def read(self, name: str, folder: str = "") -> bytes:
        """A file's bytes; not while somebody writes it."""
        return await self._session.read(self._folder(folder), name, self._source.largest)

    async def move(self, name: str, folder: str, to: str, *, exactly: bool = False, under: str = "") -> str:
        """Move a file by one rename."""
        source = path_of(self._folder(folder), name, SYSTEM)
        first = path_of(self._folder(to), under or name, SYSTEM)
        async with self._session.client() as client:
            await client.makedirs(posixpath.dirname(first), exist_ok=True)
            for number in range(1 if exactly else MOST_OF_ONE_NAME):
                target = f"{first}.{number}" if number else first
                if await client.exists(target):
                    continue
                try:
                    await client.rename(source, target)
                except asyncssh.SFTPNoSuchFile:
                    return ""
                except TAKEN_ALREADY:
                    if not await client.exists(source):
                        return ""
                    if not await client.exists(target):
                        raise
                    continue
                return posixpath.basename(target)
        if exactly:
            return ""
        why = f"a name lies in {to} of file source {self._source.code} {MOST_OF_ONE_NAME} times"
        raise Rejected(why, code="data-invalid", system=SYSTEM)

    async def put(self, name: str, data: bytes, folder: str) -> None:
        """Put a file whole or not at all."""
        place = self._folder(folder)
        async with self._session.client() as client:
            await client.makedirs(place, exist_ok=True)
        await self._session.put(place, name, data)

    async def close(self) -> None:
        """Give the connection back."""
        await self._session.close()

    def _folder(self, folder: str) -> str:
        return posixpath.join(self._source.path, folder) if folder else self._source.path
