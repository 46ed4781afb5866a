"""``fascia doctor`` says of a watched folder what keeps it from being watched."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from canonical.folders import FileSource
from cli.checks_senders import folder_trouble
from workers.settings import Settings


def source(**fields: object) -> FileSource:
    return FileSource.model_validate({"code": "IN", "sender": "ALPINE", "feed": "catalogue", **fields})


async def test_a_folder_that_is_not_there_or_a_file_is_told(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert await folder_trouble(source(path=str(tmp_path)), settings) == ""
    assert "no folder here" in await folder_trouble(source(path=str(tmp_path / "gone")), settings)
    (tmp_path / "file").write_bytes(b"")
    assert "no folder here" in await folder_trouble(source(path=str(tmp_path / "file")), settings)


async def test_a_source_over_sftp_needs_our_key_and_a_server_that_answers(tmp_path: Path) -> None:
    async def hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-test\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    far = source(kind="sftp", path="/out", host="127.0.0.1", port=port, user="ngh", key_file="alpine", host_key="k")
    settings = Settings(home=tmp_path)
    assert "alpine is not there" in await folder_trouble(far, settings)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "alpine").write_bytes(b"key")
    assert await folder_trouble(far, settings) == ""
    server.close()
    await server.wait_closed()
    assert "no SFTP server answers" in await folder_trouble(far, settings)


async def test_a_place_where_files_cannot_be_moved_to_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, row = Settings(home=tmp_path), source(path=str(tmp_path))
    (tmp_path / "archive").mkdir()
    assert await folder_trouble(row, settings) == ""
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "archive" and allowed(path, mode))
    assert "may not write into" in await folder_trouble(row, settings)
    monkeypatch.undo()
    (tmp_path / ".claimed").write_bytes(b"")
    assert ".claimed is no folder" in await folder_trouble(row, settings)
    (tmp_path / ".claimed").unlink()
    (tmp_path / ".claimed").symlink_to("/dev", target_is_directory=True)
    assert "another file system" in await folder_trouble(row, settings)
