"""The hospital's identity provider: a SCIM 2.0 server (``scim2-server``) that keeps its accounts on disk between starts.

``python -m demo.accounts serve --home HOME --port 22306 --token-file FILE`` serves ``/v2`` until it is told to stop. Each account
and group is a file in ``HOME/accounts/{Users,Groups}``, on disk before the answer; the groups of a hospital are there from the
start. What was asked of it stands in ``HOME/accounts/calls.jsonl``, by key and without a name. While ``HOME/accounts/trouble``
holds a line it behaves as that says (:mod:`demo.trouble`): ``down``, ``busy SECONDS``, ``slow SECONDS``, ``lost``, ``late
SECONDS``, ``twice``, ``conflict TIMES``, ``stale TIMES``.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from scim2_models import Resource, ResourceType, ScimProvider
from scim2_server.memory import InMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME, BearerTokenApplication
from scim2_server.utils import load_default_resource_types, load_default_schemas, load_default_service_provider_config

from demo import trouble
from demo.http_peer import HOST, Answer, Asked, command_line, serving
from demo.trouble import Trouble

NAME = "accounts"
GROUPS = ("staff", "ehr-view", "ehr-clinical", "prescribing")
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
MEDIA = "application/scim+json"
EXTERNAL = re.compile(r'"externalId"\s*:\s*"([^"]+)"|externalId eq "([^"]+)"')
IDENTITY = re.compile(r"[0-9a-f]{32}")


class Kept(InMemoryStorage):
    """The library's storage, every resource also a file."""

    def __init__(self, home: Path, provider: ScimProvider) -> None:
        super().__init__()
        self._folder = home / NAME
        self.resources = [_read(path, provider) for path in sorted(self._folder.glob("*s/*.json"))]
        last = max((_version(one) for one in self.resources), default=0)
        self.versions = itertools.count(last + 1)

    def person(self, identity: str) -> str:
        """Whose account has this id, by our key; empty: nobody's."""
        with self.lock:
            user = self._resources.get("User", {}).get(identity)
            return str(getattr(user, "external_id", None) or "")

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        with self.lock:
            return self._keep(super().create(resource_type, resource))

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        with self.lock:
            return self._keep(super().update(resource_type, resource, expected_version=expected_version))

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        with self.lock:
            super().delete(resource_type, resource_id, expected_version=expected_version)
            (self._folder / f"{resource_type.name}s" / f"{resource_id}.json").unlink()

    def _keep(self, resource: Resource[Any]) -> Resource[Any]:
        assert resource.meta is not None
        path = self._folder / f"{resource.meta.resource_type}s" / f"{resource.id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(resource.model_dump(), indent=1), encoding="utf-8")
        fresh.replace(path)
        return resource


def _read(path: Path, provider: ScimProvider) -> Resource[Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    model = provider.model_for(path.parent.name.removesuffix("s"))
    assert model is not None
    return cast("Resource[Any]", model.model_validate(content))


def _version(resource: Resource[Any]) -> int:
    assert resource.meta is not None
    return int(str(resource.meta.version).strip('W/"'))


class Accounts:
    """The provider: what the library does, with a log of calls beside it."""

    name = NAME

    def __init__(self, home: Path, token: str = "") -> None:
        self.home = home
        config = load_default_service_provider_config()
        config.authentication_schemes = [*(config.authentication_schemes or []), BEARER_TOKEN_SCHEME]
        schemas, kinds = load_default_schemas().values(), load_default_resource_types().values()
        provider = ScimProvider.from_discovery(schemas, kinds, config=config)
        self._kept = Kept(home, provider)
        self._app = BearerTokenApplication(self._kept, provider, bearer_tokens=[token] if token else [])
        for group in sorted(set(GROUPS) - {str(one["displayName"]) for one in _files(home, "Groups")}):
            made = json.dumps({"schemas": [GROUP], "displayName": group}).encode()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": MEDIA}
            assert self._served(Asked("POST", "/v2/Groups", headers, made)).status == HTTPStatus.CREATED

    def about(self, asked: Asked) -> str:
        """Whose account it is: named by our key, or by the id of an account of theirs."""
        text = f"{dict(parse_qsl(urlsplit(asked.target).query))} {asked.body.decode(errors='replace')}"
        if named := EXTERNAL.search(text):
            return str(named[1] or named[2])
        found = (self._kept.person(one) for one in IDENTITY.findall(f"{asked.target} {text}"))
        return next((one for one in found if one), "")

    def answer(self, asked: Asked) -> Answer:
        return self._served(asked)

    def failing(self, status: int, why: str) -> Answer:
        return _json(status, {"schemas": [ERROR], "status": str(status), "detail": why})

    def refused(self, asked: Asked, now: Trouble) -> Answer | None:
        if now.word == "conflict" and asked.writes:
            kind = {"scimType": "uniqueness"} if asked.method == "POST" else {}
            return _json(HTTPStatus.CONFLICT, {"schemas": [ERROR], "status": "409", "detail": "taken", **kind})
        if now.word == "stale" and "If-Match" in asked.headers:
            return self.failing(HTTPStatus.PRECONDITION_FAILED, "changed meanwhile")
        return None

    def _served(self, asked: Asked) -> Answer:
        parts = urlsplit(asked.target)
        headers = {name: str(asked.headers.get(name)) for name in asked.headers}
        base = f"http://{headers.get('Host', HOST)}/v2"
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        path = parts.path.removeprefix("/v2")
        response = self._app.serve(ScimRequest(asked.method, base, path, query, headers, asked.body))
        body = b"" if response.body is None else json.dumps(response.body).encode()
        return Answer(int(response.status), body, response.headers)


def _json(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": MEDIA})


# -- what a test or a story counts -----------------------------------------------------------------------------------


def calls(home: Path, person: str = "") -> list[dict[str, Any]]:
    """What was asked of it (of one person's account): when, method, Users or Groups, and the trouble it met."""
    return trouble.calls(home, NAME, person)


def users(home: Path) -> list[dict[str, Any]]:
    """Every account as it stands, the groups it is in (``groups``) beside what SCIM says of it."""
    groups = _files(home, "Groups")
    return [user | {"groups": _groups_of(str(user["id"]), groups)} for user in _files(home, "Users")]


def accounts(home: Path) -> dict[str, dict[str, Any]]:
    """Whoever has an account, by our key: ``active``, ``userName``, ``groups``, and ``count``, which is 1 where nobody is doubled.

    Of two accounts of one person it is on where either is.
    """
    found: dict[str, dict[str, Any]] = {}
    for user in users(home):
        person = str(user.get("externalId", ""))
        one = {"active": user.get("active") is True, "userName": user["userName"], "groups": user["groups"], "count": 1}
        if known := found.get(person):
            one["active"] |= known["active"]
            one |= {"groups": sorted({*known["groups"], *one["groups"]}), "count": known["count"] + 1}
        found[person] = one
    return found


def _groups_of(identity: str, groups: list[dict[str, Any]]) -> list[str]:
    return sorted(
        str(group["displayName"])
        for group in groups
        if any(member.get("value") == identity for member in group.get("members") or [])
    )


def _files(home: Path, what: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((home / NAME / what).glob("*.json"))]


def server(home: Path, port: int, token: str = "") -> ThreadingHTTPServer:
    """The server, ready to serve; port 0 takes a free one."""
    (home / NAME).mkdir(parents=True, exist_ok=True)
    return serving(Accounts(home, token), port)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return command_line("demo.accounts", __doc__, server, arguments)


if __name__ == "__main__":
    sys.exit(main())
