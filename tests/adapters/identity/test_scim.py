"""The adapter on two real providers that differ, and where one answers late, twice, with 409 or with 412."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.identity.scim import ScimTarget
from adapters.scim_words import ENTERPRISE, PATCH_OP, user_names
from canonical.access import AccessTarget
from canonical.errors import Malformed, Rejected, Throttled, Unavailable
from canonical.people import ClinicianRecord
from tests.adapters.identity import servers
from tests.adapters.identity.contract import CLINICAL, LEAST, IdentityContract, a_person, off, wanted
from tests.adapters.identity.faults import Faults
from tests.adapters.identity.servers import Provider

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@pytest.fixture(scope="module", params=["scim2-server", "scimmy"])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    with servers.BY_NAME[request.param]() as one:
        with httpx.Client(headers=_headers(one)) as client:
            for group in (LEAST, CLINICAL):
                made = client.post(f"{one.url}/Groups", json={"schemas": [GROUP], "displayName": group})
                assert made.status_code == 201
        yield one


def _headers(provider: Provider) -> dict[str, str]:
    return {"Authorization": f"Bearer {provider.token}", "Content-Type": "application/scim+json"}


class Administrators:
    """Who works in the provider's own pages."""

    def __init__(self, provider: Provider, client: httpx.AsyncClient) -> None:
        self._url, self._client = provider.url, client

    async def switch_on(self, person: str) -> None:
        await self._patch(person, {"op": "replace", "path": "active", "value": True})

    async def switch_off(self, person: str) -> None:
        await self._patch(person, {"op": "replace", "path": "active", "value": False})

    async def call_it(self, person: str, family: str) -> None:
        await self._patch(person, {"op": "replace", "path": "name.familyName", "value": family})

    async def forget(self, person: str) -> None:
        await self._patch(person, {"op": "remove", "path": "externalId"})

    async def put_in(self, person: str, group: str) -> None:
        (user,) = await self.accounts(person)
        found = await self._client.get(f"{self._url}/Groups", params={"filter": f'displayName eq "{group}"'})
        change = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
        where = f"{self._url}/Groups/{found.json()['Resources'][0]['id']}"
        assert (await self._client.patch(where, json={"schemas": [PATCH_OP], "Operations": [change]})).is_success

    async def remove(self, person: str) -> None:
        (user,) = await self.accounts(person)
        assert (await self._client.delete(f"{self._url}/Users/{user['id']}")).is_success

    async def accounts(self, person: str) -> list[dict[str, Any]]:
        found = await self._client.get(f"{self._url}/Users", params={"filter": f'externalId eq "{person}"'})
        accounts: list[dict[str, Any]] = found.json()["Resources"]
        return accounts

    async def says(self, person: str) -> dict[str, str]:
        (user,) = await self.accounts(person)
        named, work = user.get("name") or {}, user.get(ENTERPRISE) or {}
        said = {"middle": named.get("middleName"), "title": user.get("title"), "department": work.get("department")}
        said |= {"cost centre": work.get("costCenter")}
        return {name: value for name, value in said.items() if value}

    async def _patch(self, person: str, change: dict[str, Any]) -> None:
        (user,) = await self.accounts(person)
        body = {"schemas": [PATCH_OP], "Operations": [change]}
        assert (await self._client.patch(f"{self._url}/Users/{user['id']}", json=body)).is_success


@pytest.fixture
async def people(provider: Provider) -> AsyncIterator[Administrators]:
    async with httpx.AsyncClient(headers=_headers(provider)) as client:
        yield Administrators(provider, client)


Make = Callable[..., ScimTarget]


