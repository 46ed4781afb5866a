"""What every HR system that is asked does, whatever its make: each person once, as they stand, under one number until they change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Protocol

from canonical.hr_ports import HrSaid, HrSystem
from tests.build import unique

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
STARTS, ENDS = date(2026, 12, 1), date(2027, 3, 31)


class HrOffice(Protocol):
    """Who keeps the employees there, and the port we ask by."""

    @property
    def hr(self) -> HrSystem: ...

    async def hire(self, person: str, family: str, given: str, role: str, starts: date) -> None: ...

    async def rename(self, person: str, family: str, given: str) -> None: ...

    async def end(self, person: str, on: date) -> None: ...


async def said_of(office: HrOffice, person: str, since: datetime = LONG_AGO) -> Sequence[HrSaid]:
    return [one for one in (await office.hr.changes_since(since)).said if one.person == person]


class HrContract:
    """A subclass gives the fixture ``office``."""

    async def test_who_is_employed_is_said_once_and_the_same_until_they_change(self, office: HrOffice) -> None:
        person = unique("HR-")
        await office.hire(person, "Maple", "Test", "surgeon", STARTS)
        (maple,) = await said_of(office, person)
        assert (maple.record["name"], maple.position["role"]) == ({"family": "Maple", "given": "Test"}, "surgeon")
        assert (maple.kind, maple.starts) == ("update", STARTS)
        assert await said_of(office, person) == [maple]

    async def test_a_change_has_another_number_and_a_later_moment(self, office: HrOffice) -> None:
        person = unique("HR-")
        await office.hire(person, "Maple", "Test", "surgeon", STARTS)
        (maple,) = await said_of(office, person)
        await office.rename(person, "Oak", "Test")
        (oak,) = await said_of(office, person, maple.said_at)
        assert oak.record["name"]["family"] == "Oak" and oak.position == maple.position
        assert oak.number != maple.number and oak.said_at > maple.said_at

    async def test_an_end_is_said_with_its_day(self, office: HrOffice) -> None:
        person = unique("HR-")
        await office.hire(person, "Maple", "Test", "surgeon", STARTS)
        await office.end(person, ENDS)
        (gone,) = await said_of(office, person)
        assert (gone.kind, gone.effective) == ("terminate", ENDS)

    async def test_from_where_it_says_to_ask_on_nothing_is_missed_and_what_is_old_is_not_said(
        self, office: HrOffice
    ) -> None:
        first, second = unique("HR-"), unique("HR-")
        await office.hire(first, "Maple", "Test", "surgeon", STARTS)
        before = await office.hr.changes_since(LONG_AGO)
        assert LONG_AGO < before.until <= max(one.said_at for one in before.said)
        await office.hire(second, "Fir", "Test", "nurse", STARTS)
        (fir,) = await said_of(office, second, before.until)
        assert await said_of(office, first, fir.said_at) == []
        assert (await office.hr.changes_since(fir.said_at)).until >= before.until
