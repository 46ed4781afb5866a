"""What an invented hospital sends in which order and when: a plan, and the letters that follow from it and from nothing else."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache
from itertools import accumulate, count, islice
from typing import Final

from canonical.errors import Malformed
from cli.synthetic import fhir, hl7, sheets, x12
from cli.synthetic.hospital import PATIENTS, Chance, mixed, moment_of
from formats.hl7 import VERSIONS

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "hl7": tuple(hl7.KINDS),
    "no-case": hl7.STARTS_NO_CASE,
    "people": (*hl7.PEOPLE, "staff"),
    "fhir": tuple(fhir.KINDS),
    "x12": tuple(x12.KINDS),
    "csv": ("catalogue", "requisitions", "usage", "staff"),
}
ALL: Final = (*hl7.KINDS, *fhir.KINDS, *x12.KINDS, *sheets.MAKERS)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message: its bytes, when the hospital sends it (seconds since its day began), and over which connection.

    ``due`` is the same, in seconds since the first of the plan's letters.
    """

    number: int
    kind: str
    control: str
    data: bytes
    at: float
    due: float = 0.0
    connection: int = 0
    fault: str = ""

    @property
    def format(self) -> str:
        """Which format it is in, as files of it end."""
        if "^" in self.kind:
            return "hl7"
        if self.kind in x12.KINDS:
            return "x12"
        return "csv" if self.kind in GROUPS["csv"] else "json"


class _Deal:
    """Gives patients to connections so that each connection has as much to send as the others.

    Where few messages are repeated often, chance would burden one with a fifth more than its share for as long as it lasts, and with
    one unanswered message on each, that one alone would say how fast it goes.
    """

    def __init__(self, connections: int) -> None:
        self._burden = [0] * connections
        self._of: dict[int, int] = {}

    def of(self, patient: int) -> int:
        """The connection of this patient's next message: that of all before it."""
        connection = self._of.setdefault(patient, self._burden.index(min(self._burden)))
        self._burden[connection] += 1
        return connection


