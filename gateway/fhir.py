"""The FHIR door over HTTP: R4B and R5, each at its own base (``/fhir/r4b``, ``/fhir/r5``); every fault is an OperationOutcome.

hl7.org/fhir/R5/http.html. What is done with a resource stands in ``fhir_door`` and ``fhir_bundles``, what is offered in
``fhir_statement``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from canonical.senders import Sender
from formats import fhir
from formats.fhir import Release
from gateway import fhir_faults
from gateway.fhir_bundles import http_moment, moment, take
from gateway.fhir_door import FhirDoor, Wish
from gateway.fhir_faults import MEDIA_TYPE, Refused
from gateway.fhir_shelf import Stored
from gateway.fhir_statement import statement
from gateway.rest import Doors, known

BASE: Final = "/fhir"
JSON: Final = frozenset({MEDIA_TYPE, "application/json"})
FORMATS: Final = JSON | {"json"}
ANY: Final = frozenset({"*/*", "application/*"})
VERSION: Final = re.compile(r"[1-9][0-9]{0,5}")
PREFERENCES: Final = ("minimal", "representation", "OperationOutcome")
LONGEST_KEY: Final = 200

Endpoint = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger(__name__)


def make_app(behind: Doors, door: FhirDoor) -> Starlette:
    """The FHIR door on what stands behind it, to be mounted at ``BASE``."""
    made = _Endpoints(behind, door)
    routes = [
        ("/{release}/metadata", "GET", made.metadata),
        ("/{release}", "POST", made.bundle),
        ("/{release}/", "POST", made.bundle),
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
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            _release(request)
            to = self._verbs.get(request.method)
            if to is None:
                raise HTTPException(405, headers={"Allow": ", ".join(sorted(self._verbs))})
            _acceptable(request)
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
        release = _release(request)
        return _answer(statement(release, _base(request), self._behind.version), release)

    async def bundle(self, request: Request) -> Response:
        release = _release(request)
        sender = await self._sender(request)
        return _answer(await take(self._door, sender, release, await _body(request, release)), release)

    async def create(self, request: Request) -> Response:
        release, kind = _release(request), _type(request)
        sender = await self._sender(request)
        wish = Wish(request.headers.get("if-none-exist", ""), _idempotency_key(request))
        done = await self._door.create(sender, release, kind, await _body(request, release), wish)
        return _created(request, done)

    async def search(self, request: Request) -> Response:
        release, kind = _release(request), _type(request)
        sender = await self._sender(request)
        found = await self._door.shelf.search(sender, release, kind, request.url.query)
        base = _base(request)
        bundle: fhir.Tree = {"resourceType": fhir.BUNDLE, "type": "searchset", "total": len(found)}
        if found:
            bundle["entry"] = [
                {"fullUrl": f"{base}/{one.place}", "resource": _shown(one), "search": {"mode": "match"}}
                for one in found
            ]
        return _answer(bundle, release)

    async def read(self, request: Request) -> Response:
        release, kind = _release(request), _type(request)
        sender = await self._sender(request)
        name, version = request.path_params["id"], request.path_params.get("version", "0")
        asked = fhir.ID.fullmatch(name) and (version == "0" or VERSION.fullmatch(version))
        found = await self._door.shelf.read(sender, release, kind, name, int(version)) if asked else None
        if found is None:
            raise Refused(404, "This sender has sent no such resource")
        return _answer(_shown(found), release, headers=_headers(found))

    async def update(self, request: Request) -> Response:
        release, kind = _release(request), _type(request)
        sender = await self._sender(request)
        name, if_match = request.path_params["id"], request.headers.get("if-match", "")
        done = await self._door.update(sender, release, kind, name, await _body(request, release), if_match)
        return _created(request, done)

    async def _sender(self, request: Request) -> Sender:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        who = await known(self._behind, secret.strip() if scheme.lower() == "bearer" and secret.strip() else None)
        return await self._door.sender(who, request.client.host if request.client else "")


def _release(request: Request) -> Release:
    found = fhir.RELEASES.get(request.path_params["release"])
    if found is None:
        raise Refused(404, f"There are {' and '.join(f'{BASE}/{name}' for name in fhir.RELEASES)}")
    return found


def _type(request: Request) -> str:
    kind: str = request.path_params["type"]
    types = _release(request).types
    if kind not in types:
        raise Refused(404, [fhir.Issue("not-supported", f"Resources here are {', '.join(types)}")])
    return kind


def _acceptable(request: Request) -> None:
    """JSON is what we write, in the release of the address."""
    if asked := request.query_params.get("_format"):
        wanted = [asked.replace(" ", "+")]  # a plus in a query is a space
    else:
        wanted = ",".join(request.headers.getlist("accept")).split(",")
    for one in wanted:
        kind, _, parameters = one.partition(";")
        said = _parameters(parameters)
        taken = kind.strip().lower() in FORMATS | ANY or (not asked and not kind.strip() and len(wanted) == 1)
        if taken and said.get("q", "1") not in ("0", "0.0", "0.00", "0.000") and _same_release(said, _release(request)):
            return
    raise Refused(406, f"Only {MEDIA_TYPE} of the release of this address is written here")


async def _body(request: Request, release: Release) -> bytes:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    said = _parameters(parameters)
    if kind.strip().lower() not in JSON or said.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise Refused(415, f"Send {MEDIA_TYPE} in UTF-8: XML and other formats are not read")
    if not _same_release(said, release):
        raise Refused(415, f"This address is for FHIR {release.version}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "Send it as it is: compressed bodies are not read")
    return await request.body()


def _parameters(text: str) -> dict[str, str]:
    pairs = [one.partition("=") for one in text.split(";") if "=" in one]
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _same_release(said: dict[str, str], release: Release) -> bool:
    """``fhirVersion`` names a release by its first two numbers."""
    return said.get("fhirversion", release.version).split(".")[:2] == release.version.split(".")[:2]


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > LONGEST_KEY:
        raise Refused(400, f"An Idempotency-Key has at most {LONGEST_KEY} signs")
    return key


def _created(request: Request, done: Stored) -> Response:
    release = done.resource.release
    status = 201 if done.created else 200
    headers = {"Location": f"{_base(request)}/{done.place}/_history/{done.version}", **_headers(done)}
    wishes = [one.strip() for one in request.headers.get("prefer", "").replace(";", ",").split(",")]
    wish = next((one for one in PREFERENCES if f"return={one}" in wishes), "representation")
    if wish == "minimal":
        return Response(status_code=status, headers=headers)
    if wish == "OperationOutcome":
        said = fhir.Issue("informational", "Kept" if done.created else "It was here already", severity="information")
        return _answer(fhir.outcome([said]), release, status, headers)
    return _answer(_shown(done), release, status, headers)


def _shown(one: Stored) -> fhir.Tree:
    """The resource as it was sent, with the id and version we gave it."""
    tree = {name: item for name, item in one.resource.tree.items() if name not in ("resourceType", "id", "meta")}
    sent = one.resource.tree.get("meta")
    meta = {**(sent if isinstance(sent, dict) else {}), "versionId": str(one.version), "lastUpdated": moment(one)}
    return {"resourceType": one.resource.type, "id": one.id, "meta": meta, **tree}


def _headers(one: Stored) -> dict[str, str]:
    return {"ETag": f'W/"{one.version}"', "Last-Modified": http_moment(one)}


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/').removesuffix(BASE)}{BASE}/{request.path_params['release']}"


def _answer(tree: Any, release: Release, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    kind = f"{MEDIA_TYPE}; fhirVersion={release.version.rpartition('.')[0]}"
    return Response(fhir.write(tree), status, headers=headers, media_type=kind)
