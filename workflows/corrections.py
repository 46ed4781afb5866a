"""A buyer's correction of a requisition: what changes is replaced, what stays stays, and it is checked again."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from canonical.cases import Correction, LineCorrection
    from canonical.purchasing import Requisition, RequisitionLine


def corrected(requisition: Requisition | None, correction: Correction | None, case: str) -> Requisition:
    """The requisition with the correction applied.

    Raises:
        ApplicationError: (Malformed) nothing to correct, an unknown line, or a result that is not a requisition.
    """
    if correction is None:
        raise ApplicationError(
            "correct needs a correction: a cost centre, lines, or a whole requisition", type="Malformed"
        )
    if correction.requisition is not None:
        if requisition is not None or correction.requisition.case_id != case:
            raise ApplicationError(
                f"a whole requisition replaces only one that cannot be read, and must be of case {case}",
                type="Malformed",
            )
        return correction.requisition
    if requisition is None:
        raise ApplicationError("nothing readable to correct: send the whole requisition", type="Malformed")
    known = {line.id for line in requisition.lines}
    for line in correction.lines:
        if line.line not in known:
            raise ApplicationError(f"lines: {line.line!r} is not a line of this requisition", type="Malformed")
    changes = {line.line: line for line in correction.lines}
    try:
        return requisition.changed(
            cost_centre=correction.cost_centre or requisition.cost_centre,
            lines=tuple(
                _line(line, changes.get(line.id))
                for line in requisition.lines
                if line.id not in changes or not changes[line.id].remove
            ),
        )
    except ValidationError as wrong:
        raise ApplicationError(
            f"after the correction: {wrong.errors(include_input=False)[0]['msg']}", type="Malformed"
        ) from None


def _line(line: RequisitionLine, change: LineCorrection | None) -> RequisitionLine:
    if change is None:
        return line
    return line.changed(
        item=change.item or line.item,
        quantity=change.quantity or line.quantity,
        supplier=change.supplier or (None if change.item else line.supplier),
        supplier_item="" if change.item else line.supplier_item,
        unit_price=change.unit_price or (None if change.item else line.unit_price),
    )
