"""File sources are a kind of the register; and the journal knows which file came last under a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.folders import FileSource
from canonical.messages import NewMessage
from canonical.parties import Facility
from canonical.senders import Sender
from store.arrivals import StoredArrivals
from store.authority import HOSPITAL
from store.journal import StoredJournal
from store.register import StoredRegister
from tests.store.test_senders import read

SOURCES = """code,sender,feed,kind,path,complete,stable_for,host,user,key_file,host_key,bad_rows
IN,ALPINE,catalogue,folder,/var/in,marker,,,,,,refuse all
FAR,ALPINE,catalogue,sftp,/out,stable,30,files.alpine.example,ngh,alpine_files,ssh-ed25519 AAAA,
NOKEY,ALPINE,catalogue,sftp,/out,,,files.alpine.example,ngh,,,
HERE,ALPINE,catalogue,folder,in,,,,,,,
WHOSE,NOBODY,catalogue,folder,/var/in,,,,,,,
"""


@pytest.fixture
async def register(engine: AsyncEngine) -> StoredRegister:
    made = StoredRegister(engine)
    await made.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
    await made.load("sender", [Sender(code="ALPINE", facility="NGH", dialect="file")], HOSPITAL)
    return made


async def test_file_sources_are_loaded_and_one_that_cannot_be_reached_is_refused(
    register: StoredRegister, tmp_path: Path
) -> None:
    kind, rows = read(tmp_path, "file_sources.csv", SOURCES)
    report = await register.load(kind, rows, HOSPITAL)
    assert (kind, report.loaded) == ("file_source", 2)
    assert [(row, reason.split(":")[0]) for row, _, reason in report.refused] == [
        (4, "a folder over SFTP needs host, user, key_file and host_key"),
        (5, "the path of a folder begins with /"),
        (6, "no sender NOBODY in the register"),
    ]
    far, near = sorted(await register.file_sources(), key=lambda one: one.code)
    assert (near.bad_rows, near.complete) == ("refuse all", "marker")
    assert (far.key_file, far.stable_for, far.bad_rows) == ("alpine_files", 30, None)


@pytest.mark.parametrize("folder", ["/etc", "../up", "a/../../b", ""])
def test_no_folder_of_a_source_leads_out_of_it(folder: str) -> None:
    with pytest.raises(ValueError):
        FileSource(code="IN", sender="A", feed="catalogue", path="/in", archive=folder)
    with pytest.raises(ValueError, match="four folders"):
        FileSource(code="IN", sender="A", feed="catalogue", path="/in", archive="results")


async def test_the_last_file_of_a_name_is_found_among_all_that_its_sender_sent(engine: AsyncEngine) -> None:
    journal, arrivals = StoredJournal(engine), StoredArrivals(engine)

    async def keep(data: bytes, **fields: object) -> str:
        about = {"door": "files", "data": data, "sender": "ALPINE", "channel": "IN", "control_number": "a.csv"}
        new = NewMessage.model_validate({**about, "kind": "csv_catalogue", "key": f"{data!r}", **fields})
        return (await journal.keep(new)).message.id

    assert await arrivals.last("ALPINE", "IN", "a.csv") is None
    first = await keep(b"one")
    found = await arrivals.last("ALPINE", "IN", "a.csv")
    assert found is not None and (found.id, found.key) == (first, "b'one'")
    second = await keep(b"two")
    await keep(b"other name", control_number="b.csv")
    await keep(b"other source", channel="OUT")
    await keep(b"a part", kind="csv_catalogue_rows")
    await keep(b"a result", direction="out", kind="csv_result")
    found = await arrivals.last("ALPINE", "IN", "a.csv")
    assert found is not None and found.id == second
