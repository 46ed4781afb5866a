"""A revocation block, committed with what asks for it."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.access import Block
from store.people_tables import revocation_blocks
from store.people_wakes import wake_everywhere_in
from store.person_trace import Entry, note_in


async def block_in(connection: AsyncConnection, block: Block, facility: str = "") -> bool:
    """Let a block stand from the end of this transaction on, and wake all that concerns it; False: one stands already.

    A person nobody knows is blocked too.
    """
    values = {"person": block.person, "call": block.id, "by": block.by, "reason": block.reason, "since": block.since}
    told = upsert(revocation_blocks).values(values)
    told = told.on_conflict_do_nothing(index_elements=["person"], index_where=text("lifted_at IS NULL"))
    made = (await connection.execute(told.returning(revocation_blocks.c.id))).scalar_one_or_none()
    if made is None:
        return False
    entry = Entry(did="blocked", what=block.id, by=block.by, facility=facility, content={"block": made})
    await note_in(connection, block.person, entry)
    await wake_everywhere_in(connection, block.person, block.since)
    return True
