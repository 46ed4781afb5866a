"""Whatever comes to the FHIR door is either taken or refused with a reason, kept either way, and never breaks it."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from canonical.errors import FasciaError
from canonical.senders import Mappings
from formats import fhir
from gateway.registry import fhir_feed, read_fhir
from tests.formats.fhir_files import ALL, sample
from tests.gateway.fhir_house import WARD, House

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


@pytest.mark.parametrize("seed", range(8))
async def test_a_spoilt_sample_is_taken_or_refused_with_a_reason_and_kept(seed: int) -> None:
    chance = random.Random(seed)
    house = House()
    for _ in range(60):
        name = chance.choice(ALL)
        base, _, kind = name.partition("_")
        data = mutated(sample(name), chance)
        answer = await house.post(data, base if kind == "Bundle" else f"{base}/{kind}")
        body = fhir.parse(answer.content)
        assert answer.status_code in (200, 201, 400, 409, 412, 413, 422), (data, answer.text)
        assert (body["resourceType"] == "OperationOutcome") == (answer.status_code >= 400)
        assert any(one.data == data for one in house.messages), data
    assert all(one.reason for one in house.messages if one.state == "refused")
    await house.router().once()
    assert not [one.reason for one in house.messages if "unexpected" in one.reason]
    assert {one.state for one in house.messages} <= {"routed", "refused", "dead"}
    await house.door.close()
    await house.client.aclose()


@pytest.mark.prove
def test_a_great_many_spoilt_samples_break_nothing() -> None:
    chance = random.Random(20261121)
    taken = refused = 0
    for _ in range(100_000):
        name = chance.choice(ALL)
        release = fhir.RELEASES[name.partition("_")[0]]
        try:
            resource = fhir.read(mutated(sample(name), chance), release)
            if resource.type == fhir.BUNDLE:
                fhir.entries(resource)
                continue
            wrong = fhir.check(resource)
            feed = fhir_feed(resource.kind)
            if not wrong and feed is not None:
                read_fhir(feed, resource, WARD, Mappings())
            taken += not wrong
        except FasciaError:
            refused += 1
    assert taken and refused
