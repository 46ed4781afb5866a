"""What announcing a case would say can be asked beforehand, and nothing is claimed by asking."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import content_hash
from canonical.messages import NewMessage
from store.cases import StoredCases
from store.claims import StoredClaims
from store.journal import StoredJournal
from store.tables import claims
from tests.store import build


async def test_a_requisition_is_foreseen_as_new_same_or_in_conflict(engine: AsyncEngine) -> None:
    asked = build.requisition("R-1")
    other = build.requisition("R-1", note="something else")
    foreseeing = StoredClaims(engine)
    assert (await foreseeing.foreseen(asked.case_id, content_hash(asked))).outcome == "new"
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(claims)) == 0
    kept = await StoredJournal(engine).keep(NewMessage(door="mllp", data=b"MSH|", kind="OMS^O05", sender="WARD"))
    cases = StoredCases(engine, build.SEAL_KEY)
    await cases.announce(asked.case_id, content_hash(asked), kept.message.id)
    same = await foreseeing.foreseen(asked.case_id, content_hash(asked))
    assert (same.outcome, same.started) == ("same", False)
    assert (await foreseeing.foreseen(asked.case_id, content_hash(other))).outcome == "conflict"
    await cases.claim(build.start(asked))
    assert (await foreseeing.foreseen(asked.case_id, content_hash(asked))).started
    taken = await StoredJournal(engine).read(kept.message.id)
    assert taken is not None and (taken.state, taken.kind) == ("routed", "OMS^O05"), "it is routed again as what it is"
