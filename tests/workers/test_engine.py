"""The engine as the doors see it, on a real Temporal server: started once, told and asked safely, in one trace to the ERP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Worker

from canonical.cases import Answer, Decision
from canonical.errors import Rejected, Unavailable
from canonical.purchasing import Receipt, ReceivedLine
from canonical.seals import document_seal_is_valid
from canonical.steps import SupplierDocument
from stack.supervisor import Stack
from store.cases import StoredCases
from store.database import open_engine
from store.marks import StoredMarks
from tests import build
from tests.store.build import change
from workers import namespace, telemetry, temporal
from workers.loops.engine_runs import TemporalRuns
from workers.loops.engine_sweep import BATCH, EngineSweep
from workers.loops.pace import turns
from workers.settings import Settings
from workers.temporal import TemporalEngine, connect, serving

pytestmark = pytest.mark.server
DATA = b'{"number": "R-1",   "spaces": "kept"}'
SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
RECEIPT = Receipt(
    facility="NGH",
    order="PO-1",
    key="R-1",
    received_at=datetime(2026, 11, 2, 12, 30, 1, 250, tzinfo=UTC),
    lines=(ReceivedLine(item="ITM-1", quantity=build.each("2.50")),),
)
seen: list[httpx.Headers] = []


@activity.defn
async def call_erp(what: str) -> str:
    """A call to an ERP, as our adapters make it."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, text=what)

    hooks = {"request": [telemetry.passes_trace_on()]}
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), event_hooks=hooks) as client:
        return (await client.get("http://erp.example/")).text


@workflow.defn(name="ProcureToPay", sandboxed=False)
class Waits:
    """A case that calls the ERP, takes documents and decisions, and ends when it is told to."""

    def __init__(self) -> None:
        self.documents: list[str] = []
        self.ended = False

    @workflow.run
    async def run(self, wire: RawValue) -> str:
        if wire.payload.data == b'"broken"':
            raise RuntimeError("a mistake in the process")
        await workflow.execute_activity(
            call_erp, "ping", task_queue=temporal.ERP, start_to_close_timeout=timedelta(seconds=5)
        )
        await workflow.wait_condition(lambda: self.ended)
        return wire.payload.data.decode()

    @workflow.signal
    def document(self, document: SupplierDocument) -> None:
        self.documents.append(document.key)

    @workflow.query
    def keys(self) -> list[str]:
        return self.documents

    @workflow.update
    def decide(self, decision: Decision) -> Answer:
        if decision.verb == "cancel":
            self.ended = True
        return Answer(taken=True, message=decision.verb)

    @decide.validator
    def _open(self, decision: Decision) -> None:
        if decision.revision == 1:
            raise ApplicationError("the case has changed since revision 1", type="Changed")


@pytest.fixture(scope="module")
async def client(stack: Stack) -> Client:
    return await connect(stack.settings, interceptors=[telemetry.through_temporal()])


@pytest.fixture(scope="module")
async def engine(stack: Stack, client: Client) -> AsyncIterator[TemporalEngine]:
    """The engine, with a worker that serves."""
    async with serving(client, stack.settings, workflows=[Waits], steps={temporal.ERP: [call_erp]}):
        yield TemporalEngine(client, stack.settings, build.SEAL_KEY)


def case() -> str:
    return build.requisition().case_id


async def test_a_requisition_started_twice_runs_once_with_its_bytes_as_they_came(
    engine: TemporalEngine, client: Client
) -> None:
    name = case()
    first, second = await engine.start_requisition(name, DATA), await engine.start_requisition(name, DATA)
    assert first != "" == second
    await engine.decide(name, Decision(verb="cancel", id="d"))
    assert await client.get_workflow_handle(name).result() == DATA.decode()
    history = await client.get_workflow_handle(name).fetch_history()
    signals = [e.workflow_execution_signaled_event_attributes.signal_name for e in history.events]
    assert "look_again" in signals, "a run that is there is told to look again"


