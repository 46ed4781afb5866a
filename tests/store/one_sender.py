"""A process that sends by one channel until it is killed: ``python -m tests.store.one_sender DATABASE HOST PORT``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from canonical.senders import Channel
from store.channels import StoredChannels
from store.database import open_engine
from workers.channels import ways
from workers.loops.channel_sender import ChannelSender


async def main(url: str, host: str, port: str) -> None:
    channel = Channel(code="LAB", facility="NGH", host=host, port=int(port))
    engine = open_engine(url)
    await ChannelSender(channel, StoredChannels(engine), ways(Path()), "killed").drain(asyncio.Event())
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
