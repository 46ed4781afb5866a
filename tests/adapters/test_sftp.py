"""A partner's mailbox over real SFTP: whole files, nothing deleted, the pinned machine only, errors in our four names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from adapters.sftp import SftpMailbox
from canonical.errors import Rejected, Unavailable
from canonical.mailboxes import FAILED, UNFINISHED
from tests.adapters.sftp_server import Server, sftp_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with sftp_server(tmp_path) as running:
        yield running


@pytest.fixture
async def mailbox(server: Server) -> AsyncIterator[SftpMailbox]:
    box = SftpMailbox(server.partner, timeout=60)
    yield box
    await box.close()


async def test_a_file_appears_whole_under_its_name_and_again_as_the_same_file(
    server: Server, mailbox: SftpMailbox
) -> None:
    await mailbox.put("850_1.x12", b"one")
    await mailbox.put("850_1.x12", b"one")
    assert server.inbound == {"850_1.x12": b"one"}
    assert server.faults.renames == ["/inbound/850_1.x12"] * 2


async def test_a_file_that_could_not_be_written_does_not_appear(server: Server, mailbox: SftpMailbox) -> None:
    server.faults.fail_writes = 1
    with pytest.raises(Unavailable):
        await mailbox.put("850_1.x12", b"one")
    assert server.inbound == {}
    await mailbox.put("850_1.x12", b"one")
    assert server.inbound == {"850_1.x12": b"one"}


async def test_a_server_without_posix_rename_is_served_too(server: Server, mailbox: SftpMailbox) -> None:
    server.faults.no_posix_rename = True
    await mailbox.put("850_1.x12", b"one")
    await mailbox.put("850_1.x12", b"two")
    assert server.inbound == {"850_1.x12": b"two"}


async def test_what_waits_is_listed_without_unfinished_files_and_folders(server: Server, mailbox: SftpMailbox) -> None:
    server.leave("855_1.x12", b"a")
    server.leave(".855_2.x12.tmp", b"b")
    (server.root / "outbound" / "folder").mkdir()
    assert [(one.name, one.size) for one in await mailbox.list()] == [("855_1.x12", 1)]
    assert await mailbox.read("855_1.x12") == b"a"


async def test_a_taken_file_is_moved_aside_and_never_overwritten(server: Server, mailbox: SftpMailbox) -> None:
    for data in (b"first", b"second"):
        server.leave("855_1.x12", data)
        await mailbox.take("855_1.x12")
        await mailbox.take("855_1.x12")
    taken = {path.name: path.read_bytes() for path in (server.root / "outbound" / ".taken").iterdir()}
    assert sorted(taken.values()) == [b"first", b"second"] and taken["855_1.x12"] == b"first"
    assert await mailbox.list() == []
    with pytest.raises(Rejected):
        await mailbox.take("nothing.x12")


async def test_what_a_partner_put_under_the_name_after_we_read_it_is_not_moved_away_unread(
    server: Server, mailbox: SftpMailbox
) -> None:
    server.leave("855_1.x12", b"first")
    assert await mailbox.read("855_1.x12") == b"first"
    server.leave("855_1.x12", b"second and longer")
    with pytest.raises(Unavailable) as told:
        await mailbox.take("855_1.x12")
    assert told.value.code == UNFINISHED
    assert [one.name for one in await mailbox.list()] == ["855_1.x12"]
    assert await mailbox.read("855_1.x12") == b"second and longer"
    await mailbox.take("855_1.x12")
    assert await mailbox.list() == []


async def test_what_changed_at_the_moment_of_the_move_comes_back(
    server: Server, mailbox: SftpMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.leave("855_1.x12", b"first")
    await mailbox.read("855_1.x12")
    looked = mailbox._now

    async def then_changed(*given: Any) -> Any:
        found = await looked(*given)
        if given[1].startswith(server.partner.mailbox_get + "/855"):
            server.leave("855_1.x12", b"second and longer")
        return found

    monkeypatch.setattr(mailbox, "_now", then_changed)
    with pytest.raises(Unavailable):
        await mailbox.take("855_1.x12")
    assert await mailbox.read("855_1.x12") == b"second and longer"


async def test_a_name_a_partner_uses_for_every_file_never_runs_out(server: Server, mailbox: SftpMailbox) -> None:
    taken = server.root / "outbound" / ".taken"
    taken.mkdir()
    for number in range(1000):
        (taken / (f"same.x12.{number}" if number else "same.x12")).write_bytes(b"")
    server.leave("same.x12", b"the latest")
    await mailbox.take("same.x12")
    assert await mailbox.list() == []
    assert [path for path in taken.iterdir() if path.read_bytes() == b"the latest"]


async def test_a_file_the_mailbox_will_not_move_is_told_from_a_mailbox_that_is_away(
    server: Server, mailbox: SftpMailbox
) -> None:
    server.leave("855_1.x12", b"first")
    server.faults.fail_moves = 1
    with pytest.raises(Unavailable) as failed:
        await mailbox.take("855_1.x12")
    assert failed.value.code == FAILED
    await mailbox.take("855_1.x12")
    assert await mailbox.list() == []


async def test_another_machine_under_the_same_address_gets_nothing(server: Server) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    for pinned, code in ((other, "host-key"), ("", "host-key"), ("ssh-ed25519 nonsense", "configuration")):
        box = SftpMailbox(server.partner.model_copy(update={"mailbox_host_key": pinned}), timeout=60)
        with pytest.raises(Rejected) as refused:
            await box.put("850_1.x12", b"secret")
        assert refused.value.code == code
        await box.close()
    assert server.inbound == {}


async def test_a_mailbox_that_does_not_know_us_says_so(server: Server, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(tmp_path / "stranger"))
    for file, code in (("stranger", "unauthenticated"), ("missing", "configuration")):
        box = SftpMailbox(server.partner.model_copy(update={"mailbox_key_file": file}), keys=tmp_path, timeout=60)
        with pytest.raises(Rejected) as refused:
            await box.list()
        assert refused.value.code == code
        await box.close()


async def test_a_lost_connection_is_unavailable_and_the_next_call_opens_a_new_one(
    server: Server, mailbox: SftpMailbox
) -> None:
    server.faults.hang_up_after_rename = 1
    with pytest.raises(Unavailable):
        await mailbox.put("850_1.x12", b"one")
    await mailbox.put("850_1.x12", b"one")
    assert server.inbound == {"850_1.x12": b"one"}


async def test_a_mailbox_that_is_away_is_unavailable_and_found_again(tmp_path: Path) -> None:
    async with sftp_server(tmp_path) as first:
        box = SftpMailbox(first.partner, timeout=60)
        assert await box.list() == []
        port = first.partner.mailbox_port
        await first.stop()
    with pytest.raises(Unavailable):
        await box.list()
    async with sftp_server(tmp_path, port=port):
        assert await box.list() == []
    await box.close()


async def test_names_that_lead_out_of_the_folder_are_refused(mailbox: SftpMailbox) -> None:
    for name in ("../keys/ours", "", "..", "a/b", "a\x00"):
        with pytest.raises(Rejected):
            await mailbox.read(name)


async def test_a_missing_folder_is_refused_rather_than_repeated(server: Server) -> None:
    box = SftpMailbox(server.partner.model_copy(update={"mailbox_put": "/nowhere"}), timeout=60)
    with pytest.raises(Rejected):
        await box.put("850_1.x12", b"one")
    await box.close()