async def test_a_case_is_found_by_facility_and_process_and_says_what_it_is(
    engine: TemporalEngine, client: Client
) -> None:
    name = case()
    await engine.start_requisition(name, DATA, trace="abc")
    found = await client.get_workflow_handle(name).describe()
    shown = {pair.key.name: pair.value for pair in found.typed_search_attributes}
    assert (shown["FasciaProcess"], shown["FasciaFacility"]) == ("procure_to_pay", "NGH")
    assert "from surgery-app at NGH" in (await found.static_summary() or "")
    assert await found.memo_value("trace") == "abc"


async def test_a_document_reaches_an_open_case_and_no_closed_or_unknown_one(
    engine: TemporalEngine, client: Client
) -> None:
    name = case()
    await engine.start_requisition(name, DATA)
    assert await engine.deliver(name, SupplierDocument(key="k"))
    assert await client.get_workflow_handle(name).query("keys") == ["k"]
    await engine.decide(name, Decision(verb="cancel", id="d"))
    await client.get_workflow_handle(name).result()
    assert not await engine.deliver(name, SupplierDocument(key="k2"))
    assert not await engine.deliver("purchase_order/NGH/never", SupplierDocument(key="k"))


async def test_a_document_is_given_to_a_case_under_our_seal_for_that_case(
    engine: TemporalEngine, client: Client
) -> None:
    name = case()
    await engine.start_requisition(name, DATA)
    assert await engine.deliver(name, SupplierDocument(key="k", receipt=RECEIPT, seal="somebody else's"))
    assert await client.get_workflow_handle(name).query("keys") == ["k"]  # a signal is in the history once it is heard
    events = (await client.get_workflow_handle(name).fetch_history()).events
    (sent,) = [e.workflow_execution_signaled_event_attributes for e in events if e.event_type == SIGNALED]
    data = sent.input.payloads[0].data
    assert document_seal_is_valid(data, name, build.SEAL_KEY)
    assert not document_seal_is_valid(data, case(), build.SEAL_KEY)
    assert not document_seal_is_valid(data.replace(b"ITM-1", b"ITM-2"), name, build.SEAL_KEY)


async def test_without_a_key_a_document_waits(stack: Stack, client: Client) -> None:
    with pytest.raises(Unavailable, match="no key to seal"):
        await TemporalEngine(client, stack.settings, b"").deliver(case(), SupplierDocument(key="k"))


@pytest.mark.parametrize("lines", [25_000, 60_000])  # more than a payload may be; more than a call may be
async def test_a_document_too_large_for_temporal_is_refused_and_not_tried_for_ever(
    engine: TemporalEngine, lines: int
) -> None:
    name = case()
    await engine.start_requisition(name, DATA)
    large = RECEIPT.model_copy(update={"lines": RECEIPT.lines * lines})
    with pytest.raises(Rejected) as refused:
        await engine.deliver(name, SupplierDocument(key="k", receipt=large))
    assert refused.value.code == "data-invalid"
    assert await engine.deliver(name, SupplierDocument(key="k", receipt=RECEIPT))


async def test_a_case_says_at_once_why_it_refuses_a_decision(engine: TemporalEngine) -> None:
    name = case()
    await engine.start_requisition(name, DATA)
    assert (await engine.decide(name, Decision(verb="approve", id="a"))).taken
    with pytest.raises(Rejected, match="has changed since revision 1") as refused:
        await engine.decide(name, Decision(verb="approve", id="b", revision=1))
    assert refused.value.code == "changed"
    with pytest.raises(Rejected) as unknown:
        await engine.decide("purchase_order/NGH/never", Decision(verb="approve", id="c"))
    assert unknown.value.code == "not-open"


