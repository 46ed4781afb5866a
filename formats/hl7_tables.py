"""The structures, segments and data types of HL7 2.3 to 2.8.2, compiled from hl7apy's tables for the walker.

Only hl7apy's tables are used (MIT, 1.4.0b1: 1.3.5 has gaps from 2.6 on), not its parser. The number of a field is read from
its name (``FT1_10``), never from its place in a list. Everything is compiled once and kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import hl7apy

from formats.hl7_values import is_clock, is_day, is_moment, is_number, is_whole

TABLES = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
_SAME = {"2.7.1": "2.7"}  # hl7apy has no 2.7.1; its structures are those of 2.7
_OTHER_NAMES = {  # where a version has not yet, or no longer, a structure of that name
    "ADT_A05": "ADT_A01",
    "ADT_A12": "ADT_A09",
    "ADT_A21": "ADT_A01",
    "ADT_A44": "ADT_A43",
    "ADT_A52": "ADT_A01",
    "ADT_A60": "ADT_A01",
    "ORU_R31": "ORU_R30",
    "ORU_R32": "ORU_R30",
    "PMU_B08": "PMU_B07",
}

_CHECKS: dict[str, tuple[Callable[[str], bool], str]] = {
    "NM": (is_number, "a number"),
    "SI": (is_whole, "a whole number"),
    "DT": (is_day, "a date YYYYMMDD of the calendar"),
    "TM": (is_clock, "a time HHMMSS"),
    "DTM": (is_moment, "a date and time YYYYMMDDHHMMSS of the calendar"),
}
_LONGEST = {"ST": 199, "TX": 65536, "FT": 65536, "NM": 16, "SI": 4, "IS": 20}  # chapter 2A; hl7apy has none per field
_FREE_TEXT = frozenset({"ST", "TX", "FT"})  # where a mark that should have been escaped is most often just text
# What hl7apy's tables (made from HL7's own database) demand and the published standard leaves open or conditional.
_LENIENT = frozenset(
    {("2.3", "ORC", 7), ("2.3", "OBR", 27), ("2.3.1", "OBX", 4)}
    | {(version, "OBX", number) for version in ("2.7", "2.8", "2.8.1", "2.8.2") for number in (2, 4)}
)
_NAME = re.compile(r"(?P<of>[A-Za-z0-9_]+)_(?P<number>[0-9]+)")


@dataclass(slots=True, eq=False)
class Spot:
    """A place in a structure where one segment may stand. ``most`` is 1, or 0 for any number."""

    name: str
    least: int
    most: int
    parent: Cluster | None = None
    index: int = 0
    places: dict[str, tuple[tuple[Spot, tuple[str, ...]], ...]] = field(default_factory=dict)  # see hl7_order


@dataclass(slots=True, eq=False)
class Cluster:
    """A segment group, or the whole structure: members in order, or one of them where it is a ``choice``."""

    name: str
    least: int
    most: int
    choice: bool
    members: list[Spot | Cluster] = field(default_factory=list)
    parent: Cluster | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Structure:
    """One message structure of one version: where it begins, and every segment name in it."""

    name: str
    start: Spot
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What may stand in a field, component or subcomponent.

    ``parts`` are those one level down (none for a simple type); ``checked`` the places among them with a format of their own;
    ``quick`` the checks of those when there are no subcomponents.
    """

    number: int
    kind: str
    least: int = 0
    most: int = 1  # 0 is any number
    withdrawn: bool = False
    free: bool = False
    text: bool = False
    longest: int = 0
    check: Callable[[str], bool] | None = None
    legal: str = ""
    parts: tuple[Rule, ...] = ()
    checked: tuple[tuple[int, Rule], ...] = ()
    quick: tuple[tuple[int, Callable[[str], bool]], ...] = ()


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a segment by number (``rules[0]`` is none); ``required`` are those that must be sent."""

    rules: tuple[Rule | None, ...]
    required: tuple[int, ...]


def tables_of(version: str) -> str:
    """The version whose tables judge a message of ``version``, empty where there is none."""
    known = _SAME.get(version, version)
    return known if known in TABLES else ""


_structures: dict[tuple[str, str], Structure] = {}  # only names the tables have, so that noise cannot fill them
_fields: dict[tuple[str, str], Fields] = {}


def structure(version: str, name: str) -> Structure | None:
    """A structure of a version's tables, None where they have none of that name."""
    known = _structures.get((version, name))
    if known is not None:
        return known
    messages = hl7apy.load_library(version).MESSAGES
    table = messages.get(name) or messages.get(_OTHER_NAMES.get(name, ""))
    if table is None:
        return None
    top = _cluster(version, name, table, 1, 1)
    first = top.members[0]
    if not isinstance(first, Spot):
        return None
    made = Structure(name, first, frozenset(spot.name for spot in _spots(top)))
    return _structures.setdefault((version, name), made)


