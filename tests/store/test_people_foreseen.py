"""What our own store holds of HR events by their names, so that one can say what sending them again would do."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import content_hash
from canonical.messages import Kept
from canonical.replays import CONFLICT, DONE, NEW
from gateway.people import PersonHashes
from gateway.preview_people import PeopleEvents, event_name
from store.foreseen import StoredForesight
from tests.store.people_house import CANARY, NOW, Hr


async def test_an_event_that_is_kept_is_foretold_as_done_and_another_of_its_name_as_a_conflict(
    engine: AsyncEngine,
) -> None:
    hr, foresight = Hr(engine), StoredForesight(engine)
    event = hr.event("1")
    assert await foresight.hr_events([event_name(event)]) == {}
    await hr.one(event)
    held = (await foresight.hr_events([event_name(event)]))[event_name(event)]
    assert (held.hash, held.state, held.event) == (content_hash(event), "applied", event)

    message = Kept(id="M-9", direction="in", door="mllp", at=NOW, data=b"")
    judge = PeopleEvents(PersonHashes(b"a secret of these tests"))
    other = hr.event("1", family="Zzother")
    assert judge.judged(event, held, message)[0] == DONE
    outcome, detail, news = judge.judged(other, held, message)
    assert outcome == CONFLICT and "known with other content" in detail
    assert [(one.path, one.was, one.now) for one in news] == [
        ("HR event 1 record.name.family", "(not shown)", "(not shown)")
    ]
    assert CANARY not in str(news) + detail
    assert judge.judged(hr.event("2"), None, message)[0] == NEW


async def test_how_events_stand_is_told_by_their_numbers_with_why_they_wait_as_a_code(engine: AsyncEngine) -> None:
    hr, foresight = Hr(engine), StoredForesight(engine)
    await hr.one(hr.event("1"), message="M-1")
    await hr.one(hr.event("2", "terminate", person="E-NOBODY"), message="M-2")
    event = hr.event("1")
    told = await foresight.standings(event.facility, event.source, ["1", "2", "3"])
    stood = {one.number: (one.state, one.finding, one.message) for one in told}
    assert stood == {"1": ("applied", "", "M-1"), "2": ("waiting", "hire-missing", "M-2")}
    assert await foresight.standings("OTHER", event.source, ["1"]) == []
