"""How far a requisition has come: what its case holds and a successor goes on from."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from canonical.cases import Answer, Attention, LineState
from canonical.purchasing import PurchaseOrder, Requisition


class Approval(BaseModel):
    """One level of approval, given."""

    model_config = ConfigDict(extra="ignore")

    role: str
    by: str
    verified: bool = True


class ApprovalAsked(BaseModel):
    """A level of approval that is waited for: since when, and what was told since (remind, substitute, escalate)."""

    model_config = ConfigDict(extra="ignore")

    role: str
    since: datetime
    told: list[str] = Field(default_factory=list)


class RequisitionProgress(BaseModel):
    """All of a requisition's case that matters when it goes on in another run.

    ``overrun_accepted``: the amount finance let through above the budget. ``after``: what became of the approval after an
    emergency order: "" (not given yet), rejected (a person must act), settled.
    """

    model_config = ConfigDict(extra="ignore")

    requisition: Requisition | None = None
    approvals: list[Approval] = Field(default_factory=list)
    asked: ApprovalAsked | None = None
    approved: bool = False
    overrun_accepted: Decimal | None = None
    refused: str = ""
    after: str = ""
    cancelling: str = ""
    orders: list[PurchaseOrder] = Field(default_factory=list)
    ended: dict[str, str] = Field(default_factory=dict)
    lines: list[LineState] = Field(default_factory=list)
    held_by: str = ""
    parked: list[Attention] = Field(default_factory=list)
    answers: dict[str, Answer] = Field(default_factory=dict)
