"""A department's system at the REST door on our own store; Temporal is played, and notes each start."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import Facility
from canonical.senders import Sender
from cli.again import OurReplays
from gateway.rest import make_app
from store.keys import NewKey, StoredKeys
from store.query_models import MessageQuery
from tests import build
from tests.store.build import put
from tests.store.replay_house import ME, Starts
from workers.settings import Settings
from workers.wiring import Wiring

SENDER = Sender(
    code="orplan", facility="NGH", dialect="rest", source="ward-desk", department="surgery", cost_centre="CC-4100",
    deliver_to="NGH-W3", requester="E-1001",
)  # fmt: skip


def asked(number: str, **changes: object) -> bytes:
    """A requisition in JSON."""
    made = build.requisition(number=number, source="ward-desk").model_copy(update=changes)
    return made.model_dump_json(exclude_defaults=True).encode()


class Desk:
    """Everything between the door and its cases."""

    def __init__(self, engine: AsyncEngine, home: Path) -> None:
        self.wiring = Wiring(Settings(home=home), engine, cast(Any, None))
        self.wiring.__dict__["seal_key"] = build.SEAL_KEY
        self.starts = Starts(home / "starts")
        self.starts.wiring = self.wiring
        self.wiring.__dict__["engine"] = self.starts
        self.replays = OurReplays(self.wiring, ME)
        self.secret = ""
        transport = httpx.ASGITransport(make_app(self.wiring.doors()), raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://door")

    async def register(self) -> None:
        await put(self.wiring.database, "facility", "", "NGH", Facility(code="NGH"))
        await put(self.wiring.database, "sender", "", "orplan", SENDER)
        new = NewKey(
            sender="orplan", facility="NGH", scopes=("requisitions", "files", "source:ward-desk"), per_minute=0
        )
        _, self.secret = await StoredKeys(self.wiring.database).add(new)

    async def upload(self, body: bytes, key: str) -> httpx.Response:
        given = {"Content-Type": "text/csv", "Authorization": f"Bearer {self.secret}", "Idempotency-Key": key}
        return await self.client.post("/v1/files/requisitions", content=body, headers=given)

    def which(self, state: str) -> MessageQuery:
        """What came in and is in this state."""
        return MessageQuery(state=state, direction="in")

    async def post(self, body: bytes, key: str) -> httpx.Response:
        given = {"Content-Type": "application/json", "Authorization": f"Bearer {self.secret}", "Idempotency-Key": key}
        return await self.client.post("/v1/requisitions", content=body, headers=given)
