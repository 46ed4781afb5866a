"""The REST door with everything behind it in memory, and how these tests knock."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from canonical.errors import Unavailable
from canonical.hr_ports import HrStanding
from canonical.messages import Kept
from canonical.people import HrEvent
from canonical.senders import Mapping, Sender
from gateway.csv_files import CsvFiles
from gateway.decisions import settle_decisions
from gateway.directory import Directory
from gateway.intake import Intake
from gateway.lookups import Caller
from gateway.master_files import MasterFiles
from gateway.rest import Doors, make_app
from gateway.routing import Routing
from gateway.scan_door import ScanDoor
from gateway.signatures import Signer
from tests import build
from tests.fakes.scans import FakeStock
from tests.fakes.store import FakeCases
from tests.gateway.csv_house import FakeDrifts, FakeResults
from tests.gateway.fakes import FakeEngine, FakeKeys, FakeLookups, FakeQuotas, FakeUnmatched, NotingJournal
from workers.loops.router import Router

SYSTEM = Caller(
    key="key-1",
    sender="orplan",
    facility="NGH",
    scopes=("requisitions", "lookups", "files", "usage", "people", "source:surgery-app"),
    per_minute=1000,
)
PERSON = Caller(key="key-2", sender="e-buy", facility="NGH", person="E-BUY", roles=("buyer",), per_minute=1000)
ASKING = Caller(key="key-5", sender="e-req", facility="NGH", person="E-REQ", roles=("requester",), per_minute=1000)
ELSEWHERE = Caller(key="key-3", sender="other", facility="SGH", person="E-X", per_minute=1000)
SLOW = Caller(key="key-4", sender="slow", facility="NGH", per_minute=2)
FREE = Caller(key="key-6", sender="free", facility="NGH", per_minute=0)


@dataclass
class House:
    """The door with everything behind it in memory."""

    journal: NotingJournal = field(default_factory=NotingJournal)
    engine: FakeEngine = field(default_factory=FakeEngine)

    def __post_init__(self) -> None:
        self.cases = FakeCases(self.journal)
        self.intake = Intake(self.journal, self.cases, self.engine, patience=0.2)
        settle_decisions(self.intake)
        self.lookups = FakeLookups(self.cases)
        self.quotas = FakeQuotas()
        self.failing: dict[str, bool] = {}
        self.signing: dict[str, list[Signer]] = {}
        self.standing: list[HrStanding] = []
        self.asked: list[tuple[str, str]] = []
        self.doors = Doors(
            intake=self.intake,
            cases=self.cases,
            engine=self.engine,
            keys=FakeKeys(system=SYSTEM, person=PERSON, asking=ASKING, elsewhere=ELSEWHERE, slow=SLOW, free=FREE),
            quotas=self.quotas,
            lookups=self.lookups,
            unmatched=FakeUnmatched(self.cases),
            seal_key=build.SEAL_KEY,
            files=self.csv_files(),
            hooks=self,
            scans=self.scan_door(),
            heard=self,
            ready={"store": self.check("store"), "temporal": self.check("temporal")},
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(self.doors), raise_app_exceptions=False), base_url="http://door"
        )

    def csv_files(self) -> CsvFiles:
        """What takes uploaded files; ``rows`` are the senders' of the register."""
        self.rows: list[Sender] = [
            Sender(code="orplan", facility="NGH", dialect="rest", source="surgery-app", department="surgery")
        ]
        self.drifts, self.results = FakeDrifts(), FakeResults()
        return CsvFiles(self.intake, self, MasterFiles(self.intake, self.drifts), self.results)

    def scan_door(self) -> ScanDoor:
        """What takes scans and counts; ``tables`` are the senders' codes."""
        self.tables: list[Mapping] = []
        self.stock = FakeStock()
        self.directory = Directory(self)
        self.scans = ScanDoor(
            self.intake, self.journal, self.directory, self.stock, patience=0.2, clock=lambda: build.NOW
        )
        return self.scans

    async def standings(self, facility: str, source: str, numbers: Sequence[str]) -> Sequence[HrStanding]:
        """How HR events stand; ``asked``: of which facility and source."""
        self.asked.append((facility, source))
        return [one for one in self.standing if one.number in numbers]

    async def signers(self, sender: str) -> Sequence[Signer]:
        """The keys by which a sender signs; ``signing`` by sender."""
        return self.signing.get(sender, [])

    async def senders(self) -> Sequence[Sender]:
        return self.rows

    async def mappings(self) -> Sequence[Mapping]:
        return self.tables

    def check(self, name: str) -> Callable[[], Awaitable[None]]:
        async def checked() -> None:
            if self.failing.get(name):
                raise Unavailable(f"{name} does not answer")

        return checked

    async def post(
        self,
        body: object,
        key: str | None = "k-1",
        *,
        by: str = "system",
        path: str = "/v1/requisitions",
        **headers: str,
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", "Authorization": f"Bearer {by}", **headers}
        if key is not None:
            given["Idempotency-Key"] = key
        return await self.client.post(path, content=content, headers=given)

    async def get(self, path: str, by: str = "system") -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": f"Bearer {by}"})

    @property
    def messages(self) -> list[Kept]:
        return list(self.journal.messages.values())


def wire(**changes: object) -> dict[str, object]:
    return {**json.loads(build.requisition(number="R-1").model_dump_json(exclude_defaults=True)), **changes}


async def heard(house: House) -> list[HrEvent]:
    """What HR said, of all that was kept and is not routed yet."""
    taken: list[HrEvent] = []

    async def take(message: Kept, sender: Sender, nouns: Any) -> str:
        taken.extend(nouns)
        return ""

    routing = Routing(house.journal, house.intake, house.directory, {}, takers_of_all={HrEvent: take})
    await Router(house.journal, routing, 0, 1).once()
    return taken


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem, of the one form all of them have."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["type"] == f"urn:fascia:problem:{code}"
    assert body["trace"] == answer.headers["x-trace-id"]
    return body
