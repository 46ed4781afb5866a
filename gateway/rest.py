"""The REST door: who may call, how often, how much; every request in one trace, every failure in one form.

What a path does stands in a ``rest_...`` file of its own; ``rest_docs`` tells people of it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from pydantic.json_schema import models_json_schema
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from canonical.access import Block, BlockWord
from canonical.cases import Actor
from canonical.errors import FasciaError
from canonical.hr_ports import HrStandings
from canonical.ports import Cases, Engine
from canonical.purchasing import Requisition
from gateway import fhir_faults, problems, scim_faults
from gateway.csv_files import CsvFiles
from gateway.fhir_door import FhirDoor
from gateway.intake import Intake
from gateway.lookups import Caller, Keys, Lookups, Quotas, UnmatchedList
from gateway.problems import Problem, Wrong, json_path, pointer
from gateway.scan_door import ScanDoor
from gateway.signatures import Signers

MOST_BYTES = 1_000_000  # of a request; Temporal takes at most 2 MiB as one payload
MOST_BYTES_OF_A_FILE = 16 * 1024 * 1024  # which no case is given as it is
OF_A_TRACE = frozenset({b"traceparent", b"tracestate", b"baggage"})
QUIET = ("/healthz", "/readyz")  # asked every few seconds
Check = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


class Revoking(Protocol):
    """Where a call to revoke goes: the block is committed when ``block`` returns; ``begin`` lets its case take everything away;
    ``gone_to``: the keys whose events this one's are by now."""

    async def block(self, word: BlockWord, actor: Actor, facility: str) -> Block: ...

    async def begin(self, person: str, call: str) -> None: ...

    async def gone_to(self, person: str) -> Sequence[str]: ...


@dataclass(frozen=True)
class Doors:
    """What the REST door is given: everything behind it, chosen elsewhere."""

    intake: Intake
    cases: Cases
    engine: Engine
    keys: Keys
    quotas: Quotas
    lookups: Lookups
    unmatched: UnmatchedList
    seal_key: bytes
    files: CsvFiles | None = None
    hooks: Signers | None = None
    ready: Mapping[str, Check] = field(default_factory=dict)
    version: str = "0.1.0"
    fhir: FhirDoor | None = None  # None: resources are not taken here
    scans: ScanDoor | None = None
    revoking: Revoking | None = None
    heard: HrStandings | None = None


bearer = HTTPBearer(auto_error=False, description="A key made by `fascia key add`")


async def doors(request: Request) -> Doors:  # async: what is not is asked in a thread of its own, at each request
    """What stands behind this door."""
    found: Doors = request.app.state.doors
    return found


