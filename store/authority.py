"""Who has the say about what: for each kind of record, whether the ERP or the hospital itself is the authority.

| kind | made by | the hospital's own fields in it |
| --- | --- | --- |
| facility, department, calendar, partner, policy, contract_price, sender, channel, mapping, file_source | hospital | all |
| stock_level, usage_policy | hospital | all |
| clinician_role, clinician_policy, verification_source, access_target | hospital | all |
| item | ERP | tracking, bulk, stocked_at_par, capital, devices, charge_code, procedure_code, chargeable |
| supplier | ERP | status_reason |
| cost_centre | ERP | budget, period_from, period_to |
| location | ERP | cost_centre, service_line, moved_to, active |
| employee | ERP or hospital | all but active |

A word from who is not the authority is refused with its field, unless it says the same. Where the ERP has a value of a field
that is the hospital's, it counts for a new record only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from canonical.access import AccessTarget
from canonical.base import Canonical
from canonical.calendar import BusinessCalendar
from canonical.credentials import ClinicianPolicy, ClinicianRole, VerificationSource
from canonical.folders import FileSource
from canonical.parties import CostCentre, Department, Employee, Facility, Location, Partner, Policy, Supplier
from canonical.senders import Channel, Mapping, Sender
from canonical.stock import StockLevel
from canonical.supply import ContractPrice, Item
from canonical.usage import UsagePolicy

ERP, HOSPITAL = "erp", "hospital"
SOURCES = (ERP, HOSPITAL)
OF_ALL = ""  # the facility of what belongs to all of them


@dataclass(frozen=True)
class Kind:
    """A kind of record: its form, its code, who makes it, and which fields are the hospital's own."""

    model: type[Canonical]
    code: Callable[[Any], str]
    makers: frozenset[str] = frozenset({HOSPITAL})
    hospital: frozenset[str] | None = None  # None: all of them
    of_all: bool = False
    dated: bool = False  # carries its own valid_from

    def owner(self, field: str) -> str:
        """Who has the say about a field."""
        return HOSPITAL if self.hospital is None or field in self.hospital else ERP


def _contract_code(price: ContractPrice) -> str:
    return f"{price.contract}/{price.supplier}/{price.item}/{price.unit}"


_FROM_ERP = frozenset({ERP})
_OF_PLACES = frozenset({"cost_centre", "service_line", "moved_to", "active"})
_OF_ITEMS = frozenset(
    {"tracking", "bulk", "stocked_at_par", "capital", "devices", "charge_code", "procedure_code", "chargeable"}
)
_PERSON = frozenset(Employee.model_fields) - {"active", "id", "facility"}

KINDS: dict[str, Kind] = {
    "calendar": Kind(BusinessCalendar, lambda calendar: calendar.code, of_all=True),
    "facility": Kind(Facility, lambda facility: facility.code),
    "location": Kind(Location, lambda location: location.code, _FROM_ERP, _OF_PLACES),
    "cost_centre": Kind(
        CostCentre, lambda centre: centre.code, _FROM_ERP, frozenset({"budget", "period_from", "period_to"})
    ),
    "department": Kind(Department, lambda department: department.code),
    "supplier": Kind(Supplier, lambda supplier: supplier.code, _FROM_ERP, frozenset({"status_reason"}), of_all=True),
    "item": Kind(Item, lambda item: item.code, _FROM_ERP, _OF_ITEMS),
    "contract_price": Kind(ContractPrice, _contract_code, dated=True),
    "employee": Kind(Employee, lambda person: person.id, frozenset(SOURCES), _PERSON),
    "partner": Kind(Partner, lambda partner: partner.supplier or partner.code, of_all=True),
    "policy": Kind(Policy, lambda policy: policy.facility, dated=True),
    "sender": Kind(Sender, lambda sender: sender.code, of_all=True),
    "channel": Kind(Channel, lambda channel: channel.code, of_all=True),
    "mapping": Kind(Mapping, lambda mapping: mapping.code, of_all=True, dated=True),
    "file_source": Kind(FileSource, lambda source: source.code, of_all=True),
    "stock_level": Kind(StockLevel, lambda level: level.code),
    "usage_policy": Kind(UsagePolicy, lambda policy: policy.facility, dated=True),
    "clinician_role": Kind(ClinicianRole, lambda role: role.code, of_all=True),
    "clinician_policy": Kind(ClinicianPolicy, lambda policy: policy.facility, dated=True),
    "verification_source": Kind(VerificationSource, lambda source: source.code, of_all=True),
    "access_target": Kind(AccessTarget, lambda target: target.code, of_all=True),
}
"""Every kind, in the order a folder of files is loaded: what others name comes first."""
