"""One open MLLP connection to another system, and how much of HL7 it takes to know whose answer came: MSH-10, MSA and ERR."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from adapters.http import cut
from canonical.errors import Rejected
from formats.mllp import FS, VT, Broken, Frames, wrap

ACCEPT: Final = frozenset({"CA", "CE", "CR"})
APPLICATION: Final = frozenset({"AA", "AE", "AR"})
GOOD: Final = frozenset({"AA", "CA"})
MSH: Final = b"MSH"
MOST_ANSWERED: Final = 10_000  # control ids remembered for one connection
LINES: Final = re.compile(rb"[\r\n]+")  # CR by the standard; answers with LF are about


@dataclass(frozen=True)
class Answer:
    """What the other side says of one message. ``text`` and ``data`` are its words: for the journal and people, never for logs."""

    code: str  # MSA-1, upper case: AA AE AR CA CE CR
    control_id: str  # MSA-2
    text: str = field(default="", repr=False)  # MSA-3, or what ERR says
    data: bytes = field(default=b"", repr=False)

    @property
    def accepted(self) -> bool:
        """Whether it is a yes: done (AA) or kept over there (CA)."""
        return self.code in GOOD


class Line(asyncio.Protocol):
    """One connection; at most one message waits on it. ``other`` hears every answer that is not to that message."""

    def __init__(self, largest: int, other: Callable[[Line, Answer], None], odd: Callable[[str, bytes], None]) -> None:
        self._frames = Frames(largest)
        self._other = other
        self._odd = odd
        self._transport: asyncio.Transport | None = None
        self._wanted = b""
        self._waiter: asyncio.Future[Answer] | None = None
        self._gone = asyncio.get_running_loop().create_future()
        self._held = False
        self._answered: dict[bytes, None] = {}  # the last control ids, oldest first

    @property
    def lost(self) -> bool:
        """Whether the connection is gone or going."""
        return self._gone.done() or self._transport is None or self._transport.is_closing()

    @property
    def waiting(self) -> bool:
        """Whether a message was sent and nobody has taken its answer."""
        return self._waiter is not None

    @property
    def unanswered(self) -> bool:
        """Whether a message was sent and its answer has not come."""
        return self._waiter is not None and not self._waiter.done()

    def has_answered(self, wanted: bytes) -> bool:
        """Whether this control id was answered here: a second answer to it may still come, and must not be its repeat's."""
        return wanted in self._answered

    async def ask(self, data: bytes, wanted: bytes) -> Answer:
        """Send a message and wait for the answer with this MSA-2.

        Raises:
            OSError: the connection is gone (``ssl.SSLError``: for TLS's reasons).
        """
        self._wanted, self._waiter = wanted, asyncio.get_running_loop().create_future()
        self.say(data)
        if self.lost:
            raise ConnectionResetError
        answer = await self._waiter
        self._waiter = None
        self._answered[wanted] = None
        if len(self._answered) > MOST_ANSWERED:
            del self._answered[next(iter(self._answered))]
        return answer

    def say(self, data: bytes) -> None:
        """Send a frame that nothing waits on; to a connection that is gone, nothing."""
        if self._transport is not None and not self.lost:
            self._transport.write(wrap(data))

    def hold(self, full: bool) -> None:
        """Read on, or not for now."""
        if self._transport is not None and not self.lost and full != self._held:
            self._held = full
            (self._transport.pause_reading if full else self._transport.resume_reading)()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Close at once, and come back when nothing more can arrive."""
        self.abort()
        if self._transport is not None:
            await asyncio.shield(self._gone)

    # ---- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        for one in self._frames.feed(data):
            if isinstance(one, Broken):
                self._odd(one.fault.value, one.data)
            elif (read := read_answer(one.data)) is None:
                self._odd("unreadable", one.data)
            elif self._waiter is not None and self.unanswered and read[0] == self._wanted:
                self._waiter.set_result(read[1])
            else:
                self._other(self, read[1])

    def connection_lost(self, exc: Exception | None) -> None:
        for one in self._frames.end():
            self._odd(one.fault.value, one.data)
        if self._waiter is not None and self.unanswered:
            self._waiter.set_exception(exc if isinstance(exc, OSError) else ConnectionResetError())
            self._waiter.exception()  # whoever waited may be gone
        if not self._gone.done():
            self._gone.set_result(None)


def sendable(data: bytes, control_id: str) -> bytes:
    """The control id as it stands in the message, which must be one message with that MSH-10.

    Raises:
        Rejected: it is not, or its bytes would break the frame (``data-invalid``).
    """
    wanted = control_id.encode()
    header = LINES.split(data, maxsplit=1)[0]
    fields = header.split(data[3:4]) if header.startswith(MSH) and len(header) > len(MSH) else []
    if not wanted or len(fields) < 10 or fields[9] != wanted:
        raise Rejected("MSH-10 is not the control id it is to be answered by", code="data-invalid")
    if VT in data or FS in data:
        raise Rejected("a message with VT or FS in it cannot be framed", code="data-invalid")
    return wanted


def read_answer(frame: bytes) -> tuple[bytes, Answer] | None:
    """MSA-2 as it came and the answer; nothing where there is not one message with one MSA and both its fields."""
    lines = LINES.split(frame.strip(b"\r\n \x00"))
    separator = lines[0][3:4]
    if not lines[0].startswith(MSH) or not separator:
        return None
    segments = [line.split(separator) for line in lines]
    answers = [one for one in segments if one[0] == b"MSA"]
    if len(answers) != 1 or sum(one[0] == MSH for one in segments) != 1:
        return None
    code, control_id, text = (answers[0] + [b""] * 4)[1:4]
    if not code or not control_id:
        return None
    words = text.strip() or next((_complaint(one, lines[0][4:5]) for one in segments if one[0] == b"ERR"), b"")
    answer = Answer(_word(code).upper(), _word(control_id), cut(words.decode(errors="replace")), frame)
    return control_id, answer


def _complaint(segment: list[bytes], component: bytes) -> bytes:
    """ERR-8 (for people), ERR-7 (for engineers) or the name of ERR-3's code."""
    fields = segment + [b""] * 9
    code = fields[3].split(component) if component else [fields[3]]
    return fields[8] or fields[7] or b" ".join(code[:2])


def _word(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace").strip()
