"""An HR system in memory that is asked what changed, and whoever keeps the employees in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from canonical.errors import Unavailable
from canonical.hr_ports import HrChanges, HrSaid


@dataclass
class FakeHr:
    """The port :class:`canonical.hr_ports.HrSystem`: it says the states since the moment asked, as they are."""

    said: list[HrSaid] = field(default_factory=list)
    asked: list[datetime] = field(default_factory=list)
    away: bool = False

    async def changes_since(self, since: datetime) -> HrChanges:
        if self.away:
            raise Unavailable("no answer", system="hr")
        self.asked.append(since)
        found = tuple(one for one in self.said if one.said_at >= since)
        return HrChanges(said=found, until=max([since, *(one.said_at for one in found)]))


class FakeOffice:
    """Who hires and changes people there; each deed is a minute after the one before."""

    def __init__(self) -> None:
        self.hr = FakeHr()
        self._at = datetime(2026, 11, 2, 8, tzinfo=UTC)

    async def hire(self, person: str, family: str, given: str, role: str, starts: date) -> None:
        name = {"family": family, "given": given}
        self._says(person, record={"name": name}, position={"role": role, "starts": starts.isoformat()}, starts=starts)

    async def rename(self, person: str, family: str, given: str) -> None:
        self._says(person, record={"name": {"family": family, "given": given}})

    async def end(self, person: str, on: date) -> None:
        self._says(person, kind="terminate", effective=on)

    def _says(self, person: str, **fields: Any) -> None:
        before = next((one for one in self.hr.said if one.person == person), None)
        self._at += timedelta(minutes=1)
        told: dict[str, Any] = before.model_dump() if before is not None else {"person": person}
        told |= {"number": f"{self._at:%H%M}-{person}", "said_at": self._at, "effective": self._at.date()}
        self.hr.said = [one for one in self.hr.said if one is not before]
        self.hr.said.append(HrSaid.model_validate(told | fields))
