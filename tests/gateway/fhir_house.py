"""The FHIR door with everything behind it in memory, and how these tests knock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from canonical.base import Canonical
from canonical.purchasing import Requisition
from canonical.senders import Sender
from formats import fhir
from gateway.directory import Directory
from gateway.fhir_door import FhirDoor
from gateway.fhir_tasks import Standing
from gateway.intake import Intake
from gateway.lookups import Caller
from gateway.rest import Doors, make_app
from gateway.routing import Routing, Taker, requisitions
from tests import build
from tests.fakes.store import FakeCases
from tests.formats.fhir_files import sample
from tests.gateway.fakes import FakeEngine, FakeKeys, FakeLookups, FakeQuotas, FakeUnmatched
from tests.gateway.hl7_house import Journal, Senders
from workers.loops.router import Router

WARD = Sender(
    code="WARD",
    facility="NGH",
    dialect="fhir",
    owner="Ward integration",
    source="ward-desk",
    department="surgery",
    cost_centre="CC-1",
    requester="E-1",
    deliver_to="NGH-OR",
)
OTHER = WARD.changed(code="OTHER", source="other-desk")
CALLERS = {
    "ward": Caller(key="key-1", sender="WARD", facility="NGH", per_minute=0),
    "other": Caller(key="key-2", sender="OTHER", facility="NGH", per_minute=0),
    "slow": Caller(key="key-3", sender="WARD", facility="NGH", per_minute=1),
    "elsewhere": Caller(key="key-4", sender="WARD", facility="SGH", per_minute=0),
    "rowless": Caller(key="key-5", sender="NOBODY", facility="NGH", per_minute=0),
    "lookups": Caller(key="key-6", sender="WARD", facility="NGH", scopes=("lookups",), per_minute=0),
}
FHIR = "application/fhir+json"


class FakeFulfilment:
    """What became of requests, as the house's own cases and lists have it."""

    def __init__(self, cases: FakeCases, journal: Journal) -> None:
        self._cases = cases
        self._journal = journal

    async def standings(self, cases: Sequence[str]) -> Mapping[str, Standing]:
        found = {}
        for case in cases:
            if (status := await self._cases.status(case)) is not None:
                asked = self._journal.messages.get(self._cases.claim_messages.get(case, ""))
                at = self._cases.current[case].changed_at
                found[case] = Standing(status=status, changed_at=at, asked_by=asked.sender if asked else "")
        return found

    async def ended(self, messages: Sequence[str]) -> Mapping[str, datetime]:
        return {one.message: one.at for one in self._cases.unmatched.values() if one.message in messages and one.at}

    async def changed(self, sender: str, since: datetime, *, after: bool, limit: int) -> Sequence[tuple[str, datetime]]:
        news = {one.id: one.at for one in self._journal.messages.values() if one.sender == sender}
        for case, message in self._cases.claim_messages.items():
            if message in news and case in self._cases.current:
                news[message] = max(news[message], self._cases.current[case].changed_at)
        for row in self._cases.unmatched.values():
            if row.message in news and row.at:
                news[row.message] = max(news[row.message], row.at)
        found = sorted((at, name) for name, at in news.items() if (at > since if after else at >= since))
        last = found[limit - 1][0] if len(found) >= limit else None
        return [(name, at) for at, name in found if last is None or at <= last]


class House:
    """Everything behind the door."""

    def __init__(self, *senders: Sender, patience: float = 5.0) -> None:
        self.journal = Journal()
        self.cases = FakeCases(self.journal)
        self.engine = FakeEngine()
        self.register = Senders(*(senders or (WARD, OTHER)))
        self.directory = Directory(self.register)
        fulfilment = FakeFulfilment(self.cases, self.journal)
        self.door = FhirDoor(
            self.journal, self.directory, self.cases, secret=b"secret", patience=patience, fulfilment=fulfilment
        )
        self.intake = Intake(self.journal, self.cases, self.engine)
        self.takers: dict[type[Canonical], Taker] = {Requisition: requisitions(self.intake)}
        self.behind = Doors(
            intake=self.intake,
            cases=self.cases,
            engine=self.engine,
            keys=FakeKeys(**CALLERS),
            quotas=FakeQuotas(),
            lookups=FakeLookups(self.cases),
            unmatched=FakeUnmatched(self.cases),
            seal_key=build.SEAL_KEY,
            fhir=self.door,
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(self.behind), raise_app_exceptions=False), base_url="http://door"
        )

    def router(self) -> Router:
        return Router(self.journal, Routing(self.journal, self.intake, self.directory, self.takers), 0, 1)

    async def post(self, data: bytes, to: str = "r5/SupplyRequest", by: str = "ward", **headers: str) -> httpx.Response:
        given = {"Content-Type": FHIR} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", to, by, content=data, headers=given)

    async def put(self, data: bytes, to: str, if_match: str = "", by: str = "ward") -> httpx.Response:
        given = {"Content-Type": FHIR} | ({"If-Match": if_match} if if_match else {})
        return await self.ask("PUT", to, by, content=data, headers=given)

    async def get(self, path: str, by: str = "ward", **headers: str) -> httpx.Response:
        return await self.ask(
            "GET", path, by, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    async def ask(self, verb: str, path: str, by: str = "ward", **more: Any) -> httpx.Response:
        headers = ({"Authorization": f"Bearer {by}"} if by else {}) | more.pop("headers", {})
        url = path if path.startswith("http") else f"/fhir/{path}"
        return await self.client.request(verb, url, headers=headers, **more)

    @property
    def messages(self) -> list[Any]:
        return list(self.journal.messages.values())

    def states(self) -> list[tuple[str, str]]:
        """Kind and state of what was kept, in its order."""
        return [(one.kind, one.state) for one in self.messages]

    def listed(self) -> list[str]:
        return [row.kind for row in self.cases.unmatched.values()]


def outcome(answer: httpx.Response, status: int, code: str = "") -> dict[str, Any]:
    """The first issue of the OperationOutcome, of the one form all of them have."""
    assert answer.headers["content-type"].startswith(FHIR), answer.text
    body: dict[str, Any] = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    found = fhir.check(fhir.read(answer.content, fhir.R5))
    assert not found, found
    first: dict[str, Any] = body["issue"][0]
    assert answer.status_code == status and code in ("", first["code"]), (answer.status_code, body)
    assert "Anna" not in answer.text and first["diagnostics"]
    return first


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> bytes:
    return fhir.write({"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def entry(resource: bytes | dict[str, Any], url: str = "", **more: Any) -> dict[str, Any]:
    tree = fhir.parse(resource) if isinstance(resource, bytes) else resource
    asked = more.pop("if_none_exist", "")
    request = {"method": "POST", "url": url or tree["resourceType"]} | ({"ifNoneExist": asked} if asked else {})
    return {"resource": tree, "request": request, **more}


REQUEST, DELIVERY, USAGE = sample("r5_SupplyRequest"), sample("r5_SupplyDelivery"), sample("r5_DeviceUsage")
