"""SupplyRequests that belong together, in one transaction: one requisition of many lines, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from canonical.errors import Malformed, Unavailable
from canonical.messages import Move
from canonical.purchasing import Requisition
from canonical.senders import Mappings
from formats import fhir
from formats.fhir import R4B, R5, Release, Resource
from gateway.registry import fhir_feed, read_fhir
from gateway.replay_rules import refusal
from gateway.simulate import simulate
from tests.formats.fhir_files import tree
from tests.gateway.fhir_house import WARD, House, bundle, entry, outcome
from tests.gateway.test_simulate_fhir import BOOK

PGN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PGN"}]}


def line(own: str, group: str = "G-7", base: str = "r5", **changes: Any) -> dict[str, Any]:
    """A SupplyRequest that says to which group it belongs."""
    identifiers = [{"type": PGN, "value": group}, {"value": own}]
    return tree(f"{base}_SupplyRequest", identifier=identifiers, **changes)


def read(data: bytes, release: Release = R5) -> tuple[Requisition, ...]:
    feed = fhir_feed(release.kind("Bundle"))
    assert feed is not None
    found = read_fhir(feed, fhir.read(data, release), WARD, Mappings())
    return tuple(one for one in found if isinstance(one, Requisition))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


@pytest.mark.parametrize("release", [R4B, R5])
def test_requests_of_one_group_are_the_lines_of_one_requisition(release: Release) -> None:
    how_much = ("2.50", "10", "1e2")
    lines = [
        line(f"L-{n}", base=release.name, quantity={"value": fhir.Exact(value), "code": "BX"})
        for n, value in enumerate(how_much)
    ]
    (found,) = read(bundle(*map(entry, lines)), release)
    assert found.number == "G-7"
    assert [one.id for one in found.lines] == ["L-0", "L-1", "L-2"]
    assert [str(one.quantity.value) for one in found.lines] == ["2.50", "10", "1E+2"]


def test_a_requisition_is_as_urgent_and_as_early_as_its_lines_and_each_goes_to_its_own_place() -> None:
    plain: dict[str, Any] = {"priority": "routine", "occurrencePeriod": None, "parameter": None}
    first = line("L-1", **plain, occurrenceDateTime="2026-12-05")
    second = line(
        "L-2",
        **plain | {"priority": "stat"},
        occurrenceDateTime="2026-12-02",
        deliverTo={"identifier": {"value": "ICU"}},
    )
    (found,) = read(bundle(entry(first), entry(second)))
    assert (found.emergency, str(found.needed_by), found.deliver_to) == (True, "2026-12-02", "NGH-OR")
    assert [one.deliver_to for one in found.lines] == [None, "ICU"]


def test_r5_groups_what_is_based_on_one_orchestration_too() -> None:
    held = [{"type": "RequestOrchestration", "identifier": {"value": "RO-1"}}]
    lines = [tree("r5_SupplyRequest", identifier=[{"value": f"L-{n}"}], basedOn=held) for n in range(2)]
    (found,) = read(bundle(*map(entry, lines)))
    assert (found.number, len(found.lines)) == ("RO-1", 2)


def test_two_groups_are_two_requisitions_and_what_stands_by_itself_is_read_by_itself() -> None:
    told = [line("L-1"), line("L-2", "G-8"), tree("r5_SupplyRequest"), line("L-3")]
    found = read(bundle(*map(entry, told)))
    assert [(one.number, [each.id for each in one.lines]) for one in found] == [
        ("G-7", ["L-1", "L-3"]),
        ("G-8", ["L-2"]),
    ]
    assert read(bundle(*map(entry, told), kind="batch")) == ()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"status": "cancelled"}, "Bundle.entry[1].resource.status"),
        ({"status": "draft"}, "SupplyRequest.status"),
        ({"quantity": {"value": 1}}, "Bundle.entry[1].resource.quantity.unit"),
        ({"requester": {"reference": "Practitioner/E-9"}}, "SupplyRequest.requester"),
        ({"identifier": [{"type": PGN, "value": "G-7"}]}, "Bundle.entry[1].resource.identifier"),
        ({"identifier": [{"type": PGN, "value": "G-7"}, {"value": "L-1"}]}, "SupplyRequest.identifier"),
    ],
)
def test_lines_that_are_not_of_one_piece_are_for_a_person(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(Malformed) as no:
        read(bundle(entry(line("L-1")), entry(line("L-2") | changes)))
    assert no.value.path == path and no.value.message.startswith(path)


async def test_a_group_starts_one_case_and_its_lines_start_none(house: House) -> None:
    data = bundle(entry(line("L-1")), entry(line("L-2")), entry(tree("r5_SupplyRequest")))
    answer = await house.post(data, "r5")
    assert answer.status_code == 200, answer.text
    assert house.states() == [("r5/Bundle", "received")] + [("r5/SupplyRequest", "routed")] * 2 + [
        ("r5/SupplyRequest", "received")
    ]
    await house.router().once()
    assert sorted(case for case, _ in house.engine.started) == [
        "procure_to_pay/NGH/ward-desk/G-7",
        "procure_to_pay/NGH/ward-desk/W-2026-0117",
    ]
    grouped = next(json.loads(data) for case, data in house.engine.started if case.endswith("G-7"))
    assert [one["id"] for one in grouped["lines"]] == ["L-1", "L-2"]
    assert house.messages[0].case == "procure_to_pay/NGH/ward-desk/G-7"
    for again in (data, fhir.write(dict(reversed(fhir.parse(data).items())))):
        assert (await house.post(again, "r5")).status_code == 200
        await house.router().once()
    assert len(house.engine.started) == 2 and house.listed() == []


async def test_a_line_that_comes_later_is_a_conflict_for_a_person(house: House) -> None:
    await house.post(bundle(entry(line("L-1")), entry(line("L-2"))), "r5")
    assert (await house.post(fhir.write(line("L-3")))).status_code == 201
    await house.router().once()
    assert len(house.engine.started) == 1 and house.listed() == ["requisition"]


async def test_a_change_of_a_line_waits_behind_its_transaction(house: House) -> None:
    answer = await house.post(bundle(entry(line("L-1")), entry(line("L-2"))), "r5")
    place = answer.json()["entry"][1]["response"]["location"].partition("/_history")[0]
    cancelled = line("L-2", status="cancelled", id=place.partition("/")[2])
    done = await house.ask(
        "PUT",
        f"r5/{place}",
        content=fhir.write(cancelled),
        headers={"Content-Type": "application/fhir+json", "If-Match": 'W/"1"'},
    )
    assert done.status_code == 200, done.text
    assert len({one.stream for one in house.messages}) == 1
    await house.router().once()
    await house.router().once()
    assert len(house.engine.started) == 1
    assert house.messages[-1].state == "dead" and "requisition G-7" in house.messages[-1].reason


async def test_a_group_cut_short_starts_nothing_until_it_comes_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_: Sequence[Move]) -> None:
        raise Unavailable("killed")

    data = bundle(entry(line("L-1")), entry(line("L-2")))
    with monkeypatch.context() as patch:
        patch.setattr(house.journal, "mark_many", killed)
        outcome(await house.post(data, "r5"), 503)
    await house.router().once()
    assert house.engine.started == []
    assert (await house.post(data, "r5")).status_code == 200
    await house.router().once()
    assert len(house.engine.started) == 1


def test_a_preview_shows_the_requisition_once_with_all_its_lines() -> None:
    data = bundle(entry(line("L-1")), entry(line("L-2")))
    found = simulate(data, BOOK, sender="WARD")
    assert [(one.kind, len(one.nouns)) for one in found] == [
        ("r5/Bundle", 1),
        ("r5/SupplyRequest", 0),
        ("r5/SupplyRequest", 0),
    ]
    assert not any(one.problems for one in found)


def test_the_number_of_a_group_is_not_the_name_of_a_line() -> None:
    own = Resource(R5, line("L-1"))
    assert own.identifier is not None and own.group is not None
    assert (own.identifier.value, own.group.value) == ("L-1", "G-7")
    assert Resource(R4B, tree("r4b_SupplyRequest")).group is None


async def test_a_dead_group_is_replayed_by_its_transaction_and_not_line_by_line(house: House) -> None:
    bad = line("L-2", quantity={"value": 1, "code": "odd unit"})
    await house.post(bundle(entry(line("L-1")), entry(bad)), "r5")
    await house.post(bundle(entry(tree("r5_SupplyDelivery"))), "r5")
    await house.router().once()
    group, first, _, apart, _ = house.messages
    assert group.state == "dead" and "Bundle.entry[1].resource.quantity.code" in group.reason
    assert refusal(group, [], readable=True) is None
    for one, said in ((first, "its transaction"), (apart, "one by one")):
        no = refusal(one, [], readable=True)
        assert no is not None and said in no.message
