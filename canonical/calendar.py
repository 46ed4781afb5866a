"""When an office is open: business time for reminders, escalations and partners' answers."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from canonical.base import Canonical

_TWO_YEARS = 800


class OpenHours(Canonical):
    """Open hours of one weekday (0 is Monday), local time; ``closes`` 00:00 means the end of the day."""

    weekday: int = Field(ge=0, le=6)
    opens: time
    closes: time

    @model_validator(mode="after")
    def _in_order(self) -> OpenHours:
        if self.closes != time(0) and self.closes <= self.opens:
            raise ValueError("an office closes after it opens; hours over midnight are two rows")
        return self


class BusinessCalendar(Canonical):
    """Open hours and holidays in a time zone. With no hours at all it is open around the clock."""

    code: str = "always"
    time_zone: str = "UTC"
    hours: tuple[OpenHours, ...] = ()
    holidays: tuple[date, ...] = ()

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, ZoneInfoNotFoundError) as unknown:
            raise ValueError(f"{name} is not an IANA time zone") from unknown
        return name

    def add(self, start: datetime, business: timedelta) -> datetime:
        """The moment ``business`` time after ``start``, counting open hours only (UTC in, UTC out).

        Elapsed time is counted on the UTC line, so a day on which the clock is put forward is an hour shorter.

        Raises:
            ValueError: the calendar has no open hour within two years.
        """
        if not self.hours:
            return start + business
        utc, left, counted = ZoneInfo("UTC"), business, start
        day = start.astimezone(ZoneInfo(self.time_zone)).date()
        for _ in range(_TWO_YEARS):
            for opens, closes in self._open(day):
                begin = max(opens, counted)  # hours that overlap are counted once
                if begin >= closes:
                    continue
                if closes - begin >= left:
                    return (begin + left).astimezone(utc)
                left, counted = left - (closes - begin), closes
            day += timedelta(days=1)
        raise ValueError(f"calendar {self.code} has no open hours within two years")

    def begins(self, day: date) -> datetime:
        """The moment a day begins there, in UTC."""
        return datetime.combine(day, time(0), ZoneInfo(self.time_zone)).astimezone(ZoneInfo("UTC"))

    def is_open(self, moment: datetime) -> bool:
        """Whether the office is open at that moment."""
        day = moment.astimezone(ZoneInfo(self.time_zone)).date()
        return not self.hours or any(opens <= moment < closes for opens, closes in self._open(day))

    def _open(self, day: date) -> list[tuple[datetime, datetime]]:
        if day in self.holidays:
            return []
        zone, utc, spans = ZoneInfo(self.time_zone), ZoneInfo("UTC"), []
        for hours in sorted((h for h in self.hours if h.weekday == day.weekday()), key=lambda h: h.opens):
            end = day + timedelta(days=1) if hours.closes == time(0) else day
            spans.append(
                (
                    datetime.combine(day, hours.opens, zone).astimezone(utc),
                    datetime.combine(end, hours.closes, zone).astimezone(utc),
                )
            )
        return spans
