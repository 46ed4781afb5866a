"""Each night at the facility's own time its locations are to be compared with the ERP; a new one as soon as it is seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from canonical.calendar import BusinessCalendar
from canonical.parties import Facility
from workers.loops.nightly_counts import NightlyCounts, night

CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 21, 7, 59, tzinfo=UTC), datetime(2026, 11, 20, 8, tzinfo=UTC)),
        (datetime(2026, 11, 21, 8, 0, tzinfo=UTC), datetime(2026, 11, 21, 8, tzinfo=UTC)),
        (datetime(2026, 11, 22, 1, 0, tzinfo=UTC), datetime(2026, 11, 21, 8, tzinfo=UTC)),
        (datetime(2026, 7, 21, 7, 0, tzinfo=UTC), datetime(2026, 7, 21, 7, tzinfo=UTC)),  # daylight saving time
    ],
)
def test_a_night_begins_at_its_hour_where_the_facility_is(now: datetime, expected: datetime) -> None:
    assert night(now, CHICAGO, time(2)) == expected


async def test_every_facility_is_marked_by_its_own_clock() -> None:
    now = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
    asked: list[tuple[str, datetime, datetime]] = []

    class Counts:
        async def mark_due(self, facility: str, at: datetime, before: datetime) -> Sequence[str]:
            asked.append((facility, at, before))
            return ["OR-1"]

    async def facilities() -> Sequence[str]:
        return ["NGH", "SGH"]

    async def facility(code: str) -> Facility | None:
        zone = "America/Chicago" if code == "NGH" else "UTC"
        return Facility(code=code, calendar=BusinessCalendar(code=code, time_zone=zone))

    await NightlyCounts(Counts(), facilities, facility, time(2), clock=lambda: now).once()
    assert asked == [
        ("NGH", now, datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("SGH", now, datetime(2026, 11, 21, 2, tzinfo=UTC)),
    ]
