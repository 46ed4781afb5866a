"""Files in watched folders are taken once and whole: half-written ones wait, nothing is lost or doubled by whatever dies."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path

import pytest

from adapters.folders.local import LocalFolder
from adapters.folders.sftp import SftpFolder
from canonical.folders import Arrival, FileSource, Folder
from gateway.csv_files import CsvFiles
from gateway.folders import FolderDoor
from gateway.master_files import MasterFiles
from tests.adapters.folders.contract import left
from tests.adapters.folders.test_sftp import source as sftp_source
from tests.adapters.sftp_server import Server, sftp_server
from tests.gateway.csv_house import CATALOGUE, NOW, House
from tests.gateway.test_csv_files import BAD_ROWS
from workers.loops.folder_watch import FolderResults, FolderWatch

TODAY = date(2026, 11, 21)
DAY = TODAY.isoformat()


class Watched(House):
    """A house with folders that are watched, and a clock of its own."""

    def __init__(self, *sources: FileSource) -> None:
        super().__init__()
        self.sources = list(sources)
        self.time = 0.0
        self.folders: dict[str, Folder] = {}
        results = FolderResults(self, self.folder_for)
        self.files = CsvFiles(
            self.intake, self, MasterFiles(self.intake, self.drifts, lambda: NOW), results, results, lambda: NOW
        )
        self.watch = self.watcher()

    def watcher(self) -> FolderWatch:
        """A process that watches."""
        door = FolderDoor(self.intake, self.files, self)
        return FolderWatch(self, self.folder_for, door, clock=lambda: self.time, today=lambda: TODAY)

    def folder_for(self, source: FileSource) -> Folder:
        made = LocalFolder if source.kind == "folder" else SftpFolder
        return self.folders.setdefault(source.code, made(source))

    async def file_sources(self) -> Sequence[FileSource]:
        return self.sources

    async def last(self, sender: str, source: str, name: str) -> Arrival | None:
        found = [
            one
            for one in self.journal.messages.values()
            if (one.sender, one.channel, one.control_number, one.direction) == (sender, source, name, "in")
        ]
        return Arrival(id=found[-1].id, key=found[-1].key, hash=found[-1].hash) if found else None

    async def rounds(self, count: int = 3, seconds: float = 10.0) -> None:
        for _ in range(count):
            await self.watch.once()
            self.time += seconds

    @property
    def names(self) -> list[str]:
        return [one.control_number for one in self.of_kind("csv_catalogue")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def watched(place: Path, **fields: object) -> Watched:
    about = {"code": "IN", "sender": "ALPINE", "feed": "catalogue", "path": str(place)}
    return Watched(FileSource.model_validate(about | fields))


def lying(place: Path) -> dict[str, bytes]:
    """Every file below the folder, by its path."""
    return {str(one.relative_to(place)): one.read_bytes() for one in sorted(place.rglob("*")) if one.is_file()}


async def test_a_file_is_taken_archived_by_day_and_its_sender_finds_a_result(place: Path) -> None:
    house = watched(place)
    left(place, "catalogue.csv", BAD_ROWS)
    await house.rounds()
    files = lying(place)
    assert sorted(files) == [f"archive/{DAY}/catalogue.csv", "results/catalogue.result.csv"]
    assert files[f"archive/{DAY}/catalogue.csv"] == BAD_ROWS
    result = files["results/catalogue.result.csv"].decode()
    assert "3 of 6 rows taken, 3 refused" in result and hashlib.sha256(BAD_ROWS).hexdigest() in result
    assert house.drifts.rows == ["2", "3", "4"] and len(house.cases.unmatched) == 3
    (message,) = house.of_kind("csv_catalogue")
    assert (message.door, message.channel, message.hash) == ("files", "IN", hashlib.sha256(BAD_ROWS).hexdigest())


async def test_a_file_that_grows_is_left_until_it_has_stood_still(place: Path) -> None:
    house = watched(place, stable_for=15)
    for part in range(4):
        left(place, "catalogue.csv", CATALOGUE[: 40 * (part + 1)], age=100 - part)
        await house.rounds(1)
    assert house.names == []
    left(place, "catalogue.csv", CATALOGUE)
    await house.rounds(2)
    assert house.names == [], "ten seconds are not fifteen"
    await house.rounds(1)
    assert house.names == ["catalogue.csv"] and house.drifts.rows == ["2", "3", "4"]


async def test_a_companion_or_a_rename_says_when_a_file_is_whole(place: Path) -> None:
    house = watched(place, complete="marker", marker=".ok")
    left(place, "a.csv", CATALOGUE)
    await house.rounds(5)
    assert house.names == []
    left(place, "a.csv.ok", b"")
    await house.rounds(1)
    assert house.names == ["a.csv"] and f"archive/{DAY}/a.csv.ok" in lying(place)
    house = watched(place, complete="rename", pattern="*")
    left(place, "b.csv.part", CATALOGUE)
    await house.rounds(3)
    assert house.names == []
    (place / "b.csv.part").rename(place / "b.csv")
    await house.rounds(1)
    assert house.names == ["b.csv"]


async def test_a_checksum_beside_it_is_compared_and_waited_for_where_the_row_says(place: Path) -> None:
    house = watched(place, complete="rename", checksum="required")
    left(place, "a.csv", CATALOGUE)
    await house.rounds(2)
    assert house.names == []
    left(place, "a.csv.sha256", f"{'0' * 64}  a.csv\n".encode())
    await house.rounds(1)
    (spoilt,) = house.of_kind("csv_catalogue")
    assert (spoilt.state, spoilt.data, house.drifts.files) == ("refused", CATALOGUE, [])
    assert sorted(lying(place)) == [
        f"refused/{DAY}/a.csv",
        f"refused/{DAY}/a.csv.sha256",
        "results/a.csv (spoilt).result.csv",
    ]
    (listed,) = house.cases.unmatched.values()
    assert "spoilt on its way" in listed.reason
    left(place, "a.csv", CATALOGUE)
    left(place, "a.csv.sha256", f"{hashlib.sha256(CATALOGUE).hexdigest().upper()}\n".encode())
    await house.rounds(1)
    assert house.drifts.rows == ["2", "3", "4"], "sent again, it is whole"


async def test_what_cannot_be_read_lies_among_the_refused_is_kept_whole_and_listed(place: Path) -> None:
    house = watched(place, complete="rename")
    left(place, "a.csv", b"neither one nor the other\n")
    await house.rounds(1)
    assert f"refused/{DAY}/a.csv" in lying(place)
    (message,) = house.of_kind("csv_catalogue")
    assert (message.state, message.data) == ("refused", b"neither one nor the other\n")
    assert len(house.cases.unmatched) == 1 and "no column" in lying(place)["results/a.result.csv"].decode()


async def test_the_same_content_again_is_the_same_file_and_other_content_a_new_one(place: Path) -> None:
    house = watched(place, complete="rename")
    other = CATALOGUE.replace(b"18.75", b"19.75")
    for data, files in ((CATALOGUE, 1), (CATALOGUE, 1), (other, 2), (CATALOGUE, 3)):
        left(place, "catalogue.csv", data)
        (place / "results").mkdir(exist_ok=True)
        for one in (place / "results").iterdir():
            one.unlink()
        await house.rounds(1)
        assert len(house.names) == files, "what comes back after something else was said is said anew"
        assert b"3 of 3 rows" in lying(place)["results/catalogue.result.csv"]
    prices = [str(file.entries[0].prices[0].price) for file, _, _ in house.drifts.files]
    assert prices == ["18.75 USD", "19.75 USD", "18.75 USD"]
    assert sorted(one for one in lying(place) if one.startswith("archive")) == [
        f"archive/{DAY}/catalogue.csv{number}" for number in ("", ".1", ".2", ".3")
    ]


async def test_two_watchers_on_one_folder_take_each_file_once(place: Path) -> None:
    house = watched(place, complete="rename")
    for number in range(20):
        left(place, f"{number:02}.csv", CATALOGUE.replace(b"Glove", b"Glove %d" % number))
    await asyncio.gather(*(house.watcher().once() for _ in range(3)))
    await house.rounds(1)
    assert sorted(house.names) == [f"{number:02}.csv" for number in range(20)]
    archived = [one for one in lying(place) if one.startswith("archive")]
    assert len(archived) == 20 and len(house.drifts.rows) == 60


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("before", [True, False])
async def test_killed_at_any_move_and_begun_again_no_file_is_lost_or_doubled(
    before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(1, 30):
        place = tmp_path / f"{step}"
        place.mkdir()
        house = watched(place, complete="rename")
        for name in ("a.csv", "b.csv"):
            left(place, name, BAD_ROWS.replace(b"Glove", name.encode()), age=10 if name == "a.csv" else 5)
        with monkeypatch.context() as killed:
            done = dies(step, house, killed, before=before)
            try:
                await house.watch.once()
            except BaseExceptionGroup as ended:
                assert ended.subgroup(Killed)
            except Killed:
                pass
        house.watch = house.watcher()  # a new process
        await house.rounds(1)
        assert house.names == ["a.csv", "b.csv"], "in their order"
        assert len(house.of_kind("csv_catalogue_rows")) == len(house.cases.unmatched) == 6
        assert set(house.drifts.rows) == {"2", "3", "4"}
        assert {one.split("/")[-1] for one in lying(place)} == {"a.csv", "b.csv", "a.result.csv", "b.result.csv"}
        assert {one.state for one in house.of_kind("csv_catalogue")} == {"routed"}
        if done[0] < step:
            break
    assert step > 15, "every step was tried"


def dies(step: int, house: Watched, killed: pytest.MonkeyPatch, *, before: bool) -> list[int]:
    """The process ends before or after the given step outside of itself; gives how many it has taken."""
    done = [0]

    def dying(target: object, name: str) -> None:
        real = getattr(target, name)

        async def call(*args: object, **kwargs: object) -> object:
            done[0] += 1
            if done[0] == step and before:
                raise Killed
            found = await real(*args, **kwargs)
            if done[0] == step:
                raise Killed
            return found

        killed.setattr(target, name, call)

    folder = house.folder_for(house.sources[0])
    for name in ("list", "read", "move", "put"):
        dying(folder, name)
    for name in ("keep", "keep_many", "mark", "answered"):
        dying(house.journal, name)
    return done


async def test_while_our_store_is_away_a_file_waits_where_it_was_claimed_and_those_behind_it_too(place: Path) -> None:
    house = watched(place, complete="rename")
    left(place, "a.csv", CATALOGUE, age=9)
    left(place, "b.csv", CATALOGUE)
    house.drifts.away = True
    await house.rounds(2)
    assert sorted(lying(place)) == [".claimed/a.csv", "b.csv"]
    house.drifts.away = False
    await house.rounds(1)
    assert house.names == ["a.csv", "b.csv"] and len(house.drifts.files) == 2


async def test_a_file_too_large_stays_and_is_told_once_and_another_source_goes_on(place: Path, tmp_path: Path) -> None:
    house = watched(place, complete="rename", largest=500)
    (tmp_path / "second").mkdir()
    about = {"code": "SECOND", "sender": "ALPINE", "feed": "catalogue", "complete": "rename"}
    house.sources += [
        FileSource.model_validate({**about, "path": str(tmp_path / "second")}),
        FileSource.model_validate({**about, "code": "GONE", "path": "/nowhere"}),
        FileSource.model_validate({**about, "code": "NOBODY", "sender": "NOBODY", "path": str(place)}),
        FileSource.model_validate({**about, "code": "OFF", "active": False, "path": str(place)}),
    ]
    left(place, "large.csv", CATALOGUE * 5)
    left(tmp_path / "second", "a.csv", CATALOGUE)
    await house.rounds(3)
    assert "large.csv" in lying(place) and house.names == ["a.csv"]
    (listed,) = house.cases.unmatched.values()
    assert "more than 500" in listed.reason and house.journal.messages[listed.message].data.startswith(b"large.csv")


async def test_a_file_whose_name_is_no_text_is_listed_and_keeps_no_other_waiting(place: Path) -> None:
    house = watched(place, complete="rename")
    (place / os.fsdecode(b"caf\xe9.csv")).write_bytes(CATALOGUE)
    left(place, "a.csv", CATALOGUE)
    await house.rounds(3)
    assert house.names == ["a.csv"]
    (listed,) = house.cases.unmatched.values()
    assert "not UTF-8" in listed.reason


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with sftp_server(tmp_path) as running:
        yield running


async def test_files_are_pulled_over_sftp_and_the_result_is_put_back(server: Server) -> None:
    house = Watched(sftp_source(server, complete="rename", largest=100_000))
    server.leave("catalogue.csv", BAD_ROWS)
    await house.rounds(2)
    assert sorted(lying(server.root / "outbound")) == [
        f"archive/{DAY}/catalogue.csv",
        "results/catalogue.result.csv",
    ]
    assert house.drifts.rows == ["2", "3", "4"]
    server.leave("next.csv", CATALOGUE)
    await server.stop()
    await house.rounds(1)
    assert house.names == ["catalogue.csv"], "it is away: nothing breaks"
    await house.folder_for(house.sources[0]).close()
