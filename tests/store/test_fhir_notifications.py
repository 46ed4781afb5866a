"""Who asked by FHIR and has a webhook is told there, as FHIR tells it: of its own requests, once for each event, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import content_hash
from canonical.cases import BusinessEvent, LineState
from canonical.senders import Sender
from formats import fhir
from gateway.beside import Beside
from gateway.directory import Directory
from gateway.fhir_bundles import take
from gateway.fhir_door import FhirDoor, Wish
from gateway.fhir_shelf import Shelf
from gateway.fhir_tasks import Tasks
from store.cases import StoredCases
from store.fulfilment import StoredFulfilment
from store.journal import StoredJournal
from store.outbox import StoredOutbox, Subscriber
from store.standing import StoredStandings
from store.unmatched import StoredUnmatched
from tests.formats.fhir_files import changed
from tests.gateway.fhir_house import OTHER, WARD, bundle, entry
from tests.gateway.hl7_house import Senders
from tests.gateway.test_fhir_groups import line
from tests.store.build import SEAL_KEY, change, requisition
from workers.answers import FulfilmentOfRequests
from workers.loops.outbox import OutboxSender
from workers.notifications import Notifier

HOOK = "http://ward.example/hook"


class Ward:
    """A department with a webhook, and everything between it and its order."""

    def __init__(self, engine: AsyncEngine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.journal = StoredJournal(engine)
        self.cases = StoredCases(engine, SEAL_KEY)
        self.outbox = StoredOutbox(engine)
        self.directory = Directory(Senders(WARD, OTHER))
        self.fulfilment = StoredFulfilment(engine, self.cases)
        self.door = FhirDoor(self.journal, self.directory, StoredUnmatched(engine), secret=b"secret")
        self.heard: list[httpx.Request] = []

    async def listens(self, name: str, sender: str, form: str) -> None:
        (self.folder / name).write_bytes(b"a secret of the ward")
        row = Subscriber(name=name, url=f"{HOOK}/{name}", secret_file=name, sender=sender, form=form)
        await self.outbox.subscribe(row)

    async def asks(self, number: str, by: Sender = WARD) -> str:
        data = changed("r5_SupplyRequest", identifier=[{"value": number}])
        return (await self.door.create(by, fhir.R5, "SupplyRequest", data, Wish())).kept.id

    async def ordered(self, message: str, number: str, lines: Sequence[str] = ("1",)) -> None:
        """Its case says that it is ordered."""
        wanted = requisition(number).model_copy(update={"source": "ward-desk"})
        case = wanted.case_id
        await self.cases.announce(case, content_hash(wanted), message)
        at = datetime.now(UTC)
        event = BusinessEvent(
            type="requisition.lines_changed.v1", key=f"{case}/e", case=case, facility="NGH", occurred_at=at
        )
        said = tuple(LineState(line=name, order="PO-7", state="ordered") for name in lines)
        await self.cases.record(change(case, changed_at=at, lines=said, business_state="ordered", events=(event,)))

    async def tells(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            self.heard.append(request)
            return httpx.Response(200)

        tasks = Tasks(Shelf(self.journal, Beside()), self.journal, FulfilmentOfRequests(self.fulfilment))
        write = Notifier(self.directory, tasks, self.fulfilment, "https://us.example")
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            standings = StoredStandings(self.engine)
            await OutboxSender(self.outbox, standings, client, self.folder, "one", write=write).once()


@pytest.fixture
def ward(engine: AsyncEngine, tmp_path: Path) -> Ward:
    return Ward(engine, tmp_path)


def told(request: httpx.Request, release: fhir.Release) -> Any:
    """A notification, after it was held against its release."""
    bundle = fhir.read(request.content, release)
    for one in [bundle, *(fhir.of(each["resource"], release) for each in bundle.objects("entry"))]:
        assert fhir.check(one) == [], one.type
    return bundle.tree


@pytest.mark.parametrize(("release", "kind"), [(fhir.R5, "subscription-notification"), (fhir.R4B, "history")])
async def test_who_asked_is_told_of_its_order_in_its_release(ward: Ward, release: fhir.Release, kind: str) -> None:
    await ward.listens("ward", "WARD", f"fhir/{release.name}")
    data = changed(f"{release.name}_SupplyRequest", identifier=[{"value": "N-1"}])
    made = await ward.door.create(WARD, release, "SupplyRequest", data, Wish())
    await ward.ordered(made.kept.id, "N-1")
    await ward.tells()
    (request,) = ward.heard
    assert request.headers["content-type"] == f"application/fhir+json; fhirVersion={release.version[:3]}"
    assert request.headers["webhook-signature"].startswith("v1,")
    found = told(request, release)
    status, task = [one["resource"] for one in found["entry"]]
    assert (found["type"], status["type"], status["eventsSinceSubscriptionStart"]) == (kind, "event-notification", "1")
    assert task["focus"] == {"reference": f"SupplyRequest/{made.id}"}
    assert task["output"][0]["valueIdentifier"]["value"] == "PO-7"
    place = f"https://us.example/fhir/{release.name}/Task/{made.id}"
    assert status["notificationEvent"][0]["focus"] == {"reference": place}
    assert ("request" in found["entry"][0]) == (release == fhir.R4B)


async def test_it_hears_of_what_it_asked_for_and_of_nothing_else(ward: Ward) -> None:
    await ward.listens("ward", "WARD", "fhir/r5")
    await ward.listens("all", "", "")
    await ward.ordered(await ward.asks("N-1", OTHER), "N-1")
    await ward.ordered(await ward.asks("N-2"), "N-2")
    await ward.ordered("", "N-3")
    await ward.tells()
    to = [one.url.path.rpartition("/")[2] for one in ward.heard]
    assert sorted(to) == ["all", "all", "all", "ward"]
    (mine,) = [one for one in ward.heard if one.url.path.endswith("ward")]
    assert "N-2" in mine.headers["fascia-event"]
    plain = next(one for one in ward.heard if one.url.path.endswith("all"))
    assert BusinessEvent.model_validate_json(plain.content).type == "requisition.lines_changed.v1"


async def test_the_lines_of_a_group_are_told_together(ward: Ward) -> None:
    await ward.listens("ward", "WARD", "fhir/r5")
    data = bundle(entry(line("L-1")), entry(line("L-2")))
    await take(ward.door, WARD, fhir.R5, data)
    (whole,) = await ward.journal.kept_under("fhir/WARD/r5/Bundle/")
    await ward.ordered(whole.id, "G-7", ("L-1", "L-2"))
    await ward.tells()
    found = told(ward.heard[0], fhir.R5)
    assert [one["resource"]["resourceType"] for one in found["entry"]] == ["SubscriptionStatus", "Task", "Task"]
    (event,) = found["entry"][0]["resource"]["notificationEvent"]
    assert [one["reference"] for one in event["additionalContext"]] == [found["entry"][2]["fullUrl"]]


async def test_what_cannot_be_written_waits_and_is_seen(ward: Ward) -> None:
    await ward.listens("ward", "WARD", "fhir/r5")
    await ward.ordered(await ward.asks("N-1"), "N-1")
    ward.directory = Directory(Senders(OTHER))
    await ward.tells()
    assert ward.heard == []
    later = datetime.now(UTC) + timedelta(hours=1)
    (waiting,) = await ward.outbox.claim(later, later, subscriber="ward")
    assert waiting.attempts == 2


async def test_numbers_count_what_a_subscriber_was_told(ward: Ward) -> None:
    await ward.listens("ward", "WARD", "fhir/r5")
    for number in ("N-1", "N-2", "N-3"):
        await ward.ordered(await ward.asks(number), number)
    await ward.tells()
    said = [told(one, fhir.R5)["entry"][0]["resource"]["eventsSinceSubscriptionStart"] for one in ward.heard]
    assert said == ["1", "2", "3"]
