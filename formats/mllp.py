"""MLLP: where one HL7 message ends and the next begins in a stream of bytes, and what in it is no whole message.

HL7 v2 Minimal Lower Layer Protocol, release 1: ``<VT> message <FS><CR>``. No input or output here: bytes go in as they
came, frames come out as they were sent. However the same bytes are cut, the same frames come out. Both doors and senders read
by this; what senders get wrong in practice is in ``tests/formats/test_mllp.py``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

VT: Final = b"\x0b"
FS: Final = b"\x1c"
END: Final = b"\x1c\x0d"
BLANK: Final = b"\r\n\t \x00\x1c"  # what some senders put between frames and nobody misses
NOISE_KEPT: Final = 4096  # bytes kept of what came outside any frame
LARGEST: Final = 16 * 1024 * 1024


class Fault(StrEnum):
    """Why bytes are no whole frame."""

    INTERRUPTED = "interrupted"  # a new frame began inside the open one
    UNTERMINATED = "unterminated"  # FS without CR, then a new frame
    TOO_LARGE = "too_large"
    TRUNCATED = "truncated"  # the connection ended inside it
    TIMED_OUT = "timed_out"  # it was begun and not ended in time
    NOISE = "noise"  # outside any frame, and more than blanks


class Frame(NamedTuple):
    """One message's bytes as they came, without VT, FS and CR; empty for an empty frame."""

    data: bytes


class Broken(NamedTuple):
    """What is no whole frame: why, and the bytes there were, at most the limit (of noise the first ``NOISE_KEPT``)."""

    fault: Fault
    data: bytes


class Frames:
    """Reads frames from one connection's bytes; each byte is looked at twice at most, and at most ``limit`` are held."""

    def __init__(self, limit: int = LARGEST) -> None:
        if limit < 1:
            raise ValueError("a frame must be allowed at least one byte")
        self._limit = limit
        self._inside = False
        self._discarding = False  # inside a frame already told to be too large
        self._open = bytearray()  # of the open frame, or of the noise since the last one
        self._fs_held = False  # the last byte was FS, and whether CR follows is not known yet
        self.noise = 0
        """Bytes that came outside any frame so far, blanks included."""

    @property
    def open(self) -> bool:
        """Whether a frame was begun and not ended."""
        return self._inside

    @property
    def held(self) -> int:
        """Bytes held of what is not complete."""
        return len(self._open)

    def feed(self, data: bytes) -> list[Frame | Broken]:
        """Everything that these bytes complete, in order. Nothing that is sent is lost without a word but blanks."""
        if self._fs_held:
            data = FS + data
        self._fs_held = data.endswith(FS)
        size = len(data) - self._fs_held
        found: list[Frame | Broken] = []
        at, start, end = 0, data.find(VT), data.find(END)
        while at < size:
            if 0 <= start < at:
                start = data.find(VT, at)
            if 0 <= end < at:
                end = data.find(END, at)
            ends_first = end >= 0 and (start < 0 or end < start)
            stop = end if ends_first else start
            if self._inside:
                if stop < 0:
                    self._grow(data[at:size], found)
                elif ends_first:
                    self._close(data[at:stop], found)
                else:
                    self._interrupt(data[at:stop], found)
            elif stop != at or ends_first or self._open:
                self._outside(data[at : stop if stop >= 0 else size], found, ends=stop >= 0)
                self.noise += len(END) * ends_first
            if stop < 0:
                break
            self._inside = not ends_first
            at = stop + (len(END) if ends_first else len(VT))
        return found

    def end(self, fault: Fault = Fault.TRUNCATED) -> list[Broken]:
        """What is left when no more will come, or when no more is waited for; the next byte begins anew."""
        found: list[Frame | Broken] = []
        rest = FS if self._fs_held else b""
        if not self._inside:
            self._outside(rest, found, ends=True)
        elif not self._discarding and (self._open or rest):
            found.append(Broken(fault, bytes(self._open[: self._limit] + rest)[: self._limit]))
        self._inside = self._discarding = self._fs_held = False
        self._open.clear()
        return [one for one in found if isinstance(one, Broken)]

    def _grow(self, data: bytes, found: list[Frame | Broken]) -> None:
        """The open frame goes on."""
        if self._discarding:
            return
        room = self._limit - len(self._open)
        self._open += data[:room]
        if len(data) > room:
            found.append(Broken(Fault.TOO_LARGE, bytes(self._open)))
            self._open.clear()
            self._discarding = True

    def _close(self, data: bytes, found: list[Frame | Broken]) -> None:
        """The open frame ends."""
        whole = self._whole(data, found)
        if whole is not None:
            found.append(Frame(whole))

    def _interrupt(self, data: bytes, found: list[Frame | Broken]) -> None:
        """A new frame begins inside the open one; a start mark that is only doubled breaks nothing."""
        whole = self._whole(data, found)
        if whole is not None and not whole:
            self.noise += len(VT)
        elif whole is not None:
            found.append(Broken(Fault.UNTERMINATED if whole.endswith(FS) else Fault.INTERRUPTED, whole))

    def _whole(self, data: bytes, found: list[Frame | Broken]) -> bytes | None:
        """All bytes of the frame that stops here; nothing if it is too large, which is told once."""
        if not self._open and not self._discarding and len(data) <= self._limit:
            return data  # the usual case: all of it came at once
        self._grow(data, found)
        whole = None if self._discarding else bytes(self._open)
        self._discarding = False
        self._open.clear()
        return whole

    def _outside(self, data: bytes, found: list[Frame | Broken], *, ends: bool) -> None:
        """Noise: counted; its first bytes kept, and told when it ends if it is more than blanks."""
        if data:
            self.noise += len(data)
            room = NOISE_KEPT - len(self._open)
            self._open += (data if self._open else data.lstrip(BLANK))[:room]
        if ends and self._open:
            found.append(Broken(Fault.NOISE, bytes(self._open)))
            self._open.clear()


def wrap(data: bytes) -> bytes:
    """A message's bytes as a frame."""
    return b"%b%b%b" % (VT, data, END)
