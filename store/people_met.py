"""Whom one transaction has told of so far, as they are compared, until it writes them: found by what they share, not one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from canonical.people_matching import Candidate, Marks, both


class Met:
    """People by key, and by every mark an event may share with them: a file of thousands is not held against itself row by row."""

    def __init__(self) -> None:
        self._people: dict[str, Candidate] = {}
        self._sharing: dict[tuple[str, object], set[str]] = {}

    def add(self, person: str, said: Marks) -> Candidate:
        """Somebody by what was said of them so far, this too."""
        found = both(self._people.get(person, Candidate(person=person)), said)
        self._people[person] = found
        for mark in _of(found):
            self._sharing.setdefault(mark, set()).add(person)
        return found

    def alike(self, said: Marks, these: Iterable[str]) -> Iterable[Candidate]:
        """Whoever shares a mark with it, and these; in the order of their keys."""
        near = set(these).union(*(self._sharing.get(mark, ()) for mark in _of(said)))
        return [self._people[one] for one in sorted(near & self._people.keys())]


def _of(said: Marks) -> Iterator[tuple[str, object]]:
    yield from (("family", name) for name in said.families)
    numbers = ("npi", said.npi), ("national", said.national_hash), ("birth", said.birth_date)
    yield from ((what, value) for what, value in numbers if value)
