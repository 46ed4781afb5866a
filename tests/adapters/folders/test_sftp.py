"""A watched folder over real SFTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.folders.sftp import SftpFolder
from canonical.errors import Rejected, Unavailable
from canonical.folders import FileSource, Folder
from tests.adapters.folders.contract import FolderContract, left
from tests.adapters.sftp_server import Server, sftp_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with sftp_server(tmp_path) as running:
        yield running


def source(server: Server, **fields: object) -> FileSource:
    """The row of a source on the test's server."""
    row = server.partner
    about = {"host": row.mailbox_host, "port": row.mailbox_port, "user": row.mailbox_user, "path": "/outbound"}
    keys = {"key_file": row.mailbox_key_file, "host_key": row.mailbox_host_key, "largest": 1000}
    of = {"code": "IN", "sender": "ALPINE", "feed": "catalogue", "kind": "sftp"}
    return FileSource.model_validate({**of, **about, **keys, **fields})


@pytest.fixture
async def folder(server: Server) -> AsyncIterator[Folder]:
    made = SftpFolder(source(server), timeout=60)
    yield made
    await made.close()


@pytest.fixture
def place(server: Server) -> Path:
    return server.root / "outbound"


class TestSftpFolder(FolderContract):
    """The contract over the wire."""


async def test_another_machine_or_a_server_that_is_away_is_told_in_our_words(server: Server, place: Path) -> None:
    stranger = SftpFolder(source(server, host_key="ssh-ed25519 nonsense"), timeout=60)
    with pytest.raises(Rejected, match="host key of file source IN"):
        await stranger.list()
    folder = SftpFolder(source(server), timeout=60)
    left(place, "a.csv", b"x")
    assert await folder.read("a.csv") == b"x"
    await server.stop()
    with pytest.raises(Unavailable, match="file source IN"):
        await folder.list()
    await folder.close()
