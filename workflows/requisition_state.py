"""How far a requisition has come: what its case holds and a successor goes on from."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from canonical.cases import Answer, LineState
from canonical.purchasing import PurchaseOrder, Requisition


class Approval(BaseModel):
    """One level of approval, given."""

    model_config = ConfigDict(extra="ignore")

    role: str
    by: str
    verified: bool = True


class RequisitionProgress(BaseModel):
    """All of a requisition's case that matters when it goes on in another run.

    ``overrun_accepted``: the amount finance let through above the budget. ``after``: what became of the approval after an
    emergency order: "" (not given yet), rejected (a person must act), settled.
    """

    model_config = ConfigDict(extra="ignore")

    requisition: Requisition | None = None
    approvals: list[Approval] = Field(default_factory=list)
    approved: bool = False
    overrun_accepted: Decimal | None = None
    refused: str = ""
    after: str = ""
    cancelling: str = ""
    orders: list[PurchaseOrder] = Field(default_factory=list)
    ended: dict[str, str] = Field(default_factory=dict)
    lines: list[LineState] = Field(default_factory=list)
    held_by: str = ""
    answers: dict[str, Answer] = Field(default_factory=dict)
