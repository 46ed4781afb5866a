"""Accounts in an identity provider by SCIM 2.0 (RFC 7643, RFC 7644): one user per person, groups by role.

The user is found by ``externalId``, our key of the person, so a repeat finds what an earlier try made. An account begins inactive,
gets its groups, and only then is switched on: what is carried out late, or only half, opens nothing. What is taken away goes the
other way: off first, then the groups. Servers differ: a PATCH answers 200 or 204, ``If-Match`` is looked at by some, an ETag may be
the body's hash; so what stands is read again after each write, and nothing is believed that was not read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from adapters.http import TRANSIENT, UNAUTHENTICATED, retry_after
from canonical.access import AccessTarget, TargetSeen, Wanted
from canonical.errors import Malformed, Rejected, Throttled, Unavailable

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MEDIA: Final = "application/scim+json"
NAMES_TRIED: Final = 50  # user names, when those before are taken
PAGE: Final = 100
MOST: Final = 5000  # accounts or groups of one person: a provider that says more passes over what we ask for
DOUBLE: Final = "double-account"
SCIM_TYPE: Final = re.compile(r"^[A-Za-z]{1,30}$")

Body = Mapping[str, Any]


class ScimTarget:
    """The port :class:`canonical.people_ports.ClinicianTarget` for one identity provider."""

    def __init__(self, client: httpx.AsyncClient, target: AccessTarget, token: Path | None = None) -> None:
        self._client, self._target, self._token = client, target, token
        self._base = target.url.rstrip("/")

    async def look(self, wanted: Wanted) -> TargetSeen:
        """The account and its groups as they stand."""
        return await self._seen(wanted, await self._users(wanted.person))

    async def write(self, wanted: Wanted) -> TargetSeen:
        """Make it so, then read it again.

        Raises:
            Rejected: ``group-missing``; ``names-taken``; ``double-account`` where the person has two and is to have one.
        """
        users = await self._users(wanted.person)
        if not wanted.active:
            for user in users:
                await self._off(user)
        else:
            await self._on(wanted, users)
        return await self._seen(wanted, await self._users(wanted.person))

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
            as_wanted = one and bool(on) and groups == sorted(wanted.groups) and _named_right(first, wanted)
        else:
            as_wanted = not on and not groups and (self._target.remove != "delete" or wanted.exists)
        return TargetSeen(
            present=True,
            active=bool(on),
            groups=tuple(groups),
            version=str(_meta(first).get("version", ""))[:200],
            reference=str(first["id"])[:200],
            as_wanted=as_wanted,
            finding="" if one else DOUBLE,
        )

    async def _users(self, person: str) -> list[Body]:
        """Every account that has our key: one, or two where somebody made another by hand."""
        found = await self._list("Users", f'externalId eq "{person}"')
        return [
            user for user in found if user.get("externalId") == person
        ]  # a server that passes over filters gives everybody

    async def _groups_of(self, user: Body) -> list[tuple[str, str]]:
        """The groups somebody is in: (id, name). Asked of the groups: what a user says of them is not kept by every server."""
        identity = str(user["id"])
        found = await self._list("Groups", f'members.value eq "{identity}"')
        return [(str(one["id"]), str(one.get("displayName", ""))) for one in found if _has(one, identity)]

    async def _list(self, what: str, which: str) -> list[Body]:
        found: dict[str, Body] = {}
        while True:
            asked = {"filter": which, "startIndex": str(len(found) + 1), "count": str(PAGE)}
            answer = await self._send("GET", what, params=asked)
            page, total = answer.get("Resources") or [], answer.get("totalResults")
            if not isinstance(total, int) or not isinstance(page, list) or not all(_is_one(one) for one in page):
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
        user = await self._patched(user, _differs(user, _attributes(wanted)))
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
            made = await self._send("POST", "Users", json=body | _nested(_attributes(wanted)), conflict=True)
            if "id" in made:
                return made
            if found := await self._users(person):  # it was made by a try we gave up waiting for
                return found[0]
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
        asked = {"schemas": [PATCH_OP], "Operations": [_operation(path, value) for path, value in values.items()]}
        for _ in range(3):
            version = str(_meta(user).get("version", ""))
            answer = await self._send("PATCH", f"Users/{user['id']}", json=asked, version=version)
            if not answer.get("stale"):
                break
            user = await self._send(
                "GET", f"Users/{user['id']}"
            )  # somebody else wrote meanwhile: what we ask is still right
        else:
            raise Unavailable(
                f"{self._target.code}: the account is written by others again and again", system=self._target.code
            )
        return await self._send("GET", f"Users/{user['id']}")

    async def _join(self, group: str, user: str) -> None:
        await self._change(group, {"op": "add", "path": "members", "value": [{"value": user}]})

    async def _leave(self, group: str, user: str) -> None:
        await self._change(group, {"op": "remove", "path": f'members[value eq "{user}"]'})

    async def _change(self, group: str, operation: Body) -> None:
        await self._send("PATCH", f"Groups/{group}", json={"schemas": [PATCH_OP], "Operations": [operation]})

    def _headers(self) -> dict[str, str]:
        """With the token as it is now: one that was renewed needs no restart.

        Raises:
            Rejected: it is not among our secrets.
        """
        headers = {"Accept": MEDIA, "Content-Type": MEDIA}
        if self._token is None:
            return headers
        try:
            token = self._token.read_text(encoding="utf-8").strip()
        except OSError:
            why = f"no token for {self._target.code}: put one into {self._target.token_file} among the secrets"
            raise Rejected(why, code="configuration", system=self._target.code) from None
        return headers | {"Authorization": f"Bearer {token}"}

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
        """One call. An answer without a body is an empty one; 412 is ``{"stale": True}``; what is refused is told without its text,
        which may hold somebody's name.

        Raises:
            Unavailable, Throttled, Rejected, Malformed: as :mod:`adapters.http` names them.
        """
        system = self._target.code
        headers = self._headers() | ({"If-Match": version} if version else {})
        request = self._client.build_request(method, f"{self._base}/{path}", params=params, json=json, headers=headers)
        try:
            response = await self._client.send(request)
        except httpx.TransportError as lost:
            raise Unavailable(f"{system} did not answer ({type(lost).__name__})", system=system) from None
        status = response.status_code
        if response.is_success:
            return _read(response, system)
        if status == httpx.codes.PRECONDITION_FAILED:
            return {"stale": True}
        if (status == httpx.codes.CONFLICT and conflict) or (status == httpx.codes.NOT_FOUND and gone):
            return {}
        _refuse(response, system)
        return {}


def _read(response: httpx.Response, system: str) -> Body:
    if response.status_code == httpx.codes.NO_CONTENT or not response.content:
        return {}
    try:
        body = response.json()
    except ValueError:
        raise Malformed(f"{system}: an answer that is no JSON", system=system) from None
    if not isinstance(body, dict):
        raise Malformed(f"{system}: an answer that is no object", system=system)
    return body


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
    try:
        kind = str(response.json().get("scimType", ""))
    except (ValueError, AttributeError):
        kind = ""
    said = f", {kind}" if SCIM_TYPE.match(kind) else ""
    raise Rejected(f"{system} refused (HTTP {status}{said})", code=kind or "rejected", system=system)


# -- words of SCIM -------------------------------------------------------------------------------------------------------


def _attributes(wanted: Wanted) -> dict[str, str]:
    """What an account says of a person, by SCIM path; what we do not know is not said.

    Of several facilities it is the first that employs.
    """
    name, held = wanted.record.name, sorted(wanted.held, key=lambda one: (not one.employed, one.facility))
    position = held[0].position if held else None
    said = {
        "name.familyName": name.family,
        "name.givenName": name.given,
        "name.middleName": name.middle,
        "displayName": " ".join(part for part in (name.given, name.family) if part),
        "title": position.title if position else "",
        f"{ENTERPRISE}:department": (position.department or "") if position else "",
        f"{ENTERPRISE}:costCenter": (position.cost_centre or "") if position else "",
        f"{ENTERPRISE}:organization": ",".join(one.facility for one in held),
    }
    return {path: value for path, value in said.items() if value}


def _nested(said: Mapping[str, str]) -> dict[str, Any]:
    """The same as a resource has it."""
    body: dict[str, Any] = {}
    for path, value in said.items():
        outer, inner = _split(path)
        if inner:
            body.setdefault(outer, {})[inner] = value
        else:
            body[outer] = value
    return body


def _split(path: str) -> tuple[str, str]:
    """``name.familyName`` and ``urn:...:User:department`` in their two parts; a plain attribute has one."""
    if path.startswith(f"{ENTERPRISE}:"):
        return ENTERPRISE, path.removeprefix(f"{ENTERPRISE}:")
    outer, _, inner = path.partition(".")
    return outer, inner


def _differs(user: Body, said: Mapping[str, str]) -> dict[str, str]:
    return {path: value for path, value in said.items() if _at(user, path) != value}


def _at(user: Body, path: str) -> Any:
    outer, inner = _split(path)
    found = user.get(outer)
    return found.get(inner) if inner and isinstance(found, dict) else (None if inner else found)


def _named_right(user: Body, wanted: Wanted) -> bool:
    names = {path: value for path, value in _attributes(wanted).items() if path.startswith("name.")}
    return not _differs(user, names)


def _operation(path: str, value: Any) -> dict[str, Any]:
    """``op`` in small letters and truth as JSON has it: some servers take no other spelling (RFC 7644 3.5.2)."""
    return {"op": "replace", "path": path, "value": value}


def _is_one(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("id"), str)


def _has(group: Body, user: str) -> bool:
    members = group.get("members")
    return isinstance(members, list) and any(isinstance(one, dict) and one.get("value") == user for one in members)


def _meta(user: Body) -> Body:
    found = user.get("meta")
    return found if isinstance(found, dict) else {}


def user_names(wanted: Wanted) -> Iterable[str]:
    """User names to try, the same each time: first letter and family name, then with numbers; where there is no name, of the key."""
    name = wanted.record.name
    plain = _plain(name.given)[:1] + _plain(name.family)
    base = plain[:20] or f"u{_plain(wanted.person)[-12:]}"
    yield base
    yield from (f"{base}{number}" for number in range(2, NAMES_TRIED + 1))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", folded)
