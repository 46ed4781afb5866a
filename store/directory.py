"""What directories were told of people, and what became of it: the port :class:`canonical.directory.DirectoryLog`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.directory import Delivery, Said
from canonical.errors import Unavailable
from canonical.messages import NewMessage
from canonical.senders import Channel
from store.case_tables import outbound
from store.channels import put_in
from store.database import transaction
from store.ids import now
from store.people_tables import directory_said
from store.register_reading import current


class StoredDirectory:
    """In our own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def channel(self, code: str) -> Channel | None:
        """The way there; None where the register has none."""
        async with transaction(self._engine) as connection:
            return await current(connection, Channel, "channel", "", code, _today())

    async def last(self, target: str, person: str) -> Said:
        """What it was told last; number 0 where it never heard of the person."""
        async with transaction(self._engine) as connection:
            found = (await connection.execute(_row(target, person))).mappings().one_or_none()
        return Said.model_validate(dict(found)) if found is not None else Said()

    async def say(self, target: str, person: str, channel: str, messages: Sequence[NewMessage], said: Said) -> Said:
        """Queue messages and remember what they say, in one transaction.

        Raises:
            Unavailable: something else was said meanwhile (``crossed``): look again.
        """
        async with transaction(self._engine) as connection:
            found = (await connection.execute(_row(target, person).with_for_update())).mappings().one_or_none()
            last = found["number"] if found is not None else 0
            if said.number != last + 1:
                raise Unavailable(f"{target} was told something else meanwhile", code="crossed", system="store")
            queued = [await put_in(connection, channel, message) for message in messages]
            kept = said.model_copy(update={"messages": tuple(one.message.id for one in queued)})
            values = kept.model_dump(mode="json") | {"at": now()}
            row = upsert(directory_said).values(target=target, person=person, **values)
            written = await connection.scalar(
                row.on_conflict_do_update(
                    index_elements=["target", "person"], set_=values, where=directory_said.c.number == last
                ).returning(directory_said.c.number)
            )
            if written is None:  # the very first words of two at once
                raise Unavailable(f"{target} was told something else meanwhile", code="crossed", system="store")
        return kept

    async def delivery(self, said: Said) -> Delivery:
        """What became of the messages: refused where the other side said no, or where we gave one up."""
        asked = select(outbound.c.state, outbound.c.answer).where(outbound.c.message.in_(said.messages))
        async with transaction(self._engine) as connection:
            states = [(row.state, row.answer) for row in await connection.execute(asked)]
        if any(state == "dead" for state, _ in states):
            return "refused"
        return "taken" if states and all(state == "answered" for state, _ in states) else "waiting"

    async def taken(self, channel: str, controls: Sequence[str]) -> bool:
        """Whether the other side of a channel has said yes to any message of these control ids."""
        asked = select(outbound.c.id).where(outbound.c.channel == channel, outbound.c.control_id.in_(controls))
        async with transaction(self._engine) as connection:
            return await connection.scalar(asked.where(outbound.c.state == "answered").limit(1)) is not None


def _row(target: str, person: str) -> Select[Any]:
    return select(directory_said).where(directory_said.c.target == target, directory_said.c.person == person)


def _today() -> date:
    return now().date()
