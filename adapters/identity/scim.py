"""Accounts in an identity provider by SCIM 2.0 (RFC 7643, RFC 7644): one user per person, groups by role.

The user is found by ``externalId``, our key of the person, so a repeat finds what an earlier try made. An account begins inactive,
gets its groups, and only then is switched on: what is carried out late, or only half, opens nothing. What is taken away goes the
other way: off first, then the groups. Servers differ: a PATCH answers 200 or 204, ``If-Match`` is looked at by some, an ETag may be
the body's hash; so what stands is read again after each write, and nothing is believed that was not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import httpx

from adapters import http
from adapters.http import TRANSIENT, UNAUTHENTICATED, retry_after
from adapters.scim_words import (
    ENTERPRISE,
    NAMES_TRIED,
    PATCH_OP,
    USER,
    Body,
    attributes,
    differs,
    groups_said,
    has_member,
    is_one,
    meta,
    named_right,
    nested,
    operation,
    user_names,
)
from canonical.access import AccessTarget, TargetSeen, Wanted
from canonical.errors import Malformed, Rejected, Throttled, Unavailable

MEDIA: Final = "application/scim+json"
PAGE: Final = 100
MOST: Final = 5000  # accounts or groups of one person: a provider that says more passes over what we ask for
DOUBLE: Final = "double-account"
NOBODY: Final = "00000000-0000-4000-8000-000000000000"  # an id no account has
NAMES_ONLY: Final = MappingProxyType({"attributes": "displayName"})  # of a group: it may have everybody as a member
UNKNOWN_FILTER: Final = frozenset({"invalidFilter", "invalidPath", "rejected"})
SCIM_TYPE: Final = re.compile(r"^[A-Za-z]{1,30}$")


class ScimTarget:
    """The port :class:`canonical.people_ports.ClinicianTarget` for one identity provider."""

    def __init__(self, client: httpx.AsyncClient, target: AccessTarget, token: Path | None = None) -> None:
        self._client, self._target, self._token = client, target, token
        self._base = target.url.rstrip("/")
        self._by_member: bool | None = None  # whether it finds groups by a member: asked once

    async def look(self, wanted: Wanted) -> TargetSeen:
        """The account and its groups as they stand."""
        return await self._seen(wanted, await self._users(wanted.person, wanted.known_as))

    async def write(self, wanted: Wanted) -> TargetSeen:
        """Make it so, then read it again.

        Raises:
            Rejected: ``group-missing``; ``names-taken``; ``double-account`` where the person has two and is to have one.
        """
        users = await self._users(wanted.person, wanted.known_as)
        if not wanted.active:
            for user in users:
                await self._off(user)
        else:
            await self._on(wanted, users)
        return await self._seen(wanted, await self._users(wanted.person, wanted.known_as))

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    # -- what stands ---------------------------------------------------------------------------------------------

    async def _seen(self, wanted: Wanted, users: list[Body]) -> TargetSeen:
        """All accounts of a person as one: whichever is on is on."""
        if not users:
            return TargetSeen(present=False, as_wanted=not wanted.active)
        on = [
            user for user in users if user.get("active") is not False
        ]  # RFC 7643 4.1.1: who says nothing may be signed in
        groups = sorted({name for user in users for _, name in await self._groups_of(user)})
        first = (on or users)[0]
        one = len(users) == 1
        if wanted.active:
            named = named_right(first, wanted) and first.get("externalId") == wanted.person
            as_wanted = one and bool(on) and groups == sorted(wanted.groups) and named
        else:
            as_wanted = not on and not groups and (self._target.remove != "delete" or wanted.exists)
        return TargetSeen(
            present=True,
            active=bool(on),
            groups=tuple(groups),
            version=str(meta(first).get("version", ""))[:200],
            reference=str(first["id"])[:200],
            as_wanted=as_wanted,
            finding="" if one else DOUBLE,
        )

    async def _users(self, person: str, known_as: str = "") -> list[Body]:
        """Every account of a person: those that have our key (two where somebody made another by hand), and the one that had it
        when we saw it last (``known_as``) and has none now: taken out by hand, it would else be on and seen by nobody.
        """
        listed = await self._list("Users", f'externalId eq "{person}"')
        # A server that passes over filters gives everybody.
        found = [user for user in listed if user.get("externalId") == person]
        if known_as and known_as not in {user["id"] for user in found}:
            other = await self._send("GET", f"Users/{quote(known_as, safe='')}", gone=True)
            if other.get("id") == known_as and not other.get("externalId"):
                found.append(other)
        return found

    async def _groups_of(self, user: Body) -> list[tuple[str, str]]:
        """The groups somebody is in: (id, name).

        As the user says, where the server has it say so (RFC 7643 4.1.2). A user that says none is no proof of none: then the
        groups are asked for by their member, without their members where the server looks at that filter; else with all of them.
        """
        if said := groups_said(user):
            return said
        identity = str(user["id"])
        which = f'members.value eq "{identity}"'
        if await self._finds_by_member():
            found = await self._list("Groups", which, NAMES_ONLY)
            if all(one.get("displayName") for one in found):
                return [_named(one) for one in found if "members" not in one or has_member(one, identity)]
        return [_named(one) for one in await self._list("Groups", which) if has_member(one, identity)]

    async def _finds_by_member(self) -> bool:
        """Whether the server looks at a filter by member: one that passes over it gives every group, also for nobody."""
        if self._by_member is None:
            asked = {"filter": f'members.value eq "{NOBODY}"', "startIndex": "1", "count": "1"} | NAMES_ONLY
            try:
                answer = await self._send("GET", "Groups", params=asked)
            except Rejected as refused:  # however it refuses it (to some no id of theirs looks so), it is read without
                if refused.code not in UNKNOWN_FILTER:
                    return False
                answer = {}
            self._by_member = answer.get("totalResults") == 0 and not answer.get("Resources")
        return self._by_member

    async def _list(self, what: str, which: str, only: Mapping[str, str] = MappingProxyType({})) -> list[Body]:
        found: dict[str, Body] = {}
        while True:
            asked = {"filter": which, "startIndex": str(len(found) + 1), "count": str(PAGE), **only}
            answer = await self._send("GET", what, params=asked)
            page, total = answer.get("Resources") or [], answer.get("totalResults")
            if not isinstance(total, int) or not isinstance(page, list) or not all(is_one(one) for one in page):
                raise Malformed(f"{self._target.code}: a list of {what} that is none", system=self._target.code)
            before = len(found)
            found |= {one["id"]: one for one in page}
            if len(found) >= total:
                return list(found.values())
            if len(found) == before or len(found) > MOST:  # part of a list is not taken for all of it
                many = f"{self._target.code}: {total} {what}, of which it gives {len(found)}"
                raise Malformed(many, system=self._target.code)

    # -- giving --------------------------------------------------------------------------------------------------

    async def _on(self, wanted: Wanted, users: list[Body]) -> None:
        """The account as it should be, its groups, and then switched on."""
        if len(users) > 1:
            doubles = f"{len(users)} accounts have this key: a person must say which it is"
            raise Rejected(doubles, code=DOUBLE, system=self._target.code)
        groups = await self._named_groups(wanted.groups)
        user = users[0] if users else await self._made(wanted)
        ours = {} if user.get("externalId") else {"externalId": wanted.person}
        user = await self._patched(user, ours | differs(user, attributes(wanted)))
        now = dict(await self._groups_of(user))
        for identity, name in now.items():
            if name not in wanted.groups:
                await self._leave(identity, str(user["id"]))
        for identity in groups.values():
            if identity not in now:
                await self._join(identity, str(user["id"]))
        if user.get("active") is not True:
            await self._patched(user, {"active": True})

    async def _made(self, wanted: Wanted) -> Body:
        """A new account, inactive, under the first user name that is free; the one there is, where an earlier try made it."""
        person = wanted.person
        for name in user_names(wanted):
            body = {"schemas": [USER, ENTERPRISE], "externalId": person, "userName": name, "active": False}
            made = await self._send("POST", "Users", json=body | nested(attributes(wanted)), conflict=True)
            if made.get("externalId") == person and is_one(made):
                return made
            if found := await self._users(person):  # it was made by a try we gave up waiting for
                return found[0]
            if made:  # somebody else's, or nobody's: what we would write to it, another would have
                other = f"{self._target.code}: it made an account and does not find it by our key"
                raise Malformed(other, system=self._target.code)
        taken = f"{NAMES_TRIED} user names are taken"
        raise Rejected(taken, code="names-taken", system=self._target.code)

    async def _named_groups(self, names: Iterable[str]) -> dict[str, str]:
        """The ids of groups by their names.

        Raises:
            Rejected: (group-missing) the provider has no such group; groups mean something there, so we make none.
        """
        found: dict[str, str] = {}
        for name in names:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            groups = await self._list("Groups", f'displayName eq "{quoted}"')
            match = [group for group in groups if group.get("displayName") == name]
            if not match:
                missing = f"the identity provider has no group {name}"
                raise Rejected(missing, code="group-missing", system=self._target.code)
            found[name] = str(match[0]["id"])
        return found

    # -- taking --------------------------------------------------------------------------------------------------

    async def _off(self, user: Body) -> None:
        """Nobody signs in by it any more; then it is in no group; then, where that is the rule, it is gone."""
        if user.get("active") is not False:
            user = await self._patched(user, {"active": False})
        for identity, _ in await self._groups_of(user):
            await self._leave(identity, str(user["id"]))
        if self._target.remove == "delete":
            await self._send("DELETE", f"Users/{user['id']}", gone=True)

    # -- calls ---------------------------------------------------------------------------------------------------

    async def _patched(self, user: Body, values: Body) -> Body:
        """The user with these attributes, as it stands afterwards; nothing is sent where nothing differs."""
        if not values:
            return user
        asked = {"schemas": [PATCH_OP], "Operations": [operation(path, value) for path, value in values.items()]}
        for _ in range(3):
            version = str(meta(user).get("version", ""))
            answer = await self._send("PATCH", f"Users/{user['id']}", json=asked, version=version)
            if not answer.get("stale"):
                break
            user = await self._again(user)  # somebody else wrote meanwhile: what we ask is still right
        else:
            raise Unavailable(
                f"{self._target.code}: the account is written by others again and again", system=self._target.code
            )
        return await self._again({**user, "externalId": values.get("externalId") or user.get("externalId")})

    async def _again(self, user: Body) -> Body:
        """The same account as it stands now.

        Raises:
            Malformed: it is somebody else's.
        """
        found = await self._send("GET", f"Users/{user['id']}")
        if (found.get("id"), found.get("externalId")) != (user["id"], user.get("externalId")):
            raise Malformed(f"{self._target.code}: asked for one account it gives another", system=self._target.code)
        return found

    async def _join(self, group: str, user: str) -> None:
        await self._change(group, {"op": "add", "path": "members", "value": [{"value": user}]})

    async def _leave(self, group: str, user: str) -> None:
        await self._change(group, {"op": "remove", "path": f'members[value eq "{user}"]'})

    async def _change(self, group: str, operation: Body) -> None:
        await self._send("PATCH", f"Groups/{group}", json={"schemas": [PATCH_OP], "Operations": [operation]})

    def _headers(self) -> dict[str, str]:
        """With the token as it is now.

        Raises:
            Rejected: it is not among our secrets.
        """
        headers = {"Accept": MEDIA, "Content-Type": MEDIA}
        return headers | (http.bearer(self._token, system=self._target.code) if self._token is not None else {})

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Body | None = None,
        version: str = "",
        conflict: bool = False,
        gone: bool = False,
    ) -> Body:
        """One call. An answer without a body is an empty one; 412, and 409 of a write
        under a version, are ``{"stale": True}``; what is refused is told without its text,
        which may hold somebody's name.

        Raises:
            Unavailable, Throttled, Rejected, Malformed: as :mod:`adapters.http` names them.
        """
        system = self._target.code
        headers = self._headers() | ({"If-Match": version} if http.TAG.fullmatch(version) else {})
        request = self._client.build_request(method, f"{self._base}/{path}", params=params, json=json, headers=headers)
        response = await http.whole(self._client, request, system=system)
        status = response.status_code
        if response.is_success:
            return _read(response, system)
        if (status == httpx.codes.CONFLICT and conflict) or (status == httpx.codes.NOT_FOUND and gone):
            return {}
        if status == httpx.codes.PRECONDITION_FAILED or (status == httpx.codes.CONFLICT and not _taken(response)):
            # RFC 7644 3.12: 409 too says that somebody else wrote meanwhile.
            if version:
                return {"stale": True}
            raise Unavailable(f"{system}: others write the same at once (HTTP {status})", system=system)
        _refuse(response, system)
        return {}


def _named(group: Body) -> tuple[str, str]:
    return str(group["id"]), str(group.get("displayName", ""))


def _read(response: httpx.Response, system: str) -> Body:
    if response.status_code == httpx.codes.NO_CONTENT or not response.content:
        return {}
    body = http.said(response)
    if not isinstance(body, dict):
        raise Malformed(f"{system}: an answer that is no JSON object", system=system)
    return body


def _taken(response: httpx.Response) -> bool:
    """Whether it refuses a value that is to be unique."""
    return _kind(response) == "uniqueness"


def _kind(response: httpx.Response) -> str:
    """``scimType`` of an error (RFC 7644 3.12); empty where it has none, or words that may name somebody."""
    told = http.said(response)
    found = str(told.get("scimType", "")) if isinstance(told, dict) else ""
    return found if SCIM_TYPE.fullmatch(found) else ""


def _refuse(response: httpx.Response, system: str) -> None:
    """The failure a status stands for. RFC 7644 3.12: ``scimType`` says which kind; ``detail`` is not repeated."""
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise Throttled(f"{system} asks us to slow down", retry_after=retry_after(response), system=system)
    if status in TRANSIENT or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"{system} is in trouble (HTTP {status})", system=system)
    if status == httpx.codes.UNAUTHORIZED:
        raise Rejected(f"{system} does not accept our credentials", code=UNAUTHENTICATED, system=system)
    if status == httpx.codes.FORBIDDEN:
        raise Rejected(f"{system} does not let us do this", code="forbidden", system=system)
    if (
        status == httpx.codes.NOT_FOUND
    ):  # it was there when we looked: somebody removed it meanwhile, and the next try sees that
        raise Unavailable(f"{system}: what was there a moment ago is gone", system=system)
    kind = _kind(response)
    said = f", {kind}" if kind else ""
    raise Rejected(f"{system} refused (HTTP {status}{said})", code=kind or "rejected", system=system)