async def caller(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Caller:
    """Who calls, within the quota of the key."""
    return await known(request.app.state.doors, given.credentials if given else None)


async def known(behind: Doors, secret: str | None) -> Caller:
    """Whose secret this is, within the quota of the key.

    Raises:
        Problem: nobody's (401), or too many calls (429).
    """
    who = await behind.keys.caller(secret) if secret is not None else None
    if who is None:
        detail = (
            "send the key you were given as `Authorization: Bearer <key>`"
            if secret is None
            else "this key is not valid"
        )
        raise Problem(401, "auth", detail, headers={"WWW-Authenticate": "Bearer"})
    await within_quota(behind, who)
    return who


async def within_quota(behind: Doors, who: Caller) -> None:
    """Count a call of a key; one too many is told when the next will do."""
    if who.per_minute and (wait := await behind.quotas.count(who.key, who.per_minute)):
        detail = f"this key may call {who.per_minute} times a minute"
        raise Problem(429, "rate-limited", detail, headers={"Retry-After": str(max(1, round(wait)))})


Who = Annotated[Caller, Depends(caller)]
Behind = Annotated[Doors, Depends(doors)]


async def known_parameters(request: Request, _: Who) -> None:
    """What a caller with a key asks for must be known; see :func:`refuse_unknown`."""
    refuse_unknown(request)


def refuse_unknown(request: Request) -> None:
    """A parameter nobody reads is a filter its sender believes in: it is refused, as an unknown field of a body is.

    Raises:
        Problem: there is one, with its name.
    """
    route = request.scope["route"]
    known = {parameter.alias for parameter in route.dependant.query_params}
    if unknown := sorted(set(request.query_params) - known):
        errors = [
            Wrong(detail="no such parameter", path=json_path(f"query.{name}"), pointer=pointer(f"query.{name}"))
            for name in unknown
        ]
        said = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise Problem(422, "data-invalid", f"no such parameter; {said}", errors=[one.model_dump() for one in errors])


def may(who: Caller, scope: str) -> None:
    """A key made for some things only does only those."""
    if not who.may(scope):
        raise Problem(403, "not-allowed", f"this key is not made for {scope}")


def make_app(behind: Doors) -> FastAPI:
    """The REST door on what stands behind it."""
    from gateway import (
        rest_decisions,
        rest_docs,
        rest_files,
        rest_hooks,
        rest_lookups,
        rest_people,
        rest_requisitions,
        rest_revocations,
        rest_scans,
        rest_scim,
    )

    app = FastAPI(
        title="Fascia",
        version=behind.version,
        summary="Requisitions in, answers out: the REST door of the hospital's integration platform.",
        description=(
            "Every write takes an `Idempotency-Key`: the same key with the same body gives the same answer. "
            "Failures are `application/problem+json`. A key belongs to one facility."
        ),
        docs_url=None,  # theirs loads scripts from elsewhere; ours is `rest_docs`
        redoc_url=None,
        # Our own span around each request is enough; FastAPI's would put what a caller sent wrong into its records.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        responses={"default": {"model": problems.ProblemDetails, "description": "A problem (RFC 9457)"}},
    )
    app.state.doors = behind
    app.state.forms = {scim_faults.BASE: scim_faults.answer}
    problems.install(app)
    for part in (
        rest_requisitions,
        rest_files,
        rest_scans,
        rest_people,
        rest_scim,
        rest_revocations,
        rest_lookups,
        rest_decisions,
    ):
        app.include_router(part.router, dependencies=[Depends(known_parameters)])
    app.include_router(rest_people.hooks)
    app.include_router(rest_hooks.router)  # its callers have a signature and no key: it looks at parameters after that
    _add_health(app, behind)
    _add_schemas(app)
    rest_docs.add_docs(app)
    if behind.fhir is not None:
        from gateway import fhir

        resources = fhir.make_app(behind, behind.fhir)
        app.router.routes.append(Route(fhir.BASE, resources))  # or this address would be answered by a redirect
        app.mount(fhir.BASE, resources)
    app.router.routes.insert(0, rest_requisitions.Usual())
    app.add_middleware(_Bounded)
    app.add_middleware(_Traced)  # added last, so it is around everything
    return app


def _add_health(app: FastAPI, behind: Doors) -> None:
    @app.get("/healthz", operation_id="healthz", tags=["operations"], summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", operation_id="readyz", tags=["operations"], summary="Can it work? Each part with ok or why not")
    async def readyz() -> JSONResponse:
        parts: dict[str, str] = {}
        for name, check in behind.ready.items():
            try:
                await check()
                parts[name] = "ok"
            except FasciaError as failed:
                parts[name] = failed.message
        # A door without Temporal still keeps what comes in; without our own store it cannot.
        able = all(state == "ok" for name, state in parts.items() if name != "temporal")
        return JSONResponse({"status": "ready" if able else "not ready", "parts": parts}, 200 if able else 503)


def _add_schemas(app: FastAPI) -> None:
    """Describe the bodies we read ourselves (as bytes, strictly) next to those FastAPI knows."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            from gateway.feeds.rest_counts import CountIn
            from gateway.feeds.rest_people import HrEventIn, HrEventsIn
            from gateway.feeds.rest_scim import ScimUser
            from gateway.feeds.rest_usage import UsageIn
            from gateway.rest_decisions import AsideIn, AttachIn, DecisionIn
            from gateway.rest_revocations import RevocationIn
            from gateway.rest_scans import CheckIn

            schema = plain()
            read = (
                Requisition,
                DecisionIn,
                AttachIn,
                AsideIn,
                UsageIn,
                CountIn,
                CheckIn,
                HrEventIn,
                HrEventsIn,
                ScimUser,
                RevocationIn,
            )
            models: list[Any] = [(model, "validation") for model in read]
            _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
            schema.setdefault("components", {}).setdefault("schemas", {}).update(
                {
                    name: model
                    for name, model in definitions["$defs"].items()
                    if name not in schema["components"]["schemas"]
                }
            )
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


async def body_of(request: Request) -> bytes:
    """The body, as the bytes that came."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "parse", "send application/json")
    return await request.body()


class _Traced:
    """Each request in a span that continues the caller's ``traceparent``; the trace's id goes back in a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in OF_A_TRACE}
        started = time.perf_counter()
        status = 0
        # Nothing of the task it runs in: on a kept connection that is the request before.
        with trace.get_tracer("fascia").start_as_current_span(
            f"{scope['method']} {_template(scope['path'])}",
            context=propagate.extract(carrier, Context()) if carrier else Context(),
            kind=trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ):

            async def answered(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    message["headers"] = [*message.get("headers", []), (b"x-trace-id", problems.trace_id().encode())]
                await send(message)

            try:
                await self._app(scope, receive, answered)
            except Exception as bug:
                log.exception("request broke", method=scope["method"], path=_template(scope["path"]))
                if status:  # the answer had begun
                    raise
                broken = _said(scope, problems.problem_of(FasciaError(type(bug).__name__)))
                await broken(scope, receive, answered)
            finally:
                spent = round((time.perf_counter() - started) * 1000)
                write = log.debug if scope["path"] in QUIET else log.info
                write("request", method=scope["method"], path=_template(scope["path"]), status=status, ms=spent)


def _said(scope: Scope, problem: Problem) -> Response:
    """A problem in the words of the door that was knocked at."""
    if scope["path"].startswith(scim_faults.BASE):
        return scim_faults.answer(problem)
    return fhir_faults.answer(problem) if f"{scope['path']}/".startswith("/fhir/") else problems.answer(problem)


def _template(path: str) -> str:
    """A path without what a caller named in it, for logs and spans."""
    return "/".join(path.split("/")[:3])


class _Bounded:
    """No request is larger than we can hand to Temporal; one that lies about its length is cut off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        most = MOST_BYTES_OF_A_FILE if scope["path"].startswith("/v1/files/") else MOST_BYTES
        too_large = Problem(413, "too-large", f"a request is at most {most} bytes")
        if not declared.isdigit() or int(declared) > most:
            await _said(scope, too_large)(scope, receive, send)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise too_large
            return message

        await self._app(scope, bounded, send)
