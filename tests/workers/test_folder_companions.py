"""A file and what goes with it (checksum, marker) are claimed, taken and archived together, whatever dies or changes meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from canonical.errors import Unavailable
from canonical.mailboxes import UNFINISHED
from tests.adapters.folders.contract import left
from tests.adapters.folders.test_sftp import source as sftp_source
from tests.adapters.sftp_server import Server, sftp_server
from tests.gateway.csv_house import CATALOGUE
from tests.workers.test_folder_watch import DAY, Killed, Watched, dies, lying, watched

FIRST, SECOND = CATALOGUE, CATALOGUE.replace(b"18.75", b"19.75")
ENDINGS = (".sha256", ".done")


def summed(data: bytes) -> bytes:
    return f"{hashlib.sha256(data).hexdigest()}  a.csv\n".encode()


def sent(place: Path, data: bytes, age: float, *, marker: bool = False) -> None:
    """A sender puts a file, then its checksum, then its marker; what lay there under their names is gone."""
    for name, content in (("a.csv", data), ("a.csv.sha256", summed(data)), ("a.csv.done", b"")):
        if marker or not name.endswith(".done"):
            left(place.parent, f"unfinished {name}", content, age)
            (place.parent / f"unfinished {name}").rename(place / name)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


MODES = [("marker", "required"), ("marker", "if there"), ("rename", "required"), ("rename", "if there")]


@pytest.mark.parametrize(("complete", "checksum"), MODES)
@pytest.mark.parametrize("before", [True, False])
async def test_killed_at_any_step_no_file_is_lost_doubled_or_held_against_the_sum_of_another(
    complete: str, checksum: str, before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(1, 40):
        place = tmp_path / f"{step}" / "in"
        place.mkdir(parents=True)
        house = watched(place, complete=complete, checksum=checksum)
        sent(place, FIRST, 20, marker=complete == "marker")
        with monkeypatch.context() as killed:
            done = dies(step, house, killed, before=before)
            with contextlib.suppress(Killed):
                await house.watch.once()
        unclaimed = (place / "a.csv").exists()
        house.watch = house.watcher()  # a new process, and a new file of that name: first without its checksum
        left(place.parent, "new", SECOND, 10)
        (place.parent / "new").rename(place / "a.csv")
        await house.rounds(2)
        sent(place, SECOND, 10, marker=complete == "marker")
        await house.rounds(2)
        _each_with_its_own(house, place, [SECOND] if unclaimed else [FIRST, SECOND])
        if done[0] < step:
            break
    assert step > 10, "every step was tried"


def _each_with_its_own(house: Watched, place: Path, taken: list[bytes]) -> None:
    messages = house.of_kind("csv_catalogue")
    assert [one.data for one in messages] == taken and {one.state for one in messages} == {"routed"}
    assert sorted(house.drifts.rows) == sorted(["2", "3", "4"] * len(taken)) or len(set(house.drifts.rows)) == 3
    files = lying(place)
    archived = {name: data for name, data in files.items() if name.startswith(f"archive/{DAY}/")}
    own = {name: data for name, data in archived.items() if not name.endswith(ENDINGS)}
    assert set(own.values()) == set(taken)
    for name in archived.keys() - own.keys():
        assert name.removesuffix(".sha256").removesuffix(".done") in own, "what went with a file lies beside it"
    assert len(taken) == 1 or summed(FIRST) in archived.values(), "a claim has all that lay beside its file"
    for name, data in own.items():
        assert archived.get(f"{name}.sha256", summed(data)) == summed(data), "and beside no other one"
    assert not [name for name in files if name.startswith(".claimed")]


async def test_a_file_exchanged_while_it_is_claimed_is_given_back_and_waits_for_what_is_its_own(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = watched(place, complete="rename", checksum="required")
    sent(place, FIRST, 20)
    folder = house.folder_for(house.sources[0])
    move = folder.move

    async def exchanged(name: str, *args: Any, **how: Any) -> str:
        monkeypatch.setattr(folder, "move", move)
        done = await move(name, *args, **how)
        left(place, "a.csv", SECOND, 10)  # its checksum was just moved
        return done

    monkeypatch.setattr(folder, "move", exchanged)
    await house.rounds(2)
    assert house.names == [] and lying(place) == {"a.csv": SECOND, "a.csv.sha256": summed(FIRST)}
    left(place, "a.csv.sha256", summed(SECOND), 10)
    await house.rounds(1)
    assert [one.data for one in house.of_kind("csv_catalogue")] == [SECOND] and house.cases.unmatched == {}


async def test_a_claimed_file_is_not_held_against_the_sum_claimed_for_the_one_it_took_the_place_of(place: Path) -> None:
    house = watched(place, complete="rename", checksum="required")
    (place / ".claimed").mkdir()
    left(place, "a.csv.sha256", summed(FIRST), 20)
    (place / "a.csv.sha256").rename(place / ".claimed" / f"a.csv.sha256~{len(FIRST)}-1234")
    left(place, "a.csv", SECOND, 10)
    (place / "a.csv").rename(place / ".claimed" / "a.csv")
    await house.rounds(2)
    assert lying(place) == {"a.csv": SECOND, f"refused/{DAY}/a.csv.sha256": summed(FIRST)} and house.names == []
    (listed,) = house.cases.unmatched.values()
    assert "exchanged" in listed.reason
    left(place, "a.csv.sha256", summed(SECOND), 9)
    await house.rounds(1)
    assert [one.state for one in house.of_kind("csv_catalogue")] == ["routed"]


async def test_what_a_process_of_the_version_before_claimed_is_taken_with_what_lies_beside_it(place: Path) -> None:
    house = watched(place, complete="marker", checksum="required")
    sent(place, FIRST, 20, marker=True)
    (place / ".claimed").mkdir()
    (place / "a.csv").rename(place / ".claimed" / "a.csv")
    await house.rounds(1)
    assert sorted(lying(place)) == [
        f"archive/{DAY}/a.csv",
        f"archive/{DAY}/a.csv.done",
        f"archive/{DAY}/a.csv.sha256",
        "results/a.result.csv",
    ]


async def test_a_checksum_that_comes_after_its_file_was_taken_goes_with_it_and_not_with_the_next(place: Path) -> None:
    house = watched(place, complete="rename", companions_within=60)
    left(place, "a.csv", FIRST, 20)
    await house.rounds(1)
    left(place, "a.csv.sha256", summed(FIRST), 19)
    await house.rounds(2)
    left(place, "a.csv", SECOND, 10)
    await house.rounds(3)
    assert house.names == ["a.csv"], "the sum beside it is that of the one before: its own may come yet"
    left(place, "a.csv.sha256", summed(SECOND), 9)
    await house.rounds(1)
    assert [one.state for one in house.of_kind("csv_catalogue")] == ["routed", "routed"]
    assert house.cases.unmatched == {}
    left(place, "a.csv.sha256", summed(SECOND), 8)  # late once more, and no file after it
    await house.rounds(8)
    assert f"archive/{DAY}/a.csv.1.sha256.1" in lying(place) and house.cases.unmatched == {}


async def test_a_file_still_written_beside_an_older_sum_waits_and_keeps_no_other_waiting(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = watched(place, complete="rename")
    left(place, "a.csv.sha256", summed(FIRST), 20)
    left(place, "a.csv", SECOND, 10)
    left(place, "b.csv", CATALOGUE, 5)
    folder = house.folder_for(house.sources[0])
    read = folder.read

    async def written(name: str, place: str = "") -> bytes:
        if name == "a.csv":
            raise Unavailable("it is still being written", code=UNFINISHED, system="files")
        return await read(name, place)

    monkeypatch.setattr(folder, "read", written)
    await house.rounds(2)
    assert house.names == ["b.csv"] and "a.csv" in lying(place)


async def test_a_file_whose_own_checksum_never_comes_is_refused_after_a_time_and_not_taken_unchecked(
    place: Path,
) -> None:
    house = watched(place, complete="rename", companions_within=60)
    sent(place, FIRST, 20)
    await house.rounds(1)
    left(place, "a.csv", SECOND, 10)
    left(place, "a.csv.sha256", summed(FIRST), 9)
    await house.rounds(5)
    assert house.names == ["a.csv"]
    await house.rounds(3)
    first, spoilt = house.of_kind("csv_catalogue")
    assert (first.state, spoilt.state, spoilt.data) == ("routed", "refused", SECOND)
    assert len(house.drifts.files) == 1 and len(house.cases.unmatched) == 1


async def test_a_checksum_whose_file_never_comes_is_listed_once_and_lies_among_the_refused(place: Path) -> None:
    house = watched(place, complete="rename", companions_within=60)
    left(place, "a.csv.sha256", summed(FIRST), 20)
    left(place, "other.txt.sha256", b"of no file of this source")
    await house.rounds(6)
    assert house.cases.unmatched == {}, "it may come yet"
    await house.rounds(5)
    (listed,) = house.cases.unmatched.values()
    assert "has not come within 60 s" in listed.reason
    assert sorted(lying(place)) == ["other.txt.sha256", f"refused/{DAY}/a.csv.sha256"]
    sent(place, SECOND, 10)
    await house.rounds(1)
    assert [one.state for one in house.of_kind("csv_catalogue")] == ["routed"], "the next file is not held against it"


async def test_a_sum_that_comes_late_and_is_another_one_than_that_of_the_file_taken_is_told(place: Path) -> None:
    house = watched(place, complete="rename", companions_within=60)
    left(place, "a.csv", FIRST, 20)
    await house.rounds(1)
    left(place, "a.csv.sha256", summed(SECOND), 19)
    await house.rounds(8)
    (listed,) = house.cases.unmatched.values()
    assert "may have been spoilt" in listed.reason


@pytest.mark.parametrize(
    ("fields", "lacks"), [({"checksum": "required"}, ".sha256"), ({"complete": "marker"}, ".done")]
)
async def test_a_file_that_waits_too_long_for_what_goes_with_it_is_listed_and_still_taken_when_that_comes(
    place: Path, fields: dict[str, str], lacks: str
) -> None:
    house = watched(place, **{"complete": "rename", "companions_within": 60, **fields})
    left(place, "a.csv", FIRST, 20)
    await house.rounds(6)
    assert house.cases.unmatched == {}
    await house.rounds(5)
    (listed,) = house.cases.unmatched.values()
    assert f"its {lacks} has not come" in listed.reason and sorted(lying(place)) == ["a.csv"]
    left(place, f"a.csv{lacks}", summed(FIRST))
    await house.rounds(1)
    assert [one.state for one in house.of_kind("csv_catalogue")] == ["routed"]


async def test_a_marker_older_than_its_file_says_nothing_of_it_so_the_file_must_stand_still(place: Path) -> None:
    house = watched(place, complete="marker", stable_for=25)
    left(place, "a.csv.done", b"", 30)
    for part in range(4):
        left(place, "a.csv", FIRST[: 40 * (part + 1)], 20 - part)
        await house.rounds(1)
    left(place, "a.csv", FIRST, 10)
    await house.rounds(3)
    assert house.names == []
    await house.rounds(1)
    assert [one.data for one in house.of_kind("csv_catalogue")] == [FIRST]


async def test_a_file_named_like_a_claim_of_ours_is_left_and_listed(place: Path) -> None:
    house = watched(place, complete="rename", pattern="*")
    left(place, "a.csv.sha256~12-34", b"x")
    await house.rounds(2)
    (listed,) = house.cases.unmatched.values()
    assert "rename it" in listed.reason and sorted(lying(place)) == ["a.csv.sha256~12-34"]


async def test_a_name_too_long_to_be_claimed_with_its_checksum_is_listed_and_keeps_no_other_waiting(
    place: Path,
) -> None:
    house = watched(place, complete="rename")
    long = f"{'x' * 240}.csv"
    left(place, long, FIRST, 20)
    left(place, f"{long}.sha256", summed(FIRST), 20)
    left(place, "b.csv", SECOND, 10)
    await house.rounds(3)
    assert house.names == ["b.csv"] and {long, f"{long}.sha256"} <= lying(place).keys()
    (listed,) = house.cases.unmatched.values()
    assert "no name as long" in listed.reason and "xxx" not in listed.reason


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with sftp_server(tmp_path) as running:
        yield running


async def test_over_sftp_a_file_broken_off_in_the_middle_of_its_claim_ends_beside_what_goes_with_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = server.root / "outbound"
    for step in (2, 4, 6, 8, 10, 12):
        house = Watched(sftp_source(server, complete="marker", checksum="required", largest=100_000))
        server.leave("a.csv", FIRST.replace(b"Glove", b"Glove %d" % step))
        server.leave("a.csv.sha256", summed(FIRST.replace(b"Glove", b"Glove %d" % step)))
        server.leave("a.csv.done", b"")
        with monkeypatch.context() as killed:
            dies(step, house, killed, before=False)
            with contextlib.suppress(Killed):
                await house.watch.once()
        house.watch = house.watcher()
        await house.rounds(2)
        (message,) = house.of_kind("csv_catalogue")
        assert message.state == "routed" and len(list((place / ".claimed").iterdir())) == 0
        await house.folder_for(house.sources[0]).close()
    (archive,) = (place / "archive").iterdir()
    files = {one.name: one.read_bytes() for one in archive.iterdir()}
    own = [name for name in files if not name.endswith(ENDINGS)]
    assert len(own) == 6 and len(files) == 18
    assert all(files[f"{name}.sha256"] == summed(files[name]) for name in own)
