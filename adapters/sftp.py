"""A partner's mailbox: files we put for it and files it leaves for us, over SFTP. Here alone its errors become our four names.

A file appears whole or not at all: it is written under a dot name and renamed. What we have read and kept is moved aside, never
deleted. The partner's host key is pinned: another key means another machine, and nothing is sent to it.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncssh

from canonical.errors import Rejected, Throttled, Unavailable
from canonical.parties import Partner
from canonical.ports import FAILED, UNFINISHED, MailboxFile

TAKEN: Final = ".taken"
LARGEST: Final = 64 * 1024 * 1024
TOO_MANY_CONNECTIONS: Final = asyncssh.DISC_TOO_MANY_CONNECTIONS
SYSTEM: Final = "supplier"
Pinned = tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]  # trusted, authorities, revoked


class SftpMailbox:
    """One partner's mailbox. The connection is opened when first needed, kept, and opened anew when it was lost."""

    def __init__(self, partner: Partner, *, keys: Path | None = None, timeout: float = 30.0) -> None:
        self._partner = partner
        self._keys = keys
        self._timeout = timeout
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Lock | None = None

    async def put(self, name: str, data: bytes) -> None:
        """Put a file whole or not at all; the same name again replaces it.

        Raises:
            Unavailable: the mailbox did not answer; the file may be there all the same.
            Throttled: it has too many connections.
            Rejected: it is not the machine we know, it does not know us, or it does not let us write.
        """
        unfinished = self._path(self._partner.mailbox_put, f".{name}.tmp")
        final = self._path(self._partner.mailbox_put, name)
        async with self._session() as client:
            async with client.open(unfinished, "wb") as file:
                await file.write(data)
            try:
                await client.posix_rename(unfinished, final)
            except asyncssh.SFTPOpUnsupported:  # not every server has it; then what is there must go first
                if await client.exists(final):
                    await client.remove(final)
                await client.rename(unfinished, final)

    async def list(self) -> Sequence[MailboxFile]:
        """What waits for us, oldest first; unfinished (dot) names and folders left out."""
        async with self._session() as client:
            found = await client.readdir(self._partner.mailbox_get)
        files = [
            (one.attrs.mtime or 0, str(one.filename), one.attrs.size or 0)
            for one in found
            if not str(one.filename).startswith(".") and one.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR
        ]
        return [MailboxFile(name=name, size=size) for _, name, size in sorted(files)]

    async def read(self, name: str) -> bytes:
        """One file's bytes."""
        path = self._path(self._partner.mailbox_get, name)
        async with self._session() as client:
            before = await client.stat(path)
            if (before.size or 0) > LARGEST:
                raise Rejected(f"{name} is larger than {LARGEST} bytes", code="data-invalid", system=SYSTEM)
            async with client.open(path, "rb") as file:
                data = await file.read()
                assert isinstance(data, bytes)
            after = await client.stat(path)
        if len(data) != (after.size or 0) or before.mtime != after.mtime:
            raise Unavailable(f"{name} is still being written", code=UNFINISHED, system=SYSTEM)
        return data

    async def take(self, name: str) -> None:
        """Move a kept file out of the way; one that lies there under the same name stays, this one gets the time (UTC) behind it."""
        source = self._path(self._partner.mailbox_get, name)
        folder = posixpath.join(self._partner.mailbox_get, TAKEN)
        async with self._session() as client:
            if not await client.exists(source):
                if await client.exists(posixpath.join(folder, name)):
                    return  # taken by an earlier try
                raise Rejected(f"{name} is not in the mailbox", code="not-found", system=SYSTEM)
            await client.makedirs(folder, exist_ok=True)
            target = posixpath.join(folder, name)
            if await client.exists(target):  # the time never runs out, however often a partner uses one name
                target = f"{target}.{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
            await client.rename(source, target)

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None and self._loop is asyncio.get_running_loop():
            connection.close()
            await connection.wait_closed()

    @staticmethod
    def _path(folder: str, name: str) -> str:
        if not name or "/" in name or "\x00" in name or name in (".", ".."):
            raise Rejected("that is not a file's name", code="data-invalid", system=SYSTEM)
        return posixpath.join(folder, name)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """The open connection. A failure is told in our words; a lost connection is forgotten, so the next call opens anew."""
        who = self._partner.code
        try:
            async with asyncio.timeout(self._timeout):
                yield await self._open()
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as missing:
            raise Rejected(f"{who}'s mailbox has no such file or folder", code="not-found", system=SYSTEM) from missing
        except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect) as denied:
            raise Rejected(f"{who}'s mailbox does not let us do this", code="forbidden", system=SYSTEM) from denied
        except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost) as lost:
            self._forget()
            raise Unavailable(f"{who}'s mailbox was lost", system=SYSTEM) from lost
        except asyncssh.SFTPError as failed:
            raise Unavailable(
                f"{who}'s mailbox failed ({type(failed).__name__})", code=FAILED, system=SYSTEM
            ) from failed
        except asyncssh.HostKeyNotVerifiable as stranger:
            raise Rejected(
                f"{who}'s mailbox shows another host key than the pinned one", code="host-key", system=SYSTEM
            ) from stranger
        except asyncssh.PermissionDenied as denied:
            raise Rejected(f"{who}'s mailbox does not know us", code="unauthenticated", system=SYSTEM) from denied
        except asyncssh.DisconnectError as ended:
            self._forget()
            if ended.code == TOO_MANY_CONNECTIONS:
                raise Throttled(f"{who}'s mailbox has too many connections", retry_after=30, system=SYSTEM) from ended
            raise Unavailable(f"{who}'s mailbox hung up ({type(ended).__name__})", system=SYSTEM) from ended
        except (OSError, asyncssh.Error) as away:  # TimeoutError is an OSError
            self._forget()
            raise Unavailable(f"{who}'s mailbox does not answer ({type(away).__name__})", system=SYSTEM) from away

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
        partner = self._partner
        return await asyncssh.connect(
            partner.mailbox_host,
            partner.mailbox_port,
            username=partner.mailbox_user,
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
        """Our own key, from the file the partner's row names."""
        path = Path(self._partner.mailbox_key_file)
        path = self._keys / path if self._keys is not None and not path.is_absolute() else path
        try:
            return asyncssh.read_private_key(str(path))
        except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as unread:
            raise Rejected(
                f"our key for {self._partner.code}'s mailbox cannot be read", code="configuration", system=SYSTEM
            ) from unread

    def _pinned(self) -> Pinned:
        """The one host key this partner may show; without one, nobody is trusted."""
        pinned = self._partner.mailbox_host_key.strip()
        try:
            return ([asyncssh.import_public_key(pinned)] if pinned else [], [], [])
        except asyncssh.KeyImportError as unread:
            raise Rejected(
                f"the pinned host key of {self._partner.code} cannot be read", code="configuration", system=SYSTEM
            ) from unread
