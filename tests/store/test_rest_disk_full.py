"""The REST door while our database has no room: 503 and a time to come back, nothing kept; then all of it, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import Facility
from canonical.senders import Sender
from gateway.rest import make_app
from store.authority import HOSPITAL
from store.database import open_engine
from store.keys import NewKey, StoredKeys
from store.query_models import MessageQuery
from store.register import StoredRegister
from tests.gateway.csv_house import CATALOGUE
from tests.gateway.fakes import FakeEngine
from tests.gateway.rest_house import wire
from tests.stack.full_disk import FullDisk, full_disk
from workers.settings import Settings
from workers.wiring import Wiring


class Door:
    """The door as it is wired in its process, on a database behind a disk that can be full."""

    def __init__(self, wiring: Wiring, disk: FullDisk, secret: str) -> None:
        self.wiring, self.disk = wiring, disk
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(wiring.doors()), raise_app_exceptions=False),
            base_url="http://door",
            headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": "k-1"},
        )

    async def sends(self, path: str) -> httpx.Response:
        if path == "/v1/requisitions":
            return await self.client.post(path, json=wire())
        return await self.client.post(path, content=CATALOGUE, headers={"Content-Type": "text/csv"})

    async def kept(self) -> int:
        return len((await self.wiring.queries.messages(MessageQuery(direction="in", door="rest"))).messages)


@pytest.fixture
async def door(engine: AsyncEngine, server: str, tmp_path: Path) -> AsyncIterator[Door]:
    register = StoredRegister(engine)
    await register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
    sender = Sender(code="orplan", facility="NGH", dialect="rest", source="surgery-app", department="surgery")
    await register.load("sender", [sender], HOSPITAL)
    scopes = ("requisitions", "files", "source:surgery-app")
    _, secret = await StoredKeys(engine).add(NewKey(sender="orplan", facility="NGH", scopes=scopes))
    at = urlsplit(f"{server}/fascia")
    assert at.hostname and at.port
    async with full_disk(at.hostname, at.port) as disk:
        behind = open_engine(at._replace(netloc=at.netloc.replace(f":{at.port}", f":{disk.port}")).geturl())
        settings = Settings(home=tmp_path)
        settings.secret_path("seal_key").parent.mkdir()
        settings.secret_path("seal_key").write_text("s" * 40)
        wiring = Wiring(settings, behind, cast(Any, None))
        wiring.__dict__["engine"] = FakeEngine()
        yield Door(wiring, disk, secret)
        await behind.dispose()


@pytest.mark.parametrize("path", ["/v1/requisitions", "/v1/files/catalogue"])
async def test_what_cannot_be_written_is_answered_503_and_taken_once_when_it_is_sent_again(
    door: Door, path: str
) -> None:
    door.disk.full = True
    for _ in range(2):
        answer = await door.sends(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] and "INSERT" not in answer.text
    assert door.disk.refused >= 1 and await door.kept() == 0
    door.disk.full = False
    for _ in range(2):
        assert (await door.sends(path)).status_code == 202
    assert await door.kept() == 1
