"""What the FHIR door kept goes on: a request starts its case once, what nothing reads says so, what cannot be read has an owner."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from canonical.purchasing import Requisition
from canonical.senders import Mapping
from tests.formats.fhir_files import changed, sample
from tests.gateway.fhir_house import DELIVERY, REQUEST, USAGE, WARD, House, bundle, entry


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


async def test_a_request_starts_its_case(house: House) -> None:
    assert (await house.post(REQUEST)).status_code == 201
    await house.router().once()
    ((case, data),) = house.engine.started
    assert case == "procure_to_pay/NGH/ward-desk/W-2026-0117"
    assert str(Requisition.model_validate_json(data).lines[0].quantity.value) == "1.10"
    (kept,) = house.messages
    assert (kept.state, kept.case) == ("routed", case)


async def test_what_nothing_reads_yet_is_kept_and_says_so(house: House) -> None:
    await house.post(USAGE, "r5/DeviceUsage")
    await house.post(sample("r4b_DeviceUseStatement"), "r4b/DeviceUseStatement")
    await house.post(DELIVERY, "r5/SupplyDelivery")
    await house.router().once()
    assert {(one.state, one.reason) for one in house.messages} == {("routed", "kept, nothing reads it")}


async def test_a_transaction_goes_on_entry_by_entry(house: House) -> None:
    second = changed("r5_SupplyRequest", identifier=[{"value": "R-2"}])
    await house.post(bundle(entry(REQUEST), entry(second), entry(DELIVERY)), "r5")
    await house.router().once()
    assert [case.rpartition("/")[2] for case, _ in house.engine.started] == ["W-2026-0117", "R-2"]
    assert {state for _, state in house.states()} == {"routed"}


async def test_a_batch_goes_on_too(house: House) -> None:
    await house.post(bundle(entry(REQUEST), kind="batch"), "r5")
    await house.router().once()
    assert house.states() == [("r5/Bundle", "routed"), ("r5/SupplyRequest", "routed")]
    assert len(house.engine.started) == 1


async def test_what_cannot_be_read_is_a_dead_letter_with_an_owner_and_is_still_shown(house: House) -> None:
    created = await house.post(changed("r5_SupplyRequest", quantity={"value": 3}))
    await house.router().once()
    (kept,) = house.messages
    assert kept.state == "dead" and "SupplyRequest.quantity.unit" in kept.reason
    (row,) = house.cases.unmatched.values()
    assert (row.kind, row.supplier, row.facility) == ("unreadable", "WARD", "NGH") and "Ward integration" in row.reason
    assert (await house.get(created.headers["location"])).status_code == 200


async def test_a_code_mended_in_the_register_counts_at_once(house: House) -> None:
    house.register.tables = [Mapping(sender="WARD", table="unit", rows={"CS": "CA"})]
    await house.post(REQUEST)
    house.register.tables = [Mapping(sender="WARD", table="unit", rows={"BX": "BX"})]
    await house.router().once()
    assert len(house.engine.started) == 1


async def test_while_temporal_is_away_a_request_waits(house: House) -> None:
    await house.post(REQUEST)
    house.engine.away = True
    await house.router().once()
    assert [state for _, state in house.states()] == ["validated"]
    house.engine.away = False
    await house.router().once()
    assert len(house.engine.started) == 1


async def test_a_number_known_with_other_content_is_a_conflict_of_the_case(house: House) -> None:
    """The same number by the other release is another resource, and still the same requisition."""
    await house.post(REQUEST)
    await house.post(changed("r4b_SupplyRequest", identifier=[{"value": "W-2026-0117"}]), "r4b/SupplyRequest")
    await house.router().once()
    assert len(house.engine.started) == 1 and house.listed() == ["requisition"]
    assert [state for _, state in house.states()] == ["routed", "refused"]


async def test_a_sender_that_is_none_any_more_is_a_dead_letter(house: House) -> None:
    await house.post(REQUEST)
    house.register.rows = [WARD.changed(code="WHOEVER")]
    await house.directory.refresh()
    await house.router().once()
    assert [state for _, state in house.states()] == ["dead"]
