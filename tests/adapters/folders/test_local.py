"""A watched folder of this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from adapters.folders import local
from adapters.folders.local import LocalFolder
from canonical.errors import Rejected
from canonical.folders import FileSource, Folder
from tests.adapters.folders.contract import FolderContract, left


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def folder(place: Path) -> Folder:
    return LocalFolder(FileSource(code="IN", sender="ALPINE", feed="catalogue", path=str(place), largest=1000))


class TestLocalFolder(FolderContract):
    """The contract on a real file system."""


class TestWhereARenameMayReplace(FolderContract):
    """The contract on a file system without renameat2: of us, one works on a source at a time."""

    @pytest.fixture(autouse=True)
    def plain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(local, "_renamed_over_nothing", lambda *_: False)


async def test_a_folder_that_is_not_there_is_refused_by_name() -> None:
    gone = LocalFolder(FileSource(code="IN", sender="ALPINE", feed="catalogue", path="/nowhere/at/all"))
    with pytest.raises(Rejected, match="IN has no such file or folder"):
        await gone.list()


async def test_a_link_out_of_the_folder_is_never_followed(folder: Folder, place: Path) -> None:
    (place.parent / "secret").write_bytes(b"secret")
    (place / "a.csv").symlink_to(place.parent / "secret")
    with pytest.raises(Exception, match="IN"):
        await folder.read("a.csv")
    left(place, "b.csv", b"fine")
    assert [one.name for one in await folder.list()] == ["b.csv"]


@pytest.mark.parametrize("inner", [".claimed", "archive", "archive/2026-11-21", "results"])
async def test_a_link_in_place_of_one_of_its_folders_leads_to_nothing(folder: Folder, place: Path, inner: str) -> None:
    ours = place.parent / "ours"
    ours.mkdir()
    (ours / "key").write_bytes(b"secret")
    (place / inner).parent.mkdir(exist_ok=True)
    (place / inner).symlink_to(ours)
    left(place, "a.csv", b"fine")
    asked = (
        folder.list(inner),
        folder.read("key", inner),
        folder.move("key", inner, "mine"),
        folder.move("a.csv", "", inner),
        folder.put("a.result.csv", b"x", inner),
        folder.put("a.result.csv", b"x", f"{inner}/deeper"),
    )
    for each in asked:
        with pytest.raises(Rejected, match="IN should have a folder or file of its own"):
            await each
    assert {one.name: one.read_bytes() for one in ours.iterdir()} == {"key": b"secret"}
    assert (place / "a.csv").read_bytes() == b"fine"


async def test_a_result_is_not_written_through_a_link_that_lies_in_its_way(folder: Folder, place: Path) -> None:
    ours = place.parent / "ours"
    ours.write_bytes(b"ours")
    (place / "results").mkdir()
    for name in (".a.result.csv.tmp", "a.result.csv"):
        (place / "results" / name).symlink_to(ours)
    await folder.put("a.result.csv", b"the result", "results")
    assert ours.read_bytes() == b"ours"
    assert (place / "results" / "a.result.csv").read_bytes() == b"the result"
    assert not (place / "results" / "a.result.csv").is_symlink()


async def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(folder: Folder, place: Path) -> None:
    os.mkfifo(place / "a.csv")
    async with asyncio.timeout(60):
        with pytest.raises(Rejected, match="no file"):
            await folder.read("a.csv")
