"""An HR system that is asked and could not be read for a while stands in the attention list, until it is read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.hr_ports import NotRead
from cli.ours import OurHouse
from store.attention import StoredAttention
from store.hr_away import StoredHrAway
from store.stuck import Stuck
from workers.settings import Settings
from workers.wiring import Wiring

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
AFTER = timedelta(minutes=5)


@pytest.fixture
def away(engine: AsyncEngine) -> StoredHrAway:
    return StoredHrAway(engine, AFTER)


async def lines(engine: AsyncEngine, after: timedelta) -> list[Stuck]:
    return list(await StoredAttention(engine).stuck(NOON + after))


async def test_a_hiccup_is_told_to_nobody_what_lasts_is_told_with_since_when_until_it_is_read(
    engine: AsyncEngine, away: StoredHrAway
) -> None:
    for seconds in (0, 2, 200):
        await away.noted("HR", "silent", "HR integration", NOON + timedelta(seconds=seconds))
    assert await lines(engine, AFTER - timedelta(seconds=1)) == []
    (line,) = await lines(engine, AFTER)
    assert (line.what, line.name, line.owner, line.since) == ("HR system away", "HR", "HR integration", NOON)
    assert "does not answer" in line.why and "fascia doctor, part hr" in line.press
    assert "ask HR integration" in line.press and "fascia person revoke KEY" in line.press
    await away.over("HR")
    assert await lines(engine, AFTER) == []
    await away.noted("HR", "silent", "HR integration", NOON + AFTER)
    assert await lines(engine, AFTER) == [], "it begins anew"


@pytest.mark.parametrize(
    ("why", "words", "press"),
    [
        ("refuses", "it refuses us", "hr_password"),
        ("busy", "asking us to wait", "FASCIA_HR_RATE"),
        ("unreadable", "cannot be read", "log"),
    ],
)
async def test_each_way_of_being_away_has_words_of_ours_and_what_to_see_to(
    engine: AsyncEngine, away: StoredHrAway, why: NotRead, words: str, press: str
) -> None:
    await away.noted("HR", "silent", "", NOON)
    await away.noted("HR", why, "", NOON + AFTER)
    (line,) = await lines(engine, AFTER)
    assert words in line.why and press in line.press and (line.owner, line.since) == ("support", NOON)


async def test_one_that_is_not_asked_any_more_keeps_nobody_waiting(engine: AsyncEngine, away: StoredHrAway) -> None:
    for sender in ("HR", "ROSTER"):
        await away.noted(sender, "silent", "", NOON)
    await away.only("ROSTER")
    assert [line.name for line in await lines(engine, AFTER)] == ["ROSTER"]
    await away.only()
    assert await lines(engine, AFTER) == []


async def test_how_long_is_a_setting_and_the_terminal_shows_it(engine: AsyncEngine, tmp_path: Path) -> None:
    wiring = Wiring(Settings(home=tmp_path, hr_away_after=3600), engine, cast(Any, None))
    at = datetime.now(UTC)
    await wiring.people.hr_away.noted("PATIENT", "silent", "", at - timedelta(minutes=59))
    await wiring.people.hr_away.noted("HR", "silent", "HR integration", at - timedelta(minutes=61))
    (row,) = await OurHouse(wiring).attention(10)
    assert (row.what, row.name, row.owner) == ("HR system away", "HR", "HR integration")
