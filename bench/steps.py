"""What one HL7 message costs the door in processor time before and beside keeping it: framing to ACK, and the check."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from bench.figures import Steps
from bench.stand import time_now
from canonical.senders import Mapping, Sender
from cli.synthetic.traffic import Plan
from formats import hl7
from formats.mllp import Frame, Frames, wrap
from gateway.directory import Directory
from gateway.mllp_peer import Peer

MANY = 2000
PEER = Peer("10.2.0.7", 4000)


class _Register:
    """As many senders as a large hospital has systems."""

    async def senders(self) -> Sequence[Sender]:
        names = ("ADM", "ORSYS", "WARDSYS", "LAB", "PHARM", "ANALYZER", "HR", *(f"SYS{number}" for number in range(93)))
        return [
            Sender(code=name, facility="NGH", addresses=("10.2.0.0/16",), applications=(name,), facilities=("NGH",))
            for name in names
        ]

    async def mappings(self) -> Sequence[Mapping]:
        return []


async def measure(*, rounds: int, say: Callable[[str], None]) -> Steps:
    """So many rounds of the hospital's mixture of kinds that start no case, in every version."""
    directory = Directory(_Register())
    await directory.refresh()
    messages = [letter.data for letter in Plan(kinds=("no-case",), many=MANY).letters()]
    frames = [wrap(data) for data in messages]
    answered, checked = [], []
    for _ in range(rounds + 1):  # the first compiles the tables
        answered.append(_answered(frames, directory))
        checked.append(_checked(messages))
        say(f"framing, header, sender and ACK {answered[-1]:.1f} us, check {checked[-1]:.1f} us")
    size = sum(map(len, messages)) / MANY
    return Steps(at=time_now(), temporals_store="", answered=answered[1:], checked=checked[1:], bytes=size)


def _answered(frames: Sequence[bytes], directory: Directory) -> float:
    """From the bytes of a connection to the bytes of the answer: frame, header, whose it is, ACK, its frame."""
    reader, now = Frames(), datetime(2026, 11, 2, tzinfo=UTC)
    began = time.process_time()
    for number, data in enumerate(frames):
        (found,) = reader.feed(data)
        assert isinstance(found, Frame)
        head = hl7.header(found.data)
        sender = directory.find(PEER, head)
        assert isinstance(sender, Sender)
        wrap(hl7.acknowledge(head, "AA", control=str(number), when=now))
    return (time.process_time() - began) / len(frames) * 1e6


def _checked(messages: Sequence[bytes]) -> float:
    """Cutting and the walk over the tables of its version."""
    heads = [hl7.header(data) for data in messages]
    began = time.process_time()
    for data, head in zip(messages, heads, strict=True):
        assert hl7.check(hl7.read(data, head=head)).ok
    return (time.process_time() - began) / len(messages) * 1e6
