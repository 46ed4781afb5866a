"""What a sender calls its files may name a patient: it stands with the message itself, and in no log, reason or list."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from canonical.messages import Kept
from gateway.csv_answers import RESULT
from tests.adapters.folders.contract import left
from tests.formats.x12_files import sample
from tests.gateway.csv_house import CATALOGUE
from tests.gateway.files_house import House as Mailboxes
from tests.gateway.test_csv_files import BAD_ROWS
from tests.workers.test_folder_watch import Watched, watched
from tests.workers.test_previews import told

NAME = "Miller Anna 1961"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def named(house: Watched | Mailboxes) -> list[str]:
    """Where the name stands though it may not."""
    places = [
        f"{one.id} {one.state}"
        for one in house.journal.messages.values()
        if NAME in f"{one.reason}{one.note}{one.case}"
    ]
    places += [name for name, states in house.journal.moves.items() if any(NAME in why for _, why, _ in states)]
    shown = [one.model_copy(update={"document": ""}) for one in house.cases.unmatched.values()]
    return places + [one.id for one in shown if NAME in one.model_dump_json()]


async def test_a_watched_file_is_named_in_its_message_alone_whatever_becomes_of_it(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    house = watched(place, complete="rename", largest=2000, companions_within=30)
    for number, data in enumerate((CATALOGUE, BAD_ROWS, b"neither one nor the other", CATALOGUE * 20)):
        left(place, f"{NAME} {number}.csv", data)
    left(place, f"{NAME} 9.csv", CATALOGUE)
    left(place, f"{NAME} 9.csv.sha256", hashlib.sha256(b"x").hexdigest().encode())
    left(place, f"{NAME} alone.csv.sha256", b"x")
    house.results.away = True
    await house.rounds(5)
    assert {one.state for one in house.of_kind("csv_catalogue")} == {"routed", "refused"}
    assert len(house.of_kind("file_notice")) == 2, "too large, and alone"
    for message in list(house.journal.messages.values()):
        if message.direction == "in" and message.kind.startswith("csv_"):
            (said,) = await told(house, message)
            assert NAME not in said.model_dump_json()
    assert named(house) == [] and NAME not in "".join(capfd.readouterr())
    files = house.of_kind("csv_catalogue") + house.of_kind(RESULT)
    assert all(NAME in one.control_number and one.number == "" for one in files), "with the message itself it is shown"
    assert all(NAME.encode() in one.data for one in house.of_kind("file_notice"))


async def test_a_file_in_a_mailbox_is_named_in_its_notice_alone(capfd: pytest.CaptureFixture[str]) -> None:
    house = Mailboxes()
    interchange = sample("997_order_rejected")
    await house.door.accept(house.partner, NAME, interchange + interchange.replace(b"000000", b"100000"))
    await house.door.accept(house.partner, NAME, b"not an interchange")
    await house.door.left(house.partner, NAME, 9, "a file of 9 bytes, more than 8")
    assert named(house) == [] and NAME not in "".join(capfd.readouterr())
    notices: list[Kept] = [one for one in house.journal.messages.values() if NAME.encode() in one.data]
    assert len(notices) == 1
