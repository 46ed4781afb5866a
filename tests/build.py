"""Builders for tests: a small hospital's register, requisitions, decisions and supplier documents, valid unless told otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from canonical.base import Money, Quantity
from canonical.cases import Actor, Correction, Decision
from canonical.invoicing import Invoice, InvoiceLine, Payment
from canonical.parties import (
    ApprovalPolicy,
    CostCentre,
    Department,
    Employee,
    Facility,
    Location,
    Partner,
    Policy,
    Supplier,
    Terms,
)
from canonical.purchasing import (
    AcknowledgedLine,
    FunctionalAcknowledgement,
    LineAcknowledgement,
    OrderAcknowledgement,
    PurchaseOrder,
    Receipt,
    ReceivedLine,
    Requisition,
    RequisitionLine,
    ShipNotice,
    ShippedLine,
)
from canonical.supply import ContractPrice, Item, Packaging, SupplierItem

FACILITY = "NGH"
SEAL_KEY = b"a key made for tests, long enough"
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
_numbers = count(1)


def unique(prefix: str) -> str:
    """A number no other test has."""
    return f"{prefix}{datetime.now(UTC):%H%M%S%f}{next(_numbers)}"


def usd(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="USD")


def each(value: str, unit: str = "EA") -> Quantity:
    return Quantity(value=Decimal(value), unit=unit)


def item(code: str, supplier: str = "ALPINE", catalogue: str | None = None, **fields: Any) -> Item:
    sold = SupplierItem(
        supplier=supplier,
        catalogue_number=catalogue or code.replace("ITM", supplier[:3]),
        order_unit="BX",
        preferred=True,
    )
    return Item(
        code=code,
        description=f"item {code}",
        packagings=(Packaging(unit="BX", base_units=10), Packaging(unit="CA", base_units=100)),
        **({"suppliers": (sold,)} | fields),
    )


def contract(item_code: str, price: str, supplier: str = "ALPINE", unit: str = "BX") -> ContractPrice:
    return ContractPrice(
        contract=f"C-{supplier}",
        supplier=supplier,
        item=item_code,
        unit=unit,
        price=usd(price),
        valid_from=date(2020, 1, 1),
    )


def location(code: str, **fields: Any) -> Location:
    return Location(code=code, facility=FACILITY, **fields)


def employee(person: str, *roles: str, **fields: Any) -> Employee:
    return Employee(id=person, facility=FACILITY, roles=roles, **fields)


def hospital(**policy: Any) -> list[Any]:
    """Every register record a requisition of ours needs; ``policy`` replaces fields of the facility's policy."""
    approval = policy.pop("approval", ApprovalPolicy())
    terms = policy.pop("terms", Terms(net_seconds=0))
    policy.setdefault("step_timeout", 5)
    return [
        Facility(code=FACILITY, name="Northfield General Hospital"),
        Department(code="surgery", facility=FACILITY),
        Location(code="OR-1", facility=FACILITY),
        Location(code="OR-2", facility=FACILITY),
        CostCentre(code="CC-4100", facility=FACILITY, budget=usd("1000000")),
        CostCentre(code="CC-POOR", facility=FACILITY, budget=usd("10")),
        employee("E-REQ", "requester"),
        employee("E-MGR", "manager", substitute="E-SUB"),
        employee("E-SUB", "buyer"),
        employee("E-DIR", "director"),
        employee("E-BUY", "buyer"),
        employee("E-FIN", "finance"),
        employee("E-FIN2", "finance"),
        Supplier(code="ALPINE", name="Alpine", terms=terms),
        Supplier(code="BOREAL", name="Boreal", terms=terms),
        Supplier(code="CORVUS", name="Corvus", status="blocked"),
        Partner(code="ALPINE", supplier="ALPINE", id="ALPINEMED", our_id="FASCIANGH"),
        Partner(code="BOREAL", supplier="BOREAL", id="BOREALSURG", our_id="FASCIANGH"),
        item("ITM-1001", stocked_at_par=True),
        item("ITM-1002"),
        item("ITM-1003", supplier="BOREAL"),
        item("ITM-1004", supplier="CORVUS"),
        contract("ITM-1001", "8.00"),
        contract("ITM-1002", "120.00"),
        contract("ITM-1003", "15.50", supplier="BOREAL"),
        contract("ITM-1004", "9.00", supplier="CORVUS"),
        Policy(facility=FACILITY, approval=approval, **policy),
    ]


