"""What senders do wrong on an MLLP connection, as bytes: each fault strikes every so many letters, at the same ones each time.

- ``unclosed``: a frame that never ends, its connection left open;
- ``huge``: a frame of 64 MB;
- ``pipelined``: so many frames in one write;
- ``reconnect``: a connection for so many messages and no more;
- ``half-close``: the same, ended by closing one way before the answers;
- ``noise``: bytes between frames;
- ``doubled``: a message twice;
- ``swapped``: two messages in each other's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from canonical.errors import Malformed
from cli.synthetic.hospital import Chance
from cli.synthetic.traffic import Letter
from formats.mllp import VT, wrap

Then = Literal["", "close", "half-close", "leave"]
USUALLY: Final[Mapping[str, int]] = {
    "unclosed": 100,
    "huge": 1000,
    "pipelined": 1000,
    "reconnect": 1,
    "half-close": 10,
    "noise": 10,
    "doubled": 10,
    "swapped": 10,
}
HUGE: Final = 64 * 1024 * 1024
NOISE: Final = (
    b"\r\n",
    b"\x00\x00\x00",
    b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
    b"\x1c\r",
    b"no frame at all",
    b"\xff\xfe\x00",
)


class Step(NamedTuple):
    """One write on a connection, which letters' frames it completes, and what happens to the connection after their answers.

    ``close``: closed; ``half-close``: no more is sent, the answers are still read; ``leave``: left open as it is, another
    connection goes on.
    """

    data: bytes
    letters: tuple[Letter, ...]
    then: Then = ""


@dataclass(frozen=True)
class Faults:
    """Which faults strike, every so many letters of a connection. ``huge_bytes``: of the frame that is too large."""

    every: Mapping[str, int] = field(default_factory=dict)
    huge_bytes: int = HUGE

    @classmethod
    def read(cls, words: tuple[str, ...], huge_bytes: int = HUGE) -> Faults:
        """From words such as ``noise`` or ``noise/5``.

        Raises:
            Malformed: there is no such fault, or it does not say how often.
        """
        every = {}
        for word in words:
            name, slash, number = word.partition("/")
            if name not in USUALLY:
                raise Malformed(f"there is no fault {name}; there are {', '.join(USUALLY)}", path="fault")
            if slash and not (number.isdigit() and int(number)):
                raise Malformed(f"{word}: say every how many letters, as in {name}/5", path="fault")
            every[name] = int(number) if slash else USUALLY[name]
        if "reconnect" in every and "half-close" in every:
            raise Malformed("reconnect and half-close both end the connection: name one", path="fault")
        return cls(every, huge_bytes)


class Wire:
    """Turns one connection's letters into writes."""

    def __init__(self, seed: str, connection: int, faults: Faults) -> None:
        self._words = (seed, "fault", connection)
        self._every = dict(faults.every)
        self._huge_bytes = faults.huge_bytes
        self._seen = 0
        self._framed = 0
        self._since_connected = 0
        self._held: Letter | None = None
        self._bunch: list[Step] = []

    def take(self, letter: Letter) -> Iterator[Step]:
        """The writes that can be made with this letter."""
        if not self._every:
            yield Step(wrap(letter.data), (letter,))
            return
        self._seen += 1
        if self._strikes("swapped", self._seen):
            self._held = letter
            return
        yield from self._doubled(letter, self._seen)
        if self._held is not None:
            held, self._held = self._held, None
            yield from self._doubled(replace(held, fault="swapped"), self._seen - 1)

    def end(self) -> Iterator[Step]:
        """The writes that are left."""
        if self._held is not None:
            held, self._held = self._held, None
            yield from self._doubled(held, self._seen)
        yield from self._bunched()

    def _strikes(self, fault: str, number: int) -> bool:
        every = self._every.get(fault, 0)
        return bool(every) and number % every == 0

    def _doubled(self, letter: Letter, place: int) -> Iterator[Step]:
        yield from self._written(letter)
        if self._strikes("doubled", place):
            yield from self._written(replace(letter, fault="doubled"))

    def _written(self, letter: Letter) -> Iterator[Step]:
        self._framed += 1
        if self._strikes("unclosed", self._framed):
            yield from self._bunched()
            self._since_connected = 0
            yield Step(VT + letter.data, (replace(letter, fault="unclosed"),), "leave")
            return
        if self._strikes("huge", self._framed):
            letter = replace(letter, fault="huge", data=_filled(letter.data, self._huge_bytes))
        data = wrap(letter.data)
        if self._strikes("noise", self._framed):
            data = Chance(*self._words, self._framed).one(NOISE) + data
        self._bunch.append(Step(data, (letter,)))
        self._since_connected += 1
        then: Then = ""
        for fault, how in _ENDS.items():
            if self._strikes(fault, self._since_connected):
                then = how
                self._since_connected = 0
        if then or len(self._bunch) >= self._every.get("pipelined", 1):
            yield from self._bunched(then)

    def _bunched(self, then: Then = "") -> Iterator[Step]:
        """What has gathered, in one write."""
        if self._bunch:
            data = b"".join(step.data for step in self._bunch)
            letters = tuple(letter for step in self._bunch for letter in step.letters)
            self._bunch.clear()
            yield Step(data, letters, then)


_ENDS: Final[Mapping[str, Then]] = {"reconnect": "close", "half-close": "half-close"}


def _filled(data: bytes, size: int) -> bytes:
    """A message made so large, by a segment of its own that no version knows."""
    head = b"ZTX|1|"
    return data + head + b"x" * max(0, size - len(data) - len(head) - 1) + b"\r"
