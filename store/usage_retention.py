"""Forgets rounds of stock locations that are long over, and conflicts that were settled; what moved stays in its movements."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from store.database import transaction

DAYS: Final = 30  # rounds and settled conflicts are kept so long

# The newest round of a location stays: its case asks for it when it begins afresh.
_ROUNDS: Final = text("""
DELETE FROM usage_rounds WHERE ctid = ANY(ARRAY(
    SELECT r.ctid FROM usage_rounds AS r WHERE r.state <> 'taken' AND r.at < :before AND r.changed_at < :before
    AND EXISTS (SELECT FROM usage_rounds AS n
        WHERE (n.facility, n.location) = (r.facility, r.location) AND n.round > r.round) LIMIT :most))""")
_CONFLICTS: Final = text("""
DELETE FROM usage_conflicts WHERE id IN (
    SELECT id FROM usage_conflicts WHERE state <> 'open' AND at < :before LIMIT :most)""")


async def forget_rounds(engine: AsyncEngine, before: datetime, at_once: int, batches: int) -> int:
    """Delete rounds that were over before then, and settled conflicts from before; how many rounds."""
    done = [0, 0]
    for place, asked in enumerate((_ROUNDS, _CONFLICTS)):
        for _ in range(batches):
            async with transaction(engine) as connection:
                deleted = (await connection.execute(asked, {"before": before, "most": at_once})).rowcount
            done[place] += deleted
            if deleted < at_once:
                break
    return done[0]