@pytest.fixture
async def make(provider: Provider, tmp_path: Path) -> AsyncIterator[Make]:
    clients: list[httpx.AsyncClient] = []
    secret = tmp_path / "idp.token"

    def made(faults: Faults | None = None, token: str = provider.token, **row: Any) -> ScimTarget:
        client = httpx.AsyncClient(transport=faults or httpx.AsyncHTTPTransport(), timeout=60.0)
        clients.append(client)
        secret.write_text(token + "\n")
        told: dict[str, Any] = {"code": "idp", "kind": "identity", "adapter": "scim", "url": provider.url}
        return ScimTarget(client, AccessTarget.model_validate(told | row), secret)

    yield made
    for client in clients:
        await client.aclose()


@pytest.fixture
def target(make: Make) -> ScimTarget:
    return make()


class TestOnRealProviders(IdentityContract):
    """The contract, on each of them."""


async def test_two_people_of_one_name_have_two_user_names(make: Make, people: Administrators) -> None:
    first, second, family = a_person(), a_person(), f"Name{a_person()[-6:]}"
    for person in (first, second):
        assert (await make().write(wanted(person, LEAST, family=family))).as_wanted
    names = [(await people.accounts(person))[0]["userName"] for person in (first, second)]
    assert names[1] == f"{names[0]}2"


async def test_another_name_is_told_and_the_user_name_stays(make: Make, people: Administrators) -> None:
    person, target = a_person(), make()
    await target.write(wanted(person, LEAST))
    (before,) = await people.accounts(person)
    assert not (await target.look(wanted(person, LEAST, family="Bello"))).as_wanted
    assert (await target.write(wanted(person, LEAST, family="Bello"))).as_wanted
    (after,) = await people.accounts(person)
    assert (after["userName"], after["name"]["familyName"]) == (before["userName"], "Bello")


async def test_a_create_that_is_carried_out_after_we_gave_up_opens_nothing_and_is_found(
    make: Make, people: Administrators
) -> None:
    person = a_person()
    faults = Faults().late("POST", seconds=0.3, gives_up_after=0.1)
    with pytest.raises(Unavailable):
        await make(faults).write(wanted(person, LEAST))
    await faults.settled()
    (account,) = await people.accounts(person)
    assert account["active"] is False
    assert (await make().write(wanted(person, LEAST))).as_wanted
    assert len(await people.accounts(person)) == 1


async def test_a_create_that_comes_late_beside_its_repeat_makes_one_account(make: Make, people: Administrators) -> None:
    person = a_person()
    faults = Faults().late("POST", seconds=0.3, gives_up_after=0.01)
    target = make(faults)
    with pytest.raises(Unavailable):
        await target.write(wanted(person, LEAST))
    assert (await target.write(wanted(person, LEAST))).as_wanted
    await faults.settled()
    assert len(await people.accounts(person)) == 1


async def test_what_is_delivered_twice_has_one_effect(make: Make, people: Administrators) -> None:
    person = a_person()
    target = make(Faults().twice("POST", "PATCH"))
    assert (await target.write(wanted(person, LEAST, CLINICAL))).as_wanted
    assert (await target.write(off(person))).as_wanted
    assert len(await people.accounts(person)) == 1


async def test_a_state_that_somebody_changed_meanwhile_is_read_again(make: Make, people: Administrators) -> None:
    person = a_person()
    await make().write(wanted(person, LEAST))
    faults = Faults().before("PATCH", lambda: people.call_it(person, "Meanwhile"))
    seen = await make(faults).write(wanted(person, LEAST, family="Bello"))
    assert seen.as_wanted
    (account,) = await people.accounts(person)
    assert account["name"]["familyName"] == "Bello"


async def test_one_that_says_412_for_ever_is_tried_another_time(make: Make) -> None:
    person = a_person()
    await make().write(wanted(person, LEAST))
    with pytest.raises(Unavailable, match="again and again"):
        await make(Faults().answering("PATCH", 412)).write(wanted(person, LEAST, family="Bello"))


