"""Systems that are told of people, and sources asked about them, when they lie: nobody else is written, no name or token leaves."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters import http
from adapters.identity.scim import ScimTarget
from adapters.scheduling.rest import RestScheduling
from adapters.verification.leie import ExclusionFile
from adapters.verification.nppes import Nppes
from canonical.access import AccessTarget
from canonical.credentials import ClinicianRole
from canonical.errors import FasciaError, Malformed, Rejected, Unavailable
from canonical.people import ClinicianRecord, Licence, PersonName
from tests.adapters.identity.contract import a_person, off, wanted

Answer = Callable[[httpx.Request], httpx.Response]
CANARY = "Zzcanary"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROLE = ClinicianRole(code="surgeon")
RECORD = ClinicianRecord(
    name=PersonName(family=CANARY, given="Ada"), licences=(Licence.model_validate({"state": "IL", "number": "L-1"}),)
)


def a_client(answer: Answer) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer), timeout=5)


def accounts(answer: Answer, token: Path | None = None) -> ScimTarget:
    row = AccessTarget(code="idp", kind="identity", adapter="scim", url="http://idp.test")
    return ScimTarget(a_client(answer), row, token)


def schedule(answer: Answer, token: Path | None = None) -> RestScheduling:
    row = AccessTarget(code="plan", kind="scheduling", adapter="rest_scheduling", url="http://plan.test")
    return RestScheduling(a_client(answer), row, token)


class Provider:
    """An identity provider of one account and its groups, that can be told to answer with another's."""

    def __init__(self, person: str = "") -> None:
        self.user: dict[str, Any] | None = self._named("u-1", person) if person else None
        self.lies: dict[str, dict[str, Any]] = {}  # by method: what it answers instead
        self.version = ""
        self.written: list[str] = []

    def _named(self, identity: str, person: str) -> dict[str, Any]:
        return {"id": identity, "externalId": person, "active": False}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path
        if method in ("PATCH", "DELETE"):
            self.written.append(path)
        if "Groups" in path:
            group = {"id": "g-1", "displayName": request.url.params.get("filter", "").split('"')[-2]}
            return httpx.Response(200, json={"totalResults": 1, "Resources": [group]}) if method == "GET" else _none()
        if method in self.lies and (method != "GET" or path != "/Users"):
            return httpx.Response(201 if method == "POST" else 200, json=self.lies[method])
        if method == "POST":
            self.user = {"id": "u-1"} | json.loads(request.content)
            return httpx.Response(201, json=self.user)
        if path != "/Users":
            return httpx.Response(200, json=self.user)
        found = [self.user | {"meta": {"version": self.version}}] if self.user else []
        return httpx.Response(200, json={"totalResults": len(found), "Resources": found})


def _none() -> httpx.Response:
    return httpx.Response(204)


async def test_an_account_made_under_anothers_key_is_never_written() -> None:
    idp = Provider()
    idp.lies["POST"] = {"id": "u-9", "externalId": "somebody-else", "active": True}
    with pytest.raises(Malformed):
        await accounts(idp).write(wanted(a_person()))
    assert idp.written == []


async def test_a_provider_that_gives_another_account_than_was_asked_for_gets_no_more_writes() -> None:
    somebody = a_person()
    idp = Provider(somebody)
    idp.lies["GET"] = {"id": "u-9", "externalId": "somebody-else", "active": False}
    with pytest.raises(Malformed):
        await accounts(idp).write(wanted(somebody))
    assert set(idp.written) <= {"/Users/u-1"}


@pytest.mark.parametrize("version", ['W/"é"', 'W/"1"\r\nX-Evil: 1', "x" * 5000])
async def test_a_version_that_can_be_no_header_is_not_sent_and_access_is_taken_all_the_same(version: str) -> None:
    somebody = a_person()
    idp = Provider(somebody)
    assert idp.user is not None
    idp.user["active"], idp.version = True, version
    await accounts(idp).write(off(somebody))
    assert "/Users/u-1" in idp.written