async def test_one_trace_leads_from_the_door_to_the_call_of_the_erp(engine: TemporalEngine) -> None:
    seen.clear()
    with telemetry.span("door", {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) as trace:
        await engine.start_requisition(case(), DATA)
    async with asyncio.timeout(120):
        # other tests' cases may call late
        while trace not in {headers["traceparent"].split("-")[1] for headers in seen}:
            await asyncio.sleep(0.05)
    assert trace == "0af7651916cd43dd8448eb211c80319c"


async def test_a_case_whose_process_fails_is_found_within_a_minute_and_a_killed_one_is_told_apart(
    engine: TemporalEngine, client: Client
) -> None:
    broken, killed = case(), case()
    await engine.start_requisition(broken, b'"broken"')
    await engine.start_requisition(killed, DATA)
    await client.get_workflow_handle(killed).terminate("by a test")
    runs = TemporalRuns(client)
    async with asyncio.timeout(120):  # the sweep looks every 20 seconds
        while broken not in (await runs.failing(b"", 100)).cases:
            await asyncio.sleep(0.5)
    asked = [broken, killed, "purchase_order/NGH/it's \\ odd"]
    async with asyncio.timeout(120):  # Temporal's list hears late of what ended
        while await runs.look(asked) != {broken: True}:
            await asyncio.sleep(0.5)
    assert await runs.status(killed) == "terminated"
    assert await runs.status(broken) == "running"
    assert await runs.status("purchase_order/NGH/never") == "missing"
    await client.get_workflow_handle(broken).terminate("by a test")


async def test_ended_runs_are_told_page_by_page_within_their_time_alone(engine: TemporalEngine, client: Client) -> None:
    begin = datetime.now(UTC)
    ended = {case() for _ in range(3)}
    for name in ended:
        await engine.start_requisition(name, DATA)
        await client.get_workflow_handle(name).terminate("by a test")
    runs = TemporalRuns(client)

    async def told(since: datetime, until: datetime) -> list[list[str]]:
        pages, after = [], b""
        while True:
            page = await runs.ended_otherwise(since, until, after, 2)
            pages.append(list(page.cases))
            if not (after := page.next):
                return pages

    async with asyncio.timeout(120):
        while ended - set(itertools.chain(*(pages := await told(begin, datetime.now(UTC))))):
            await asyncio.sleep(0.2)
    assert all(len(page) <= 2 for page in pages) and len(pages) > 1
    assert not ended & set(itertools.chain(*await told(begin - timedelta(hours=1), begin)))


async def test_among_hundreds_of_running_cases_the_stopped_the_deleted_and_the_failing_are_shown_within_a_minute(
    stack: Stack, engine: TemporalEngine, client: Client
) -> None:
    database = open_engine(stack.settings.database_url.get_secret_value())
    cases, marks = StoredCases(database, build.SEAL_KEY), StoredMarks(database)
    names = [case() for _ in range(BATCH + 50)]
    healthy, terminated, deleted, broken = names[:-3], *names[-3:]

    async def runs(name: str) -> None:
        handle = await client.start_workflow(
            "ProcureToPay", "broken" if name == broken else "x", id=name, task_queue=temporal.PROCESSES
        )
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        await cases.record(change(name, run=handle.result_run_id or "", changed_at=long_ago))

    for at in range(0, len(names), 10):
        await asyncio.gather(*map(runs, names[at : at + 10]))
    await client.get_workflow_handle(terminated).terminate("by a test")
    gone = WorkflowExecution(workflow_id=deleted)
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=gone)
    )
    strange = case()
    await client.start_workflow("NoSuch", "x", id=strange, task_queue=temporal.PROCESSES)
    sweep = EngineSweep(cases, TemporalRuns(client), marks, look_for=timedelta(seconds=3))
    expected = {terminated: "stopped outside", deleted: "stopped outside", broken: "engine fault"}

    async def shown() -> dict[str, str]:
        return {one.case: one.stopped for one in await cases.stopped_page("", 100) if one.case in names}

    async def strangers() -> list[str]:
        return [one.case for one in await cases.unmatched(limit=1000) if one.kind == "run"]

    async with asyncio.timeout(300):
        while await shown() != expected or strange not in await strangers():
            await sweep.once()
            await asyncio.sleep(1)
    await client.start_workflow("ProcureToPay", "x", id=terminated, task_queue=temporal.PROCESSES)
    async with asyncio.timeout(300):
        while terminated in await shown():
            await sweep.once()
            await asyncio.sleep(1)
    ended = [*healthy, terminated, broken, strange]
    for at in range(0, len(ended), 10):
        stops = (client.get_workflow_handle(name).terminate("by a test") for name in ended[at : at + 10])
        await asyncio.gather(*stops)
    await database.dispose()


