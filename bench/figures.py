"""What was measured, round by round, and how a figure is made of it: the median, with the least and the most beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pydantic import BaseModel, ConfigDict

from bench.cpu import Used, spent, together
from cli.synthetic.ledger import Summary

NOT_OURS = (
    "driver",
    "stub_erp",
    "erp",
    "partners",
    "database: ERP",
)  # who calls and who is called: shown, but no part of the platform


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


class Kept(BaseModel):
    """A part of the results, kept with the report so that one part can be measured anew."""

    model_config = ConfigDict(frozen=True)


class Round(Kept):
    """So many of one kind, done in so many seconds, with each part's processor time in milliseconds for one of them."""

    count: int
    wall: float
    each: float  # seconds one caller waited for one, median
    cpu: Mapping[str, float]
    others: float = 0.0  # processors that programs of others used meanwhile

    @classmethod
    def of(cls, count: int, wall: float, took: Sequence[float], before: Used, after: Used, others: float) -> Round:
        return cls(count=count, wall=wall, each=median(took), cpu=spent(before, after, count), others=others)

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


class Measured(Kept):
    """When something was measured, and where Temporal kept its state."""

    at: str
    temporals_store: str


class Probing(Measured):
    """The probe and its bare twin in turn, by so many callers."""

    callers: int
    bare: Sequence[Round]
    ours: Sequence[Round]


class Usual(Measured):
    """Whole cases of procure to pay, on one kind of ERP."""

    erp: str
    callers: int
    rounds: Sequence[Round]
    events: Mapping[str, float]  # history events of the requisition's and the order's case


class Start(Measured):
    """How long something took to start, each time it was tried."""

    what: str
    seconds: Sequence[float]


class Previewed(Measured):
    """How long it took to say what so many kept messages would come to, each time, and what that was."""

    messages: int
    seconds: Sequence[float]
    outcomes: Mapping[str, int]


class Paced(Measured):
    """A steady rate for long. Memory is the door's, in MB, every five seconds; CPU in seconds by part over the sending."""

    asked: float
    seconds: float
    summary: Summary
    sender_cpu: float  # of one core
    cpu: Mapping[str, float]
    behind: int  # kept and not routed when the sending ended
    most_behind: int
    empty_after: float
    routed_a_second: float
    memory: Sequence[float]
    missing: int  # acknowledged and not in the journal, by the sender's own list
    doubled: int
    strange: int  # in the journal with other bytes


class Volley(Kept):
    """One round as fast as it goes; microseconds of processor time for a message."""

    rate: float
    p50_ms: float
    p99_ms: float
    sender_us: float
    listener_us: float
    routed_a_second: float = 0.0
    behind: int = 0


class Against(Measured):
    """Ours, a listener with one fdatasync per message, and a library's listener, by the same sender in turn."""

    connections: int
    ours: Sequence[Volley]
    synced: Sequence[Volley]
    library: Sequence[Volley]


class Steps(Measured):
    """Microseconds of processor time for one message, each round."""

    answered: Sequence[float]  # framing, header, whose it is, ACK
    checked: Sequence[float]  # cutting and the walk over the tables
    bytes: float  # of a message, mean


class Accept(Measured):
    """Requests a second at the REST door and at an echo of the same model, in turn."""

    callers: int
    door: Sequence[float]
    echo: Sequence[float]


class Idle(Measured):
    """Processor time of our own processes while nothing comes, as a part of one core."""

    seconds: float
    by_part: Mapping[str, float]


class Recalled(Measured):
    """A recall over so many uses: seconds until each place has its task, and of the next look, which finds nothing new."""

    what: str
    uses: int
    matches: int
    tasks: int
    seconds: Sequence[float]
    again: Sequence[float]


class Month(Measured):
    """The monthly look at so many people against a list of so many rows: seconds of each part and of processors, by round."""

    what: str = "monthly"
    people: int
    listed: int
    load: Sequence[float]  # the list is replaced
    hold: Sequence[float]  # everybody is held against it
    ask: Sequence[float]  # every licence is asked about
    cpu_ours: Sequence[float]
    cpu_database: Sequence[float]
    calls: Mapping[str, int]  # in one month, by source


class Movement(Measured):
    """Usage events from their arrival to the movement in the ERP, and our books, at so many a second (``what`` says at which)."""

    what: str
    locations: int
    asked: float  # events a second put in
    events: int
    rate: float  # events a second moved while they were put in, from when every location had had a full round
    p50: float  # seconds from arrival to movement
    p95: float
    rounds: int
    cpu: Mapping[str, float]  # milliseconds for an event, by part


class Life(Measured):
    """The history of one location, as long as a run becomes, and what a year of it comes to."""

    what: str
    a_day: int  # uses a day, each a round of its own
    rounds: int  # that were played
    runs: int
    per_round: float  # history events
    longest: int  # history events of a run
    bytes: int  # of the longest
    replayed: Sequence[float]  # processor seconds for the longest, each time