@pytest.mark.parametrize(
    ("status", "failure", "code"),
    [
        (429, Throttled, "throttled"),
        (503, Unavailable, "unavailable"),
        (404, Unavailable, "unavailable"),
        (400, Rejected, "invalidValue"),
        (403, Rejected, "forbidden"),
    ],
)
async def test_a_status_has_its_name_and_no_word_of_who_it_is_about(
    make: Make, status: int, failure: type[Exception], code: str
) -> None:
    body = {"scimType": "invalidValue", "detail": "Okafor is not welcome"}
    with pytest.raises(failure) as raised:
        await make(Faults().answering("GET", status, body)).look(off(a_person()))
    assert raised.value.code == code  # type: ignore[attr-defined]
    assert "Okafor" not in str(raised.value)


async def test_what_stands_for_a_kind_of_refusal_and_is_none_is_not_repeated(make: Make) -> None:
    with pytest.raises(Rejected) as raised:
        await make(Faults().answering("GET", 400, {"scimType": "Okafor, Ada has left"})).look(off(a_person()))
    assert raised.value.code == "rejected" and "Okafor" not in str(raised.value)


async def test_a_wrong_token_is_named(make: Make) -> None:
    with pytest.raises(Rejected) as refused:
        await make(token="another").look(off(a_person()))
    assert refused.value.code == "unauthenticated"


async def test_an_answer_that_is_no_json_is_not_taken_for_off(make: Make) -> None:
    with pytest.raises(Malformed):
        await make(Faults().answering("GET", 200, text="<html>")).look(off(a_person()))


async def test_where_who_leaves_is_deleted_the_account_is_gone(make: Make, people: Administrators) -> None:
    person, target = a_person(), make(remove="delete")
    await target.write(wanted(person, LEAST))
    seen = await target.write(off(person))
    assert (seen.present, seen.as_wanted) == (False, True)
    assert await people.accounts(person) == []


async def test_nothing_is_switched_on_before_its_groups_are_right(make: Make, people: Administrators) -> None:
    """A grant that breaks off in the middle leaves an account nobody can sign in by."""
    person = a_person()
    faults = Faults().answering("PATCH", 503, after=1)
    with pytest.raises(Unavailable):
        await make(faults).write(wanted(person, LEAST, CLINICAL))
    (account,) = await people.accounts(person)
    assert account["active"] is False


async def test_off_is_the_first_thing_taken(make: Make, people: Administrators) -> None:
    person = a_person()
    await make().write(wanted(person, LEAST, CLINICAL))
    with pytest.raises(Unavailable):
        await make(Faults().answering("PATCH", 503, after=1)).write(off(person))
    (account,) = await people.accounts(person)
    assert account["active"] is False


def test_a_user_name_is_plain_and_where_there_is_no_name_a_part_of_the_key() -> None:
    given = wanted("person-1234", family="Ó Súilleabháin-Nowak", given="Éanna")
    assert next(iter(user_names(given))) == "eosuilleabhainnowak"
    nobody = given.model_copy(update={"record": ClinicianRecord()})
    assert next(iter(user_names(nobody))) == "uperson1234"


async def test_two_accounts_of_one_key_are_both_switched_off_and_neither_is_given_more(
    make: Make, provider: Provider, people: Administrators
) -> None:
    person, target = a_person(), make()
    await target.write(wanted(person, LEAST))
    async with httpx.AsyncClient(headers=_headers(provider)) as client:
        user = "urn:ietf:params:scim:schemas:core:2.0:User"
        double = {"schemas": [user], "userName": f"d{person[-8:]}", "externalId": person, "active": True}
        assert (await client.post(f"{provider.url}/Users", json=double)).status_code == 201
    with pytest.raises(Rejected) as refused:
        await target.write(wanted(person, LEAST, CLINICAL))
    assert refused.value.code == "double-account"
    assert (await target.look(off(person))).finding == "double-account"
    seen = await target.write(off(person))
    assert (seen.active, seen.groups) == (False, ())
    assert [account["active"] for account in await people.accounts(person)] == [False, False]


async def test_a_provider_that_is_down_is_named(make: Make) -> None:
    target = make(url="http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        await asyncio.wait_for(target.look(off(a_person())), 60)
