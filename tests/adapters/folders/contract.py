"""What every kind of watched folder must do; each is run against the real thing, and the fake passes it too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from canonical.errors import FasciaError, Rejected
from canonical.folders import Folder


class FolderContract:
    """``folder`` is one of the kind, ``place`` where its files lie on this machine."""

    async def test_files_are_listed_oldest_first_without_unfinished_ones_links_and_folders(
        self, folder: Folder, place: Path
    ) -> None:
        for name, age in (("b.csv", 30), ("a.csv", 10), (".hidden.csv", 5)):
            left(place, name, b"x" * age, age)
        (place / "below").mkdir()
        (place / "link.csv").symlink_to("/etc/hostname")
        assert [(one.name, one.size) for one in await folder.list()] == [("b.csv", 30), ("a.csv", 10)]
        assert await folder.list("nothing") == []

    async def test_a_file_is_moved_once_whoever_asks_at_the_same_moment(self, folder: Folder, place: Path) -> None:
        for number in range(5):
            left(place, f"{number}.csv", b"data")
            done = await asyncio.gather(*(folder.move(f"{number}.csv", "", ".claimed", exactly=True) for _ in range(4)))
            assert sorted(done) == ["", "", "", f"{number}.csv"]
        assert [one.name for one in await folder.list(".claimed")] == [f"{number}.csv" for number in range(5)]
        assert await folder.list() == [] and await folder.read("0.csv", ".claimed") == b"data"

    async def test_what_lies_there_under_a_name_is_never_replaced_by_a_move(self, folder: Folder, place: Path) -> None:
        for data in (b"first", b"second", b"third"):
            left(place, "a.csv", data)
            assert await folder.move("a.csv", "", "archive/2026-11-21")
        archive = place / "archive" / "2026-11-21"
        assert {one.name: one.read_bytes() for one in archive.iterdir()} == {
            "a.csv": b"first",
            "a.csv.1": b"second",
            "a.csv.2": b"third",
        }
        left(place, "a.csv", b"fourth")
        assert not await folder.move("a.csv", "", "archive/2026-11-21", exactly=True)
        assert (place / "a.csv").read_bytes() == b"fourth"
        assert not await folder.move("gone.csv", "", "archive")

    async def test_a_result_appears_whole_and_the_same_name_again_replaces_it(
        self, folder: Folder, place: Path
    ) -> None:
        await folder.put("a.result.csv", b"one", "results")
        await folder.put("a.result.csv", b"two", "results")
        assert {one.name: one.read_bytes() for one in (place / "results").iterdir()} == {"a.result.csv": b"two"}

    async def test_what_is_not_there_too_large_or_leads_elsewhere_is_refused(self, folder: Folder, place: Path) -> None:
        left(place, "large.csv", b"x" * 2000)
        for name in ("nothing.csv", "large.csv", "../x", "", "..", "a/b"):
            with pytest.raises(Rejected):
                await folder.read(name)
        with pytest.raises(FasciaError):
            await folder.move("../x", "", "archive")


def left(place: Path, name: str, data: bytes, age: float = 0) -> None:
    """A sender leaves a file, so many seconds ago."""
    import os
    import time

    (place / name).write_bytes(data)
    when = time.time() - age
    os.utime(place / name, (when, when))
