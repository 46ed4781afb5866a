"""The demonstration's supplier writes a catalogue of which our reading finds exactly the three rows bad that are meant to be."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from canonical.catalogue import MasterFile
from demo.partner_desk import Desk
from demo.partner_mailbox import Mailbox
from demo.partner_script import load
from demo.partner_state import state_file
from demo.story_gateway import catalogue_rows
from formats.x12 import check, read
from gateway.registry import X12_KINDS, read_x12
from tests.gateway.feeds.x12_files import ALPINE


def test_a_catalogue_is_written_when_it_is_asked_for_and_three_of_its_rows_are_spoilt(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path, "ALPINE")
    desk = Desk(load()["ALPINE"], mailbox, state_file(tmp_path, "ALPINE"))
    mailbox.ask(kind="832", detail={"number": "C-1", "rows": catalogue_rows(Decimal("6.30"))})
    desk.turn()
    (sent,) = desk.memory.sent
    data = (mailbox.root / "outbound" / sent.file).read_bytes()
    (interchange,) = read(data)
    report = check(interchange, kinds=X12_KINDS)
    ((_, document),) = report.accepted
    assert report.groups[0].documents[0].status == "E"
    (file,) = read_x12(interchange, document, ALPINE)
    assert isinstance(file, MasterFile)
    assert [entry.catalogue_number for entry in file.entries] == ["ALP-GZ-44", "ALP-OND-4"]
    assert [bad.path.rpartition("/")[2] for bad in file.bad_rows] == ["CTP03", "LIN02", "DTM02"]