async def test_a_decision_that_no_worker_answers_may_still_be_taken_and_a_repeat_says_so(
    stack: Stack, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporal, "DECISION_WAIT", 1.0)
    other = await Client.connect(stack.settings.temporal_address, namespace=stack.settings.temporal_namespace)
    handle = await other.start_workflow("ProcureToPay", "x", id=case(), task_queue="nobody-serves-this")
    engine = TemporalEngine(client, stack.settings, build.SEAL_KEY)
    approval = Decision(verb="approve", id="a")
    with pytest.raises(Unavailable, match="no answer yet: the case may still take this decision; it is safe to repeat"):
        await engine.decide(handle.id, approval)
    async with Worker(client, task_queue="nobody-serves-this", workflows=[Waits]):
        monkeypatch.setattr(temporal, "DECISION_WAIT", 120.0)
        assert (await engine.decide(handle.id, approval)).message == "approve"
    events = [event.event_type async for event in handle.fetch_history_events()]
    assert events.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED) == 1, "though it was sent twice"
    await handle.terminate("by a test")


@pytest.mark.parametrize(
    ("address", "said"),
    [("", "no Temporal address is set: run `fascia up`"), ("127.0.0.1:9", "Temporal at 127.0.0.1:9 does not answer")],
)
async def test_the_namespace_command_without_temporal_ends_with_a_plain_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str, said: str
) -> None:
    monkeypatch.setenv("FASCIA_HOME", str(tmp_path))
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    assert await namespace.main() == 7
    assert said in capsys.readouterr().err


async def test_a_namespace_with_an_attribute_of_another_type_is_refused(stack: Stack) -> None:
    options = stack.settings.temporal_connection() | {"namespace": "odd"}
    client = await Client.connect(**options)
    await namespace._ensure_retention(client)
    request = AddSearchAttributesRequest(
        namespace="odd", search_attributes={"FasciaDue": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD}
    )
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(RPCError):  # not known everywhere in the server at once
                await client.operator_service.add_search_attributes(request)
                break
            await asyncio.sleep(0.2)
        with pytest.raises(Rejected, match=r"another type in namespace odd: \['FasciaDue'\]"):
            await namespace.ensure_namespace(client)


async def test_while_temporal_is_away_the_engine_says_so_in_our_words(stack: Stack) -> None:
    nowhere = Settings.model_validate(stack.settings.model_dump() | {"temporal_address": "127.0.0.1:9"})
    client = await connect(nowhere, lazy=True)
    engine = TemporalEngine(client, nowhere, build.SEAL_KEY)
    with pytest.raises(Unavailable):
        await engine.start_requisition(case(), DATA)
    with pytest.raises(Unavailable):
        await engine.deliver(case(), SupplierDocument(key="k"))
    with pytest.raises(Unavailable, match="safe to repeat"):
        await engine.decide(case(), Decision(verb="approve", id="a"))
    assert not await temporal.answers(client)
    with pytest.raises(Unavailable, match="does not answer"):
        await connect(nowhere)
    with pytest.raises(Unavailable, match="TEMPORAL_ADDRESS"):
        await connect(Settings.model_validate(stack.settings.model_dump() | {"temporal_address": ""}))


async def test_of_two_processes_that_run_one_loop_one_works_and_the_next_round_is_anybodys(stack: Stack) -> None:
    engines = [open_engine(stack.settings.database_url.get_secret_value(), pool=1) for _ in range(2)]
    first, second = (turns(engine) for engine in engines)
    async with first("sweep") as mine, second("sweep") as also_mine, second("other") as another:
        assert (mine, also_mine, another) == (True, False, True)
    async with second("sweep") as now_mine:
        assert now_mine
    for engine in engines:
        await engine.dispose()
