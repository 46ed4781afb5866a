"""A worker with a bug, to be run in place of ours: its process stumbles over every receipt of goods."""

from __future__ import annotations

import sys

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from canonical.cases import CaseStatus
    from canonical.purchasing import Receipt
    from workflows.procure_to_pay import ProcureToPay
    from workflows.purchase_order import PurchaseOrderCase


@workflow.defn(name="PurchaseOrder")
class StumblesOverReceipts(PurchaseOrderCase):
    """An order's case as somebody might release it by mistake."""

    @workflow.init
    def __init__(self, wire: RawValue) -> None:
        super().__init__(wire)

    @workflow.run
    async def run(self, wire: RawValue) -> CaseStatus:
        return await super().run(wire)

    def _read_receipt(self, receipt: Receipt, message: str) -> None:
        raise KeyError(f"a bug, at receipt {receipt.number} of {message}")


def main() -> int:
    """Serve the task queues of the real worker with the broken process."""
    from workers import __main__ as programs
    from workers.wiring import Wiring

    def broken(self: Wiring) -> list[type]:
        return [ProcureToPay, StumblesOverReceipts]

    Wiring.workflows = broken  # type: ignore[method-assign]
    return programs.main(["worker"])


if __name__ == "__main__":
    sys.exit(main())
