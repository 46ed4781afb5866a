"""What was measured, round by round, and how a figure is made of it: the median, with the least and the most beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.cpu import Used, spent, together

NOT_OURS = ("driver", "stub_erp")  # who calls and who is called: shown, but no part of the platform


@dataclass(frozen=True)
class Spread:
    """A median over rounds, and between what the rounds were."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        held = sorted(values)
        return cls(median(held), held[0], held[-1])

    def text(self, digits: int = 1) -> str:
        return f"{self.middle:.{digits}f} ({self.least:.{digits}f} to {self.most:.{digits}f})"


@dataclass(frozen=True)
class Round:
    """So many of one kind, done in so many seconds, with each part's processor time in milliseconds for one of them."""

    count: int
    wall: float
    each: float  # seconds one caller waited for one, median
    cpu: Mapping[str, float]
    events: float = 0.0

    @classmethod
    def of(cls, count: int, wall: float, took: Sequence[float], before: Used, after: Used) -> Round:
        return cls(count, wall, median(took), spent(before, after, count))

    @property
    def rate(self) -> float:
        return self.count / self.wall

    @property
    def platform_ms(self) -> float:
        """Processor time for one, without those who call and are called."""
        return together(self.cpu, NOT_OURS)


def spread(rounds: Sequence[Round], value: Callable[[Round], float]) -> Spread:
    return Spread.of(value(one) for one in rounds)


@dataclass(frozen=True)
class Ratio:
    """Ours over bare: of the medians, and of each pair of rounds that stood side by side."""

    of_medians: float
    pairs: Spread

    @classmethod
    def of(cls, ours: Sequence[Round], bare: Sequence[Round], value: Callable[[Round], float]) -> Ratio:
        middle = spread(ours, value).middle / spread(bare, value).middle
        return cls(middle, Spread.of(value(one) / value(other) for one, other in zip(ours, bare, strict=True)))


@dataclass(frozen=True)
class Found:
    """Everything one run measured; what was not asked for is empty."""

    machine: Mapping[str, str]
    store: str = ""
    probe: Mapping[int, Mapping[str, Sequence[Round]]] = field(default_factory=dict)  # callers to side to rounds
    usual: Mapping[str, Sequence[Round]] = field(default_factory=dict)  # which ERP to rounds
    starts: Mapping[str, Sequence[float]] = field(default_factory=dict)  # what to seconds