class Year(Measured):
    """Days of one location, played one after the other, and what they left behind."""

    what: str
    days: int  # that were played
    a_day: int  # events
    rate: float  # events a second, from the first put in to the last moved
    rounds: int
    runs: int  # of its case
    longest: int  # history events of a run
    bytes: int  # of the longest
    replayed: Sequence[float]  # processor seconds for the longest, each time
    states: Mapping[str, int]  # events in our store
    off: Mapping[str, int]  # base units that our balances, our movements and the ERP differ by from what was reckoned
    charges: int  # less credits
    chargeable: int  # uses that stand and are charged
    rows: Mapping[str, int]  # of each table
    mib: Mapping[str, float]  # of each, with its indexes


class Revoked(Measured):
    """People whose access ended: seconds from the word of it, for each, in order. ``apart``: between the looks that confirm."""

    what: str
    open: int  # people whose cases were open and who were active as it began
    apart: float
    beside: int  # people who were being hired meanwhile
    blocked: Sequence[float]  # until the block stood in our store
    off: Sequence[float]  # until the last target had switched them off
    confirmed: Sequence[float]  # until seen off twice everywhere


class Clinicians(Measured):
    """So many people's cases, opened and held: two for each person. Memory in MiB, processor time in seconds or parts of a core."""

    what: str = "open"
    people: int
    opened: int  # in this run; the others were open
    rate: float  # people a second, from the HR event to active everywhere
    cached: int  # cases the worker keeps in memory, at most
    cpu: Mapping[str, float]  # milliseconds for a person, by part, while they were opened
    before: Mapping[str, float]  # memory by part, before the first was opened in this run
    after: Mapping[str, float]
    disk: Mapping[str, float]  # MiB of each database
    idle: Mapping[str, float]  # of one core, by part, while nothing comes
    idle_seconds: float
    again: float  # seconds until every case has looked again, all woken at once
    restarted: float  # the same, from the start of a new worker


class Deeds(Measured):
    """One clinician's two cases through days of a working life: history events, and whom they come from."""

    what: str
    days: int  # that were played
    seconds: float  # it took
    events: Mapping[str, int]  # of all runs, by case
    runs: Mapping[str, int]
    longest: Mapping[str, int]  # events of a run
    bytes: Mapping[str, int]  # of the longest
    held: Mapping[str, int] = {}  # bytes of all runs
    replayed: Mapping[str, Sequence[float]]  # processor seconds for the longest, each time
    deeds: Mapping[str, Mapping[str, int]]  # events that each brought, by case
    quiet: Mapping[str, float]  # events of a day, some days after the last deed, by case
    steps: Mapping[str, int]  # in other systems, by what was done there


class Found(Kept):
    """Everything measured; a part not measured this time is the last one's."""

    machine: Mapping[str, str]
    probing: Sequence[Probing] = ()
    usual: Sequence[Usual] = ()
    starts: Sequence[Start] = ()
    previews: Sequence[Previewed] = ()
    recalls: Sequence[Recalled] = ()
    months: Sequence[Month] = ()
    paced: Sequence[Paced] = ()
    against: Sequence[Against] = ()
    steps: Sequence[Steps] = ()
    accept: Sequence[Accept] = ()
    idle: Sequence[Idle] = ()
    used: Sequence[Movement] = ()
    lives: Sequence[Life] = ()
    years: Sequence[Year] = ()
    revoked: Sequence[Revoked] = ()
    clinicians: Sequence[Clinicians] = ()
    deeds: Sequence[Deeds] = ()

    def with_parts(self, *parts: Measured) -> Found:
        """With these in the place of earlier ones of the same name."""

        def put(held: Sequence[Measured], kind: type[Measured]) -> list[Measured]:
            new = [part for part in parts if isinstance(part, kind)]
            names = {_name(part) for part in new}
            return sorted([*(part for part in held if _name(part) not in names), *new], key=_name)

        return self.model_copy(update={name: put(getattr(self, name), kind) for name, kind in _KINDS.items()})


_KINDS: Mapping[str, type[Measured]] = {
    "probing": Probing,
    "usual": Usual,
    "starts": Start,
    "previews": Previewed,
    "recalls": Recalled,
    "months": Month,
    "paced": Paced,
    "against": Against,
    "steps": Steps,
    "accept": Accept,
    "idle": Idle,
    "used": Movement,
    "lives": Life,
    "years": Year,
    "revoked": Revoked,
    "clinicians": Clinicians,
    "deeds": Deeds,
}


def _name(part: Measured) -> tuple[int, str]:
    return getattr(part, "callers", 0), getattr(part, "erp", "") or getattr(part, "what", "")
