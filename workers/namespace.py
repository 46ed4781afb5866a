"""Our corner of Temporal: how long closed cases stay visible there, and what one can search them by.

Run once by ``python -m workers.namespace`` before workers start; running it again changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from canonical.errors import Rejected
from workers import settings

RETENTION: Final = timedelta(days=30)
PATIENCE: Final = 60.0

# What the platform's cases may be searched by. A SQL visibility store gives a namespace ten Keyword columns and three of
# each other type, for good: a new process uses these, it does not add its own.
PROCESS: Final = SearchAttributeKey.for_keyword("FasciaProcess")
FACILITY: Final = SearchAttributeKey.for_keyword("FasciaFacility")
STATE: Final = SearchAttributeKey.for_keyword("FasciaState")
OWNER: Final = SearchAttributeKey.for_keyword("FasciaOwner")
SUPPLIER: Final = SearchAttributeKey.for_keyword("FasciaSupplier")
ORDER: Final = SearchAttributeKey.for_keyword("FasciaOrder")
REQUISITION: Final = SearchAttributeKey.for_keyword("FasciaRequisition")
INVOICE: Final = SearchAttributeKey.for_keyword("FasciaInvoice")
WAITING_FOR: Final = SearchAttributeKey.for_keyword("FasciaWaitingFor")
DUE: Final = SearchAttributeKey.for_datetime("FasciaDue")
AMOUNT: Final = SearchAttributeKey.for_float("FasciaAmount")
NEEDS_ATTENTION: Final = SearchAttributeKey.for_bool("FasciaNeedsAttention")

TABLE: Final[Mapping[str, IndexedValueType.ValueType]] = {
    PROCESS.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    FACILITY.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    STATE.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    OWNER.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    SUPPLIER.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    ORDER.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    REQUISITION.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    INVOICE.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    WAITING_FOR.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    DUE.name: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
    AMOUNT.name: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
    NEEDS_ATTENTION.name: IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
}


async def ensure_namespace(client: Client) -> None:
    """Make the client's namespace ours: registered, with our retention and search attributes, and ready to be used.

    Raises:
        Rejected: it has an attribute of ours with another type.
        RPCError: Temporal refuses, or does not know them after a minute.
    """
    await _ensure_retention(client)
    await _ensure_search_attributes(client)
    await _until_usable(client)


async def _ensure_retention(client: Client) -> None:
    service = client.workflow_service
    try:
        found = await service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        request = RegisterNamespaceRequest(
            namespace=client.namespace, description="Cases of the platform, kept 30 days after they close"
        )
        request.workflow_execution_retention_period.FromTimedelta(RETENTION)
        await service.register_namespace(request)
        return
    if found.config.workflow_execution_retention_ttl.ToTimedelta() != RETENTION:
        config = NamespaceConfig()
        config.workflow_execution_retention_ttl.FromTimedelta(RETENTION)
        await service.update_namespace(UpdateNamespaceRequest(namespace=client.namespace, config=config))


async def _ensure_search_attributes(client: Client) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            request = ListSearchAttributesRequest(namespace=client.namespace)
            found = (await client.operator_service.list_search_attributes(request)).custom_attributes
            if wrong := sorted(name for name, kind in found.items() if TABLE.get(name, kind) != kind):
                why = f"search attributes of another type in namespace {client.namespace}: {wrong}"
                raise Rejected(why, code="configuration", system="temporal")
            if missing := {name: kind for name, kind in TABLE.items() if name not in found}:
                await client.operator_service.add_search_attributes(
                    AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
                )
        except RPCError:
            # A namespace just registered is not known everywhere in the server at once.
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        else:
            return


async def _until_usable(client: Client) -> None:
    query = " AND ".join(f"{name} IS NULL" for name in TABLE)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await client.count_workflows(query)
        except RPCError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        else:
            return


async def main() -> int:
    """The command: 0 when the namespace is ready, 7 when Temporal is away, 1 when it is not as we need it."""
    given = settings.load()
    if not given.temporal_address:
        return _refused("no Temporal address is set: run `fascia up` or set TEMPORAL_ADDRESS", 7)
    try:
        await ensure_namespace(await Client.connect(**given.temporal_connection()))
    except Rejected as wrong:
        return _refused(wrong.message, 1)
    except RPCError as error:
        return _refused(f"Temporal at {given.temporal_address} refuses: {error.message}", 7)
    except RuntimeError:  # the SDK's word for no connection
        return _refused(f"Temporal at {given.temporal_address} does not answer", 7)
    return 0


def _refused(why: str, code: int) -> int:
    sys.stderr.write(why + "\n")
    return code


if __name__ == "__main__":
    ended = asyncio.run(main())
    sys.stderr.flush()
    # The SDK's threads sometimes crash the interpreter while it shuts down; all is done, so leave without that.
    os._exit(ended)
