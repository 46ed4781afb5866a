"""Finds Tryton's records by the codes we share with it, and makes a document once however often it is asked for.

Ids differ from database to database and never leave this package. What people may rename is looked up each time; codes
that are fixed once given (a supplier's, an account's) are remembered.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from adapters.erp.tryton.rpc import SYSTEM, Record, TrytonRpc
from canonical.base import Money, Quantity
from canonical.errors import Rejected
from canonical.parties import Terms
from canonical.purchasing import PurchaseOrder

KEY: Final = "fascia_key"
LINE_MARK: Final = "fascia line "  # the note of a purchase line carries our line id
TERMS: Final = re.compile(r"^(?:(?P<percent>[\d.]+)/(?P<within>\d+) )?net (?P<net>\d+)$", re.IGNORECASE)


def order_key(case: str, number: str) -> str:
    """The key an order's purchase carries."""
    return f"{case}/create/{number}"


def terms_of(name: str) -> Terms | None:
    """A payment term as its name says it: ``2/10 net 30``."""
    read = TERMS.match(name.strip())
    if read is None:
        return None
    return Terms(
        net_days=int(read["net"]),
        discount_percent=Decimal(read["percent"] or 0),
        discount_days=int(read["within"] or 0),
    )


def cents(amount: Decimal) -> Decimal:
    """Rounded as Tryton rounds a line."""
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def decimal(value: float | Decimal) -> Decimal:
    """A quantity of Tryton's, which counts in floats, as the decimal it stands for."""
    return Decimal(str(value)).normalize() + Decimal(0)


def target(reference: str | None) -> tuple[str, int]:
    """A reference field like ``purchase.line,12`` as model and id."""
    model, _, record = (reference or ",0").partition(",")
    return model, int(record or 0)


