"""What an order's case was started with, read without ever failing: who reaches Temporal can start one with anything at all."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from canonical.errors import Malformed
    from canonical.steps import OrderStart

JSON = "json/plain"


@dataclass(frozen=True)
class OrderRead:
    """A start as it was read; or, where there is none, where it is wrong and why."""

    start: OrderStart | None = None
    reason: str = ""


def read_order(wire: RawValue) -> OrderRead:
    """Read a start as our own versions write it; whether it is true, our own store says afterwards.

    A typed argument that does not decode would fail the workflow task for ever, and so would an order that cannot be added up.
    """
    encoding = wire.payload.metadata.get("encoding", b"").decode("ascii", "replace")
    if encoding != JSON:
        return OrderRead(reason=f"encoding: the start is encoded as {encoding[:80]!r}, not as {JSON}")
    try:
        start = OrderStart.model_validate_json(wire.payload.data)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or "document"
        return OrderRead(reason=f"{path}: {first['msg']}")
    try:
        _ = start.order.amount
    except (Malformed, ValueError, ArithmeticError):
        return OrderRead(reason="order.lines: they cannot be added up")
    return OrderRead(start=start)
