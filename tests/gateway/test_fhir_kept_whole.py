"""Nothing of a resource is lost on its way in and out: digits, extensions, contained resources, UDI carriers; and none is misread."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from canonical.senders import Sender
from canonical.usage import UsageEvent
from formats import fhir
from formats import udi as udis
from formats.fhir import Exact
from gateway.simulate import simulate
from tests.formats.fhir_files import changed, tree
from tests.gateway.fhir_house import WARD, House, bundle, entry, outcome
from tests.gateway.test_simulate_fhir import BOOK

LETTERS = ("1.10", "1e2", "1E+2", "0.0000000000000000000000000010", "1234567890123456789012345678.90", "-0.0", "100")
MODIFIER = {"url": "http://ward.example/not", "valueBoolean": True}
# One of each agency that issues UDI (GS1, HIBCC, ICCBBA), as they are printed under the bars.
CARRIERS = (
    "(01)04012345000016(17)261231(10)A213B1(21)1234",
    "+B066000325011NS1/$$420020216LOT123456789012345/SXYZ456789012345678/",
    "=/A9999XYZ100T0944=,000025=A99971312345600=>014032=}013032&,1000000000000XYZ123",
)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


def said(name: str, value: Any) -> dict[str, Any]:
    return {"url": f"http://ward.example/{name}", **value}


def rich() -> bytes:
    """A SupplyRequest with everything around its elements that FHIR knows."""
    numbers = [said(f"n{place}", {"valueDecimal": Exact(one)}) for place, one in enumerate(LETTERS)]
    nested = said("nested", {"extension": [*numbers, said("why", {"valueString": "as  the ward\twrote it: Ωmega"})]})
    place = {"resourceType": "Location", "id": "l", "name": "Store", "extension": [nested]}
    return changed(
        "r5_SupplyRequest",
        contained=[place],
        extension=[nested],
        _status={"id": "s-1", "extension": [said("since", {"valueInstant": "2026-11-21T08:00:00.100Z"})]},
        _authoredOn={"extension": [said("zone", {"valueCode": "CET"})]},
        identifier=[{"value": "K-1", "_value": {"extension": [said("check", {"valueInteger": 7})]}}],
        deliverTo={"reference": "#l", "identifier": {"value": "NGH-OR"}, "extension": [nested]},
        quantity={"value": Exact("2.50"), "code": "BX", "_value": {"id": "q"}},
    )


def content(data: bytes) -> Any:
    return {name: item for name, item in fhir.parse(data).items() if name not in ("id", "meta")}


async def test_extensions_contained_resources_and_digits_come_back_letter_by_letter(house: House) -> None:
    created = await house.post(rich())
    assert created.status_code == 201, created.text
    assert house.messages[0].data == rich()
    read = await house.get(created.headers["location"])
    found = await house.ask("GET", "r5/SupplyRequest", params={"identifier": "K-1"})
    inner = fhir.write(fhir.parse(found.content)["entry"][0]["resource"])
    for shown in (created.content, read.content, inner):
        assert fhir.same(content(shown), content(rich()))
        assert all(f'"valueDecimal":{letters}}}' in shown.decode() for letters in LETTERS)


async def test_in_a_transaction_they_do_too(house: House) -> None:
    data = bundle(entry(rich()), entry(tree("r5_SupplyDelivery")))
    told = (await house.post(data, "r5")).json()["entry"][0]["response"]
    assert fhir.same(content((await house.get(f"r5/{told['location']}")).content), content(rich()))
    assert house.messages[0].data == data


@pytest.mark.parametrize("letters", LETTERS)
async def test_a_number_in_other_letters_is_other_content(house: House, letters: str) -> None:
    def asking(number: str) -> bytes:
        return changed("r5_SupplyRequest", quantity={"value": Exact(number), "code": "BX"})

    assert (await house.post(asking(letters))).status_code == 201
    assert (await house.post(asking(letters).replace(b'"status":', b'"status": '))).status_code == 201
    outcome(await house.post(asking("2.50")), 409, "conflict")


async def test_what_is_ordered_is_what_was_written(house: House) -> None:
    for number, value in enumerate(("1.10", "1e2", "0.5")):
        ask = changed(
            "r5_SupplyRequest", identifier=[{"value": f"N-{number}"}], quantity={"value": Exact(value), "code": "BX"}
        )
        await house.post(ask)
    await house.router().once()
    ordered = [json.loads(data)["lines"][0]["quantity"]["value"] for _, data in house.engine.started]
    assert ordered == ["1.10", "1E+2", "0.5"]


async def test_a_number_we_cannot_count_is_a_dead_letter_and_is_rounded_nowhere(house: House) -> None:
    long = "1234567890123456789012345678.90"
    created = await house.post(changed("r5_SupplyRequest", quantity={"value": Exact(long), "code": "BX"}))
    await house.router().once()
    assert house.engine.started == [] and house.messages[0].state == "dead"
    assert long in (await house.get(created.headers["location"])).text


@pytest.mark.parametrize(
    "changes",
    [
        {"modifierExtension": [MODIFIER]},
        {"parameter": [{"code": {"text": "size"}, "valueBoolean": True, "modifierExtension": [MODIFIER]}]},
        {"contained": [{"resourceType": "Location", "id": "l", "modifierExtension": [MODIFIER]}]},
        {"implicitRules": "http://ward.example/rules"},
    ],
)
async def test_what_changes_the_meaning_is_refused_and_never_read_past(house: House, changes: dict[str, Any]) -> None:
    data = changed("r5_SupplyRequest", **changes)
    said = outcome(await house.post(data), 422, "extension")
    assert said["expression"][0].endswith(("modifierExtension", "implicitRules"))
    assert house.messages[0].data == data and house.messages[0].state == "refused"
    for check in ("warn", "off"):  # whose faults are tolerated is not read past it either
        lenient = House(Sender.model_validate(WARD.model_dump() | {"check": check}))
        assert (await lenient.post(data)).status_code == 201
        await lenient.router().once()
        assert lenient.engine.started == [] and lenient.messages[0].state == "dead"
        assert "not understood" in lenient.messages[0].reason
        await lenient.door.close()


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("base", ["r4b", "r5"])
async def test_a_udi_is_kept_as_it_was_read_from_the_device(house: House, base: str, carrier: str) -> None:
    udi = {"deviceIdentifier": "D-1", "carrierAIDC": "XTAxMDQwMTIzNDUwMDAwMTYdMTA=", "carrierHRF": carrier}
    if base == "r5":
        udi |= {"issuer": "http://hl7.org/fhir/NamingSystem/gs1"}
    device = {"resourceType": "Device", "id": "d", "udiCarrier": [udi]}
    used = {"reference": {"reference": "#d"}} if base == "r5" else {"reference": "#d"}
    kind = "DeviceUsage" if base == "r5" else "DeviceUseStatement"
    data = changed(f"{base}_{kind}", contained=[device], device=used)
    created = await house.post(data, f"{base}/{kind}")
    assert created.status_code == 201, created.text
    read = fhir.parse((await house.get(created.headers["location"])).content)
    assert read["contained"][0]["udiCarrier"] == [udi]
    (shown,) = simulate(data, BOOK, sender="WARD")
    (noun,) = shown.nouns
    assert (shown.kind, shown.reads, shown.problems) == (f"{base}/{kind}", True, ())
    assert isinstance(noun, UsageEvent) and noun.device == udis.read(carrier)


async def test_a_group_separator_in_a_readable_text_is_refused_as_fhir_says(house: House) -> None:
    device = {"resourceType": "Device", "id": "d", "udiCarrier": [{"carrierHRF": "0104012345000016\x1d10A"}]}
    outcome(await house.post(changed("r5_DeviceUsage", contained=[device]), "r5/DeviceUsage"), 400, "value")


@pytest.mark.parametrize("base", ["r4b", "r5"])
def test_a_preview_says_of_a_delivery_what_was_used_by_it(base: str) -> None:
    (shown,) = simulate(fhir.write(tree(f"{base}_SupplyDelivery")), BOOK, sender="WARD", release=base)
    assert (shown.kind, shown.reads, shown.refused, shown.problems) == (f"{base}/SupplyDelivery", True, False, ())
    assert [type(one) for one in shown.nouns] == [UsageEvent]
    (wrong,) = simulate(changed(f"{base}_SupplyDelivery", status="done"), BOOK, sender="WARD", release=base)
    assert wrong.refused and wrong.problems[0].path == "SupplyDelivery.status"
