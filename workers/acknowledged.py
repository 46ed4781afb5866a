"""Notes what applications say of our messages by connections of their own, and tells somebody where it is a no."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from gateway.acknowledgements import Credit, Said
from store.channels import StoredChannels, Word

log = structlog.get_logger(__name__)


def credit(channels: StoredChannels) -> Credit:
    """Notes it in our own store."""

    async def note(said: Said) -> str:
        word = Word(code=said.code, text=said.text, message=said.message)
        message, news = await channels.application(said.channel, said.control_id, word, datetime.now(UTC))
        if news and said.code != "AA":
            about = {"channel": said.channel, "message": message, "answer": said.code, "owner": said.owner}
            log.error("message given up", alert=True, channel_stands_still=False, **about)
        return message or ""

    return note
