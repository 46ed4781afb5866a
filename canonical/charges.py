"""What billing is told of a use: its charge, or the credit that takes the charge back."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal

from pydantic import Field

from canonical.base import Canonical, FacilityCode
from canonical.usage import UsageEvent

OWNER: Final = "billing"  # whose charges are that cannot be written
SYSTEM: Final = "urn:fascia:charge"  # whose numbers charge ids are, where an identifier names its system


class Charge(Canonical):
    """One charge or credit, with what it is written from; patients stay in the message ``message`` it came by.

    ``id`` is opaque and ours, billing's key of it (FT1-2); ``charge``: the id of the charge a credit takes back, its own id
    for a charge. ``quantity`` in base units of ``item``. ``at``: when it was recorded. ``taken_back``: its credit is due too.
    """

    id: str
    facility: FacilityCode
    kind: Literal["charge", "credit"]
    event: UsageEvent
    event_id: str
    message: str
    channel: str = ""
    charge: str
    charge_state: str = ""
    taken_back: str = ""
    item: str
    quantity: int = Field(ge=0)
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    location: str = ""
    cost_centre: str = ""
    procedure_code: str = ""
    at: datetime
    attempts: int = 0

    @property
    def key(self) -> str:
        """What makes its message the same message again."""
        return f"charge/{self.id}"
