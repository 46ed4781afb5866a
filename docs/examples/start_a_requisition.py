"""A department's own system starts a requisition in Fascia with nothing but the Temporal SDK and JSON.

    pip install temporalio
    TEMPORAL_ADDRESS=127.0.0.1:7233 python start_a_requisition.py requisition.json

The workflow id is the case's name: ``procure_to_pay/<facility>/<source system>/<requisition number>``, each part
percent-encoded. Sending the same requisition again is harmless: the second start ends at once and names the first.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from urllib.parse import quote

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy


async def main(path: str) -> None:
    """Start the case and say its name."""
    requisition = json.loads(Path(path).read_text(encoding="utf-8"))
    key = (requisition[part] for part in ("facility", "source", "number"))
    case = "/".join(["procure_to_pay", *(quote(part, safe="") for part in key)])
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"], namespace=os.environ.get("TEMPORAL_NAMESPACE", "fascia")
    )
    await client.start_workflow(
        "ProcureToPay",
        requisition,
        id=case,
        task_queue="fascia",
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"requisition {requisition['number']}",
    )
    print(case)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # the SDK's threads sometimes crash an interpreter that shuts down; all is done, so leave without that