def line(
    line_id: str = "1", item_code: str | None = "ITM-1002", quantity: str = "10 BX", **fields: Any
) -> RequisitionLine:
    value, unit = quantity.split()
    return RequisitionLine(id=line_id, item=item_code, quantity=each(value, unit), **fields)


def requisition(*lines: RequisitionLine, **fields: Any) -> Requisition:
    return Requisition(
        **(
            {
                "facility": FACILITY,
                "source": "surgery-app",
                "number": unique("R"),
                "department": "surgery",
                "cost_centre": "CC-4100",
                "requester": "E-REQ",
                "deliver_to": "OR-1",
                "lines": lines or (line(),),
            }
            | fields
        )
    )


def decision(verb: str, by: str = "E-BUY", **fields: Any) -> Decision:
    """A decision as our doors make it, not yet sealed."""
    return Decision(
        **({"verb": verb, "actor": Actor(id=by, known_by="api_key"), "reason": "because", "id": unique("D")} | fields)
    )


def correction(**fields: Any) -> Correction:
    return Correction(**fields)


def answer(order: PurchaseOrder, code: str = "AC", *codes: str, **fields: Any) -> OrderAcknowledgement:
    """An 855: ``codes`` are the ACK01 of each line, IA where left out."""
    lines = tuple(
        AcknowledgedLine(
            number=one.number,
            supplier_item=one.supplier_item,
            acknowledgements=(LineAcknowledgement(code=codes[place] if place < len(codes) else "IA"),),
        )
        for place, one in enumerate(order.lines)
    )
    return OrderAcknowledgement(
        **({"supplier": order.supplier, "order": order.number, "code": code, "lines": lines} | fields)
    )


def functional(order: PurchaseOrder, code: str = "A", **fields: Any) -> FunctionalAcknowledgement:
    return FunctionalAcknowledgement(
        **({"supplier": order.supplier, "control_number": "1", "functional_id": "PO", "code": code} | fields)
    )


def ship_notice(order: PurchaseOrder, *quantities: str) -> ShipNotice:
    lines = tuple(
        ShippedLine(
            number=one.number,
            supplier_item=one.supplier_item,
            quantity=each(quantities[place] if place < len(quantities) else str(one.quantity.value), one.quantity.unit),
        )
        for place, one in enumerate(order.lines)
    )
    return ShipNotice(supplier=order.supplier, number=unique("S"), order=order.number, lines=lines)


def receipt(order: PurchaseOrder, *quantities: str, **fields: Any) -> Receipt:
    key = unique("RC")
    lines = tuple(
        ReceivedLine(
            line=one.id,
            item=one.item,
            quantity=each(quantities[place] if place < len(quantities) else str(one.quantity.value), one.quantity.unit),
        )
        for place, one in enumerate(order.lines)
    )
    return Receipt(
        **(
            {
                "facility": order.facility,
                "order": order.number,
                "key": key,
                "number": key,
                "received_at": datetime.now(UTC),
                "lines": lines,
            }
            | fields
        )
    )


def invoice(order: PurchaseOrder, *quantities: str, price: str | None = None, **fields: Any) -> Invoice:
    """An 810 for what was ordered, or for these quantities, at the order's price or another."""
    lines = tuple(
        InvoiceLine(
            number=one.number,
            supplier_item=one.supplier_item,
            quantity=each(quantities[place] if place < len(quantities) else str(one.quantity.value), one.quantity.unit),
            unit_price=usd(price) if price else one.unit_price,
        )
        for place, one in enumerate(order.lines)
    )
    freight, tax = fields.get("freight", usd("0")), fields.get("tax", usd("0"))
    amount = (
        sum((one.unit_price.amount * one.quantity.value for one in lines), Decimal(0)) + freight.amount + tax.amount
    )
    return Invoice(
        **(
            {
                "supplier": order.supplier,
                "number": unique("INV"),
                "invoiced_on": order.ordered_on,
                "order": order.number,
                "lines": lines,
                "total": Money(amount=amount, currency="USD"),
            }
            | fields
        )
    )


def payment(order: PurchaseOrder, bill: Invoice, state: str = "succeeded", attempt: int = 1) -> Payment:
    again = f"/{attempt}" if attempt > 1 else ""
    return Payment(
        facility=order.facility,
        order=order.number,
        key=f"{order.case_id}/payment/{bill.number}{again}",
        number="PAY-1",
        state=state,
        amount=bill.total,
        changed_at=datetime.now(UTC),
    )
