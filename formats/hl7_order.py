"""Finds where the segments of a message stand in its structure, and what is missing, out of place or too many.

Grammars of HL7 are ambiguous (an ORC may begin the next order, or a prior result of this one), and a message is good when there is
one way to read it. The nearest place is tried first, which is nearly always right; only where that finds faults are other ways
compared, so that a good message is never refused for the way it was first read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from formats.hl7_tables import Cluster, Spot, Structure

MOST_COMPARED = 500  # segments; a longer message is read the nearest way only
MOST_WAYS = 24  # ways kept side by side
MOST_PLACES = 8  # places looked at for one segment
_MOST_NAMES = 1000  # kept per place: names come from outside

Step = tuple[Spot, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong before or with the segment at ``index``, or at the end where that is the number of segments.

    ``missing`` are required segments that should stand before it; ``after`` is the place it does not fit behind, if it has none.
    """

    index: int
    missing: tuple[str, ...] = ()
    after: Spot | None = None


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to read the segments so far, and what it finds wrong."""

    at: Spot
    cost: int = 0
    findings: tuple[Finding, ...] = ()

    def to(self, spot: Spot, index: int, missing: tuple[str, ...]) -> _Way:
        found = (*self.findings, Finding(index, missing)) if missing else self.findings
        return _Way(spot, self.cost + len(missing), found)

    def without(self, index: int) -> _Way:
        return _Way(self.at, self.cost + 1, (*self.findings, Finding(index, after=self.at)))


def arrange(names: Sequence[str], structure: Structure) -> tuple[Finding, ...]:
    """What is wrong with the order and number of segments; ``names`` begins with MSH. Z segments may stand anywhere."""
    found = _nearest(names, structure)
    if found and len(names) <= MOST_COMPARED:
        return _compared(names, structure)
    return found


def _nearest(names: Sequence[str], structure: Structure) -> tuple[Finding, ...]:
    at = structure.start
    found: list[Finding] = []
    for index, name in enumerate(names):
        if index == 0 or name[0] == "Z":
            continue
        steps = places(at, name)
        if not steps:
            found.append(Finding(index, after=at))
            continue
        at, missing = steps[0]
        if missing:
            found.append(Finding(index, missing))
    missing = ending(at)
    if missing:
        found.append(Finding(len(names), missing))
    return tuple(found)


def _compared(names: Sequence[str], structure: Structure) -> tuple[Finding, ...]:
    """The way with the fewest faults: missing segments, and segments left out of the reading."""
    ways = [_Way(structure.start)]
    for index, name in enumerate(names):
        if index == 0 or name[0] == "Z":
            continue
        best: dict[int, _Way] = {}
        for way in ways:
            steps = places(way.at, name)
            nexts = [way.to(spot, index, missing) for spot, missing in steps]
            if not steps or steps[0][1]:
                nexts.append(way.without(index))
            for new in nexts:
                known = best.get(id(new.at))
                if known is None or new.cost < known.cost:
                    best[id(new.at)] = new
        ways = sorted(best.values(), key=lambda way: way.cost)[:MOST_WAYS]
    ended = [way.to(way.at, len(names), ending(way.at)) for way in ways]
    return min(ended, key=lambda way: way.cost).findings


def places(at: Spot, name: str) -> tuple[Step, ...]:
    """Where a segment of ``name`` may stand after ``at``, each with the required segments missing between; the best first.

    That is the fewest missing, then the nearest: a group's rest before its repeat, a group before what surrounds it. Kept per
    place, so the tables are searched once.
    """
    known = at.places.get(name)
    if known is None:
        known = tuple(sorted(_places(at, name), key=lambda step: len(step[1]))[:MOST_PLACES])
        if len(at.places) < _MOST_NAMES:
            at.places[name] = known
    return known


def ending(at: Spot) -> tuple[str, ...]:
    """The required segments that are missing when the message ends after ``at``."""
    missing: list[str] = []
    node: Spot | Cluster = at
    while node.parent is not None:
        missing += _required(node.parent, node.index + 1)
        node = node.parent
    return tuple(missing)


def _places(at: Spot, name: str) -> Iterator[tuple[Spot, tuple[str, ...]]]:
    if at.name == name and at.most != 1:
        yield at, ()
    node: Spot | Cluster = at
    missing: list[str] = []
    while node.parent is not None:
        cluster = node.parent
        if not cluster.choice:
            for spot, inside in _within(cluster, name, node.index + 1):
                yield spot, (*missing, *inside)
            missing += _required(cluster, node.index + 1)
        if cluster.most != 1:
            for spot, inside in _within(cluster, name, 0):
                yield spot, (*missing, *inside)
        node = cluster


def _within(cluster: Cluster, name: str, start: int) -> Iterator[tuple[Spot, tuple[str, ...]]]:
    missing: list[str] = []
    for member in cluster.members[start:]:
        if isinstance(member, Spot):
            if member.name == name:
                yield member, tuple(missing)
        else:
            for spot, inside in _within(member, name, 0):
                yield spot, (*missing, *inside)
        if not cluster.choice:
            missing += _needed(member)


def _required(cluster: Cluster, start: int) -> list[str]:
    return [] if cluster.choice else [name for member in cluster.members[start:] for name in _needed(member)]


def _needed(member: Spot | Cluster) -> list[str]:
    """The segment to name when a member is missing, none where it may be."""
    while member.least and isinstance(member, Cluster):
        member = next((one for one in member.members if one.least), member.members[0])
    return [member.name] if member.least and isinstance(member, Spot) else []
