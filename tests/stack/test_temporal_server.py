"""The real server on our PostgreSQL: namespace, Web UI, doctor, restart, and skipping time only when asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from cli.checks import CHECKS
from stack import questions, temporal
from stack.doctor import examine
from stack.home import StackError
from stack.supervisor import Stack, running
from workers.namespace import NEEDS_ATTENTION, PROCESS, RETENTION, ensure_namespace

pytestmark = pytest.mark.server

SERVERS = ("database", "temporal", "temporal_ui")


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with running(tmp_path_factory.mktemp("servers"), SERVERS, prepare=bring_a_peer) as stack:
        yield stack


there_before_the_peer: set[str] = set()


async def bring_a_peer(stack: Stack) -> None:
    there_before_the_peer.update(stack.parts)
    await stack.create_database("peer")
    stack.publish(FASCIA_ERP_URL="http://peer.example")


async def test_a_peer_comes_up_beside_temporal_on_the_database_that_is_there(stack: Stack) -> None:
    assert there_before_the_peer == {"database"}
    assert set(stack.addresses) >= {"FASCIA_ERP_URL", "TEMPORAL_ADDRESS", "FASCIA_DATABASE_URL"}
    assert stack.home.read("addresses.json") == stack.addresses


async def _retention(client: Client) -> timedelta:
    found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return found.config.workflow_execution_retention_ttl.ToTimedelta()


async def test_kind_and_store_are_written_down_at_the_first_start(stack: Stack) -> None:
    written = stack.home.read(temporal.RECORD)
    assert written["kind"] == "built" and written["store"] == "postgresql, visibility sqlite"
    assert questions.is_new_enough(written["server"])


async def test_doctor_finds_the_servers_well_and_says_what_is_missing(stack: Stack) -> None:
    async with asyncio.timeout(240):  # each is asked for three seconds, in which a busy machine may not answer
        while True:
            found = {finding.part: finding for finding in await examine(stack.settings, CHECKS)}
            if {found[name].state for name in SERVERS} == {"ok"}:
                break
    assert "kept 30 days, 12 search attributes" in found["temporal"].text
    assert found["workers"].state == "fail" and "nobody works on fascia" in found["workers"].text
    assert "revocation" not in found["workers"].text and "verification" in found["workers"].text
    assert found["workers"].fix == "fascia up"
    assert found["revocations"].state == "fail" and found["revocations"].text == "nobody works on revocation"
    assert "python -m workers revocations" in found["revocations"].fix


async def test_a_namespace_just_made_takes_cases_by_every_attribute_though_the_server_reads_their_list_now_and_then(
    stack: Stack,
) -> None:
    assert "system.forceSearchAttributesCacheRefreshOnRead" not in stack.home.read("temporal/dynamic.yaml")
    assert (stack.home.path / "temporal" / "dynamic.yaml").stat().st_mode & 0o077 == 0
    options = stack.settings.temporal_connection() | {"namespace": "another"}
    client = await Client.connect(**options)
    await ensure_namespace(client)
    attributes = TypedSearchAttributes([SearchAttributePair(PROCESS, "x"), SearchAttributePair(NEEDS_ATTENTION, True)])
    handle = await client.start_workflow("Nobody", id="one", task_queue="nobody", search_attributes=attributes)
    async with asyncio.timeout(240):  # the server reads the list of attributes anew within its minute
        while (await client.count_workflows("FasciaProcess = 'x' AND FasciaNeedsAttention = true")).count != 1:
            await asyncio.sleep(0.1)
    await handle.terminate()


async def test_the_namespace_is_put_right_again_and_again(stack: Stack) -> None:
    client = await questions.connect(stack.settings)
    request = UpdateNamespaceRequest(namespace=client.namespace)
    request.config.workflow_execution_retention_ttl.FromTimedelta(timedelta(days=2))
    await client.workflow_service.update_namespace(request)
    for _ in range(2):
        await ensure_namespace(client)
    assert await _retention(client) == RETENTION


async def test_cases_can_be_searched_by_every_attribute_at_once(stack: Stack) -> None:
    client = await questions.connect(stack.settings)
    query = "FasciaState = 'sent' AND FasciaAmount > 10 AND FasciaDue > '2026-01-01T00:00:00Z'"
    assert (await client.count_workflows(query)).count == 0


async def test_a_restarted_server_knows_what_it_knew(stack: Stack) -> None:
    client = await questions.connect(stack.settings)
    await client.start_workflow("Nobody", id="kept/1", task_queue="nobody")
    await stack.restart("temporal")
    again = await questions.connect(stack.settings)
    assert (await again.get_workflow_handle("kept/1").describe()).workflow_type == "Nobody"
    await again.get_workflow_handle("kept/1").terminate()


async def test_a_server_that_was_not_asked_to_cannot_skip_time(stack: Stack) -> None:
    with pytest.raises(StackError, match="cannot skip time"):
        await questions.require_time_skipping(stack.settings)
