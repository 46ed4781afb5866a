"""A connection to somebody's SFTP server: opened when first needed, kept, opened anew when lost.

Here alone its errors become our four names. The machine's own key is pinned: another key means another machine, and nothing is
sent to it. A file appears whole or not at all: it is written under a dot name and renamed.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncssh

from canonical.errors import Rejected, Throttled, Unavailable
from canonical.mailboxes import FAILED, UNFINISHED

TOO_MANY_CONNECTIONS: Final = asyncssh.DISC_TOO_MANY_CONNECTIONS
Pinned = tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]  # trusted, authorities, revoked


@dataclass(frozen=True)
class SftpAddress:
    """Where a server is, as whom we come and by which key, and the one host key it may show. ``who`` names it in errors."""

    who: str
    host: str
    port: int
    user: str
    key_file: str
    host_key: str
    system: str


def path_of(folder: str, name: str, system: str) -> str:
    """The path of a file in a folder.

    Raises:
        Rejected: the name leads elsewhere, or is none.
    """
    if not name or "/" in name or "\x00" in name or name in (".", ".."):
        raise Rejected("that is not a file's name", code="data-invalid", system=system)
    return posixpath.join(folder, name)


AsItIs = tuple[int, int]
"""A file's size in bytes, and when it was last written, in seconds."""


def as_it_is(seen: asyncssh.SFTPAttrs) -> AsItIs:
    """What tells a file from another one that was put under its name."""
    return (seen.size or 0, int(seen.mtime or 0))


class SftpSession:
    """The connection to one server."""

    def __init__(self, address: SftpAddress, *, keys: Path | None = None, timeout: float = 30.0) -> None:
        self._address = address
        self._keys = keys
        self._timeout = timeout
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Lock | None = None

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None and self._loop is asyncio.get_running_loop():
            connection.close()
            await connection.wait_closed()

    async def put(self, folder: str, name: str, data: bytes) -> None:
        """Put a file whole or not at all; the same name again replaces it."""
        unfinished, final = (
            path_of(folder, f".{name}.tmp", self._address.system),
            path_of(folder, name, self._address.system),
        )
        async with self.client() as client:
            async with client.open(unfinished, "wb") as file:
                await file.write(data)
            try:
                await client.posix_rename(unfinished, final)
            except asyncssh.SFTPOpUnsupported:  # not every server has it; then what is there must go first
                if await client.exists(final):
                    await client.remove(final)
                await client.rename(unfinished, final)

    async def read(self, folder: str, name: str, largest: int) -> bytes:
        """One file's bytes; not while somebody writes it."""
        return (await self.read_as_it_is(folder, name, largest))[0]

    async def read_as_it_is(self, folder: str, name: str, largest: int) -> tuple[bytes, AsItIs]:
        """As :meth:`read`, with what tells the file from another one put under its name."""
        path, system = path_of(folder, name, self._address.system), self._address.system
        async with self.client() as client:
            before = await client.stat(path)
            if (before.size or 0) > largest:
                raise Rejected(f"it is larger than {largest} bytes", code="data-invalid", system=system)
            async with client.open(path, "rb") as file:
                data = await file.read()
                assert isinstance(data, bytes)
            after = await client.stat(path)
        if len(data) != (after.size or 0) or before.mtime != after.mtime:
            raise Unavailable(f"{self._address.who}: a file is still being written", code=UNFINISHED, system=system)
        return data, as_it_is(after)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """The open connection. A failure is told in our words; a lost connection is forgotten, so the next call opens anew."""
        who, system = self._address.who, self._address.system
        try:
            async with asyncio.timeout(self._timeout):
                yield await self._open()
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as missing:
            raise Rejected(f"{who} has no such file or folder", code="not-found", system=system) from missing
        except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect) as denied:
            raise Rejected(f"{who} does not let us do this", code="forbidden", system=system) from denied
        except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost) as lost:
            self._forget()
            raise Unavailable(f"{who} was lost", system=system) from lost
        except asyncssh.SFTPError as failed:
            raise Unavailable(f"{who} failed ({type(failed).__name__})", code=FAILED, system=system) from failed
        except asyncssh.HostKeyNotVerifiable as stranger:
            raise Rejected(
                f"{who} shows another host key than the pinned one", code="host-key", system=system
            ) from stranger
        except asyncssh.PermissionDenied as denied:
            raise Rejected(f"{who} does not know us", code="unauthenticated", system=system) from denied
        except asyncssh.DisconnectError as ended:
            self._forget()
            if ended.code == TOO_MANY_CONNECTIONS:
                raise Throttled(f"{who} has too many connections", retry_after=30, system=system) from ended
            raise Unavailable(f"{who} hung up ({type(ended).__name__})", system=system) from ended
        except (OSError, asyncssh.Error) as away:  # TimeoutError is an OSError
            self._forget()
            raise Unavailable(f"{who} does not answer ({type(away).__name__})", system=system) from away

    def _forget(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None and self._loop is asyncio.get_running_loop():
            connection.abort()

    async def _open(self) -> asyncssh.SFTPClient:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a new event loop: what belonged to the old one is gone with it
            self._loop, self._opening, self._connection, self._client = loop, asyncio.Lock(), None, None
        assert self._opening is not None
        async with self._opening:
            if self._client is None or self._connection is None or self._connection.is_closed():
                self._connection = await self._connect()
                self._client = await self._connection.start_sftp_client(path_errors="surrogateescape")
            return self._client

    async def _connect(self) -> asyncssh.SSHClientConnection:
        address = self._address
        return await asyncssh.connect(
            address.host,
            address.port,
            username=address.user,
            client_keys=[self._key()],
            known_hosts=self._pinned(),
            agent_path=None,
            config=None,
            preferred_auth="publickey",
            connect_timeout=self._timeout,
            login_timeout=self._timeout,
            keepalive_interval=15,
        )

    def _key(self) -> asyncssh.SSHKey:
        """Our own key, from the file the row names."""
        path = Path(self._address.key_file)
        path = self._keys / path if self._keys is not None and not path.is_absolute() else path
        try:
            return asyncssh.read_private_key(str(path))
        except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as unread:
            raise Rejected(
                f"our key for {self._address.who} cannot be read", code="configuration", system=self._address.system
            ) from unread

    def _pinned(self) -> Pinned:
        """The one host key this machine may show; without one, nobody is trusted."""
        pinned = self._address.host_key.strip()
        try:
            return ([asyncssh.import_public_key(pinned)] if pinned else [], [], [])
        except asyncssh.KeyImportError as unread:
            raise Rejected(
                f"the pinned host key of {self._address.who} cannot be read",
                code="configuration",
                system=self._address.system,
            ) from unread
