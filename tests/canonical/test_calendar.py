"""Business time: nights, weekends, holidays and the two days a year when the clock is moved."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from canonical.calendar import BusinessCalendar, OpenHours

OFFICE = BusinessCalendar(
    code="office",
    time_zone="America/Chicago",
    hours=tuple(OpenHours(weekday=day, opens=time(8), closes=time(17)) for day in range(5)),
    holidays=(date(2026, 11, 26),),
)
ALL_DAY = BusinessCalendar(
    code="all-day",
    time_zone="America/Chicago",
    hours=tuple(OpenHours(weekday=day, opens=time(0), closes=time(0)) for day in range(7)),
)

moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(timedelta(0), timedelta(days=20))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "hours", "end", "why"),
    [
        ("2026-11-17T15:00", 2, "2026-11-17T17:00", "within one day (Chicago is UTC-6)"),
        ("2026-11-17T22:00", 2, "2026-11-18T15:00", "overnight"),
        ("2026-11-20T22:00", 2, "2026-11-23T15:00", "over a weekend"),
        ("2026-11-25T22:00", 2, "2026-11-27T15:00", "over a holiday"),
        ("2026-11-21T03:00", 1, "2026-11-23T15:00", "asked on a Friday night"),
        ("2026-11-17T14:00", 9, "2026-11-17T23:00", "one whole day ends when it closes"),
        ("2026-11-17T14:00", 10, "2026-11-18T15:00", "more than a day"),
        ("2026-11-20T14:00", 18, "2026-11-23T23:00", "two days, the weekend between"),
    ],
)
def test_business_time_counts_open_hours_only(start: str, hours: int, end: str, why: str) -> None:
    assert OFFICE.add(_utc(start), timedelta(hours=hours)) == _utc(end), why


def test_no_time_at_all_waits_until_the_office_opens() -> None:
    assert OFFICE.add(_utc("2026-11-21T12:00"), timedelta(0)) == _utc("2026-11-23T14:00")


def test_the_day_the_clock_goes_forward_is_an_hour_shorter() -> None:
    assert ALL_DAY.add(_utc("2026-03-08T06:00"), timedelta(hours=23)) == _utc("2026-03-09T05:00")
    assert OFFICE.add(_utc("2026-03-06T22:00"), timedelta(hours=2)) == _utc("2026-03-09T14:00")


def test_the_day_the_clock_goes_back_is_an_hour_longer() -> None:
    assert ALL_DAY.add(_utc("2026-11-01T05:00"), timedelta(hours=25)) == _utc("2026-11-02T06:00")
    assert OFFICE.add(_utc("2026-10-30T21:00"), timedelta(hours=2)) == _utc("2026-11-02T15:00")


def test_without_hours_it_is_open_around_the_clock() -> None:
    always = BusinessCalendar()
    assert always.add(_utc("2026-11-21T03:00"), timedelta(seconds=90)) == _utc("2026-11-21T03:01:30")
    assert always.is_open(_utc("2026-11-21T03:00"))


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-17T13:59:59", False),
        ("2026-11-17T14:00", True),
        ("2026-11-17T22:59:59", True),
        ("2026-11-17T23:00", False),
        ("2026-11-21T18:00", False),
        ("2026-11-26T18:00", False),
        ("2026-07-14T13:00", True),
    ],
)
def test_the_office_is_open_by_its_own_clock(moment: str, is_open: bool) -> None:
    assert OFFICE.is_open(_utc(moment)) is is_open


def test_hours_listed_twice_are_counted_once() -> None:
    twice = OFFICE.changed(
        hours=(*OFFICE.hours, OpenHours(weekday=1, opens=time(10), closes=time(12))), holidays=OFFICE.holidays
    )
    assert twice.add(_utc("2026-11-17T14:00"), timedelta(hours=9)) == _utc("2026-11-17T23:00")


def test_hours_that_close_before_they_open_are_refused() -> None:
    with pytest.raises(ValidationError, match="closes after it opens"):
        OpenHours(weekday=0, opens=time(22), closes=time(6))


def test_a_calendar_that_never_opens_says_so() -> None:
    closed = BusinessCalendar(
        code="never",
        hours=(OpenHours(weekday=0, opens=time(8), closes=time(9)),),
        holidays=tuple(date(2026, 11, 16) + timedelta(days=7 * n) for n in range(130)),
    )
    with pytest.raises(ValueError, match="never has no open hours"):
        closed.add(_utc("2026-11-17T00:00"), timedelta(hours=1))


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="not an IANA time zone"):
        BusinessCalendar(time_zone="America/Northfield")


@given(moments, spans, spans)
def test_more_business_time_never_ends_earlier(start: datetime, one: timedelta, more: timedelta) -> None:
    assert start <= OFFICE.add(start, one) <= OFFICE.add(start, one + more)


@given(moments, moments, spans)
def test_a_later_start_never_ends_earlier(one: datetime, other: datetime, span: timedelta) -> None:
    first, second = sorted((one, other))
    assert OFFICE.add(first, span) <= OFFICE.add(second, span)


@given(moments, spans, spans)
def test_time_in_two_parts_is_time_in_one(start: datetime, one: timedelta, other: timedelta) -> None:
    assert OFFICE.add(OFFICE.add(start, one), other) == OFFICE.add(start, one + other) or other == timedelta(0)