class Records:
    """Look-ups and single creation, for one database."""

    def __init__(self, rpc: TrytonRpc) -> None:
        self.rpc = rpc
        self._known: dict[tuple[str, str], Record] = {}
        self._payable: int | None = None

    async def by_code(self, model: str, code: str, fields: Sequence[str] = (), *, field: str = "code") -> Record:
        """The record with that code.

        Raises:
            Rejected: the ERP has none (``unknown-code``).
        """
        known = self._known.get((model, code))
        if known is None:
            found = await self.rpc.search(model, [[field, "=", code]], fields, limit=2)
            if len(found) != 1:
                why = "does not know" if not found else "has more than one"
                raise Rejected(
                    f"the ERP {why} {model.rsplit('.', maxsplit=1)[-1]} {code}", code="unknown-code", system=SYSTEM
                )
            known = self._known[model, code] = found[0]
        return known

    async def supplier(self, code: str) -> Record:
        """A supplier with what an order or invoice takes from it."""
        return await self.by_code("party.party", code, ["addresses", "supplier_payment_term", "account_payable"])

    async def product(self, code: str) -> Record:
        """An item with its units and accounts."""
        return await self.by_code(
            "product.product", code, ["default_uom.category", "template.account_category.account_expense"]
        )

    async def payable(self, supplier: Record) -> int:
        """The account a supplier's invoices are owed on: its own, else the company's."""
        if supplier["account_payable"]:
            return int(supplier["account_payable"])
        if self._payable is None:
            row = (await self.rpc.search("account.configuration", [], ["default_account_payable"]))[0]
            self._payable = int(row["default_account_payable"])
        return self._payable

    async def unit(self, product: Record, symbol: str) -> int:
        """The unit an item is packed in, within the item's own category of units."""
        category = product["default_uom."]["category"]
        known = self._known.get(("product.uom", f"{category}/{symbol}"))
        if known is None:
            found = await self.rpc.search("product.uom", [["category", "=", category], ["symbol", "=", symbol]], [])
            if len(found) != 1:
                raise Rejected(f"the ERP does not pack this item in {symbol}", code="unknown-code", system=SYSTEM)
            known = self._known["product.uom", f"{category}/{symbol}"] = found[0]
        return int(known["id"])

    async def warehouse(self, facility: str) -> Record:
        """The warehouse of a facility; its code is ours."""
        fields = ["storage_location", "supplier_return_location", "lost_found_location"]
        return await self.by_code("stock.location", facility, fields)

    async def payment_term(self, net_days: int, supplier: Record) -> int | None:
        """The term with that many days, the supplier's own first."""
        found = await self.rpc.search("account.invoice.payment_term", [], ["name"])
        fitting = [row["id"] for row in found if (terms_of(row["name"]) or Terms(net_days=0)).net_days == net_days]
        own: int | None = supplier["supplier_payment_term"]
        return own if own in fitting or not fitting else int(fitting[0])

    async def analytic(self, cost_centre: str) -> list[Any]:
        """What charges a line to a cost centre."""
        account = await self.by_code("analytic_account.account", cost_centre, ["root"])
        return [["create", [{"root": account["root"], "account": account["id"]}]]]

    async def find_keyed(self, model: str, key: str, fields: Sequence[str]) -> Record | None:
        """The document that carries our key, also an inactive one."""
        found = await self.rpc.search(model, [[KEY, "=", key]], fields, context={"active_test": False})
        return found[0] if found else None

    async def create_once(self, model: str, key: str, values: Record, fields: Sequence[str]) -> tuple[Record, bool]:
        """Make the draft of a document, or find the one with this key; and whether it was there already.

        A create whose answer was lost may commit after our search: the key is unique in the database, so ours is then
        refused, and the search finds the other.
        """
        if found := await self.find_keyed(model, key, fields):
            return found, True
        try:
            created = await self.rpc.create(model, {**values, KEY: key})
        except Rejected:
            found = await self.find_keyed(model, key, fields)
            if found is None:
                raise
            return found, True
        return await self.rpc.read(model, created, fields), False

    async def press_once(
        self,
        model: str,
        record: int,
        button: str,
        *,
        reached: Collection[str],
        accept: Sequence[str] = (),
    ) -> str:
        """Press a button by its effect: a refusal counts as success where the document is already past it."""
        refusal: Rejected | None = None
        try:
            await self.rpc.press(model, button, [record], accept=accept)
        except Rejected as refused:
            refusal = refused
        state = str((await self.rpc.read(model, record, ["state"]))["state"])
        if refusal is not None and state not in reached:
            raise refusal
        return state

    async def purchase(self, order: PurchaseOrder, fields: Sequence[str]) -> Record:
        """The purchase of an order.

        Raises:
            Rejected: the ERP has none under our key.
        """
        found = await self.find_keyed("purchase.purchase", order_key(order.case_id, order.number), fields)
        if found is None:
            raise Rejected(f"the ERP has no order {order.number}", code="unknown-order", system=SYSTEM)
        return found

    async def purchase_lines(self, purchase: int) -> list[Record]:
        """The lines of a purchase."""
        fields = ["note", "quantity", "unit", "unit.factor", "unit.symbol", "unit_price", "product", "product.code"]
        return await self.rpc.search("purchase.line", [["purchase", "=", purchase], ["type", "=", "line"]], fields)

    async def moved(self, lines: Sequence[Record]) -> dict[int, Decimal]:
        """How much has moved of each of these purchase lines, in the line's unit."""
        by_id = {line["id"]: line for line in lines}
        origins = [f"purchase.line,{line}" for line in by_id]
        moved: dict[int, Decimal] = dict.fromkeys(by_id, Decimal(0))
        domain = [["origin", "in", origins], ["state", "=", "done"]]
        for move in await self.rpc.search("stock.move", domain, ["origin", "quantity", "unit.factor"]):
            line = by_id[target(move["origin"])[1]]
            moved[line["id"]] += in_unit(move["quantity"], move["unit."]["factor"], line).value
        return moved


def expense(product: Record) -> int:
    """The account an item is charged to."""
    return int(product["template."]["account_category."]["account_expense"])


def line_id(row: Record) -> str:
    """Our line id of a purchase line; that of a line someone added in the ERP is empty."""
    note = str(row["note"] or "")
    return note.removeprefix(LINE_MARK) if note.startswith(LINE_MARK) else ""


def in_unit(quantity: float, factor: float, of: Record) -> Quantity:
    """A moved quantity counted in the unit of its order line (``unit.symbol`` and ``unit.factor`` of ``of``)."""
    value = decimal(quantity) * decimal(factor) / decimal(of["unit."]["factor"])
    return Quantity(value=decimal(round(value, 6)), unit=of["unit."]["symbol"])


def money(amount: Decimal, currency: str) -> Money:
    """An amount of Tryton's."""
    return Money(amount=amount, currency=currency)