@dataclass(frozen=True)
class Plan:
    """What to make. The same plan makes the same letters, byte for byte.

    ``kinds`` names kinds or groups of them; ``rate`` is messages a second (0: one a second on the hospital's clock, sent without a
    pause); ``burst`` more come at once every ``burst_every`` seconds; of ``distinct`` different messages (0: all) the rest
    are repeats under numbers and times of their own, which costs less to make.
    """

    seed: str = "1"
    kinds: tuple[str, ...] = ("hl7",)
    first: date = date(2026, 11, 2)
    many: int = 100
    first_number: int = 1
    versions: tuple[str, ...] = VERSIONS
    release: str = "R4B"
    application: str = ""
    facility: str = ""
    rate: float = 0.0
    burst: int = 0
    burst_every: float = 60.0
    connections: int = 1
    distinct: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises:
            Malformed: a kind, version or release there is none of, or a kind that no given version has.
        """
        if self.release not in fhir.RELEASES:
            raise Malformed(f"{self.release} is none of {', '.join(fhir.RELEASES)}", path="release")
        for version in self.versions:
            if version not in VERSIONS:
                raise Malformed(f"{version} is none of {', '.join(VERSIONS)}", path="version")
        for kind in self.kinds:
            if kind not in GROUPS and kind not in ALL:
                raise Malformed(f"there is no kind {kind}; there are {', '.join((*GROUPS, *ALL))}", path="kind")
            if not any(self._weight(one) for one in GROUPS.get(kind, (kind,))):
                raise Malformed(f"{kind} is neither in {', '.join(self.versions)} nor in {self.release}", path="kind")
        if self.distinct and not all("^" in kind for kind in self._choice[0]):
            raise Malformed("only HL7 messages can be repeated under numbers of their own", path="distinct")

    def letters(self) -> Iterator[Letter]:
        """The letters in the order they are sent."""
        models: list[Letter] = []
        deal = _Deal(self.connections)
        begin: float | None = None
        times = islice(self._times(), self.first_number - 1, None)
        for place, at in zip(range(self.many), times, strict=False):
            begin = at if begin is None else begin
            number = self.first_number + place
            if self.distinct and place >= self.distinct:
                yield self._again(models[place % self.distinct], number, at, at - begin)
                continue
            letter = replace(self._letter(number, at), due=at - begin)
            if self.distinct:
                letter = replace(letter, connection=deal.of(mixed(self.seed, number) % PATIENTS))
                models.append(letter)
            yield letter

    def _times(self) -> Iterator[float]:
        every = 1 / self.rate if self.rate else 1.0
        burst_at = self.burst_every
        for place in count():
            at = place * every
            while self.burst and at >= burst_at:
                for _ in range(self.burst):
                    yield burst_at
                burst_at += self.burst_every
            yield at

    def _letter(self, number: int, at: float) -> Letter:
        kind = self._kind(number)
        # All about one patient goes over one connection, so that it stays in order.
        connection = mixed(self.seed, number) % PATIENTS % self.connections
        return Letter(
            number, kind, self._control(kind, number), self._data(kind, number, at), at, connection=connection
        )

    def _again(self, model: Letter, number: int, at: float, due: float) -> Letter:
        """The same message under another number and time."""
        control = hl7.control_of(self.seed, number)
        *before, _, security, kind, _, rest = model.data.split(b"|", 10)
        fields = (*before, _when(self.first, int(at)), security, kind, control.encode(), rest)
        return Letter(number, model.kind, control, b"|".join(fields), at, due, model.connection)

    def _kind(self, number: int) -> str:
        kinds, weights = self._choice
        if len(kinds) == 1:
            return kinds[0]
        return kinds[bisect(weights, Chance(self.seed, "kind", number).random() * weights[-1])]

    @cached_property
    def _choice(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The kinds that can be made, and their weights added up."""
        weights: dict[str, int] = {}
        for name in self.kinds:
            for kind in GROUPS.get(name, (name,)):
                if weight := self._weight(kind):
                    weights[kind] = weight if name in GROUPS else max(weight, 1)
        return tuple(weights), tuple(accumulate(weights.values()))

    def _weight(self, kind: str) -> int:
        """How often a kind comes in a group; 0 where no given version or release has it."""
        if kind in hl7.KINDS:
            return max(1, hl7.KINDS[kind].weight) if self._versions(kind) else 0
        return int(kind not in fhir.KINDS or self.release in fhir.KINDS[kind])

    def _versions(self, kind: str) -> tuple[str, ...]:
        return tuple(version for version in hl7.versions_of(kind) if version in self.versions)

    def _data(self, kind: str, number: int, at: float) -> bytes:
        if kind in hl7.KINDS:
            version = Chance(self.seed, "version", number).one(self._versions(kind))
            return hl7.message(
                self.seed,
                number,
                kind,
                version,
                first=self.first,
                at=at,
                application=self.application,
                facility=self.facility,
            )
        if kind in fhir.KINDS:
            return fhir.resource(self.seed, number, kind, self.release, first=self.first, at=at)
        if kind in x12.KINDS:
            return x12.interchange(self.seed, number, kind, first=self.first, at=at)
        return sheets.MAKERS[kind](self.seed, number, first=self.first, at=at)

    def _control(self, kind: str, number: int) -> str:
        """The number by which whoever gets it knows it again."""
        if kind in hl7.KINDS:
            return hl7.control_of(self.seed, number)
        if kind in x12.KINDS:
            return f"{number:09}"
        return fhir.identifier_of(self.seed, number)


@lru_cache(maxsize=64)
def _when(first: date, seconds: int) -> bytes:
    """As MSH-7 says it."""
    return f"{moment_of(first, seconds):%Y%m%d%H%M%S}".encode()
