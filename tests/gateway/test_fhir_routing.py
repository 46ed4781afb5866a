"""What the FHIR door kept goes on: a request starts its case once, a use is taken, what cannot be read has an owner."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from canonical.base import Canonical
from canonical.messages import Kept
from canonical.purchasing import Requisition
from canonical.senders import Mapping, Sender
from canonical.usage import UsageEvent
from tests.formats.fhir_files import changed, sample
from tests.gateway.fhir_house import DELIVERY, REQUEST, USAGE, WARD, House, bundle, entry, outcome


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


def noted(house: House) -> list[UsageEvent]:
    """What is taken of uses, in its order."""
    taken: list[UsageEvent] = []

    async def take(message: Kept, sender: Sender, noun: Canonical) -> str:
        assert isinstance(noun, UsageEvent) and message.sender == sender.code
        taken.append(noun)
        return ""

    house.takers[UsageEvent] = take
    return taken


async def test_a_request_starts_its_case(house: House) -> None:
    assert (await house.post(REQUEST)).status_code == 201
    await house.router().once()
    ((case, data),) = house.engine.started
    assert case == "procure_to_pay/NGH/ward-desk/W-2026-0117"
    assert str(Requisition.model_validate_json(data).lines[0].quantity.value) == "1.10"
    (kept,) = house.messages
    assert (kept.state, kept.case) == ("routed", case)


async def test_a_use_goes_to_who_takes_uses_by_every_way_it_can_come(house: House) -> None:
    taken = noted(house)
    await house.post(USAGE, "r5/DeviceUsage")
    await house.post(sample("r4b_DeviceUseStatement"), "r4b/DeviceUseStatement")
    await house.post(DELIVERY, "r5/SupplyDelivery")
    second = changed("r5_DeviceUsage", identifier=[{"value": "U-2"}])
    await house.post(bundle(entry(second), entry(changed("r5_SupplyDelivery", identifier=[{"value": "D-2"}]))), "r5")
    await house.router().once()
    assert {state for _, state in house.states()} == {"routed"}
    assert sorted(one.number.rpartition("|")[2] for one in taken) == ["D-2", "D-31", "U-2", "U-88", "U-89"]


async def test_what_was_entered_in_error_takes_back_what_was_sent(house: House) -> None:
    taken = noted(house)
    created = await house.post(USAGE, "r5/DeviceUsage")
    place = created.headers["location"].partition("/_history")[0]
    name = place.rpartition("/")[2]
    wrong = changed("r5_DeviceUsage", id=name, status="entered-in-error")
    assert (await house.put(wrong, place, if_match=created.headers["etag"])).status_code == 200
    await house.router().once()
    assert [(one.kind, one.sequence) for one in taken] == [("use", 1), ("void", 500_001)]
    assert taken[1].voids_number == taken[0].number


async def test_what_has_no_number_of_its_senders_is_known_by_its_id(house: House) -> None:
    taken = noted(house)
    created = await house.post(changed("r5_DeviceUsage", identifier=None), "r5/DeviceUsage", Idempotency_Key="k-1")
    await house.router().once()
    assert [one.number for one in taken] == [created.headers["location"].split("/")[-3]]


@pytest.mark.parametrize("base", ["r4b", "r5"])
async def test_a_barcode_that_cannot_be_read_is_refused_while_it_is_in_the_hand(house: House, base: str) -> None:
    kind = "DeviceUsage" if base == "r5" else "DeviceUseStatement"
    carrier = {"deviceIdentifier": "1", "issuer": "urn:x", "carrierHRF": "(01)04012345000017(10)LOT7"}
    contained = [{"resourceType": "Device", "id": "d", "udiCarrier": [carrier]}]
    bad = changed(f"{base}_{kind}", contained=contained)
    told = outcome(await house.post(bad, f"{base}/{kind}"), 422, "processing")
    assert (
        told["expression"] == [f"{kind}.contained[0].udiCarrier[0].carrierHRF"] and "check digit" in told["diagnostics"]
    )
    whole = outcome(await house.post(bundle(entry(bad)), base), 422, "processing")
    assert whole["expression"] == ["Bundle.entry[0].resource.contained[0].udiCarrier[0].carrierHRF"]
    assert {state for _, state in house.states()} == {"refused"}
    tolerant = House(WARD.changed(check="warn"))
    assert (await tolerant.post(bad, f"{base}/{kind}")).status_code == 201
    await tolerant.door.close()


async def test_a_use_that_cannot_be_read_is_a_dead_letter_with_its_place(house: House) -> None:
    noted(house)
    await house.post(changed("r5_DeviceUsage", device={"concept": {"text": "Stapler"}}), "r5/DeviceUsage")
    await house.router().once()
    (kept,) = house.messages
    assert kept.state == "dead" and "DeviceUsage.device.concept: no code names it" in kept.reason


async def test_a_transaction_goes_on_entry_by_entry(house: House) -> None:
    noted(house)
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
