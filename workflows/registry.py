"""Every process the platform runs: its workflow, what opens a case, and what it listens to. A new process is one row."""

from __future__ import annotations

from dataclasses import dataclass

from canonical.access import AccessCase, RevocationStart
from canonical.base import Canonical
from canonical.monitoring import MonitoringStart
from canonical.people import PersonCase
from canonical.purchasing import PurchaseOrder, Requisition
from canonical.recall import RecallStart
from canonical.usage import LocationCase
from workflows.clinician_access import ClinicianAccess
from workflows.clinician_monitoring import ClinicianMonitoring
from workflows.clinician_onboarding import ClinicianOnboarding
from workflows.clinician_revocation import ClinicianRevocation
from workflows.consumption_to_replenishment import ConsumptionToReplenishment
from workflows.procure_to_pay import ProcureToPay
from workflows.purchase_order import PurchaseOrderCase
from workflows.recall import RecallCase


@dataclass(frozen=True)
class Process:
    """One row: ``opened_by`` is the canonical model that opens a case, ``listens_to`` the signals and updates it takes."""

    name: str
    workflow: type
    opened_by: type[Canonical]
    listens_to: tuple[str, ...]
    started_by: str


PROCESSES = {
    process.name: process
    for process in (
        Process(
            "procure_to_pay",
            ProcureToPay,
            Requisition,
            ("decide", "order_ended", "look_again"),
            "door or Temporal client",
        ),
        Process(
            "purchase_order",
            PurchaseOrderCase,
            PurchaseOrder,
            ("decide", "document", "cancel_order", "look_again"),
            "procure_to_pay",
        ),
        Process(
            "consumption_to_replenishment",
            ConsumptionToReplenishment,
            LocationCase,
            ("wake", "look_again"),
            "usage wakes",
        ),
        Process("clinician_monitoring", ClinicianMonitoring, MonitoringStart, (), "schedule"),
        Process("clinician_access", ClinicianAccess, AccessCase, ("look_again",), "loop"),
        Process("clinician_revocation", ClinicianRevocation, RevocationStart, ("look_again",), "door, loop or client"),
        Process("recall", RecallCase, RecallStart, ("answer", "look_again"), "loop"),
        Process("clinician_onboarding", ClinicianOnboarding, PersonCase, ("say", "look_again"), "people's wakes"),
    )
}
