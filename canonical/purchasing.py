"""What is asked for, ordered, acknowledged, shipped, received and sent back."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field, model_validator

from canonical.base import (
    Canonical,
    ContractNumber,
    CostCentreCode,
    Currency,
    DepartmentCode,
    EmployeeId,
    FacilityCode,
    ItemCode,
    LineId,
    LocationCode,
    Money,
    OrderNumber,
    Quantity,
    RequisitionNumber,
    SourceSystem,
    SupplierCode,
    Text,
    UnitCode,
    case_id,
    content_hash,
    total,
)

LONGEST_CASE = 255  # Temporal keeps a workflow's id in so many characters, and refuses a longer one for ever


def _unique(ids: list[str], what: str) -> None:
    if len(ids) != len(set(ids)):
        raise ValueError(f"{what} ids must differ from each other")


class RequisitionLine(Canonical):
    """One thing a department asks for. ``id`` is the department's own line id and survives everything that follows.

    ``lot``, ``serial`` and ``procedure`` (opaque) say of an order after use which one was used, and in which procedure.
    """

    id: LineId
    item: ItemCode | None = None
    description: Text = ""
    quantity: Quantity
    supplier: SupplierCode | None = None
    supplier_item: str = Field(default="", max_length=48)
    unit_price: Money | None = None
    deliver_to: LocationCode | None = None
    lot: str = Field(default="", max_length=40)
    serial: str = Field(default="", max_length=40)
    procedure: str = Field(default="", max_length=80)

    @model_validator(mode="after")
    def _asks_for_something(self) -> RequisitionLine:
        if self.item is None and not self.description and not self.supplier_item:
            raise ValueError("a line names an item, a supplier's catalogue number or a description")
        if self.quantity.value <= 0:
            raise ValueError("a line asks for more than nothing")
        if self.unit_price is not None and self.unit_price.amount < 0:
            raise ValueError("a unit price is not negative")
        return self


class Requisition(Canonical):
    """What a department asks for, as its ordering system sends it.

    ``after_use``: what it asks for was used already (consigned, or brought by the supplier): nothing is to be received, and the
    use stands in the receipt's place. Only a use in our own store makes that true.
    """

    facility: FacilityCode
    source: SourceSystem
    number: RequisitionNumber
    department: DepartmentCode
    cost_centre: CostCentreCode
    requester: EmployeeId
    deliver_to: LocationCode
    needed_by: date | None = None
    emergency: bool = False
    after_use: bool = False
    note: Text = ""
    lines: tuple[RequisitionLine, ...] = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _can_be_a_case(self) -> Requisition:
        _unique([line.id for line in self.lines], "line")
        if len(self.case_id) > LONGEST_CASE:
            raise ValueError(
                "the number is too long as part of a case's name: use fewer characters, or plain letters and digits"
            )
        if self.needed_by is not None and not 2000 <= self.needed_by.year <= 2100:
            raise ValueError("needed_by is a day from 2000 to 2100")
        return self

    @property
    def case_id(self) -> str:
        """The case's one name."""
        return case_id("procure_to_pay", self.facility, self.source, self.number)


class OrderLine(Canonical):
    """One line of an order. ``id`` stays through splits and substitutions; ``number`` is what the supplier sees (PO101)."""

    id: LineId
    number: int = Field(gt=0)
    requisition_line: LineId
    item: ItemCode
    description: Text = ""
    supplier_item: str = Field(max_length=48)
    quantity: Quantity
    base_units: int = Field(default=1, gt=0)
    unit_price: Money
    contract: ContractNumber | None = None
    tracking: str = "none"
    bulk: bool = False
    expected: date | None = None
    lot: str = Field(default="", max_length=40)
    serial: str = Field(default="", max_length=40)
    procedure: str = Field(default="", max_length=80)

    @property
    def amount(self) -> Money:
        """Quantity times unit price, rounded to the currency."""
        return self.unit_price.times(self.quantity.value).rounded()


class PurchaseOrder(Canonical):
    """What a facility asks one supplier to deliver to one place; ``after_use``: to bill, what it brought was used already."""

    facility: FacilityCode
    number: OrderNumber
    requisition: str = ""
    requester: EmployeeId | None = None
    supplier: SupplierCode
    ship_to: LocationCode
    department: DepartmentCode | None = None
    cost_centre: CostCentreCode
    currency: Currency = "USD"
    contract: ContractNumber | None = None
    ordered_on: date
    needed_by: date | None = None
    emergency: bool = False
    after_use: bool = False
    net_days: int = 30
    lines: tuple[OrderLine, ...] = Field(min_length=1)

    @property
    def case_id(self) -> str:
        """The case's one name."""
        return case_id("purchase_order", self.facility, self.number)

    @property
    def amount(self) -> Money:
        """The sum of the lines."""
        return total([line.amount for line in self.lines], self.currency)

    def line(self, line_id: LineId) -> OrderLine | None:
        """The line of that id, or None."""
        return next((line for line in self.lines if line.id == line_id), None)


