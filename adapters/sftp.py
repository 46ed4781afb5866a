"""A partner's mailbox: files we put for it and files it leaves for us, over SFTP.

A file appears whole or not at all. What we have read and kept is moved aside, never deleted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncssh

from adapters.sftp_session import AsItIs, SftpAddress, SftpSession, as_it_is, path_of
from canonical.errors import Rejected, Unavailable
from canonical.mailboxes import UNFINISHED, MailboxFile
from canonical.parties import Partner

TAKEN: Final = ".taken"
LARGEST: Final = 64 * 1024 * 1024
SYSTEM: Final = "supplier"


class SftpMailbox:
    """One partner's mailbox. The connection is opened when first needed, kept, and opened anew when it was lost."""

    def __init__(self, partner: Partner, *, keys: Path | None = None, timeout: float = 30.0) -> None:
        self._partner = partner
        address = SftpAddress(
            who=f"{partner.code}'s mailbox",
            host=partner.mailbox_host,
            port=partner.mailbox_port,
            user=partner.mailbox_user,
            key_file=partner.mailbox_key_file,
            host_key=partner.mailbox_host_key,
            system=SYSTEM,
        )
        self._session = SftpSession(address, keys=keys, timeout=timeout)
        self._read: dict[str, AsItIs] = {}  # by name

    async def put(self, name: str, data: bytes) -> None:
        """Put a file whole or not at all; the same name again replaces it.

        Raises:
            Unavailable: the mailbox did not answer; the file may be there all the same.
            Throttled: it has too many connections.
            Rejected: it is not the machine we know, it does not know us, or it does not let us write.
        """
        await self._session.put(self._partner.mailbox_put, name, data)

    async def list(self) -> Sequence[MailboxFile]:
        """What waits for us, oldest first; unfinished (dot) names and folders left out."""
        async with self._session.client() as client:
            found = await client.readdir(self._partner.mailbox_get)
        files = [
            (one.attrs.mtime or 0, str(one.filename), one.attrs.size or 0)
            for one in found
            if not str(one.filename).startswith(".") and one.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR
        ]
        self._read = {name: self._read[name] for _, name, _ in files if name in self._read}
        return [MailboxFile(name=name, size=size) for _, name, size in sorted(files)]

    async def read(self, name: str) -> bytes:
        """One file's bytes."""
        data, self._read[name] = await self._session.read_as_it_is(self._partner.mailbox_get, name, LARGEST)
        return data

    async def take(self, name: str) -> None:
        """Move a kept file out of the way; one that lies there under the same name stays, this one gets the time (UTC) behind it.

        Only the file that was read: what its partner has put under the name since, or goes on writing, stays where it is
        (Unavailable, ``unfinished``).
        """
        source = path_of(self._partner.mailbox_get, name, SYSTEM)
        folder = posixpath.join(self._partner.mailbox_get, TAKEN)
        async with self._session.client() as client:
            if not await client.exists(source):
                if await client.exists(posixpath.join(folder, name)):
                    return  # taken by an earlier try
                raise Rejected("the file is not in the mailbox", code="not-found", system=SYSTEM)
            was = self._read.get(name)
            if was is not None and await self._now(client, source) != was:
                raise self._changed(name)
            await client.makedirs(folder, exist_ok=True)
            target = posixpath.join(folder, name)
            if await client.exists(target):  # the time never runs out, however often a partner uses one name
                target = f"{target}.{_moment()}"
            await client.rename(source, target)
            if was is not None and await self._now(client, target) != was:  # changed between our look and the move
                back = f"{source}.{_moment()}" if await client.exists(source) else source
                await client.rename(target, back)
                raise self._changed(name)
            self._read.pop(name, None)

    async def _now(self, client: asyncssh.SFTPClient, path: str) -> AsItIs:
        return as_it_is(await client.stat(path))

    def _changed(self, name: str) -> Unavailable:
        told = f"{self._partner.code}'s mailbox: a file was changed after it was read"
        self._read.pop(name, None)
        return Unavailable(told, code=UNFINISHED, system=SYSTEM)

    async def close(self) -> None:
        """Give the connection back."""
        await self._session.close()


def _moment() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
