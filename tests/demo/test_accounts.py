"""The identity provider of the demonstration: the suite of accounts passes on it, it keeps what it has, and misbehaves as told."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from adapters.identity.scim import ScimTarget
from canonical.access import AccessTarget
from canonical.errors import Throttled, Unavailable
from demo import accounts
from demo.trouble import behave, calls_file, met
from stack.home import free_port
from tests.adapters.identity.contract import CLINICAL, LEAST, IdentityContract, a_person, off, wanted
from tests.adapters.identity.servers import Provider
from tests.adapters.identity.test_scim import GROUP, Administrators

TOKEN = "of-this-run"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}


@contextmanager
def served(home: Path) -> Iterator[str]:
    server = accounts.server(home, 0, TOKEN)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v2"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with served(tmp_path) as where:
        group = {"schemas": [GROUP], "displayName": CLINICAL}  # the suite's; the others are there from the start
        assert httpx.post(f"{where}/Groups", json=group, headers=HEADERS).status_code == 201
        yield where


@pytest.fixture
async def target(url: str, tmp_path: Path) -> AsyncIterator[ScimTarget]:
    made = scim(url, tmp_path)
    yield made
    await made.close()


def scim(url: str, home: Path, timeout: float = 60.0) -> ScimTarget:
    (home / "token").write_text(TOKEN)
    row = AccessTarget(code="idp", kind="identity", adapter="scim", url=url)
    return ScimTarget(httpx.AsyncClient(timeout=timeout, trust_env=False), row, home / "token")


@pytest.fixture
async def people(url: str) -> AsyncIterator[Administrators]:
    async with httpx.AsyncClient(headers=HEADERS) as client:
        yield Administrators(Provider("accounts", url, TOKEN), client)


class TestTheHospitalsProvider(IdentityContract):
    """The contract, as on every other."""


async def test_accounts_and_groups_stand_as_they_were_when_it_starts_again(tmp_path: Path) -> None:
    person, other = a_person(), a_person()
    with served(tmp_path) as url:
        target = scim(url, tmp_path)
        before = await target.write(wanted(person, *accounts.GROUPS, family="Okafor"))
        await target.close()
    with served(tmp_path) as url:
        target = scim(url, tmp_path)
        after = await target.look(wanted(person, *accounts.GROUPS, family="Okafor"))
        await target.write(wanted(other, LEAST, family="Okafor"))
        await target.close()
    assert (after.as_wanted, after.reference, after.version) == (True, before.reference, before.version)
    stands = accounts.accounts(tmp_path)
    assert stands[person] == {"active": True, "userName": "aokafor", "groups": sorted(accounts.GROUPS), "count": 1}
    assert stands[other]["userName"] == "aokafor2", "also what it had before is unique"
    groups = [json.loads(path.read_text())["displayName"] for path in (tmp_path / "accounts" / "Groups").iterdir()]
    assert sorted(groups) == sorted(accounts.GROUPS), "each once"


async def test_two_accounts_of_one_person_are_counted(url: str, target: ScimTarget, tmp_path: Path) -> None:
    person = a_person()
    await target.write(wanted(person, LEAST))
    await target.write(off(person))
    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "by.hand", "externalId": person}
    async with httpx.AsyncClient(headers=HEADERS) as by_hand:
        assert (await by_hand.post(f"{url}/Users", json=user | {"active": True})).status_code == 201
    assert accounts.accounts(tmp_path)[person] | {"userName": ""} == {
        "active": True,
        "userName": "",
        "groups": [],
        "count": 2,
    }


async def test_every_call_is_counted_by_key_and_none_names_anybody(target: ScimTarget, tmp_path: Path) -> None:
    person = a_person()
    await target.write(wanted(person, LEAST, family="Canaryname", given="Nobody"))
    await target.write(off(person))
    rows = accounts.calls(tmp_path, person)
    assert [(row["method"], row["what"]) for row in rows].count(("POST", "Users")) == 1
    assert {row["what"] for row in rows} == {"Users", "Groups"}, "who is put into a group is in what is sent"
    assert "anary" not in calls_file(tmp_path, "accounts").read_text()


def test_who_shows_no_token_is_not_let_in(url: str) -> None:
    assert httpx.get(f"{url}/Users").status_code == 401
    assert httpx.get(f"{url}/Users", headers=HEADERS).json()["totalResults"] == 0


@pytest.mark.parametrize(("line", "failure"), [("down", Unavailable), ("busy 7", Throttled)])
async def test_in_trouble_it_does_nothing_and_says_so(
    target: ScimTarget, tmp_path: Path, line: str, failure: type[Exception]
) -> None:
    person, other = a_person(), a_person()
    behave(tmp_path, "accounts", f"{line} {person}")
    with pytest.raises(failure):
        await target.write(wanted(person, LEAST))
    assert (await target.write(wanted(other, LEAST))).as_wanted, "of one person it is not of another"
    behave(tmp_path, "accounts", line)
    with pytest.raises(failure):
        await target.look(wanted(other, LEAST))
    behave(tmp_path, "accounts")
    assert list(accounts.accounts(tmp_path)) == [other]
    assert (await target.write(wanted(person, LEAST))).as_wanted


@pytest.mark.parametrize("line", ["lost", "slow 2"])
async def test_what_it_did_without_an_answer_is_found_done(tmp_path: Path, url: str, line: str) -> None:
    person, target, patient = a_person(), scim(url, tmp_path, timeout=0.5), scim(url, tmp_path)
    behave(tmp_path, "accounts", line)
    async with asyncio.timeout(60):
        while person not in accounts.accounts(tmp_path):  # once, unless the machine was too slow to ask
            with pytest.raises(Unavailable):
                await target.write(wanted(person, LEAST))
    assert accounts.accounts(tmp_path)[person]["count"] == 1
    behave(tmp_path, "accounts")
    assert (await patient.write(wanted(person, LEAST))).as_wanted
    assert accounts.accounts(tmp_path)[person]["count"] == 1
    await asyncio.gather(target.close(), patient.close())


async def test_what_it_carries_out_late_it_does_after_who_asked_has_gone(tmp_path: Path, url: str) -> None:
    person, target, patient = a_person(), scim(url, tmp_path, timeout=1.0), scim(url, tmp_path)
    behave(tmp_path, "accounts", f"late 6 {person}")
    async with asyncio.timeout(60):
        while "POST" not in {row["method"] for row in accounts.calls(tmp_path, person)}:  # nor while it is slow to ask
            with pytest.raises(Unavailable):
                await target.write(wanted(person, LEAST))
    assert accounts.accounts(tmp_path) == {}, "a look is answered at once, and there is nothing yet"
    async with asyncio.timeout(60):
        while person not in accounts.accounts(tmp_path):
            await asyncio.sleep(0.05)
    behave(tmp_path, "accounts")
    assert (await patient.write(wanted(person, LEAST))).as_wanted
    assert accounts.accounts(tmp_path)[person]["count"] == 1
    await asyncio.gather(target.close(), patient.close())


async def test_it_says_conflict_and_stale_as_often_as_it_is_told(target: ScimTarget, tmp_path: Path) -> None:
    person = a_person()
    behave(tmp_path, "accounts", f"conflict 2 {person}")
    assert (await target.write(wanted(person, LEAST))).as_wanted
    assert accounts.accounts(tmp_path)[person]["userName"].endswith("3"), "two user names were taken"
    behave(tmp_path, "accounts", f"conflict 1 {person}", f"stale 1 {person}")
    assert (await target.write(wanted(person, LEAST, family="Bellow"))).as_wanted, "409 of a PATCH is another's write"
    behave(tmp_path, "accounts", f"stale 2 {person}")
    assert (await target.write(wanted(person, LEAST, family="Bello"))).as_wanted
    assert met(tmp_path, "accounts", person, "stale") == 3
    assert met(tmp_path, "accounts", person, "conflict") == 3
    behave(tmp_path, "accounts")
    behave(tmp_path, "accounts", f"stale 9 {person}")
    with pytest.raises(Unavailable, match="again and again"):
        await target.write(wanted(person, LEAST, family="Okafor"))


async def test_the_program_serves_and_keeps_what_it_has(tmp_path: Path) -> None:
    port = free_port(taken=set())
    (tmp_path / "token").write_text(TOKEN + "\n")
    where = ("--home", str(tmp_path), "--port", str(port), "--token-file", str(tmp_path / "token"))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "demo.accounts", "serve", *where)
    try:
        async with asyncio.timeout(120), httpx.AsyncClient(headers=HEADERS, trust_env=False) as client:
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/v2/Groups")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        assert answer.json()["totalResults"] == len(accounts.GROUPS)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)
