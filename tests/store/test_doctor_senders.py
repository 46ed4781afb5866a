"""``fascia doctor`` says who has no way in, and which folder nobody looks into, with what to press."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.messages import NewMessage
from canonical.senders import Sender
from cli.checks_senders import folders, senders
from store.authority import HOSPITAL
from store.file_work import StoredFileWork
from store.journal import StoredJournal
from store.keys import NewKey, StoredKeys
from store.register import StoredRegister
from tests.gateway.csv_house import SUPPLIER
from tests.store.test_files_taken import House, source
from workers.loops.folder_watch import FolderWatch
from workers.settings import Settings


@pytest.fixture
def settings(server: str, tmp_path: Path) -> Settings:
    return Settings.model_validate({"home": tmp_path, "database_url": f"{server}/fascia".replace("+asyncpg", "")})


async def test_a_sender_without_a_key_or_a_folder_is_named_with_what_to_press(
    engine: AsyncEngine, settings: Settings, tmp_path: Path
) -> None:
    house = House(engine, tmp_path)
    await house.knows()
    assert (await senders(settings)).state == "warn", "ALPINE has no folder"
    more = [
        Sender(code="APP", facility="NGH", dialect="rest"),
        Sender(code="IMAGING", facility="NGH", dialect="fhir"),
        Sender(code="OFF", facility="NGH", dialect="fhir", active=False),
        Sender(code="WARD", facility="NGH", dialect="hl7", addresses=("10.0.0.1",)),
    ]
    report = await StoredRegister(engine).load("sender", more, HOSPITAL)
    assert report.loaded == 4, report.refused
    found = await senders(settings)
    assert "ALPINE: no folder" in found.text and "APP: no key of it holds at NGH" in found.text
    assert "IMAGING" in found.text and "OFF" not in found.text and "WARD:" not in found.text
    assert "fascia key add APP --facility NGH --scope files" in found.fix and "file_sources.csv" in found.fix
    asked = settings.model_copy(update={"hr_url": "http://127.0.0.1:9", "hr_sender": "APP"})
    assert "APP" not in (await senders(asked)).text, "an HR system that is asked need not come in"
    keys = StoredKeys(engine)
    await keys.add(NewKey(sender="APP", facility="NGH", scopes=("requisitions",)))
    await keys.add(NewKey(sender="IMAGING", facility="NGH", scopes=("files",)))
    found = await senders(settings)
    assert "APP" not in found.text and "IMAGING: none of its keys is for fhir" in found.text
    key, _ = await keys.add(NewKey(sender="IMAGING", facility="NGH"))
    for name, sender in (("IN", "ALPINE"), ("ASK", "WARD-FILES")):
        await house.register.load("file_source", [source(tmp_path, code=name, sender=sender)], HOSPITAL)
    assert (await senders(settings)).state == "ok"
    await keys.revoke(key.id)
    assert "IMAGING" in (await senders(settings)).text


async def test_a_folder_nobody_looks_into_is_named_unless_somebody_is_at_a_file_of_it(
    engine: AsyncEngine, settings: Settings, tmp_path: Path
) -> None:
    house = House(engine, tmp_path)
    await house.knows(source(tmp_path))
    found = await folders(settings)
    assert found.state == "fail" and "IN: nobody has looked into it yet" in found.text and "loops" in found.fix
    await house.watch.once()
    assert (await folders(settings)).state == "ok"
    async with engine.begin() as connection:
        await connection.execute(
            text("update marks set at = at - interval '90 s' where name like 'alive/file source/%'")
        )
    found = await folders(settings)
    assert "IN: its watcher has not looked into it for 90 s" in found.text
    kept = await StoredJournal(engine).keep(NewMessage(door="files", data=b"x", sender=SUPPLIER.code, channel="IN"))
    assert await StoredFileWork(engine).claim(kept.message.id)
    assert (await folders(settings)).state == "ok", "a large file takes its time"


async def test_a_folder_that_cannot_be_looked_into_gives_no_sign(
    engine: AsyncEngine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(engine, tmp_path)
    await house.knows(source(tmp_path))

    async def breaks(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(FolderWatch, "_take_in", breaks)
    await house.watch.once()
    assert "nobody has looked" in (await folders(settings)).text
