"""Whatever comes to the FHIR door is either taken or refused with a reason, kept either way, and never breaks it."""

from __future__ import annotations

import copy
import logging
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from canonical.errors import FasciaError
from canonical.senders import Mappings
from formats import fhir
from gateway.registry import fhir_feed, read_fhir
from tests import proof
from tests.formats.fhir_files import ALL, sample
from tests.gateway.fhir_house import WARD, House, bundle, entry
from tests.gateway.test_fhir_groups import line

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    fhir.Exact("1e50"),
    fhir.Exact("0.10"),
    "",
    " ",
    "x" * 5000,
    "\x00",
    "2026-13-45",
    "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
    "../../x?y=z",
    [],
    {},
    [[1]],
    {"reference": 5},
    {"a": {"b": []}},
)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Tens of thousands of log lines would be the only thing measured."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A sample with bytes or elements put wrong."""
    if chance.random() < 0.4:
        raw = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.randint(0, 3)] = bytes(
                chance.choices(b'{}[]":,\\0e-1.\xff\x00 an', k=chance.randint(0, 3))
            )
        return bytes(raw)
    tree = fhir.parse(data)
    for _ in range(chance.randint(1, 3)):
        _spoil(tree, chance)
    return fhir.write(tree)


def _spoil(value: Any, chance: random.Random) -> None:
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(value[key], dict | list) and chance.random() < 0.7:
        _spoil(value[key], chance)
    elif isinstance(value, dict) and chance.random() < 0.2:
        value[chance.choice(("foo", "resourceType", "status__ext", "modifierExtension", "_status", "entry"))] = (
            value.pop(key)
        )
    else:
        value[key] = copy.deepcopy(chance.choice(ODD))


GROUPED = bundle(
    *(
        entry(line(f"L-{number}"), fullUrl=f"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e{number}")
        for number in range(3)
    )
)
TAKEN = (200, 201, 400, 409, 412, 413, 422)


async def knocked(house: House, chance: random.Random, count: int, seen: Counter[str]) -> None:
    """Spoilt samples at the door: posted, put where one was taken before, asked for again; then routed."""
    places: list[str] = []
    for _ in range(count):
        name = chance.choice([*ALL, "r5_Group"])
        base, _, kind = name.partition("_")
        whole = GROUPED if kind == "Group" else sample(name)
        whole = whole.replace(b"W-2026-0117", b"W-%d" % chance.randrange(20))
        data = whole if chance.random() < 0.3 else mutated(whole, chance)
        if places and chance.random() < 0.25:
            place = chance.choice(places)
            data = data.replace(b"as-the-ward-calls-it", place.rpartition("/")[2].encode())
            answer = await house.put(data, place, chance.choice(('W/"1"', 'W/"2"', "*", '"', "")))
            assert answer.status_code in (*TAKEN, 405, 428), (data, answer.text)
        else:
            answer = await house.post(data, base if kind in ("Bundle", "Group") else f"{base}/{kind}")
            assert answer.status_code in TAKEN, (data, answer.text)
            if answer.status_code == 201 and kind == "SupplyRequest":
                places.append(answer.headers["location"].removeprefix("http://door/fhir/").partition("/_history")[0])
        seen[str(answer.status_code)] += 1
        body = fhir.parse(answer.content)
        assert (body["resourceType"] == "OperationOutcome") == (answer.status_code >= 400)
        unchanged = answer.request.method == "PUT" and answer.status_code == 200
        assert unchanged or any(one.data == data for one in house.messages), data
    assert all(one.reason for one in house.messages if one.state == "refused")
    before = {one.id for one in house.messages if one.state in ("refused", "routed")}
    for _ in range(8):
        await house.router().once()
    assert not [one.reason for one in house.messages if "unexpected" in one.reason]
    waiting = [one for one in house.messages if one.state not in ("routed", "refused", "dead")]
    # Behind a dead letter of its stream, or for the word of a case that nobody runs here.
    assert all(one.stream in house.journal.parked or house.engine.started for one in waiting)
    seen.update(f"then {one.state}" for one in house.messages if one.id not in before)
    for place in places:
        for path in (place, place.replace("SupplyRequest", "Task")):
            told = await house.get(path)
            assert told.status_code == 200, told.text
            fhir.parse(told.content)


@pytest.mark.parametrize("seed", range(8))
async def test_a_spoilt_sample_is_taken_or_refused_with_a_reason_and_kept(seed: int) -> None:
    house = House()
    await knocked(house, random.Random(seed), 60, Counter())
    await house.door.close()
    await house.client.aclose()


@pytest.mark.prove
@pytest.mark.timeout(3600)
async def test_tens_of_thousands_of_spoilt_samples_at_the_door_break_nothing(quiet: None) -> None:
    began, seen, tried = datetime.now(UTC), Counter[str](), 0
    for seed in range(100):
        house = House()
        await knocked(house, random.Random(20261121 + seed), 200, seen)
        tried += 200
        await house.door.close()
        await house.client.aclose()
    assert seen["201"] and seen["400"] and seen["then routed"] and seen["then dead"]
    counted = ", ".join(f"{name} {number}" for name, number in sorted(seen.items()))
    proof.note(
        "damaged FHIR resources, changes and transactions",
        f"{tried:,} at the door, then routed",
        f"no crash; {counted}",
        began,
    )


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_a_great_many_spoilt_samples_break_no_reader() -> None:
    began, chance = datetime.now(UTC), random.Random(20261121)
    taken = refused = 0
    for _ in range(100_000):
        name = chance.choice([*ALL, "r5_Group"])
        release = fhir.RELEASES[name.partition("_")[0]]
        try:
            resource = fhir.read(mutated(GROUPED if name == "r5_Group" else sample(name), chance), release)
            if resource.type == fhir.BUNDLE:
                wrong = any(
                    one.issues or one.resource is None or fhir.check(one.resource) for one in fhir.entries(resource)
                )
            else:
                wrong = bool(fhir.check(resource))
            feed = fhir_feed(resource.kind)
            if not wrong and feed is not None:
                read_fhir(feed, resource, WARD, Mappings())
            taken += not wrong
            refused += wrong
        except FasciaError:
            refused += 1
    assert taken and refused
    proof.note(
        "damaged FHIR resources",
        "100,000 read, checked and put into our language",
        f"no crash; sound {taken}, refused {refused}",
        began,
    )
