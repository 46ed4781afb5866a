"""What the sender of a file is told: kept first, then put where it looks, in the same words each time."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

import structlog

from canonical.errors import Rejected
from canonical.messages import Kept, NewMessage
from canonical.ports import Journal
from gateway.csv_results import FileResult, result_name

RESULT: Final = "csv_result"

log = structlog.get_logger(__name__)


class Results(Protocol):
    """Where senders look for what became of their files."""

    async def put(self, source: str, name: str, data: bytes) -> None:
        """Put a result where the file source's row says. Raises Unavailable, Rejected."""
        ...


class FileAnswers:
    """Tells senders what became of their files."""

    def __init__(self, journal: Journal, results: Results) -> None:
        self._journal = journal
        self._results = results

    async def tell(self, whole: Kept, result: FileResult) -> None:
        """Keep the result, then put it where its sender looks. What was told once is told again in the same words, until the
        file is replayed: then its sender hears what became of it by that.
        """
        data = result.as_csv() if whole.channel else result.model_dump_json(exclude_defaults=True).encode()
        name = result_name(whole.control_number)
        key = f"{whole.id}/result" + (f"/{hashlib.sha256(data).hexdigest()[:16]}" if whole.answer else "")
        new = NewMessage(direction="out", door=whole.door, data=data, sender=whole.sender, kind=RESULT)
        about = {"control_number": name, "key": key, "channel": whole.channel, "trace": whole.trace}
        kept = await self._journal.keep(new.model_copy(update=about))
        answer = kept.first if kept.outcome == "conflict" and kept.first is not None else kept.message
        state, reason = "sent", ""
        if whole.channel:
            stored = await self._journal.read(answer.id)
            try:
                await self._results.put(whole.channel, name, stored.data if stored else data)
            except Rejected as never:  # the file is taken all the same; a person looks why its sender cannot be told
                state, reason = "dead", never.message
                log.error("result cannot be put", alert=True, source=whole.channel, problem=never.message)
        await self._journal.mark(answer.id, state, reason=reason)
        await self._journal.answered(whole.id, answer.id)

    async def again(self, message: Kept) -> None:
        """Put the result of a file that came a second time where its sender looks, as it was."""
        answer = await self._journal.read(message.answer) if message.answer else None
        if answer is None or not message.channel:
            return
        try:
            await self._results.put(message.channel, answer.control_number, answer.data)
        except Rejected as never:
            log.error("result cannot be put", alert=True, source=message.channel, problem=never.message)
