"""A channel to a peer on a socket, its queue in our own database, and time that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.mllp_accept import accept
from canonical.messages import KeepResult, NewMessage
from canonical.senders import Channel
from store.case_tables import channel_states, outbound
from store.channel_keeping import OutboundRow, StoredChannelKeeping
from store.channels import StoredChannels
from store.journal import StoredJournal
from tests.adapters.mllp_server import MllpServer, Script, message, mllp_server, says_yes
from workers.channels import ways
from workers.loops.channel_sender import ChannelSender
from workers.loops.channels import ChannelSenders


class Clock:
    """Time that stands still until somebody waits for it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(minutes=1)  # what was put before is due
        self.began = self.now

    def __call__(self) -> datetime:
        return self.now

    @property
    def seconds(self) -> float:
        return (self.now - self.began).total_seconds()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


class Terms:
    """The register's rows of channels."""

    def __init__(self, *rows: Channel) -> None:
        self.rows = rows

    async def channels(self) -> tuple[Channel, ...]:
        return self.rows


class Lane:
    """One channel as a test uses it."""

    def __init__(self, engine: AsyncEngine, server: MllpServer, **terms: Any) -> None:
        self.engine = engine
        self.server = server
        host, port = server.address[:2]
        given = {"code": "LAB", "facility": "NGH", "host": host, "port": port, "answer_within": 60.0, "owner": "IT"}
        self.channel = Channel.model_validate(given | terms)
        self.store = StoredChannels(engine)
        self.keeping = StoredChannelKeeping(engine)
        self.journal = StoredJournal(engine)
        self.clock = Clock()
        self.ticks = 0.0
        self.made: list[ChannelSender | ChannelSenders] = []

    def sender(self, holder: str = "one") -> ChannelSender:
        made = ChannelSender(
            self.channel,
            self.store,
            ways(Path()),
            holder,
            accept=lambda answer: accept(answer, "OURS1", self.clock()),
            clock=self.clock,
            sleep=self.clock.sleep,
            ticks=lambda: self.ticks,
        )
        self.made.append(made)
        return made

    def loop(self, holder: str, terms: Terms | None = None) -> ChannelSenders:
        """A whole worker, by the true clock."""
        made = ChannelSenders(terms or Terms(self.channel), self.store, ways(Path()), holder)
        self.made.append(made)
        return made

    async def put(self, *control_ids: str) -> None:
        for control_id in control_ids:
            await self.put_one(control_id)

    async def put_one(self, control_id: str, body: str = "", key: str = "") -> KeepResult:
        data = message(control_id, body)
        new = NewMessage(direction="out", door="channel", data=data, control_number=control_id, key=key or control_id)
        return await self.store.put(self.channel.code, new)

    async def drain(self, sender: ChannelSender | None = None, *, rounds: int = 200) -> None:
        """Send until nothing is left that could go; time passes as it is waited for."""
        sender = sender or self.sender()
        for _ in range(rounds):
            await sender.drain(asyncio.Event())
            left = await self.keeping.outbound(self.channel.code)
            if not left or left[0].blocks:
                return
            self.clock.advance(1)
        raise AssertionError(f"not drained: {left[0]}")

    async def rows(self) -> dict[str, OutboundRow]:
        async with self.engine.connect() as connection:
            found = (await connection.execute(select(outbound).order_by(outbound.c.id))).mappings()
            return {row["control_id"]: OutboundRow.model_validate(dict(row)) for row in found}

    async def states(self) -> dict[str, str]:
        return {control_id: row.state for control_id, row in (await self.rows()).items()}

    async def history(self, control_id: str) -> list[tuple[str, str]]:
        rows = await self.rows()
        return [(state, why) for state, why, _ in await self.journal.history(rows[control_id].message)]

    async def end_lease(self) -> None:
        """Let the time of whoever holds the channel be over."""
        async with self.engine.begin() as connection:
            await connection.execute(update(channel_states).values(held_until=datetime(2000, 1, 1, tzinfo=UTC)))


@asynccontextmanager
async def lane(engine: AsyncEngine, script: Script = says_yes, **terms: Any) -> AsyncIterator[Lane]:
    """A channel and its peer; what a test made is closed at the end."""
    async with mllp_server(script) as server:
        one = Lane(engine, server, **terms)
        try:
            yield one
        finally:
            for made in one.made:
                await made.close()