def _cluster(version: str, name: str, table: Any, least: int, most: int) -> Cluster:
    made = Cluster(name, least, most, choice=table[0] == "choice")
    for index, (member, reference, (low, high), sort) in enumerate(table[1]):
        one: Spot | Cluster
        if sort == "GRP":
            known = reference or hl7apy.load_library(version).GROUPS[member]
            one = _cluster(version, member, known, low, max(high, 0))
        else:
            one = Spot(member, low, max(high, 0))
        one.parent, one.index = made, index
        made.members.append(one)
    return made


def _spots(node: Spot | Cluster) -> Iterator[Spot]:
    if isinstance(node, Spot):
        yield node
    else:
        for member in node.members:
            yield from _spots(member)


def fields(version: str, name: str) -> Fields | None:
    """The fields of a segment, None where the version's tables have no such segment or say nothing of its fields."""
    known = _fields.get((version, name))
    if known is not None:
        return known
    table = hl7apy.load_library(version).SEGMENTS.get(name)
    if table is None or table[0] != "sequence" or len(table) < 2:
        return None
    found: dict[int, Rule] = {}
    for child, reference, (least, most), _ in table[1]:
        named = _NAME.fullmatch(child)
        if named is None or named["of"] != name:
            raise ValueError(f"{child} is no field of {name}")
        found[int(named["number"])] = _rule(version, int(named["number"]), reference, least, most)
    rules = (None, *(found.get(number) for number in range(1, max(found, default=0) + 1)))
    first = 3 if name in ("MSH", "FHS", "BHS") else 1  # the first two are the separators, read before anything else
    required = (
        number for number, rule in sorted(found.items()) if rule.least and (version, name, number) not in _LENIENT
    )
    return _fields.setdefault((version, name), Fields(rules, tuple(number for number in required if number >= first)))


def _rule(version: str, number: int, reference: Any, least: int, most: int, parent: str = "") -> Rule:
    kind = reference[2] or ""
    if parent == "TS" and number == 1:
        kind = "DTM"  # the tables up to 2.4 call it a string
    check, legal = _CHECKS.get(kind, (None, ""))
    parts = _parts(version, kind, reference[1]) if reference[0] == "sequence" and reference[1] else ()
    checked = tuple((at, rule) for at, rule in enumerate(parts) if rule.check or rule.checked)
    return Rule(
        number,
        kind,
        least,
        max(most, 0),
        withdrawn=most == 0,
        free=not kind or kind == "varies",
        text=kind in _FREE_TEXT,
        longest=0 if parts else _LONGEST.get(kind, 0),
        check=check,
        legal=legal,
        parts=parts,
        checked=checked,
        quick=tuple((at, leaf.check) for at, leaf in ((at, _leaf(rule)) for at, rule in checked) if leaf.check),
    )


def _leaf(rule: Rule) -> Rule:
    """What a part means that holds no parts of its own: its first."""
    while rule.parts:
        rule = rule.parts[0]
    return rule


_made: dict[
    int, tuple[Rule, ...]
] = {}  # by the table's identity: hl7apy shares the table of a type between all its fields


def _parts(version: str, kind: str, table: Any) -> tuple[Rule, ...]:
    known = _made.get(id(table))
    if known is not None:
        return known
    found = {}
    for child, reference, (least, most), _ in table:
        named = _NAME.fullmatch(child)
        if named is None:
            raise ValueError(f"{child} is no component of {kind}")
        found[int(named["number"])] = _rule(version, int(named["number"]), reference, least, most, kind)
    nothing = Rule(0, "", free=True)
    return _made.setdefault(id(table), tuple(found.get(at, nothing) for at in range(1, max(found) + 1)))
