"""The FHIR door over HTTP: R4B and R5, each at its own base (``/fhir/r4b``, ``/fhir/r5``); every fault is an OperationOutcome.

hl7.org/fhir/R5/http.html. What is done with a resource stands in ``fhir_door`` and ``fhir_bundles``, what became of a request in
``fhir_tasks``, what is offered in ``fhir_statement``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from canonical.senders import Sender
from formats import fhir
from formats.fhir import Issue, Release
from gateway import fhir_faults
from gateway.fhir_bundles import http_moment, take
from gateway.fhir_door import FhirDoor, Wish
from gateway.fhir_faults import Refused
from gateway.fhir_looks import view
from gateway.fhir_request import (
    BASE,
    acceptable,
    base_of,
    body_of,
    echoed,
    idempotency_key,
    media_type,
    parameters,
    preference,
    release_of,
    type_of,
)
from gateway.fhir_requisitions import PATH as REQUEST
from gateway.fhir_shelf import SEARCHED
from gateway.fhir_statement import FOCUS, INCLUDED, REVINCLUDE, TASK_PARAMETERS, UPDATED, statement
from gateway.fhir_tasks import MOST, PAGE, TASK, Became, asked_since, task, task_version
from gateway.fhir_views import shown, version_of
from gateway.rest import Doors, known

__all__ = ["BASE", "make_app"]
VERSION: Final = re.compile(r"[1-9][0-9]{0,5}(\.[1-9][0-9]{0,5})?")
COUNT: Final = re.compile(r"[1-9][0-9]{0,3}")

Endpoint = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger(__name__)


def make_app(behind: Doors, door: FhirDoor) -> Starlette:
    """The FHIR door on what stands behind it, to be mounted at ``BASE``."""
    made = _Endpoints(behind, door)
    routes = [
        ("/{release}/metadata", "GET", made.metadata),
        ("/{release}", "POST", made.bundle),
        ("/{release}/", "POST", made.bundle),
        (f"/{{release}}/{TASK}", "GET", made.tasks),
        (f"/{{release}}/{TASK}/{{id}}", "GET", made.task),
        ("/{release}/{type}", "POST", made.create),
        ("/{release}/{type}", "GET", made.search),
        ("/{release}/{type}/{id}", "GET", made.read),
        ("/{release}/{type}/{id}", "PUT", made.update),
        ("/{release}/{type}/{id}/_history/{version}", "GET", made.read),
    ]
    paths = dict.fromkeys(path for path, _, _ in routes)
    app = Starlette(
        routes=[Route(path, _Place({verb: to for at, verb, to in routes if at == path})) for path in paths],
        exception_handlers={HTTPException: _not_here},
    )
    app.router.redirect_slashes = False
    return app


class _Place:
    """One address: whatever goes wrong at it is answered as it should be, and nothing leaves it unanswered."""

    def __init__(self, verbs: dict[str, Endpoint]) -> None:
        self._verbs = {**verbs, "HEAD": verbs["GET"]} if "GET" in verbs else verbs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer = await self._answer(request)
        answer.headers.update(echoed(request))
        if request.method == "HEAD":  # as it would be, without what it would say
            answer.body = b""
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            release_of(request)
            to = self._verbs.get(request.method)
            if to is None:
                raise HTTPException(405, headers={"Allow": ", ".join(sorted(self._verbs))})
            acceptable(request)
            return await to(request)
        except Exception as failure:
            answer = fhir_faults.answer(failure)
            if answer.status_code == 500:
                log.exception("request broke", method=request.method, error=type(failure).__name__)
            return answer


async def _not_here(_: Request, failure: Exception) -> Response:
    return fhir_faults.answer(failure)


class _Endpoints:
    """What each address does."""

    def __init__(self, behind: Doors, door: FhirDoor) -> None:
        self._behind = behind
        self._door = door

    async def metadata(self, request: Request) -> Response:
        parameters(request)
        release = release_of(request)
        return _answer(fhir.write(statement(release, base_of(request), self._behind.version)), release)

    async def bundle(self, request: Request) -> Response:
        parameters(request)
        release = release_of(request)
        sender = await self._sender(request)
        data = await body_of(request)
        return _answer(fhir.write(await take(self._door, sender, release, data)), release)

    async def create(self, request: Request) -> Response:
        parameters(request)
        release, kind = release_of(request), type_of(request)
        sender = await self._sender(request)
        wish = Wish(request.headers.get("if-none-exist", ""), idempotency_key(request))
        done = await self._door.create(sender, release, kind, await body_of(request), wish)
        return await self._written(request, sender, Became(done))

    async def update(self, request: Request) -> Response:
        parameters(request)
        release, kind = release_of(request), type_of(request)
        sender = await self._sender(request)
        name, if_match = request.path_params["id"], request.headers.get("if-match", "")
        done = await self._door.update(sender, release, kind, name, await body_of(request), if_match)
        return await self._written(request, sender, Became(done))

    async def search(self, request: Request) -> Response:
        release, kind = release_of(request), type_of(request)
        sender = await self._sender(request)
        said = parameters(request, (SEARCHED, REVINCLUDE) if kind == REQUEST else (SEARCHED,))
        included = [value for name, value in said if name == REVINCLUDE]
        if any(one != INCLUDED for one in included):
            raise Refused(400, [Issue("not-supported", f"{REVINCLUDE} is {INCLUDED}")])
        found = await self._door.shelf.search(
            sender, release, kind, urlencode([one for one in said if one[0] == SEARCHED])
        )
        became = await self._door.tasks.of(sender, found) if kind == REQUEST else [Became(one) for one in found]
        base = base_of(request)
        entries: list[dict[str, Any]] = [
            {
                "fullUrl": f"{base}/{one.stored.place}",
                "resource": fhir.Written((await self._shown(one)).decode()),
                "search": {"mode": "match"},
            }
            for one in became
        ]
        if included:
            entries += [_listed(base, one, "include") for one in became]
        return _answer(fhir.write(_searchset(request, said, entries, len(found))), release)

    async def read(self, request: Request) -> Response:
        parameters(request)
        release, kind = release_of(request), type_of(request)
        sender = await self._sender(request)
        name, version = request.path_params["id"], request.path_params.get("version", "")
        asked = fhir.ID.fullmatch(name) and (not version or VERSION.fullmatch(version))
        sent = int(version.partition(".")[0] or 0) if asked else 0
        found = await self._door.shelf.read(sender, release, kind, name, sent) if asked else None
        became = Became(found) if found else None
        if found and kind == REQUEST and (not version or "." in version):
            (became,) = await self._door.tasks.of(sender, [found])
        if became is None or (version and version_of(became) != version):
            raise Refused(404, "This sender has sent no such resource")
        return await self._one(request, became)

    async def tasks(self, request: Request) -> Response:
        release = release_of(request)
        sender = await self._sender(request)
        said = parameters(request, TASK_PARAMETERS)
        count = _count([value for name, value in said if name == "_count"])
        since = [value for name, value in said if name == UPDATED]
        focus = [value for name, value in said if name == FOCUS]
        following = None
        if len(focus) == 1 and not since:
            names = [one.rpartition("/")[2] for one in focus[0].split(",")]
            looked = [await self._door.tasks.read(sender, release, one) for one in names if fhir.ID.fullmatch(one)]
            found = [one for one in looked if one is not None]
        elif len(since) == 1 and not focus:
            moment, after = asked_since(since[0])
            found, following = await self._door.tasks.since(sender, release, moment, after=after, limit=count)
        else:
            raise Refused(
                400, [Issue("not-supported", f"Search by {FOCUS}=SupplyRequest/<id>, or by {UPDATED}=gt<instant>")]
            )
        entries = [_listed(base_of(request), one, "match") for one in found]
        tree = _searchset(request, said, entries, None if following else len(found))
        if following is not None:
            again = urlencode([(UPDATED, f"gt{following.isoformat()}"), ("_count", str(count))])
            tree["link"].append({"relation": "next", "url": f"{base_of(request)}/{TASK}?{again}"})
        return _answer(fhir.write(tree), release)

    async def task(self, request: Request) -> Response:
        parameters(request)
        release, name = release_of(request), request.path_params["id"]
        sender = await self._sender(request)
        found = await self._door.tasks.read(sender, release, name) if fhir.ID.fullmatch(name) else None
        if found is None:
            raise Refused(404, "This sender has asked for no such thing")
        tag = f'W/"{task_version(found)}"'
        if _has(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        headers = {"ETag": tag, "Last-Modified": http_moment(found.changed_at)}
        return _answer(fhir.write(task(found)), release, headers=headers)

    async def _written(self, request: Request, sender: Sender, done: Became) -> Response:
        """What was created or changed: as its sender sent it; the number of its order is told to who reads it."""
        status = 201 if done.stored.created else 200
        headers = {"Location": f"{base_of(request)}/{done.stored.place}/_history/{version_of(done)}", **_headers(done)}
        returns = preference(request).returns
        if returns == "minimal":
            return Response(status_code=status, headers=headers)
        release = done.stored.resource.release
        if returns == "OperationOutcome":
            text = "Kept" if done.stored.created or request.method == "PUT" else "It was here already"
            said = Issue("informational", text, severity="information")
            return _answer(fhir.write(fhir.outcome([said])), release, status, headers)
        return _answer(await self._shown(done), release, status, headers)

    async def _one(self, request: Request, became: Became) -> Response:
        headers = _headers(became)
        if _has(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return _answer(await self._shown(became), became.stored.resource.release, headers=headers)

    async def _shown(self, became: Became) -> bytes:
        return await self._door.beside.run(len(became.stored.kept.data), view, *shown(became))

    async def _sender(self, request: Request) -> Sender:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        who = await known(self._behind, secret.strip() if scheme.lower() == "bearer" and secret.strip() else None)
        return await self._door.sender(who, request.client.host if request.client else "")


def _searchset(
    request: Request, said: list[tuple[str, str]], entries: list[dict[str, Any]], total: int | None
) -> fhir.Tree:
    """What was found, and by which parameters it was looked for: what else was sent was passed over."""
    path = request.url.path.rpartition("/")[2]
    link = {"relation": "self", "url": f"{base_of(request)}/{path}?{urlencode(said)}"}
    tree: fhir.Tree = {"resourceType": fhir.BUNDLE, "type": "searchset"}
    if total is not None:
        tree["total"] = total
    tree["link"] = [link]
    if entries:
        tree["entry"] = entries
    return tree


def _listed(base: str, one: Became, mode: str) -> dict[str, Any]:
    return {"fullUrl": f"{base}/{TASK}/{one.stored.id}", "resource": task(one), "search": {"mode": mode}}


def _count(said: list[str]) -> int:
    if not said:
        return PAGE
    if len(said) > 1 or not COUNT.fullmatch(said[0]):
        raise Refused(400, [Issue("value", f"_count is a number from 1 to {MOST}")])
    return min(int(said[0]), MOST)


def _headers(one: Became) -> dict[str, str]:
    return {"ETag": f'W/"{version_of(one)}"', "Last-Modified": http_moment(one.stored.kept.at)}


def _has(request: Request, tag: str) -> bool:
    """Whether the caller has it already (If-None-Match)."""
    return tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]


def _answer(data: bytes, release: Release, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(data, status, headers=headers, media_type=media_type(release))
