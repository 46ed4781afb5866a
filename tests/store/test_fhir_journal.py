"""The FHIR door over our own database: what was kept is found by its id and its identifier, once, whoever asks at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Unavailable
from canonical.messages import Kept, Move
from formats.fhir import R5
from gateway import fhir_bundles
from gateway.directory import Directory
from gateway.fhir_door import FhirDoor, Wish
from gateway.fhir_faults import Refused
from store.journal import StoredJournal
from store.unmatched import StoredUnmatched
from tests.formats.fhir_files import changed, sample
from tests.gateway.fhir_house import OTHER, REQUEST, WARD
from tests.gateway.hl7_house import Senders

KIND = "SupplyRequest"


@pytest.fixture
def journal(engine: AsyncEngine) -> StoredJournal:
    return StoredJournal(engine)


@pytest.fixture
def door(engine: AsyncEngine, journal: StoredJournal) -> FhirDoor:
    return FhirDoor(journal, Directory(Senders(WARD, OTHER)), StoredUnmatched(engine), secret=b"secret")


async def waiting(journal: StoredJournal) -> list[str]:
    return [one.kind for one in await journal.next_to_route(0, 1)]


async def test_what_was_kept_is_found_by_its_id_and_its_identifier(door: FhirDoor, journal: StoredJournal) -> None:
    made = await door.create(WARD, R5, KIND, REQUEST, Wish())
    found = await door.shelf.read(WARD, R5, KIND, made.id)
    assert found is not None and found.kept.data == REQUEST and found.kept.at == made.kept.at
    assert [one.id for one in await door.shelf.search(WARD, R5, KIND, "identifier=W-2026-0117")] == [made.id]
    assert await door.shelf.read(OTHER, R5, KIND, made.id) is None
    assert await door.shelf.read(WARD, R5, KIND, made.id[:-1]) is None
    assert await waiting(journal) == ["r5/SupplyRequest"]


async def test_the_same_is_once_and_other_content_a_conflict(door: FhirDoor, journal: StoredJournal) -> None:
    made = await door.create(WARD, R5, KIND, REQUEST, Wish())
    again = await asyncio.gather(*(door.create(WARD, R5, KIND, REQUEST, Wish()) for _ in range(20)))
    assert {one.kept.id for one in again} == {made.kept.id}
    spaced = await door.create(WARD, R5, KIND, REQUEST.replace(b'"status"', b' "status" '), Wish())
    assert spaced.kept.id == made.kept.id
    for _ in range(2):
        with pytest.raises(Refused) as no:
            await door.create(WARD, R5, KIND, REQUEST.replace(b"1.10", b"1.1"), Wish())
        assert no.value.status == 409
    assert await waiting(journal) == ["r5/SupplyRequest"]


async def test_a_transaction_cut_short_comes_again(
    door: FhirDoor, journal: StoredJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_: Sequence[Move]) -> None:
        raise Unavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "mark_many", killed)
        with pytest.raises(Unavailable):
            await fhir_bundles.take(door, WARD, R5, sample("r5_Bundle"))
    assert await waiting(journal) == []
    answer = await fhir_bundles.take(door, WARD, R5, sample("r5_Bundle"))
    assert [one["response"]["status"] for one in answer["entry"]] == ["201 Created"] * 3
    assert sorted(await waiting(journal)) == ["r5/DeviceUsage", "r5/SupplyDelivery", "r5/SupplyRequest"]
    kept: list[Kept] = list(await journal.kept_under("fhir/WARD/r5/Bundle/"))
    assert [(one.state, one.data) for one in kept] == [("routed", sample("r5_Bundle"))]


async def test_what_was_refused_takes_no_identifier(door: FhirDoor, journal: StoredJournal) -> None:
    with pytest.raises(Refused):
        await door.create(WARD, R5, KIND, changed("r5_SupplyRequest", status="bogus"), Wish())
    made = await door.create(WARD, R5, KIND, REQUEST, Wish(if_none_exist="identifier=W-2026-0117"))
    assert made.created and await waiting(journal) == ["r5/SupplyRequest"]
