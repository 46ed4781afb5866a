"""One sender's MLLP connection: its frames go to the corridor in their order, and the answers come back in that order.

Several frames of one connection may be in work at once, so that one commit can keep many. Their order is kept thus: a frame's
``take`` is begun after those of all frames before it, and runs up to its first ``await`` before a later one begins. A corridor
that lines a frame up for keeping before it first awaits therefore keeps in the sender's order; and when one take fails,
no later frame of the connection is begun. ``in_work_per_connection=1`` is for a sender whose frames must not even overlap.

Back-pressure goes to the socket: what is not read stays with its sender.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from canonical.errors import FasciaError
from formats.mllp import Broken, Fault, Frame, Frames, wrap
from gateway.mllp_flow import Flow, Share, Turn
from gateway.mllp_peer import Peer, shown

LINGER: Final = 1.0  # seconds a sender has to read our last answers before the connection is closed
OVERHEAD: Final = 128  # bytes a frame takes beside its own

log = structlog.get_logger(__name__)


class Connection(asyncio.Protocol):
    """Frames in, answers out, for as long as the sender stays."""

    def __init__(self, flow: Flow, share: Share) -> None:
        self.share = share
        self._flow = flow
        self._loop = asyncio.get_running_loop()
        self._frames = Frames(flow.limits.frame_bytes)
        self._queue: deque[Frame | Broken] = deque()  # whole, not begun
        self._turns: deque[Turn] = deque()  # begun, not answered
        self.transport: asyncio.Transport | None = None
        self.peer = Peer("", 0)
        self._open_held = 0
        self._noise = 0
        self._opened_at: float | None = None  # the open frame's first byte
        self._heard_at = self._loop.time()
        self._stuck_since: float | None = None  # the sender does not read its answers
        self._paused = False
        self._answering = False  # soon
        self._over = False  # nothing more is read
        self._eof = False  # the sender stopped sending
        self._lost = False  # the socket is gone
        self._dropped = False  # what is not begun is not taken any more
        self._close_by: float | None = None

    # ---- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        certificate = shown(transport)
        self.peer = Peer(host, port, self._flow.listener, next(self._flow.numbers), certificate)
        self._flow.counts.accepted += 1
        self._flow.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return  # read only so that the sender can read our last answers
        found = self._frames.feed(data)
        if not self._frames.open:
            self._opened_at = None
        elif found or self._opened_at is None:
            self._opened_at = self._loop.time()
        self._line_up(found)
        self.pace()

    def eof_received(self) -> bool:
        """A sender that only stopped sending still hears its answers; over TLS asyncio closes both ways at once."""
        if self._over:
            return False
        self._eof = True
        self._end(Fault.TRUNCATED)
        return not self._idle and self._plain

    def connection_lost(self, exc: Exception | None) -> None:
        """The whole frames that came are taken all the same: their sender may not wait for answers."""
        self._lost = True
        self._flow.gone(self.share)
        if not self._over:
            self._end(Fault.TRUNCATED)
        self._leave()

    def pause_writing(self) -> None:
        self._stuck_since = self._loop.time()
        self.pace()

    def resume_writing(self) -> None:
        self._stuck_since = None
        self.pace()

    # ---- frames in their order ----------------------------------------------------------------------------------------

    @property
    def can_begin(self) -> bool:
        """Whether a frame waits here that may be in work beside those that are."""
        return bool(self._queue) and len(self._turns) < self._flow.limits.in_work_per_connection

    @property
    def oldest(self) -> float | None:
        """When the frame in work for longest was begun, on the loop's clock."""
        return self._turns[0].began if self._turns else None

    @property
    def waiting(self) -> int:
        """Whole frames not begun yet."""
        return len(self._queue)

    def begin_next(self) -> None:
        """Begin the next frame."""
        found, turn = self._queue.popleft(), Turn(self._loop.time())
        self._turns.append(turn)
        self._flow.began(self.share)
        turn.task = self._loop.create_task(self._take(turn, found))
        self._flow.tasks.add(turn.task)

    def _line_up(self, found: Sequence[Frame | Broken]) -> None:
        flow = self._flow
        flow.counts.noise_bytes += self._frames.noise - self._noise
        self._noise = self._frames.noise
        more = self._frames.held - self._open_held
        self._open_held += more
        for one in found:
            more += _weight(one)
            if isinstance(one, Frame):
                flow.counts.frames += 1
            else:
                flow.counts.broken[one.fault.value] += 1
        self._queue.extend(found)
        flow.hold(more, self.share)
        if found:
            self._heard_at = self._loop.time()
            flow.begin(self)

    async def _take(self, turn: Turn, found: Frame | Broken) -> None:
        corridor = self._flow.corridor
        try:
            if isinstance(found, Frame):
                turn.answer = await corridor.take(found.data, self.peer)
            else:
                turn.answer = await corridor.broken(found, self.peer)
            turn.failed = False
        except Exception as failed:
            self._flow.counts.failed += 1
            log.error("frame not taken, connection closed unanswered", **self._about, **_of(failed))
            self.refuse_more()
        finally:
            turn.done = True
            self._flow.ended(turn, _weight(found), self.share)
            if not self._answering:
                # Soon, not now: what the same commit kept is answered in one go, one write a connection. A write between two
                # that are worked on wakes its reader for itself each time, which costs more than the answer.
                self._answering = True
                self._loop.call_soon(self._answer)

    def _answer(self) -> None:
        """Send the answers whose turn has come, and go on."""
        self._answering = False
        answers = []
        failed = False
        while self._turns and self._turns[0].done and not failed:
            turn = self._turns.popleft()
            failed = turn.failed
            if turn.answer and not failed:
                several = turn.answer if isinstance(turn.answer, tuple) else (turn.answer,)
                answers.append(b"".join(map(wrap, several)))
        if answers and self._writable and self.transport:
            self.transport.write(b"".join(answers))
            self._flow.counts.answered += len(answers)
        if failed or (self._over and self._idle):
            self._retire()
        self._flow.begin(self)
        self.pace()
        self._leave()

    # ---- the end ------------------------------------------------------------------------------------------------------

    def refuse_more(self) -> None:
        """Read and begin nothing more; what is in work is answered, then the connection is closed."""
        self._over = self._dropped = True
        self._opened_at = None
        dropped = sum(map(_weight, self._queue)) + self._open_held
        self._queue.clear()
        self._open_held = 0
        self._flow.release(dropped, self.share)
        self.pace()
        if self._idle:
            self._retire()
        self._leave()

    def abort(self) -> None:
        """Close now, whatever is in work."""
        if self.transport is not None:
            self.transport.abort()

    def check(self, now: float) -> None:
        """Called every so often: has something taken too long?"""
        limits = self._flow.limits
        if self._close_by is not None:
            if now > self._close_by:
                self.abort()
        elif self._stuck_since is not None and now - self._stuck_since > limits.frame_seconds:
            self._flow.counts.timed_out += 1
            log.warning("sender does not read its answers, connection closed", **self._about)
            self.abort()
        elif self._opened_at is not None and not self._full and now - self._opened_at > limits.frame_seconds:
            self._flow.counts.timed_out += 1
            log.warning("frame not ended in time, connection closed", **self._about)
            self._end(Fault.TIMED_OUT)
            if self._idle:
                self._retire()
        elif self._idle and not self._over and now - max(self._heard_at, self._opened_at or 0) > limits.idle_seconds:
            self._flow.counts.idle_closed += 1
            self._over = True
            self._retire()

    def pace(self) -> None:
        """Read on, or leave what comes with its sender for now."""
        if self.transport is None or self._lost or self._close_by is not None:
            return
        pause = self._over or self._full or self._stuck_since is not None or not self._flow.has_room(self)
        if pause and not self._paused:
            self.transport.pause_reading()
        elif self._paused and not pause:
            self.transport.resume_reading()
            if self._opened_at is not None:  # the time that we did not read is not the sender's
                self._opened_at = self._loop.time()
        self._paused = pause

    def _end(self, fault: Fault) -> None:
        self._over = True
        self._opened_at = None
        self._line_up(self._frames.end(fault))
        self.pace()

    def _retire(self) -> None:
        """Close so that what we answered arrives: closing with bytes unread would have the network throw it away."""
        if self._close_by is not None or self._lost or self.transport is None:
            return
        self._dropped = True
        self._turns.clear()
        self._close_by = self._loop.time() + LINGER
        if self._eof or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    def _leave(self) -> None:
        if self._lost and (self._idle or self._dropped):
            self._flow.release(self._open_held, self.share)
            self._open_held = 0
            self._flow.leave(self)

    @property
    def _idle(self) -> bool:
        return not self._turns and not self._queue

    @property
    def _full(self) -> bool:
        return bool(self._queue) or len(self._turns) >= self._flow.limits.in_work_per_connection

    @property
    def _writable(self) -> bool:
        return not self._lost and self._close_by is None and not (self.transport and self.transport.is_closing())

    @property
    def _plain(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is None

    @property
    def _about(self) -> dict[str, object]:
        return {"listener": self.peer.listener, "peer": self.peer.host, "connection": self.peer.connection}


def _weight(found: Frame | Broken) -> int:
    """What a frame counts in bytes held: an empty one is no less to carry."""
    return len(found.data) + OVERHEAD


def _of(failed: Exception) -> dict[str, object]:
    """What of a failure may stand in a log: where it came from, never its text, which may hold what was sent."""
    place = failed.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{place.tb_lineno}" if place else ""
    return {"error": type(failed).__name__, "code": failed.code if isinstance(failed, FasciaError) else "", "at": where}
