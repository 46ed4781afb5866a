"""What every system that is told of people must do, asked of the port alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import uuid4

from canonical.access import Held, Wanted
from canonical.people import ClinicianRecord, PersonName, Position, PrivilegeScope
from canonical.people_ports import ClinicianTarget


def somebody(**changes: object) -> Wanted:
    """A clinician who works, of a key nobody had before."""
    held = Held(
        facility="NGH",
        position=Position(
            role="physician",
            title="Attending",
            department="surgery",
            cost_centre="CC-4100",
            employment="employed",
            pay_grade="M4",
            fte=Decimal("0.8"),
        ),
        employed=True,
        eligible=True,
        groups=("staff", "clinical-surgery"),
        privileges=(PrivilegeScope(service="surgery", procedures="general", ends=date(2029, 3, 31)),),
        starts=date(2026, 3, 1),
    )
    record = ClinicianRecord(
        name=PersonName(family="Ashgrove", given="Perpetua", prefix="Dr"),
        npi="1234567893",
        email="p.ashgrove@example.org",
    )
    groups = ("staff", "clinical-surgery")
    wanted = Wanted(person=str(uuid4()), target="T", active=True, groups=groups, held=(held,), record=record)
    return wanted.model_copy(update=changes)


def nobody_any_more(wanted: Wanted) -> Wanted:
    """The same person, who has left."""
    held = tuple(
        one.model_copy(
            update={"employed": False, "eligible": False, "privileges": (), "groups": (), "ends": date(2026, 9, 30)}
        )
        for one in wanted.held
    )
    return wanted.model_copy(update={"active": False, "groups": (), "held": held})


class TargetContract:
    """The suite; a subclass gives the fixture ``system``, and ``arrived`` where what is written takes a while to be there.

    ``tells_all``: it is told what somebody is, not only whether somebody has something.
    """

    tells_all = True

    async def arrived(self) -> None:
        """Let whatever was written be there."""

    async def _write(self, system: ClinicianTarget, wanted: Wanted) -> None:
        await system.write(wanted)
        await self.arrived()

    async def test_nobody_stands_there_before_anything_is_written(self, system: ClinicianTarget) -> None:
        seen = await system.look(somebody())
        assert (seen.present, seen.active, seen.as_wanted) == (False, False, False)

    async def test_whoever_is_written_stands_there_as_wanted(self, system: ClinicianTarget) -> None:
        wanted = somebody()
        await self._write(system, wanted)
        seen = await system.look(wanted)
        assert (seen.present, seen.active, seen.as_wanted, seen.finding) == (True, True, True, "")

    async def test_written_twice_it_stands_there_once_and_unchanged(self, system: ClinicianTarget) -> None:
        wanted = somebody()
        await self._write(system, wanted)
        first = await system.look(wanted)
        await self._write(system, wanted)
        assert await system.look(wanted) == first

    async def test_what_is_wanted_otherwise_is_seen_as_not_so_until_it_is_written(
        self, system: ClinicianTarget
    ) -> None:
        wanted = somebody()
        await self._write(system, wanted)
        held = wanted.held[0]
        moved = held.model_copy(
            update={"position": held.position.model_copy(update={"department": "pharmacy"}), "groups": ("staff",)}
        )
        other = wanted.model_copy(update={"held": (moved,), "groups": ("staff",)})
        other = other.model_copy(
            update={
                "record": wanted.record.model_copy(update={"name": PersonName(family="Birchwood", given="Perpetua")})
            }
        )
        assert (await system.look(other)).as_wanted != self.tells_all
        await self._write(system, other)
        assert (await system.look(other)).as_wanted

    async def test_who_leaves_is_off(self, system: ClinicianTarget) -> None:
        wanted = somebody()
        await self._write(system, wanted)
        await self._write(system, nobody_any_more(wanted))
        seen = await system.look(nobody_any_more(wanted))
        assert (seen.active, seen.as_wanted) == (False, True)

    async def test_who_never_was_there_is_not_made_to_be_off(self, system: ClinicianTarget) -> None:
        gone = nobody_any_more(somebody())
        await self._write(system, gone)
        seen = await system.look(gone)
        assert (seen.present, seen.active, seen.as_wanted) == (False, False, True)

    async def test_who_comes_back_is_on_again(self, system: ClinicianTarget) -> None:
        wanted = somebody()
        for step in (wanted, nobody_any_more(wanted), wanted):
            await self._write(system, step)
        seen = await system.look(wanted)
        assert (seen.active, seen.as_wanted) == (True, True)

    async def test_what_becomes_of_one_leaves_others_alone(self, system: ClinicianTarget) -> None:
        one, other = somebody(), somebody()
        await self._write(system, one)
        await self._write(system, other)
        await self._write(system, nobody_any_more(one))
        assert (await system.look(other)).as_wanted
