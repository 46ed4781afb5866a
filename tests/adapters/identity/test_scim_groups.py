"""Which groups an account is in, asked so that nobody else's membership is read where the provider can tell without."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from adapters.identity.scim import NOBODY, ScimTarget
from canonical.access import AccessTarget
from tests.adapters.identity.contract import CLINICAL, LEAST, a_person, off, wanted
from tests.adapters.identity.test_scim import Administrators, Make, make, people, provider

__all__ = ["make", "people", "provider"]  # the real providers
GROUPS = {"g-1": LEAST, "g-2": CLINICAL}
MEMBERS = [{"value": f"u-{number}"} for number in range(500)]


class Line(httpx.AsyncHTTPTransport):
    """A line that remembers what was answered about groups."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method == "GET" and request.url.path.endswith("/Groups"):
            await response.aread()
            self.lists += [one for one in response.json()["Resources"] if "members.value" in str(request.url)]
        return response


async def test_no_provider_is_asked_for_everybody_in_a_group(make: Make, people: Administrators) -> None:
    person, other = a_person(), a_person()
    await make().write(wanted(other, LEAST))
    line = Line()
    target = make(line)
    seen = await target.write(wanted(person, LEAST, CLINICAL))
    assert (seen.groups, seen.as_wanted) == (tuple(sorted((LEAST, CLINICAL))), True)
    assert (await target.write(off(person))).groups == ()
    assert {one["displayName"] for one in line.lists} == {LEAST, CLINICAL}
    assert not [one for one in line.lists if "members" in one]


class Told:
    """A provider of one account, which may say its groups itself, and look at filters by member or not."""

    def __init__(self, said: list[dict[str, str]] | None, *, filters: bool = True, is_in: tuple[str, ...] = ()) -> None:
        self.said, self.filters, self.is_in, self.asked = said, filters, is_in, list[httpx.Request]()

    def answer(self, request: httpx.Request) -> httpx.Response:
        which = request.url.params.get("filter", "")
        if request.url.path.endswith("/Users"):
            user: dict[str, Any] = {"id": "u-1", "externalId": "person-0001", "userName": "p", "active": True}
            return self._list([user | ({"groups": self.said} if self.said is not None else {})])
        self.asked.append(request)
        mine = MEMBERS if self.is_in else MEMBERS[2:]
        found = [
            {"id": one, "displayName": name} | ({} if "attributes" in request.url.params else {"members": mine})
            for one, name in GROUPS.items()
            if not self.filters or ('"u-1"' in which and one in self.is_in)
        ]
        return self._list(found)

    def _list(self, found: list[dict[str, Any]]) -> httpx.Response:
        return httpx.Response(200, json={"totalResults": len(found), "Resources": found})

    async def groups(self) -> tuple[str, ...]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer)) as client:
            row = AccessTarget(code="idp", kind="identity", adapter="scim", url="http://idp")
            return (await ScimTarget(client, row).look(wanted("person-0001", LEAST))).groups


async def test_where_an_account_says_its_groups_no_group_is_read() -> None:
    told = Told(
        [{"value": "g-1", "display": LEAST, "type": "direct"}, {"value": "g-9", "display": "all", "type": "indirect"}]
    )
    assert await told.groups() == (LEAST,)
    assert told.asked == []


@pytest.mark.parametrize("said", [None, [], [{"value": "g-2"}]])
async def test_an_account_that_says_none_or_no_name_is_looked_for_by_its_membership_without_the_others(
    said: list[dict[str, str]] | None,
) -> None:
    told = Told(said, is_in=("g-2",))
    assert await told.groups() == (CLINICAL,)
    assert [request.url.params.get("attributes") for request in told.asked] == ["displayName"] * 2
    assert await Told(said).groups() == ()


@pytest.mark.parametrize("scim_type", ["invalidFilter", "invalidValue"])
async def test_a_provider_that_refuses_to_look_for_nobody_is_asked_for_the_members(scim_type: str) -> None:
    """Where ids are numbers, say, ours of nobody is an invalid value: access must be seen off there all the same."""

    class Refuses(Told):
        def answer(self, request: httpx.Request) -> httpx.Response:
            if NOBODY in request.url.params.get("filter", ""):
                return httpx.Response(400, json={"scimType": scim_type, "status": "400"})
            return super().answer(request)

    assert await Refuses(None, is_in=("g-2",)).groups() == (CLINICAL,)
    assert await Refuses(None).groups() == ()


async def test_a_provider_that_passes_over_filters_is_not_believed_without_the_members() -> None:
    told = Told(None, filters=False, is_in=("g-1", "g-2"))
    assert await told.groups() == tuple(sorted((LEAST, CLINICAL)))
    assert "attributes" not in told.asked[-1].url.params
    assert await Told(None, filters=False).groups() == ()
