"""What became of what a sender asked for by FHIR is read from our own store: its own, in the order it happened, page by page."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import content_hash
from canonical.cases import LineState
from canonical.messages import Kept, NewMessage
from canonical.ports import Unmatched
from formats.fhir import R5
from gateway.directory import Directory
from gateway.fhir_door import FhirDoor, Wish
from gateway.fhir_faults import Refused
from gateway.fhir_tasks import task
from store.cases import StoredCases
from store.fulfilment import StoredFulfilment
from store.journal import StoredJournal
from store.unmatched import StoredUnmatched
from tests.formats.fhir_files import changed
from tests.gateway.fhir_house import OTHER, WARD
from tests.gateway.hl7_house import Senders
from tests.store.build import SEAL_KEY, change, requisition
from workers.answers import FulfilmentOfRequests

KIND = "SupplyRequest"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def cases(engine: AsyncEngine) -> StoredCases:
    return StoredCases(engine, SEAL_KEY)


@pytest.fixture
def fulfilment(engine: AsyncEngine, cases: StoredCases) -> StoredFulfilment:
    return StoredFulfilment(engine, cases)


@pytest.fixture
def door(engine: AsyncEngine, fulfilment: StoredFulfilment) -> FhirDoor:
    journal, listing = StoredJournal(engine), StoredUnmatched(engine)
    became = FulfilmentOfRequests(fulfilment)
    return FhirDoor(journal, Directory(Senders(WARD, OTHER)), listing, secret=b"secret", fulfilment=became)


async def asked(door: FhirDoor, number: str) -> Kept:
    data = changed("r5_SupplyRequest", identifier=[{"value": number}])
    return (await door.create(WARD, R5, KIND, data, Wish())).kept


async def begun(cases: StoredCases, kept: Kept, number: str, at: datetime) -> str:
    """The case of a message, which has an order at once."""
    wanted = requisition(number).model_copy(update={"source": "ward-desk"})
    await cases.announce(wanted.case_id, content_hash(wanted), kept.id)
    line = LineState(line="1", order="PO-7", state="ordered")
    await cases.record(change(wanted.case_id, changed_at=at, lines=(line,), business_state="ordered"))
    return wanted.case_id


async def test_who_asked_finds_the_number_of_its_order(door: FhirDoor, cases: StoredCases) -> None:
    kept = await asked(door, "F-1")
    name = kept.key.rpartition("/")[2]
    before = await door.tasks.read(WARD, R5, name)
    assert before is not None and task(before)["status"] == "received"
    at = datetime.now(UTC)
    await begun(cases, kept, "F-1", at)
    after = await door.tasks.read(WARD, R5, name)
    assert after is not None and after.changed_at == at
    assert task(after)["output"][0]["valueIdentifier"]["value"] == "PO-7"
    assert await door.tasks.read(OTHER, R5, name) is None


async def test_a_case_says_whose_message_asked_for_it(
    door: FhirDoor, cases: StoredCases, fulfilment: StoredFulfilment
) -> None:
    case = await begun(cases, await asked(door, "F-1"), "F-1", datetime.now(UTC))
    (_, _, sender) = (await fulfilment.standings([case, "procure_to_pay/NGH/ward-desk/F-2"]))[case]
    assert sender == "WARD"


async def test_news_come_oldest_first_and_those_of_one_moment_together(
    engine: AsyncEngine, door: FhirDoor, cases: StoredCases, fulfilment: StoredFulfilment
) -> None:
    kept = [await asked(door, f"F-{n}") for n in range(4)]
    foreign = NewMessage(door="mllp", data=b"x", sender="WARD", kind="OMS^O05", key="k")
    await StoredJournal(engine).keep(foreign)
    later = datetime.now(UTC) + timedelta(minutes=1)
    for number in (0, 1):
        await begun(cases, kept[number], f"F-{number}", later)
    listed = later + timedelta(minutes=1)
    row = Unmatched(id="u-1", kind="unreadable", supplier="WARD", reason="no", message=kept[2].id, at=listed)
    await StoredUnmatched(engine).put_unmatched(row)
    assert await fulfilment.ended([one.id for one in kept]) == {kept[2].id: listed}
    news = await fulfilment.changed("WARD", BEGAN, after=True, limit=50)
    assert [one for one, _ in news] == [kept[3].id, *sorted([kept[0].id, kept[1].id]), kept[2].id]
    assert [at for _, at in news] == [kept[3].at, later, later, listed]
    assert (
        len(await fulfilment.changed("WARD", BEGAN, after=True, limit=2)) == 3
    )  # two of one moment are not torn apart
    assert await fulfilment.changed("WARD", listed, after=True, limit=50) == []
    assert await fulfilment.changed("WARD", listed, after=False, limit=50) == [(kept[2].id, listed)]
    assert await fulfilment.changed("OTHER", BEGAN, after=True, limit=50) == []


async def test_of_many_changes_at_once_one_takes_the_number(door: FhirDoor) -> None:
    kept = await asked(door, "F-1")
    name = kept.key.rpartition("/")[2]
    bodies = [changed("r5_SupplyRequest", id=name, identifier=[{"value": "F-1"}], language=f"x-{n}") for n in range(8)]
    done = await asyncio.gather(
        *(door.update(WARD, R5, KIND, name, one, 'W/"1"') for one in bodies), return_exceptions=True
    )
    taken = [one for one in done if not isinstance(one, BaseException)]
    late = [one for one in done if isinstance(one, Refused)]
    assert (len(taken), {one.status for one in late}, len(late)) == (1, {412}, 7)
    newest = await door.shelf.read(WARD, R5, KIND, name)
    first = await door.shelf.read(WARD, R5, KIND, name, 1)
    assert newest is not None and first is not None
    assert (newest.version, newest.kept.data, first.kept.id) == (2, taken[0].kept.data, kept.id)
    await door.close()
