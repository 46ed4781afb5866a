"""A watched folder of this machine."""

from __future__ import annotations

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
