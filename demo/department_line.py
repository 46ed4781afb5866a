"""How a department's system sends: over a few connections, in order on each, keeping a list of what was acknowledged.

A connection that breaks is opened again, and what was not acknowledged on it is sent again as it was, under its own number.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from demo.hl7_plain import Answer, NotHl7, framed
from demo.hl7_plain import frame as next_frame
from demo.story_doors import StoryError

UNDER_WAY = 16  # messages sent on a connection before the oldest of them is answered
ANSWER_WITHIN = 30.0
CALL_AGAIN = 0.3
GIVE_UP = 120.0

Message = tuple[str, str]  # its number (MSH-10), and its text


@dataclass
class Sent:
    """A system's own list: what was answered to each number, how often, and what had to be sent more than once."""

    answers: dict[str, str] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    broken: int = 0
    heard: Callable[[], None] = lambda: None

    def hear(self, answer: Answer, waiting: deque[Message]) -> None:
        """An answer came; it must be to a message that waits for one.

        Raises:
            StoryError: it is to no message under way, or it says that the message was not taken.
        """
        number = next((number for number, _ in waiting if number == answer.number), None)
        if number is None:
            raise StoryError(f"{answer.code} to {answer.number or 'nothing'}, which waits for no answer")
        if not answer.taken:
            raise StoryError(f"{answer.code} to {number}")
        self.answers[number] = answer.code
        self.heard()


async def send(address: tuple[str, int], *streams: Sequence[Message], sent: Sent | None = None) -> Mapping[str, str]:
    """Send each stream over a connection of its own until all is acknowledged; the answers by number.

    Raises:
        StoryError: something was answered wrongly, or nobody answers for two minutes.
    """
    sent = sent or Sent()
    try:
        async with asyncio.TaskGroup() as group:
            for stream in streams:
                group.create_task(_stream(address, stream, sent))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return sent.answers


async def _stream(address: tuple[str, int], stream: Sequence[Message], sent: Sent) -> None:
    left = deque(stream)
    loop = asyncio.get_running_loop()
    heard_at = loop.time()
    while left:
        before = len(left)
        try:
            await _connection(address, left, sent)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, NotHl7) as away:
            sent.broken += 1
            if len(left) < before:
                heard_at = loop.time()
            if loop.time() - heard_at > GIVE_UP:
                raise StoryError(f"{len(left)} messages are not acknowledged: {type(away).__name__} {away}") from away
            await asyncio.sleep(CALL_AGAIN)


async def _connection(address: tuple[str, int], left: deque[Message], sent: Sent) -> None:
    """One connection, for as long as it holds; what is acknowledged leaves ``left``."""
    reader, writer = await asyncio.open_connection(*address)
    waiting: deque[Message] = deque()
    try:
        while left or waiting:
            while len(waiting) < min(UNDER_WAY, len(left)):
                message = left[len(waiting)]
                if message[0] in sent.answers:
                    raise StoryError(f"{message[0]} stands twice in what is to be sent")
                waiting.append(message)
                writer.write(framed(message[1]))
            await writer.drain()
            async with asyncio.timeout(ANSWER_WITHIN):
                answer = Answer.read(await next_frame(reader))
            sent.hear(answer, waiting)
            done = next(one for one in waiting if one[0] == answer.number)
            waiting.remove(done)
            left.remove(done)
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        sent.again |= {number for number, _ in waiting}
        raise
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
