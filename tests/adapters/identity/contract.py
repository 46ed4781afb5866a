"""What every identity provider's adapter must do, asked of the port alone; the outside world acts through ``people``."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import pytest

from canonical.access import Held, Wanted
from canonical.errors import Rejected
from canonical.people import ClinicianRecord, PersonName, Position
from canonical.people_ports import ClinicianTarget
from tests.build import unique

LEAST, CLINICAL = "staff", "clinical"


class People(Protocol):
    """The provider's own administrators."""

    async def switch_on(self, person: str) -> None: ...
    async def switch_off(self, person: str) -> None: ...
    async def put_in(self, person: str, group: str) -> None: ...
    async def remove(self, person: str) -> None: ...
    async def forget(self, person: str) -> None: ...
    async def accounts(self, person: str) -> list[dict[str, Any]]: ...
    async def says(self, person: str) -> dict[str, str]: ...


def wanted(person: str, *groups: str, family: str = "", given: str = "Ada", **fields: Any) -> Wanted:
    """``family`` empty: a name nobody else has, so that no user name is taken."""
    record = ClinicianRecord(name=PersonName(family=family or f"Okafor{person[-8:]}", given=given))
    position = Position(role="physician", title="Attending", department="ED", cost_centre="CC-1")
    held = Held(facility="NGH", position=position, employed=True, groups=tuple(sorted(groups)))
    about: dict[str, Any] = {"record": record, "held": (held,), "groups": tuple(sorted(groups))}
    return Wanted.model_validate({"person": person, "target": "idp", "active": True} | about | fields)


def off(person: str) -> Wanted:
    return Wanted(person=person, target="idp", active=False, exists=False)


def a_person() -> str:
    return unique("person-key-")


