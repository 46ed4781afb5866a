"""A process among fakes, on a real Temporal server that can skip time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from temporalio.client import Client

from activities.cases import CaseActivities
from activities.counts import CountActivities
from activities.erp import ErpActivities
from activities.monitoring import MonitoringActivities
from activities.onboarding import OnboardingActivities
from activities.recalls import RecallActivities
from activities.register import RegisterActivities
from activities.stock import StockActivities
from activities.supplier import SupplierActivities
from activities.verification import VerificationActivities
from canonical.base import read_strictly
from canonical.cases import Trouble
from canonical.credentials import VerificationSource
from canonical.errors import Rejected
from canonical.events import EVENTS
from canonical.parties import Location
from canonical.people_ports import Verifier
from stack.supervisor import Stack, running
from store import migrate
from store.database import open_engine, transaction
from store.people_tables import people
from tests import build, proof
from tests.access_house import AccessHouse
from tests.fakes.erp import FakeErp
from tests.fakes.monitoring import FakeClinicianRegister
from tests.fakes.people import FakePeople
from tests.fakes.recalls import FakeRecalls
from tests.fakes.register import FakeRegister
from tests.fakes.rounds import FakeRounds
from tests.fakes.store import FakeCases
from tests.fakes.targets import FakeTargets
from tests.workflows.access_desk import Desk
from tests.workflows.case import Case
from tests.workflows.clinician_house import Clinician, Sources
from tests.workflows.monitoring_house import Monthly
from tests.workflows.outside import Outside
from tests.workflows.place import ITEM, Place
from tests.workflows.recall_house import Recall
from workers.failures import Failures
from workers.stock_wiring import local_steps
from workers.temporal import connect, serving, steps_of
from workflows.registry import PROCESSES

HERE = Path(__file__).parent
# How many runs the workers remember. With none, every step of a process is replayed; but the SDK then has room for one run at a
# time, and drops the task of a case that waits for a step on our own store when another case's task comes: it comes again
# after its time-out, and such steps are taken twice.
REMEMBERED, REPLAYED = 100, 0
WHOLE_SUITE = 100  # fewer were asked for by file or name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever drives a process is tested once more with every step replayed, by ``make prove``."""
    chosen = any("cached" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "cached" in metafunc.fixturenames and not chosen:
        replayed = pytest.param(REPLAYED, marks=pytest.mark.prove, id="replayed")
        metafunc.parametrize("cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM), replayed])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is replayed comes after all else of this folder, so that the workers begin again only once."""
    ours = [place for place, item in enumerate(items) if item.path.parent == HERE]
    for place, item in zip(ours, sorted((items[place] for place in ours), key=_is_replayed), strict=True):
        items[place] = item


class Replays:
    """Counts the tests that ran with every step replayed, and notes in the proof that all of them passed."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self.expected: set[str] = set()
        self.passed: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not session.config.option.keyword:  # a part of them proves nothing of the whole
            self.expected = {item.nodeid for item in session.items if item.path.parent == HERE and _is_replayed(item)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid in self.expected and (report.skipped or (report.when == "call" and report.passed)):
            self.passed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        if len(self.expected) >= WHOLE_SUITE and self.passed == self.expected:
            proof.note("the processes among fakes", f"{len(self.passed)} tests, every step replayed", "-", self.began)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Replays())


def _is_replayed(item: pytest.Item) -> bool:
    spec = getattr(item, "callspec", None)
    return spec is not None and spec.params.get("cached") == REPLAYED


@pytest.fixture(scope="package")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A Temporal server of the tests' own."""
    async with running(tmp_path_factory.mktemp("server"), ("database", "temporal"), time_skipping=True) as stack:
        yield stack


class OwnNumbers(FakeCases):
    """Our own store in memory, with order numbers that no other test on the same server has."""

    def next_number(self) -> str:
        return build.unique("PO")


class Stand:
    """Whatever stands behind the workers' steps now: each test puts its own fakes here, the workers stay."""

    def __init__(self) -> None:
        self.behind: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


class Workers:
    """The workers of all tests; begun again only when a test wants other settings."""

    def __init__(self, server: Stack, client: Client) -> None:
        self._server, self._client = server, client
        self.cases, self.register, self.outside = Stand(), Stand(), Stand()
        self.book, self.stock, self.no_erp = Stand(), Stand(), ""
        self.recalls = Stand()
        self.people, self.clinicians, self.verifiers = Stand(), Stand(), Stand()
        self.everybody, self.board = Stand(), Stand()
        self._serving: AsyncExitStack | None = None
        self._cached: int | None = None

    async def serve(self, cached: int) -> None:
        if self._cached == cached:
            return
        await self.stop()
        used = StockActivities(self.book, self.book, self.register, self._stock)
        boards = VerificationSource(code="IDFPR", kind="licence", adapter="licence_board")
        register = FakeClinicianRegister(boards)
        asking = VerificationActivities(self.people, self.clinicians, self._verifier)
        monthly = MonitoringActivities(self.everybody, register, lambda _: self.board, self.everybody)
        steps: dict[str, Sequence[Callable[..., Any]]] = {
            "fascia": steps_of(
                [
                    CaseActivities(self.cases, self.register),
                    RegisterActivities(self.register),
                    RecallActivities(self.recalls, self.cases),
                    OnboardingActivities(self.people, self.cases),
                ]
            )
            + local_steps(used)
            + [monthly.hold_batch, monthly.note_monitoring],
            "erp": [
                *steps_of([ErpActivities(lambda _: self.outside)]),
                used.post_round,
                CountActivities(self.book, self._stock).count_in_erp,
            ],
            "supplier": steps_of([SupplierActivities(lambda _: self.outside, self.register)]),
            "verification": [monthly.refresh_lists, monthly.ask_batch, asking.verify],
        }
        settings = self._server.settings.model_copy(update={"max_cached_workflows": cached})
        self._serving, self._cached = AsyncExitStack(), cached
        workflows = [process.workflow for process in PROCESSES.values()]
        interceptors = [Failures(self._trouble)]
        await self._serving.enter_async_context(
            serving(self._client, settings, workflows=workflows, steps=steps, interceptors=interceptors)
        )

    def _verifier(self, source: VerificationSource) -> Verifier:
        verifier: Verifier = self.verifiers.of(source)
        return verifier

    def _stock(self, facility: str) -> Any:
        if self.no_erp:
            raise Rejected(self.no_erp, code="configuration", system="erp")
        return self.stock

    async def _trouble(self, trouble: Trouble) -> None:
        await self.cases.trouble(trouble)

    async def stop(self) -> None:
        serving, self._serving, self._cached = self._serving, None, None
        if serving is not None:
            await serving.aclose()


@pytest.fixture(scope="package")
async def workers(server: Stack) -> AsyncIterator[Workers]:
    """Workers that serve every test of this folder."""
    workers = Workers(server, await connect(server.settings))
    yield workers
    await workers.stop()


@pytest.fixture
def policy() -> dict[str, Any]:
    """Fields of the facility's policy a test wants otherwise."""
    return {}


@pytest.fixture
async def case(server: Stack, workers: Workers, policy: dict[str, Any], cached: int) -> AsyncIterator[Case]:
    """A hospital of its own for each test; what a test leaves open is stopped, so that the next does not see it."""
    register = FakeRegister(*build.hospital(**policy))
    cases, outside = OwnNumbers(register=register, seal_key=build.SEAL_KEY), Outside()
    workers.cases.behind, workers.register.behind, workers.outside.behind = cases, register, outside
    await workers.serve(cached)
    case = Case(await connect(server.settings), cases, register, outside)
    yield case
    await case.stop()
    for event in cases.events.values():  # what is told is what is published, whatever a test was about
        read_strictly(EVENTS[event.type], json.dumps(event.data))


@pytest.fixture
async def place(server: Stack, workers: Workers, policy: dict[str, Any], cached: int) -> AsyncIterator[Place]:
    """A location of its own for each test, with plenty on its shelf in the ERP."""
    register = FakeRegister(*build.hospital(**policy))
    cases, outside = OwnNumbers(register=register, seal_key=build.SEAL_KEY), Outside()
    workers.cases.behind, workers.register.behind, workers.outside.behind = cases, register, outside
    workers.book.behind, workers.stock.behind, workers.no_erp = book, erp, _ = FakeRounds(), FakeErp(), ""
    await workers.serve(cached)
    say_no = partial(setattr, workers, "no_erp")
    place = Place(await connect(server.settings), server.settings, cases, register, book, erp, say_no)
    register.put(Location(code=place.location, facility=build.FACILITY, name="Theatre"))
    erp.put_in(place.location, ITEM, 1_000_000)
    yield place
    await place.stop()


@pytest.fixture
async def recall(server: Stack, workers: Workers, cached: int) -> AsyncIterator[Recall]:
    """A recall of its own for each test, and somebody of materials management who answers it."""
    register = FakeRegister(*build.hospital(), build.employee("E-MAT", "materials"))
    cases, recalls = FakeCases(register=register, seal_key=build.SEAL_KEY), FakeRecalls()
    workers.cases.behind, workers.register.behind, workers.recalls.behind = cases, register, recalls
    await workers.serve(cached)
    recall = Recall(await connect(server.settings), recalls, cases)
    yield recall
    await recall.stop()
    for event in cases.events.values():
        read_strictly(EVENTS[event.type], json.dumps(event.data))


@pytest.fixture
async def clinician(server: Stack, workers: Workers, cached: int) -> AsyncIterator[Clinician]:
    """A clinician of its own for each test, with the people who decide about them, and sources that say yes."""
    people = [build.employee(*one) for one in (("E-MSO", "medical_staff"), ("E-C1", "credentials_committee"))]
    people += [build.employee(*one) for one in (("E-C2", "credentials_committee"), ("E-HR", "hr"))]
    register = FakeRegister(*build.hospital(), *people)
    cases, sources = FakeCases(register=register, seal_key=build.SEAL_KEY), Sources()
    held = FakePeople()
    workers.cases.behind, workers.register.behind, workers.people.behind = cases, register, held
    workers.clinicians.behind = workers.verifiers.behind = sources
    await workers.serve(cached)
    clinician = Clinician(await connect(server.settings), held, cases, sources)
    yield clinician
    await clinician.stop()
    for event in cases.events.values():
        read_strictly(EVENTS[event.type], json.dumps(event.data))


@pytest.fixture
async def monthly(server: Stack, workers: Workers, cached: int) -> AsyncIterator[Monthly]:
    """A month's monitoring of its own for each test."""

    def use(everybody: Any, board: Any) -> None:
        workers.everybody.behind, workers.board.behind = everybody, board

    await workers.serve(cached)
    monthly = Monthly(await connect(server.settings), use)
    yield monthly
    await monthly.stop()


@pytest.fixture
async def desk(server: Stack, workers: Workers) -> AsyncIterator[Desk]:
    """One person's access, with our own store as it is and targets that remember; its workers are begun by the test."""
    await workers.stop()  # they serve the same queue without these steps
    engine = open_engine(server.database_url(), pool=20)
    await migrate.upgrade(engine)
    async with transaction(engine) as connection:
        for table in people.metadata.sorted_tables:
            await connection.execute(delete(table))
    cases = FakeCases(register=FakeRegister(), seal_key=build.SEAL_KEY)
    desk = Desk(await connect(server.settings), AccessHouse(engine), FakeTargets(), cases)
    yield desk
    await desk.stop()
    await engine.dispose()
    for event in cases.events.values():
        read_strictly(EVENTS[event.type], json.dumps(event.data))
