"""The MLLP door: departments' systems connect here and send HL7 messages, each answered once it is kept.

It knows frames, connections and time, and no HL7: what a frame means and what answers it is the corridor's word
(:class:`gateway.mllp_peer.Corridor`). Nothing it holds is worth anything to anybody: killed at any moment, every sender that
has no answer sends again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.mllp_connection import Connection
from gateway.mllp_flow import Flow, Share
from gateway.mllp_peer import Corridor, Limits

HANDSHAKE: Final = 10.0  # seconds for a TLS handshake
TICK: Final = 0.25  # seconds between looks at what takes too long
BACKLOG: Final = 1024
DEFAULT_LIMITS: Final = Limits()

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MllpCounts:
    """How a listener stands: the first four now, the others since its start. ``oldest_seconds``: the longest in work."""

    connections: int
    in_work: int
    waiting: int
    held_bytes: int
    oldest_seconds: float
    accepted: int
    refused: int
    handshakes_failed: int
    frames: int
    broken: dict[str, int]  # by formats.mllp.Fault
    noise_bytes: int
    answered: int
    failed: int
    timed_out: int
    idle_closed: int


class MllpDoor:
    """One listening address. ``tls`` from :func:`gateway.mllp_peer.server_tls`; ``port`` 0: any free one."""

    def __init__(
        self,
        corridor: Corridor,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        limits: Limits = DEFAULT_LIMITS,
        name: str = "mllp",
        reuse_port: bool = False,
    ) -> None:
        self._flow = Flow(corridor, limits, name)
        self._address = (host, port)
        self._tls = tls
        self._limits = limits
        self._name = name
        self._reuse_port = reuse_port
        self._listener: socket.socket | None = None
        self._own: list[asyncio.Task[None]] = []
        self._admitting: set[asyncio.Task[None]] = set()
        self._refused_told = 0

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on, once started."""
        assert self._listener is not None
        host, port, *_ = self._listener.getsockname()
        return host, port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not ours.
        """
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._listener = socket.create_server(
            self._address, family=family, backlog=BACKLOG, reuse_port=self._reuse_port
        )
        self._listener.setblocking(False)
        self._own = [asyncio.create_task(self._accept(self._listener)), asyncio.create_task(self._watch())]
        log.info("MLLP door open", listener=self._name, port=self.address[1], tls=self._tls is not None)

    async def stop(self, within: float = 10.0) -> int:
        """Take no more frames, answer those in work within so many seconds, and close. Says how many went unanswered."""
        flow = self._flow
        await _cancelled(*self._own[:1], *self._admitting)  # first: a closed socket must not be listened on
        if self._listener is not None:
            self._listener.close()
        for one in list(flow.connections):
            one.refuse_more()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await flow.empty()
        unanswered = flow.in_work
        for one in list(flow.connections):
            one.abort()
        await _cancelled(*flow.tasks, *self._own)
        await asyncio.sleep(0)  # asyncio tells of the lost connections now
        self._own = []
        log.info("MLLP door closed", listener=self._name, unanswered=unanswered)
        return unanswered

    def snapshot(self) -> MllpCounts:
        """How it stands now."""
        flow = self._flow
        began = [one.oldest for one in flow.connections if one.oldest is not None]
        return MllpCounts(
            connections=flow.alive,
            in_work=flow.in_work,
            waiting=sum(one.waiting for one in flow.connections),
            held_bytes=flow.held,
            oldest_seconds=asyncio.get_running_loop().time() - min(began) if began else 0.0,
            **{**vars(flow.counts), "broken": dict(flow.counts.broken)},
        )

    # ---- connections --------------------------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, where = await loop.sock_accept(listener)
            except OSError as failed:  # no more file descriptors, say: those who are connected go on
                log.error("cannot take connections", listener=self._name, error=type(failed).__name__)
                await asyncio.sleep(1)
                continue
            share = self._flow.admit(where[0])
            if share is None:
                self._flow.counts.refused += 1
                accepted.close()
            else:
                task = loop.create_task(self._admit(accepted, share))
                self._admitting.add(task)
                task.add_done_callback(self._admitting.discard)
            await asyncio.sleep(0)  # a flood of connections must not stop the others' work

    async def _admit(self, accepted: socket.socket, share: Share) -> None:
        connection = Connection(self._flow, share)
        within = HANDSHAKE if self._tls is not None else None
        peer = ""
        try:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            peer = accepted.getpeername()[0]
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=within
            )
        except OSError as failed:  # ssl.SSLError and TimeoutError are such
            self._flow.counts.handshakes_failed += 1
            reason = getattr(failed, "verify_message", "") or getattr(failed, "reason", "") or type(failed).__name__
            log.warning("connection not made", listener=self._name, peer=peer, reason=str(reason))
        finally:
            if connection.transport is None:
                self._flow.gone(share)
                accepted.close()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        tick = min(TICK, self._limits.frame_seconds / 4, self._limits.idle_seconds / 4)
        while True:
            await asyncio.sleep(tick)
            for one in list(self._flow.connections):
                try:
                    one.check(loop.time())
                except Exception:  # of one connection; the others must be looked at all the same
                    log.exception("connection could not be looked at", listener=self._name)
                    one.abort()
            refused = self._flow.counts.refused - self._refused_told
            if refused:
                self._refused_told += refused
                log.warning("connections refused: too many", listener=self._name, count=refused)


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