def numbered_content(order: PurchaseOrder) -> str:
    """The hash of an order's content without its number: what our store keeps under the number when it gives it."""
    return content_hash(order, without=frozenset({"number"}))


class LineChange(Canonical):
    """How one line of an order changes (860 POC, ERP amendment). ``ended`` takes the open rest away."""

    line: LineId
    number: int
    item: ItemCode
    supplier_item: str = ""
    quantity: Quantity
    unit_price: Money
    expected: date | None = None
    ended: bool = False


class OrderChange(Canonical):
    """A change of an order already at the supplier: some lines, or all of it cancelled (860 BCH01 01 or 04)."""

    order: PurchaseOrder
    sequence: int = Field(gt=0)
    cancel: bool = False
    lines: tuple[LineChange, ...] = ()
    reason: Text = ""
    dated: date

    @property
    def key(self) -> str:
        """Our idempotency key outward."""
        return f"{self.order.case_id}/change/{self.sequence}"


class LineAcknowledgement(Canonical):
    """One ACK segment: what the supplier says of (part of) a line. A line may carry several."""

    code: str
    quantity: Quantity | None = None
    dated: date | None = None
    supplier_item: str = ""


class AcknowledgedLine(Canonical):
    """What an 855 or 865 says of one line: ``number`` is PO101; price and catalogue number as the supplier gives them."""

    number: int | None = None
    supplier_item: str = ""
    quantity: Quantity | None = None
    unit_price: Money | None = None
    price_unit: UnitCode | None = None
    acknowledgements: tuple[LineAcknowledgement, ...] = ()
    change_code: str = ""


class OrderAcknowledgement(Canonical):
    """A supplier's answer to an order (855, BAK) or to a change (865, BCA). ``code`` is BAK02 or BCA02."""

    supplier: SupplierCode
    order: str
    code: str
    to_change: bool = False
    change_sequence: str = ""
    acknowledged_on: date | None = None
    supplier_reference: str = ""
    lines: tuple[AcknowledgedLine, ...] = ()


class FunctionalAcknowledgement(Canonical):
    """A 997 for one group of ours, or a TA1 for one interchange. ``code`` is AK901 or TA104."""

    supplier: SupplierCode
    kind: str = Field(default="997", pattern="^(997|TA1)$")
    control_number: str
    code: str
    functional_id: str = ""
    note: str = ""
    sets: tuple[SetAcknowledgement, ...] = ()

    @property
    def accepted(self) -> bool:
        """Accepted, or accepted with errors noted."""
        return self.code in ("A", "E")


class SetAcknowledgement(Canonical):
    """What a 997 says of one transaction set (AK2 to AK5)."""

    set_id: str
    control_number: str
    code: str
    errors: tuple[str, ...] = ()


class ShippedLine(Canonical):
    """One line of a shipment (856 item level)."""

    number: int | None = None
    supplier_item: str = ""
    quantity: Quantity
    lot: str = ""
    serial: str = ""
    expires: date | None = None


class ShipNotice(Canonical):
    """What a supplier says it has shipped (856)."""

    supplier: SupplierCode
    number: str
    order: str
    shipped_on: date | None = None
    expected: date | None = None
    carrier: str = ""
    tracking: str = ""
    packages: tuple[str, ...] = ()
    lines: tuple[ShippedLine, ...] = Field(min_length=1)


class ReceivedLine(Canonical):
    """What arrived of one order line, in its order unit. ``item`` as scanned, which may be the wrong one."""

    line: LineId | None = None
    item: ItemCode
    quantity: Quantity
    lot: str = ""
    expires: date | None = None


class Receipt(Canonical):
    """Goods taken in, as the ERP or the warehouse reports it. ``key`` is the reporter's own, so a repeat is the same.

    ``revision`` counts what was reported under one key since (taken back: 1, done again: 2, ...): the newest holds.
    """

    facility: FacilityCode
    order: OrderNumber
    key: str
    number: str = ""
    delivery_note: str = ""
    received_at: datetime
    cancelled: bool = False
    revision: int = Field(default=0, ge=0)
    lines: tuple[ReceivedLine, ...] = ()


class GoodsReturn(Canonical):
    """Goods that go back to the supplier after a cancellation; quantities in order units."""

    order: PurchaseOrder
    sequence: int = 1
    lines: tuple[ReceivedLine, ...] = Field(min_length=1)
    reason: Text = ""
    returned_on: date

    @property
    def key(self) -> str:
        """Our idempotency key outward."""
        return f"{self.order.case_id}/return/{self.sequence}"


FunctionalAcknowledgement.model_rebuild()
