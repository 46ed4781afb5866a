"""What the invented hospital says it used is read by our feeds, in every version: uses of its register, under numbers of their own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from canonical.errors import Malformed
from canonical.usage import UsageEvent
from cli.synthetic import hl7, sheets
from cli.synthetic.hospital import IMPLANTS, MEDICINES, REAGENTS, SUPPLIES
from formats import udi
from gateway.simulate import Book, simulate

DAY = date(2026, 11, 2)
SEED = Path(__file__).parents[3] / "demo" / "seed"
KINDS = ("DFT^P03", "RDS^O13", "RDS^O01", "INU^U05")
ONES = [(kind, version) for kind in KINDS for version in hl7.versions_of(kind)]
ALL = (*SUPPLIES, *IMPLANTS, *MEDICINES, *REAGENTS)


def _rows(name: str) -> list[dict[str, str]]:
    with (SEED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(kind: str, version: str, number: int, seed: str = "1") -> list[UsageEvent]:
    data = hl7.message(seed, number, kind, version, first=DAY, at=number)
    (found,) = simulate(data, Book(DAY), facility="NGH")
    assert not found.refused, found.problems
    return [noun for noun in found.nouns if isinstance(noun, UsageEvent)]


def many(kind: str, version: str) -> Iterator[UsageEvent]:
    for number in range(1, 120):
        yield from read(kind, version, number)


@pytest.mark.parametrize(("kind", "version"), ONES)
def test_every_use_is_of_an_item_of_the_register_and_what_takes_it_back_names_it(kind: str, version: str) -> None:
    register = {row["code"] for row in _rows("items")}
    places = {row["code"] for row in _rows("locations")}
    uses: dict[tuple[str, int], UsageEvent] = {}
    voids = 0
    for event in many(kind, version):
        if event.kind == "void":
            voids += 1
            taken_back = uses[event.voids_number, event.voids_sequence]
            assert (taken_back.item, taken_back.amount) == (event.item, event.amount)
            continue
        assert event.item in register and event.unit in ("", "EA") and event.amount > 0
        assert (event.number, event.sequence) not in uses, "a number of its own"
        uses[event.number, event.sequence] = event
        if kind == "DFT^P03":
            assert event.location in places and len(event.number) <= 12
    assert len(uses) >= 119
    assert (voids > 3) == (kind != "INU^U05")


def test_an_implant_is_known_by_its_barcode_in_every_version() -> None:
    for version in hl7.versions_of("DFT^P03"):
        stems = [one for one in many("DFT^P03", version) if one.item == "ITM-1013"]
        assert stems and all(one.device and one.lot and one.expires for one in stems)
        assert {one.device.device for one in stems if one.device} == {IMPLANTS[0].gtin}
        assert len({one.serial for one in stems}) == len(stems)


def test_two_seeds_never_use_one_number() -> None:
    first, second = ({one.number for n in range(1, 50) for one in read("DFT^P03", "2.5.1", n, seed)} for seed in "12")
    assert len(first) > 40 and not first & second


def test_the_barcodes_of_its_goods_are_right_and_their_names_those_of_the_register() -> None:
    named = {row["code"]: row["description"] for row in _rows("items")}
    for good in ALL:
        assert udi.read(f"(01){good.gtin}(10)A").device == good.gtin
        assert named[good.code] == good.name
    wrong = (int(ALL[0].gtin[-1]) + 1) % 10
    with pytest.raises(Malformed):
        udi.read(f"(01){ALL[0].gtin[:-1]}{wrong}(10)A")


def test_a_file_of_uses_is_read_whole() -> None:
    (found,) = simulate(sheets.uses("1", 1, first=DAY, at=1), Book(DAY), facility="NGH")
    assert not found.problems and len(found.nouns) == sheets.ROWS + 2
    uses = {one.number for one in found.nouns if isinstance(one, UsageEvent)}
    assert all(one.voids_number in uses for one in found.nouns if isinstance(one, UsageEvent) and one.kind == "void")
