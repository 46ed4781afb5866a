"""An invented hospital: its wards, systems, goods, suppliers and people, all of them plainly made up.

Everything follows from a seed and a number, so the same message can be made again, in any process, on any day. Codes of goods,
places and suppliers are those of the demonstration's register, so that what asks for goods can be read there.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Final, TypeVar

FACILITY: Final = "NGH"
PATIENTS: Final = 5000
STAFF: Final = 500
_TREES: Final = (
    *(
        "ALDER",
        "ASPEN",
        "BEECH",
        "BIRCH",
        "CEDAR",
        "CHERRY",
        "CYPRESS",
        "DOGWOOD",
        "ELDER",
        "ELM",
        "FIR",
        "GINKGO",
        "HAZEL",
    ),
    *(
        "HOLLY",
        "JUNIPER",
        "LARCH",
        "LINDEN",
        "MAPLE",
        "OAK",
        "OLIVE",
        "PINE",
        "POPLAR",
        "ROWAN",
        "SPRUCE",
        "WALNUT",
        "WILLOW",
    ),
)
_SPELLED: Final = (
    *(
        "ALFA",
        "BRAVO",
        "CHARLIE",
        "DELTA",
        "ECHO",
        "FOXTROT",
        "GOLF",
        "HOTEL",
        "INDIA",
        "JULIETT",
        "KILO",
        "LIMA",
        "MIKE",
    ),
    *(
        "NOVEMBER",
        "OSCAR",
        "PAPA",
        "QUEBEC",
        "ROMEO",
        "SIERRA",
        "TANGO",
        "UNIFORM",
        "VICTOR",
        "WHISKEY",
        "XRAY",
        "YANKEE",
    ),
)
WARDS: Final = ("W3", "W4", "ICU", "OR", "ED")
TESTS: Final = (
    ("2951-2", "Sodium", "mmol/L", 128, 150),
    ("2823-3", "Potassium", "mmol/L", 3, 6),
    ("2160-0", "Creatinine", "umol/L", 40, 180),
    ("718-7", "Hemoglobin", "g/dL", 7, 18),
    ("6690-2", "Leukocytes", "10*9/L", 2, 20),
)
PROCEDURES: Final = (("HIP", "Hip replacement", 90), ("CAT", "Cataract surgery", 30), ("LAP", "Appendectomy", 60))
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Good:
    """An item as the hospital and a supplier know it; ``price`` in cents of a dollar for one ``unit``."""

    code: str
    name: str
    unit: str
    pieces: int
    price: int
    supplier: str
    catalogue: str


GOODS: Final = (
    Good("ITM-1001", "Nitrile examination gloves, medium", "BX", 100, 800, "ALPINE", "ALP-GLV-M"),
    Good("ITM-1002", "Nitrile examination gloves, large", "BX", 100, 800, "ALPINE", "ALP-GLV-L"),
    Good("ITM-1003", "Gauze sponge 4x4, sterile", "BX", 50, 1550, "ALPINE", "ALP-GZ-44"),
    Good("ITM-1004", "Surgical mask with ear loops", "BX", 50, 900, "ALPINE", "ALP-MSK-E"),
)


@dataclass(frozen=True, slots=True)
class Supply:
    """Something used in care, counted one by one: ``gtin`` is on its barcode, ``lots`` and ``serial`` say what is noted of it."""

    code: str
    name: str
    gtin: str
    price: int
    lots: bool = True
    serial: bool = False


# GTINs of a company prefix of tests; the last digit checks the others (GS1 General Specifications 7.9).
SUPPLIES: Final = (
    Supply("ITM-1001", "Nitrile examination gloves, medium", "09990001010010", 8, lots=False),
    Supply("ITM-1007", "IV administration set, 15 drops", "09990001010072", 310),
    Supply("ITM-1009", "Suture 3-0, absorbable, 27 in", "09990001010096", 420),
    Supply("ITM-1010", "Drape, laparotomy, sterile", "09990001010102", 980),
    Supply("ITM-1011", "Stapler reload 60 mm, blue", "09990001010119", 14500),
    Supply("ITM-1012", "Trocar 12 mm bladeless", "09990001010126", 6200),
)
IMPLANTS: Final = (Supply("ITM-1013", "Hip stem, cementless, size 4", "09990001010133", 184000, serial=True),)
MEDICINES: Final = (
    Supply("ITM-1008", "Sodium chloride 0.9 %, 1000 mL bag", "09990001010089", 210),
    Supply("ITM-1016", "Heparin 5000 units/mL, 1 mL vial", "09990001010164", 390),
    Supply("ITM-1017", "Ondansetron 4 mg/2 mL, vial", "09990001010171", 140),
)
REAGENTS: Final = (
    Supply("ITM-1021", "Pipette tips 200 uL, filtered", "09990001010218", 6),
    Supply("ITM-1022", "Chemistry control, level 2", "09990001010225", 5200),
)
SUPPLIER_NAMES: Final = {"ALPINE": "Alpine Medical"}
UNIT_NAMES: Final = {"BX": "Box", "EA": "Each", "CA": "Case"}
PLACES: Final = ("NGH-OR", "NGH-W3", "NGH-PHARM")
COST_CENTRE: Final = "CC-4100"
DEPARTMENT: Final = "surgery"
REQUESTER: Final = "E-1001"


@dataclass(frozen=True, slots=True)
class Person:
    """Nobody: an id and a name that no living person has."""

    number: int
    id: str
    family: str
    given: str
    born: date
    sex: str


class Chance(random.Random):
    """Chance that comes out the same for the same words, in every process."""

    def __init__(self, *words: object) -> None:
        text = "/".join(str(word) for word in words)
        super().__init__(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big"))

    def one(self, among: Sequence[T]) -> T:
        """One of these."""
        return among[int(self.random() * len(among))]

    def number(self, least: int, most: int) -> int:
        """A whole number of these, both ends included."""
        return least + int(self.random() * (most - least + 1))


@cache
def tag_of(seed: int | str) -> str:
    """Six letters that tell the numbers of one seed from those of another."""
    return hashlib.blake2b(f"tag/{seed}".encode(), digest_size=3).hexdigest().upper()


@cache
def _begun(seed: int | str) -> int:
    return int.from_bytes(hashlib.blake2b(f"mixed/{seed}".encode(), digest_size=8).digest(), "big")


def mixed(seed: int | str, number: int) -> int:
    """A number below 2**32 that has little to do with this one, at little cost."""
    value = (_begun(seed) + number * 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    return (value ^ value >> 27) * 0x94D049BB133111EB % 2**64 >> 32


def patient(number: int) -> Person:
    """The patient of this number."""
    return _person(number, "T", born=1930, over=90)


def clinician(number: int) -> Person:
    """The member of staff of this number."""
    return _person(number, "P-", born=1960, over=38)


def _person(number: int, prefix: str, *, born: int, over: int) -> Person:
    mixed = number * 2654435761 % 2**32
    family = f"TEST-{_TREES[mixed % len(_TREES)]}"
    given = _SPELLED[mixed // 64 % len(_SPELLED)]
    day = date(born, 1, 1) + timedelta(days=mixed // 4096 % (over * 365))
    return Person(number, f"{prefix}{100_000 + number}", family, given, day, "FMU"[mixed // 7 % 3])


def npi_of(number: int) -> str:
    """A National Provider Identifier with a right check digit (Luhn over 80840) from a range of tests."""
    digits = f"1999{number % 100_000:05}"
    total = 24
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{digits}{-total % 10}"


def moment_of(first: date, seconds: float) -> datetime:
    """So many seconds after six in the morning of the first day."""
    return datetime.combine(first, time(6)) + timedelta(seconds=int(seconds))