class IdentityContract:
    """The suite; a subclass gives the fixtures ``target`` and ``people``. The provider has the groups staff and clinical."""

    async def test_who_is_wanted_gets_one_account_with_the_groups_of_the_role(
        self, target: ClinicianTarget, people: People
    ) -> None:
        person = a_person()
        seen = await target.write(wanted(person, LEAST))
        assert (seen.present, seen.active, seen.groups, seen.as_wanted, seen.finding) == (
            True,
            True,
            (LEAST,),
            True,
            "",
        )
        assert seen.reference and seen.version
        (account,) = await people.accounts(person)
        assert account["active"] is True
        assert (await target.look(wanted(person, LEAST))).as_wanted

    async def test_what_somebody_has_no_more_does_not_stand_in_the_account_either(
        self, target: ClinicianTarget, people: People
    ) -> None:
        person = a_person()
        before = wanted(person, LEAST)
        named = before.record.changed(name=before.record.name.changed(middle="Amara"))
        await target.write(before.changed(record=named))
        told = {"middle": "Amara", "title": "Attending", "department": "ED", "cost centre": "CC-1"}
        assert await people.says(person) == told
        held = before.held[0].changed(position=Position(role="physician", cost_centre="CC-2"))
        assert not (await target.look(before)).as_wanted, "a middle name nobody has any more"
        seen = await target.write(before.changed(held=(held,)))
        assert seen.as_wanted and await people.says(person) == {"cost centre": "CC-2"}
        held = held.changed(position=Position(role="physician"))
        await target.write(before.changed(held=(held,)))
        assert await people.says(person) == {}
        assert (await target.write(before.changed(held=(held,)))).as_wanted

    async def test_the_same_again_changes_nothing(self, target: ClinicianTarget, people: People) -> None:
        person = a_person()
        first = await target.write(wanted(person, LEAST))
        again = await target.write(wanted(person, LEAST))
        assert again == first  # the version too
        assert len(await people.accounts(person)) == 1

    async def test_asked_for_by_four_at_once_there_is_one_account(
        self, target: ClinicianTarget, people: People
    ) -> None:
        person = a_person()
        await asyncio.gather(*(target.write(wanted(person, LEAST)) for _ in range(4)), return_exceptions=True)
        seen = await target.write(wanted(person, LEAST))
        assert seen.as_wanted
        assert len(await people.accounts(person)) == 1

    async def test_clinical_groups_come_and_go_while_the_account_stays(
        self, target: ClinicianTarget, people: People
    ) -> None:
        person = a_person()
        account = (await target.write(wanted(person, LEAST))).reference
        assert not (await target.look(wanted(person, LEAST, CLINICAL))).as_wanted
        assert (await target.write(wanted(person, LEAST, CLINICAL))).groups == (CLINICAL, LEAST)
        fewer = await target.write(wanted(person, LEAST))
        assert (fewer.groups, fewer.active, fewer.reference) == ((LEAST,), True, account)

    async def test_a_group_given_by_hand_is_seen_and_taken_back(self, target: ClinicianTarget, people: People) -> None:
        person = a_person()
        await target.write(wanted(person, LEAST))
        await people.put_in(person, CLINICAL)
        seen = await target.look(wanted(person, LEAST))
        assert (seen.as_wanted, seen.groups) == (False, (CLINICAL, LEAST))
        assert (await target.write(wanted(person, LEAST))).groups == (LEAST,)

    async def test_who_leaves_is_switched_off_and_in_no_group(self, target: ClinicianTarget, people: People) -> None:
        person = a_person()
        await target.write(wanted(person, LEAST, CLINICAL))
        seen = await target.write(off(person))
        assert (seen.active, seen.groups, seen.as_wanted) == (False, (), True)
        (account,) = await people.accounts(person)
        assert account["active"] is False
        assert (await target.write(off(person))).version == seen.version

    async def test_off_of_somebody_nobody_has_heard_of_makes_nothing(
        self, target: ClinicianTarget, people: People
    ) -> None:
        person = a_person()
        seen = await target.write(off(person))
        assert (seen.present, seen.active, seen.as_wanted) == (False, False, True)
        assert await people.accounts(person) == []

    async def test_an_account_switched_on_again_by_hand_is_seen(self, target: ClinicianTarget, people: People) -> None:
        person = a_person()
        await target.write(wanted(person, LEAST))
        await target.write(off(person))
        await people.switch_on(person)
        seen = await target.look(off(person))
        assert (seen.active, seen.as_wanted) == (True, False)
        assert not (await target.write(off(person))).active

    async def test_an_account_switched_off_by_hand_is_seen_and_switched_on(
        self, target: ClinicianTarget, people: People
    ) -> None:
        person = a_person()
        await target.write(wanted(person, LEAST))
        await people.switch_off(person)
        assert not (await target.look(wanted(person, LEAST))).as_wanted
        assert (await target.write(wanted(person, LEAST))).active

    async def test_an_account_removed_by_hand_is_made_again(self, target: ClinicianTarget, people: People) -> None:
        person = a_person()
        await target.write(wanted(person, LEAST))
        await people.remove(person)
        assert (await target.look(wanted(person, LEAST))).present is False
        assert (await target.write(wanted(person, LEAST))).as_wanted

    async def test_who_comes_back_has_the_same_account(self, target: ClinicianTarget, people: People) -> None:
        person = a_person()
        first = await target.write(wanted(person, LEAST))
        await target.write(off(person))
        again = await target.write(wanted(person, LEAST))
        assert (again.reference, again.active, again.groups) == (first.reference, True, (LEAST,))

    async def test_a_group_the_provider_does_not_have_is_refused_and_opens_nothing(
        self, target: ClinicianTarget, people: People
    ) -> None:
        person = a_person()
        with pytest.raises(Rejected) as refused:
            await target.write(wanted(person, LEAST, "no such group"))
        assert refused.value.code == "group-missing"
        assert all(account["active"] is False for account in await people.accounts(person))

    async def test_an_account_whose_key_was_taken_out_by_hand_is_still_the_persons(
        self, target: ClinicianTarget, people: People
    ) -> None:
        person = a_person()
        seen = await target.write(wanted(person, LEAST, CLINICAL))
        await people.forget(person)
        assert not (await target.look(off(person))).present, "by our key alone nobody finds it"
        known = {"known_as": seen.reference}
        now = await target.look(wanted(person, LEAST, CLINICAL, **known))
        assert (now.present, now.active, now.as_wanted) == (True, True, False)
        gone = await target.write(off(person).changed(**known))
        assert (gone.active, gone.groups) == (False, ())
        back = await target.write(wanted(person, LEAST, **known))
        assert (back.active, back.groups, back.as_wanted, back.reference) == (True, (LEAST,), True, seen.reference)
        assert len(await people.accounts(person)) == 1, "it has its key again, and there is no second one"
