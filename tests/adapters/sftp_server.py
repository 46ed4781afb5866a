"""A real SFTP server in this process, on loopback, in a folder of its own: a partner's mailbox for tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from canonical.parties import Partner

USER = "northfield"


@dataclass
class Faults:
    """What goes wrong next. ``hang_up_after_rename``: the file is there, but the answer never comes."""

    hang_up_after_rename: int = 0
    fail_writes: int = 0
    fail_moves: int = 0
    no_posix_rename: bool = False
    renames: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)


class _Sftp(asyncssh.SFTPServer):
    def __init__(self, chan: asyncssh.SSHServerChannel[bytes], root: Path, faults: Faults) -> None:
        super().__init__(chan, chroot=os.fsencode(root))
        self._chan = chan
        self._faults = faults

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        if self._faults.no_posix_rename:
            raise asyncssh.SFTPOpUnsupported("not here")
        super().posix_rename(oldpath, newpath)
        self._faults.renames.append(os.fsdecode(newpath))
        if self._faults.hang_up_after_rename:
            self._faults.hang_up_after_rename -= 1
            self._chan.get_connection().abort()
            await asyncio.sleep(0)

    def rename(self, oldpath: bytes, newpath: bytes) -> Awaitable[None] | None:
        if self._faults.fail_moves:
            self._faults.fail_moves -= 1
            raise asyncssh.SFTPFailure("not now")
        return super().rename(oldpath, newpath)

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if self._faults.fail_writes and pflags & asyncssh.FXF_WRITE:
            self._faults.fail_writes -= 1
            raise asyncssh.SFTPFailure("disk full")
        return super().open(path, pflags, attrs)


class _Gate(asyncssh.SSHServer):
    def __init__(self, key: str, faults: Faults) -> None:
        self._key = key
        self._faults = faults

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._faults.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._conn.set_authorized_keys(asyncssh.import_authorized_keys(self._key if username == USER else ""))
        return True


@dataclass
class Server:
    """The running mailbox, its partner's row, and its folder."""

    root: Path
    partner: Partner
    faults: Faults
    acceptor: asyncssh.SSHAcceptor

    @property
    def inbound(self) -> dict[str, bytes]:
        """What the partner finds."""
        return {path.name: path.read_bytes() for path in sorted((self.root / "inbound").iterdir())}

    async def stop(self) -> None:
        """The mailbox goes away, with every connection to it."""
        self.acceptor.close()
        for connection in self.faults.connections:
            connection.abort()
            await connection.wait_closed()
        await self.acceptor.wait_closed()

    def leave(self, name: str, data: bytes) -> None:
        """The partner leaves a file for us."""
        (self.root / "outbound" / name).write_bytes(data)


@asynccontextmanager
async def sftp_server(folder: Path, *, port: int = 0) -> AsyncIterator[Server]:
    """Serve a mailbox until the block ends."""
    root, keys = folder / "mailbox", folder / "keys"
    for path in (root / "inbound", root / "outbound", keys):
        path.mkdir(parents=True, exist_ok=True)
    ours, theirs = _key(keys / "ours"), _key(keys / "theirs")
    faults = Faults()
    acceptor = await asyncssh.create_server(
        lambda: _Gate(ours.export_public_key().decode(), faults),
        "127.0.0.1",
        port,
        server_host_keys=[theirs],
        sftp_factory=lambda chan: _Sftp(chan, root, faults),
    )
    partner = Partner(
        code="ALPINE",
        id="ALPINEMED",
        our_id="FASCIANGH",
        mailbox_host="127.0.0.1",
        mailbox_port=acceptor.get_port(),
        mailbox_user=USER,
        mailbox_key_file=str(keys / "ours"),
        mailbox_host_key=theirs.export_public_key().decode().strip(),
    )
    server = Server(root, partner, faults, acceptor)
    try:
        yield server
    finally:
        await server.stop()


def _key(path: Path) -> asyncssh.SSHKey:
    if not path.exists():
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(path))
    return asyncssh.read_private_key(str(path))
