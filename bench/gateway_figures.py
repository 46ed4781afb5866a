"""What was measured of the gateway, kept with the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.figures import Kept, Measured
from cli.synthetic.ledger import Summary


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
