"""What the local stack starts, and in which order: the database, Temporal on it, our tables and namespace, our programs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Any, Final

from stack import postgres as pg
from stack import questions, temporal
from stack.held import News
from stack.part import Part, Ready, own_program
from stack.postgres import Postgres

if TYPE_CHECKING:
    from stack.supervisor import Stack

Prepare = Callable[["Stack"], Coroutine[Any, Any, None]]

MLLP: Final = "mllp"
OUR_PROGRAMS: Final = ("worker", "revocations", "loops", "api", MLLP)
SERVES: Final = {
    "worker": questions.TASK_QUEUE,
    "revocations": questions.REVOCATION_QUEUE,
}  # the queue that shows that it is there
PARTS: Final = (pg.NAME, temporal.NAME, temporal.WEB_UI, *OUR_PROGRAMS)
OWN_STOP: Final = 6.0  # what a worker may take to end its steps; a step cut short is repeated under its key


async def start_servers(stack: Stack, parts: Collection[str], prepare: Prepare | None = None) -> None:
    """The database first; then our tables, Temporal and whatever ``prepare`` brings, side by side: each waits much."""
    if pg.NAME in parts:
        await _start_database(stack)
    async with _together() as group:
        if stack.settings.database_url.get_secret_value():
            group.create_task(_migrate(stack))
        if temporal.NAME in parts:
            group.create_task(_start_temporal(stack, with_web_ui=temporal.WEB_UI in parts))
        if prepare is not None:
            group.create_task(prepare(stack))


async def start_ours(stack: Stack, parts: Collection[str]) -> None:
    """Our own programs, together: they lean on the servers only."""
    if "api" in parts:
        named = stack.named.api_port if "api_port" in stack.named.model_fields_set else None
        port = stack.home.port("api", named)
        stack.publish(FASCIA_API_PORT=str(port), FASCIA_API_URL=f"http://{stack.named.api_host}:{port}")
    if MLLP in parts:
        named = stack.named.mllp_port if "mllp_port" in stack.named.model_fields_set else None
        stack.publish(FASCIA_MLLP_PORT=str(stack.home.port(MLLP, named)))
    async with _together() as group:
        for name in OUR_PROGRAMS:
            if name in parts:
                group.create_task(_add_ours(stack, name))


async def _add_ours(stack: Stack, name: str) -> None:
    """One of our programs; of MLLP doors as many as were asked for, the first of which has the port before others share it."""
    await stack.add_part(own_part(stack, name))
    for number in range(2, stack.settings.mllp_doors + 1 if name == MLLP else 0):
        await stack.add_part(own_part(stack, name, number))


def program_of(part: str) -> str:
    """Which of our programs a part runs (``mllp`` and ``mllp-2`` the same), empty where it runs none."""
    name, _, number = part.partition("-")
    return name if name in OUR_PROGRAMS and (not number or number.isdecimal()) else ""


def own_part(stack: Stack, name: str, number: int = 1) -> Part:
    """One of our programs as a part: ``python -m workers <name>``; ``number`` 2 and on: one more of it (``mllp-2``)."""
    settings = stack.settings
    env = {"PYTHONUNBUFFERED": "1"}  # the last words of a program that dies must be in its log
    ready: Ready | None = None
    address = ""
    if name == "api":
        address = settings.api_url
        ready = questions.page_answers(f"{address}/healthz")
    elif name == MLLP:
        if settings.mllp_doors > 1:
            env["FASCIA_MLLP_SHARED_PORT"] = "true"
        address = f"mllp://{settings.mllp_host}:{settings.mllp_port}"
        ready = questions.port_listens(settings.mllp_host, settings.mllp_port)
    elif name in SERVES:
        ready = questions.WorkerPolls(settings, SERVES[name])
    return Part(
        name=name if number == 1 else f"{name}-{number}",
        argv=own_program("-m", "workers", name),
        env=env,
        ready=ready,
        address=address,
        stop_within=OWN_STOP,
    )


async def _start_database(stack: Stack) -> None:
    if stack.named.database_url.get_secret_value():
        stack.tell(News("note", pg.NAME, "database: the one named in FASCIA_DATABASE_URL"))
        return
    postgres = Postgres(stack.home, stack.home.port(pg.NAME, stack.named.database_port))
    if not postgres.is_made:
        stack.tell(News("progress", pg.NAME, "making the database cluster"))
        with postgres.making() as making:
            await stack.run(making)
    postgres.clear_pid_file()
    stack.postgres = postgres
    await stack.add_part(postgres.part())
    await postgres.create_database(pg.OWN_DATABASE)
    stack.publish(FASCIA_DATABASE_URL=postgres.url(pg.OWN_DATABASE, scheme="postgresql+asyncpg", password=False))


async def _migrate(stack: Stack) -> None:
    stack.tell(News("progress", pg.NAME, "bringing our tables up to date"))
    store = {"FASCIA_DATABASE_URL": stack.settings.database_url.get_secret_value()}  # the store reads no settings
    await stack.run(Part(name="migrate", argv=own_program("-m", "store.migrate", "upgrade"), env=store))


async def _start_temporal(stack: Stack, *, with_web_ui: bool) -> None:
    def told(text: str) -> None:
        stack.tell(News("progress", temporal.NAME, text))

    choice = await temporal.choose(stack.home, stack.named, stack.postgres, stack.run, told)
    local: temporal.LocalTemporal | None = None
    if choice.kind == "named":
        stack.tell(News("note", temporal.NAME, f"Temporal: the server at {stack.named.temporal_address}"))
    else:
        local = temporal.LocalTemporal(
            stack.home,
            choice,
            stack.named,
            stack.postgres,
            time_skipping=stack.time_skipping,
            switches=stack.switches,
        )
        await _start_local_temporal(stack, local, choice, with_web_ui=with_web_ui)
    version = await questions.temporal_version(stack.settings)
    temporal.check_version(version)
    temporal.record(stack.home, choice, version)
    told("namespace, retention and search attributes")
    await stack.run(Part(name="namespace", argv=own_program("-m", "workers.namespace")))
    if stack.time_skipping:
        await questions.require_time_skipping(stack.settings)


async def _start_local_temporal(
    stack: Stack, local: temporal.LocalTemporal, choice: temporal.Choice, *, with_web_ui: bool
) -> None:
    if stack.postgres is not None and choice.programs is not None:
        await stack.postgres.create_database(pg.TEMPORAL_DATABASE)
        for command in local.schema():
            stack.tell(News("progress", temporal.NAME, "Temporal's own tables"))
            await stack.run(command)
    stack.publish(TEMPORAL_ADDRESS=local.address, TEMPORAL_NAMESPACE=stack.named.temporal_namespace)
    server, *others = local.parts(stack.settings)
    await stack.add_part(server)
    if with_web_ui:
        stack.publish(FASCIA_TEMPORAL_UI_URL=local.web_ui_url)
        for part in others:
            await stack.add_part(part)


@contextlib.asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """Several starts at once; the first failure ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