class Wire(httpx.AsyncByteStream):
    """Bytes as they come over the line, not unpacked."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._data), 65_536):
            yield self._data[at : at + 65_536]


PACKED = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {}, b"[" * 200_000),
        (200, {}, b"<html>sign in</html>"),
        (200, {}, b"null"),
        (200, {}, b'{"totalResults": 3, "Resources": [{"id": 7}]}'),
        (200, PACKED, b"not packed"),
        (200, PACKED, gzip.compress(b" " * 50_000_000)),
        (302, {"Location": "http://evil.test/"}, b""),
        (412, {}, b""),
    ],
    ids=["brackets", "html", "null", "no-ids", "not-packed", "a-bomb", "elsewhere", "stale"],
)
async def test_nonsense_is_a_failure_of_ours_and_nobody_follows_it_elsewhere(
    status: int, headers: dict[str, str], body: bytes, tmp_path: Path
) -> None:
    hosts: set[str] = set()
    (token := tmp_path / "token").write_text("a-secret")

    def lie(request: httpx.Request) -> httpx.Response:
        hosts.add(request.url.host)
        return httpx.Response(status, headers=headers, stream=Wire(body))

    person = a_person()
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: accounts(lie, token).look(wanted(person)),
        lambda: accounts(lie, token).write(off(person)),
        lambda: schedule(lie, token).write(wanted(person)),
        lambda: Nppes(a_client(lie), "nppes", "http://npi.test").check(RECORD, "", ROLE, NOON),
    ]
    for ask in asked:
        with pytest.raises(FasciaError):
            await ask()
    assert hosts <= {"idp.test", "plan.test", "npi.test"}


@pytest.mark.parametrize("status", [302, 400, 404, 409, 412, 422, 451])
async def test_who_is_asked_about_is_in_no_failure(status: int) -> None:
    def repeat(request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.host != "npi.test":
            return httpx.Response(404 if request.url.host == "plan.test" else 200, json={"totalResults": 0})
        return httpx.Response(status, json={"detail": f"{CANARY} is not allowed", "scimType": CANARY + " " * 40})

    one = wanted(a_person(), family=CANARY)
    nppes = Nppes(a_client(repeat), "nppes", "http://npi.test")
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: accounts(repeat).write(one),
        lambda: schedule(repeat).write(one),
        lambda: nppes.check(RECORD, "", ROLE, NOON),
        lambda: ExclusionFile(a_client(repeat), "LEIE", "http://npi.test").fetch(NOON.date()),
    ]
    for ask in asked:
        with pytest.raises(FasciaError) as failed:
            await ask()
        assert CANARY not in f"{failed.value.message} {failed.value.code} {failed.value!r}"


async def test_an_error_of_the_registry_is_told_by_its_field_and_number_alone() -> None:
    told = {"description": f"{CANARY} has special characters", "field": "last_name", "number": "09"}
    nppes = Nppes(a_client(lambda _: httpx.Response(200, json={"Errors": [told]})), "nppes", "http://npi.test")
    with pytest.raises(Rejected) as failed:
        await nppes.check(RECORD, "", ROLE, NOON)
    assert failed.value.message == "the registry refuses the question (last_name, 09)"


@pytest.mark.parametrize("held", [b"", b" \n", b"one\r\ntwo", b"caf\xc3\xa9", b"\xff\xfe"], ids=repr)
async def test_a_file_that_holds_no_token_is_told_without_what_it_holds(held: bytes, tmp_path: Path) -> None:
    (token := tmp_path / "idp_token").write_bytes(held)
    for target in (accounts(lambda _: httpx.Response(500), token), schedule(lambda _: httpx.Response(500), token)):
        with pytest.raises(Rejected) as refused:
            await target.look(wanted(a_person()))
        assert refused.value.code == "configuration" and "idp_token" in refused.value.message
        assert "two" not in repr(refused.value) and refused.value.__cause__ is None


async def test_a_schedule_that_answers_of_somebody_else_is_not_believed() -> None:
    other = {"externalId": "somebody-else", "eligible": False, "displayName": "", "assignments": []}
    with pytest.raises(Unavailable):
        await schedule(lambda _: httpx.Response(200, json=other)).look(off(a_person()))


async def test_an_answer_without_an_end_is_not_held_in_memory() -> None:
    given = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal given
            while given < 1_000_000_000:
                given += 65_536
                yield b" " * 65_536

    with pytest.raises(Unavailable):
        await accounts(lambda _: httpx.Response(200, stream=Endless())).look(wanted(a_person()))
    assert given <= http.LARGEST + 2 * 65_536
