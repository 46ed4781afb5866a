"""How we send HL7 messages to another system over MLLP: one connection, one message at a time, and no answer taken for another's.

An answer counts only if its MSA-2 is the MSH-10 of the message that waits. Any other (late, swapped, doubled, unreadable) is
reported and credited to nothing; if the right one does not come in time, the connection is closed before anybody may send
again, so that what comes late arrives nowhere. Order and repeats are the caller's: this is a transport.

HL7 v2.5.1 chapter 2, original and enhanced acknowledgement (2.9.2, 2.9.3). In enhanced mode :meth:`MllpSender.send` gives back
the accept answer (CA, CE, CR); the application's answer comes when it likes: by this connection it is given to ``on_answer``, by
another it is a message to our own door. Either way it is matched by its MSA-2 with what the journal says was sent.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from adapters.mllp_line import ACCEPT, APPLICATION, Answer, Line, sendable
from canonical.errors import FasciaError, Malformed, Rejected, Unavailable

SYSTEM: Final = "mllp"
LARGEST_ANSWER: Final = 1024 * 1024
MOST_LATER: Final = 100  # application answers read before they are taken

__all__ = ["Answer", "MllpSender", "MllpTarget", "OnAnswer", "SenderCounts", "Stray", "client_tls"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Stray:
    """What came and answers nothing that waits: a late, swapped, doubled or unreadable answer."""

    reason: str  # "not waited for", "another message's", "unreadable", or a formats.mllp.Fault
    control_id: str = ""
    code: str = ""
    data: bytes = field(default=b"", repr=False)


OnAnswer = Callable[[Answer], Awaitable[bytes | None]]


@dataclass(frozen=True)
class MllpTarget:
    """Where messages go. ``tls`` from :func:`client_tls`; ``server_name`` if its certificate names another than ``host``.

    ``keep=False`` is for a system that closes after each answer: a message must not race with its closing.
    """

    name: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    keep: bool = True


@dataclass
class SenderCounts:
    """What happened since the start."""

    connects: int = 0
    sent: int = 0
    answered: int = 0
    unanswered: int = 0  # in time
    strays: int = 0


class MllpSender:
    """The way to one target. The connection is opened when first needed, kept, and opened anew after it was lost.

    ``timeout``: seconds from writing a message to its answer. ``on_answer``: takes application answers that come later
    (enhanced mode) and may say what is sent back (their own accept acknowledgement); without it they are strays. It must be
    harmless to call twice, since a peer may answer twice. ``on_stray`` is told of everything that answers nothing.
    """

    def __init__(
        self,
        target: MllpTarget,
        *,
        timeout: float = 30.0,
        connect_timeout: float = 10.0,
        on_answer: OnAnswer | None = None,
        on_stray: Callable[[Stray], None] | None = None,
        largest_answer: int = LARGEST_ANSWER,
    ) -> None:
        self._target = target
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._on_answer = on_answer
        self._on_stray = on_stray
        self._largest = largest_answer
        self._line: Line | None = None
        self._turn = asyncio.Lock()  # first come, first served
        self._later: deque[tuple[Line, Answer]] = deque()
        self._handing_on: asyncio.Task[None] | None = None
        self.counts = SenderCounts()

    async def send(self, data: bytes, control_id: str) -> Answer:
        """Send one message (bytes as they are) and give back its answer, whatever it says; the next one waits until then.

        Raises:
            Unavailable: not connected, or no answer in time: it may have arrived all the same, so repeat the same bytes.
            Rejected: it cannot be sent (``data-invalid``), or TLS does not come about (``certificate``, ``unauthenticated``).
            Malformed: the answer is to this message and has no code that HL7 knows. The outcome is unknown.
        """
        wanted = sendable(data, control_id)
        async with self._turn:
            line = await self._open(wanted)
            try:
                async with asyncio.timeout(self._timeout):
                    self.counts.sent += 1
                    answer = await line.ask(data, wanted)
            except TimeoutError as late:
                self.counts.unanswered += 1
                raise Unavailable(
                    f"{self._target.name} did not answer within {self._timeout:g} s", code="no-answer", system=SYSTEM
                ) from late
            except ssl.SSLError as refused:  # a server says only now that it does not take our certificate
                raise self._tls_failure(refused) from refused
            except OSError as lost:
                raise Unavailable(
                    f"{self._target.name} closed the connection before it answered", code="no-answer", system=SYSTEM
                ) from lost
            finally:
                if line.waiting or not self._target.keep:  # whatever happened, a later answer must find nobody
                    await self._forget()
            self.counts.answered += 1
            if answer.code not in APPLICATION | ACCEPT:
                await self._forget()
                raise Malformed(
                    f"{self._target.name} answered with an unknown code", path="MSA-1", code="answer", system=SYSTEM
                )
            return answer

    async def connect(self) -> None:
        """Open the connection unless it stands: whether anybody is there, before a message is said to have been sent.

        Raises:
            Unavailable, Rejected: as :meth:`send`, and nothing was sent.
        """
        async with self._turn:
            await self._open(b"")

    async def close(self) -> None:
        """Give the connection back, once what came by it is taken."""
        async with self._turn:
            await self._forget()
        if self._handing_on is not None:
            await self._handing_on

    # ---- the connection -----------------------------------------------------------------------------------------------

    async def _open(self, wanted: bytes) -> Line:
        for _ in range(2):  # let the loop see whether the other side has closed meanwhile
            await asyncio.sleep(0)
        line = self._line
        if line is not None and (line.lost or line.has_answered(wanted)):
            await self._forget()
        if self._line is None:
            self._line = await self._connect()
        return self._line

    async def _connect(self) -> Line:
        target = self._target
        line = Line(self._largest, self._not_waited_for, self._odd)
        name = (target.server_name or target.host) if target.tls is not None else None
        try:
            async with asyncio.timeout(self._connect_timeout):
                await asyncio.get_running_loop().create_connection(
                    lambda: line, target.host, target.port, ssl=target.tls, server_hostname=name
                )
        except ssl.SSLError as failed:
            raise self._tls_failure(failed) from failed
        except OSError as away:  # TimeoutError is an OSError
            raise Unavailable(f"{target.name} cannot be reached ({type(away).__name__})", system=SYSTEM) from away
        self.counts.connects += 1
        return line

    async def _forget(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    def _tls_failure(self, failed: ssl.SSLError) -> Rejected | Unavailable:
        name = self._target.name
        if isinstance(failed, ssl.SSLCertVerificationError):
            return Rejected(
                f"{name} shows a certificate that we do not trust: {failed.verify_message}",
                code="certificate",
                system=SYSTEM,
            )
        if "ALERT" in (failed.reason or ""):
            return Rejected(
                f"{name} does not take our certificate or TLS ({failed.reason})", code="unauthenticated", system=SYSTEM
            )
        return Unavailable(f"no TLS with {name} ({failed.reason})", system=SYSTEM)

    # ---- what nobody waits for ----------------------------------------------------------------------------------------

    def _not_waited_for(self, line: Line, answer: Answer) -> None:
        """An answer to something else than the message that waits: the application's, later, or a stray."""
        if self._on_answer is None or answer.code not in APPLICATION:
            reason = "another message's" if line.unanswered else "not waited for"
            self._tell(Stray(reason, answer.control_id, answer.code, answer.data))
            return
        self._later.append((line, answer))
        line.hold(len(self._later) >= MOST_LATER)
        if self._handing_on is None or self._handing_on.done():
            self._handing_on = asyncio.create_task(self._hand_on(self._on_answer))

    async def _hand_on(self, on_answer: OnAnswer) -> None:
        """Give on what came, in its order; also what came by a connection that is gone, since it may not come again."""
        while self._later:
            line, answer = self._later[0]
            try:
                back = await on_answer(answer)
            except Exception as failed:
                code = failed.code if isinstance(failed, FasciaError) else ""
                error = type(failed).__name__
                log.error("answer not taken, connection closed", target=self._target.name, error=error, code=code)
                line.abort()
            else:
                if back is not None:
                    line.say(back)
            self._later.popleft()
            line.hold(len(self._later) >= MOST_LATER)

    def _odd(self, reason: str, data: bytes) -> None:
        self._tell(Stray(reason, data=data))

    def _tell(self, stray: Stray) -> None:
        self.counts.strays += 1
        log.warning("answer credited to nothing", target=self._target.name, reason=stray.reason, size=len(stray.data))
        if self._on_stray is not None:
            self._on_stray(stray)


def client_tls(
    authority: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """TLS 1.2 or later with the target's certificate and name checked; our own shown if given. Made once: it takes 20 ms.

    ``authority``: whom we trust instead of the system's list. ``key`` may stand in the certificate's file. All PEM.

    Raises:
        Rejected: a file cannot be read, or key and certificate do not belong together (``configuration``).
    """
    try:
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as unread:  # ssl.SSLError is one
        raise Rejected(
            "our certificate, key or authority cannot be read", code="configuration", system=SYSTEM
        ) from unread
    return context
