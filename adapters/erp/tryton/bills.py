"""Supplier invoices and payments in Tryton: posted as billed, a debit memo for what we do not accept, paid net of it.

Tryton would post whatever a supplier bills; what is posted here has passed the platform's match. The payment is
instructed and sent to the bank; that it succeeded is the bank's word, given in Tryton.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from adapters.erp.tryton.records import KEY, Records, cents, expense, line_id, money, target
from adapters.erp.tryton.rpc import SYSTEM, Record
from canonical.base import Money
from canonical.erp_steps import ErpReceipt
from canonical.errors import Rejected
from canonical.invoicing import InvoicePosting, PaymentOrder, PostedLine
from canonical.purchasing import GoodsReturn

INVOICE: Final = "account.invoice"
PAYMENT: Final = "account.payment"
FIELDS: Final = ("number", "state", "total_amount", "currency.code", "reference", "move")
PAYMENT_FIELDS: Final = ("number", "state", "amount", "currency.code")
# Dates are the supplier's and the platform's; that Tryton's own day is earlier is no reason to stop.
DATES_AHEAD: Final = ("invoice_date_future",)
NETTED: Final = ("cancel_delegated",)  # that netted lines are open again is what we want
POSTED: Final = ("posted", "paid")
SENT: Final = ("processing", "succeeded", "failed")


def discount_key(invoice_key: str) -> str:
    """The key of the credit note for a discount taken on an invoice."""
    return f"{invoice_key}/discount"


def memo_key(invoice_key: str) -> str:
    """The key of an invoice's debit memo."""
    return f"{invoice_key}/debit-memo"


@dataclass
class _Bill:
    """An invoice in the making: its head and its lines."""

    head: Record
    analytic: list[Any]
    lines: list[Record] = field(default_factory=list)

    def add(self, account: int, price: Decimal, quantity: Decimal = Decimal(1), *, text: str = "", **more: Any) -> None:
        """One line more, charged to the order's cost centre."""
        self.lines.append(
            {
                "type": "line",
                "account": account,
                "quantity": float(quantity),
                "unit_price": price,
                "description": text or None,
                "analytic_accounts": self.analytic,
                **more,
            }
        )

    @property
    def sum(self) -> Decimal:
        """What the lines come to, rounded as Tryton does."""
        return sum((cents(Decimal(str(line["quantity"])) * line["unit_price"]) for line in self.lines), Decimal(0))

    def values(self) -> Record:
        """What Tryton is sent."""
        return {**self.head, "lines": [["create", self.lines]]}


class Bills:
    """What we do with invoices and payments in one Tryton database."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._rpc = records.rpc

    async def post(self, posting: InvoicePosting) -> ErpReceipt:
        """Post an invoice as billed and, where less is accepted, the debit memo for the difference."""
        invoice, already = await self._once(posting.key, await self._billed(posting), POSTED)
        related: tuple[str, ...] = ()
        if posting.debit_memo.amount > 0:
            memo, _ = await self._once(memo_key(posting.key), await self._not_accepted(posting), POSTED)
            related = (memo["number"],)
        return self._receipt("erp_invoice", invoice, posting.key, already=already, related=related)

    async def cancel(self, posting: InvoicePosting) -> ErpReceipt:
        """Take a posted invoice back with its debit memo and the discount taken on it, unless it is being paid."""
        await self._take_apart(posting.key)
        await self._no_discount(posting.key)
        if posting.debit_memo.amount > 0:
            await self._once(memo_key(posting.key), await self._not_accepted(posting), ("cancelled",))
        invoice, already = await self._once(posting.key, await self._billed(posting), ("cancelled",))
        return self._receipt("erp_invoice", invoice, posting.key, already=already)

    async def pay(self, payment: PaymentOrder) -> ErpReceipt:
        """Send the payment of a posted invoice to the bank, net of its debit memo and of the discount."""
        made = await self._records.find_keyed(PAYMENT, payment.key, PAYMENT_FIELDS)
        already = made is not None
        if made is not None and made["amount"] != cents(payment.amount.amount):
            why = f"the ERP holds a payment of {made['amount']} under this key, not of {payment.amount.amount}"
            raise Rejected(why, code="amount-differs", system=SYSTEM)
        if made is None:
            line = await self._line_to_pay(payment)
            values = {
                "journal": (
                    await self._records.by_code(
                        "account.payment.journal", payment.amount.currency, field="currency.code"
                    )
                )["id"],
                "kind": "payable",
                "party": line["party"],
                "line": line["id"],
                "amount": cents(payment.amount.amount),
                "date": payment.pay_on,
            }
            made, already = await self._records.create_once(PAYMENT, payment.key, values, PAYMENT_FIELDS)
        state = made["state"]
        if state == "draft":
            state = await self._records.press_once(
                PAYMENT, made["id"], "submit", reached=("submitted", "approved", *SENT)
            )
        if state == "submitted":
            state = await self._records.press_once(PAYMENT, made["id"], "approve", reached=("approved", *SENT))
        if state == "approved":
            await self._send_to_bank(made["id"])
        made = await self._rpc.read(PAYMENT, made["id"], PAYMENT_FIELDS)
        return self._receipt("erp_payment", made, payment.key, already=already and state in SENT)

    async def credit_returned(self, goods: GoodsReturn, purchase_lines: list[Record]) -> str:
        """Where returned goods were already billed, the draft of the credit note we expect; its key, or nothing."""
        billed = await self._rpc.search(
            "account.invoice.line",
            [
                ["origin", "in", [f"purchase.line,{line['id']}" for line in purchase_lines]],
                ["invoice.state", "in", POSTED],
            ],
            ["origin"],
        )
        by_line = {line_id(line): line for line in purchase_lines}
        were_billed = {target(row["origin"])[1] for row in billed}
        bill = await self._bill(goods.order.supplier, goods.order.cost_centre, goods.order.currency)
        for line in goods.lines:
            held = by_line[line.line or ""]
            if held["id"] in were_billed:
                product = await self._records.product(held["product."]["code"])
                bill.add(
                    expense(product),
                    held["unit_price"],
                    -line.quantity.value,
                    product=product["id"],
                    unit=held["unit"],
                )
        if not bill.lines:
            return ""
        key = f"{goods.key}/credit"
        bill.head |= {"description": f"Returned: {goods.reason}"}
        await self._records.create_once(INVOICE, key, bill.values(), FIELDS)
        return key

    async def _once(self, key: str, bill: _Bill, reached: tuple[str, ...]) -> tuple[Record, bool]:
        """An invoice under this key, brought to posted or to cancelled."""
        made, already = await self._records.create_once(INVOICE, key, bill.values(), FIELDS)
        if made["state"] in reached:
            return made, True
        if "posted" in reached:
            if made["state"] == "cancelled":
                raise Rejected("this invoice was taken back in the ERP", code="cancelled", system=SYSTEM)
            if made["total_amount"] != bill.sum:
                raise Rejected("the ERP counts another total for this invoice", code="amount-differs", system=SYSTEM)
        button = "post" if "posted" in reached else "cancel"
        await self._records.press_once(INVOICE, made["id"], button, reached=reached, accept=DATES_AHEAD)
        return await self._rpc.read(INVOICE, made["id"], FIELDS), already and made["state"] != "draft"

    async def _bill(self, supplier: str, cost_centre: str, currency: str) -> _Bill:
        party = await self._records.supplier(supplier)
        head = {
            "type": "in",
            "party": party["id"],
            "invoice_address": (party["addresses"] or [None])[0],
            "account": await self._records.payable(party),
            "journal": (await self._records.by_code("account.journal", "EXP"))["id"],
            "currency": (await self._records.by_code("currency.currency", currency))["id"],
        }
        return _Bill(head, await self._records.analytic(cost_centre))

    async def _billed(self, posting: InvoicePosting) -> _Bill:
        order, invoice = posting.order, posting.invoice
        bill = await self._bill(order.supplier, order.cost_centre, invoice.currency)
        bill.head |= {
            "reference": invoice.number,
            "invoice_date": invoice.invoiced_on,
            "accounting_date": posting.posted_on if posting.posted_on > invoice.invoiced_on else None,
            "payment_term": await self._records.payment_term(
                order.net_days, await self._records.supplier(order.supplier)
            ),
            "description": f"Order {order.number}",
        }
        sign = -1 if invoice.credit else 1
        purchase = await self._records.purchase(order, ["number"])
        held = {line_id(row): row for row in await self._records.purchase_lines(purchase["id"])}
        for line in posting.lines:
            await self._add_goods(bill, held, line, line.billed.value * sign, line.billed_price.amount)
        charges = (("FREIGHT", "Freight", posting.freight), ("TAX", "Sales tax", posting.tax))
        for code, text, amount in (*charges, ("FREIGHT", "Other charges", invoice.other_charges)):
            if amount is not None and amount.amount:
                bill.add(await self._account(code), amount.amount * sign, text=text)
        rest = cents(invoice.total.amount * sign) - bill.sum
        if rest:
            bill.add(await self._account("ROUNDING"), rest, text="Difference between the invoice's lines and its total")
        return bill

    async def _not_accepted(self, posting: InvoicePosting) -> _Bill:
        order = posting.order
        bill = await self._bill(order.supplier, order.cost_centre, posting.invoice.currency)
        bill.head |= {
            "reference": f"{posting.invoice.number}-DM",
            "invoice_date": posting.posted_on,
            "description": f"Debit memo to invoice {posting.invoice.number}, order {order.number}",
        }
        purchase = await self._records.purchase(order, ["number"])
        held = {line_id(row): row for row in await self._records.purchase_lines(purchase["id"])}
        for line in posting.lines:
            over = line.billed.value - line.accepted.value
            if over:
                await self._add_goods(bill, held, line, -over, line.billed_price.amount)
            dearer = line.billed_price.amount - line.accepted_price.amount
            if dearer and line.accepted.value:
                account = expense(await self._records.product(line.item))
                bill.add(account, dearer, -line.accepted.value, text=f"Price of {line.item} above what was agreed")
        rest = -cents(posting.debit_memo.amount) - bill.sum
        if rest:
            bill.add(await self._account("FREIGHT"), rest, text="Charges not accepted")
        return bill

    async def _add_goods(
        self, bill: _Bill, held: dict[str, Record], line: PostedLine, quantity: Decimal, price: Decimal
    ) -> None:
        product = await self._records.product(line.item)
        origin = held.get(line.line)
        bill.add(
            expense(product),
            price,
            quantity,
            product=product["id"],
            unit=await self._records.unit(product, line.billed.unit),
            origin=f"purchase.line,{origin['id']}" if origin else None,
        )

    async def _account(self, code: str) -> int:
        return int((await self._records.by_code("account.account", code))["id"])

    async def _line_to_pay(self, payment: PaymentOrder) -> Record:
        """The one open line of the ledger that stands for the invoice less its debit memo and discount."""
        invoice = await self._records.find_keyed(INVOICE, payment.invoice_key, [*FIELDS, "party", "account"])
        if invoice is None or invoice["state"] != "posted":
            raise Rejected(f"invoice {payment.invoice} is not posted and open", code="wrong-state", system=SYSTEM)
        moves = [invoice["move"]]
        memo = await self._records.find_keyed(INVOICE, memo_key(payment.invoice_key), FIELDS)
        whole = invoice["total_amount"]
        if memo is not None and memo["state"] == "posted":
            moves.append(memo["move"])
            whole += memo["total_amount"]
        if payment.discount.amount == 0 and whole == cents(payment.amount.amount):
            await self._without_discount(payment.invoice_key)
        if payment.discount.amount > 0:
            moves.append((await self._discount(payment, payment.pay_on))["move"])
        open_lines = await self._open_lines([["move", "in", moves]], invoice["account"])
        if len(open_lines) > 1:
            open_lines = await self._netted(open_lines, invoice)
        elif not open_lines:  # netted by an earlier try whose answer was lost
            open_lines = await self._netted_before(moves, invoice)
        left = sum((line["credit"] - line["debit"] for line in open_lines), Decimal(0))
        if len(open_lines) != 1 or left != cents(payment.amount.amount):
            raise Rejected(
                f"the ERP has {left} open for invoice {payment.invoice}, not {payment.amount.amount}",
                code="amount-differs",
                system=SYSTEM,
            )
        return open_lines[0]

    async def _open_lines(self, domain: list[Any], account: int) -> list[Record]:
        where = [*domain, ["account", "=", account], ["reconciliation", "=", None]]
        return await self._rpc.search("account.move.line", where, ["debit", "credit", "party"])

    async def _netted(self, lines: list[Record], invoice: Record) -> list[Record]:
        journal = (await self._records.by_code("account.journal", "EXP"))["id"]
        start = {"start": {"journal": journal, "description": f"Net of invoice {invoice['reference']}"}}
        ids = [line["id"] for line in lines]
        try:
            await self._rpc.wizard("account.move.line.group", "account.move.line", ids, (start, "group"))
        except Rejected:  # an earlier try of ours may have come through meanwhile
            if netted := await self._netted_before([invoice["move"]], invoice):
                return netted
            raise
        return await self._netted_before([invoice["move"]], invoice)

    async def _netted_before(self, moves: list[int], invoice: Record) -> list[Record]:
        rows = await self._rpc.search(
            "account.move.line",
            [["move", "in", moves], ["account", "=", invoice["account"]], ["reconciliation", "!=", None]],
            ["reconciliation.delegate_to"],
        )
        net = {row["reconciliation."]["delegate_to"] for row in rows} - {None}
        return await self._open_lines([["id", "in", sorted(net)]], invoice["account"])

    async def _without_discount(self, invoice_key: str) -> None:
        """The whole is paid: the note of a discount that an earlier payment was to keep is taken back."""
        note = await self._records.find_keyed(INVOICE, discount_key(invoice_key), FIELDS)
        if note is not None and note["state"] != "cancelled":
            await self._take_apart(invoice_key)
            await self._no_discount(invoice_key)

    async def _no_discount(self, invoice_key: str) -> None:
        note = await self._records.find_keyed(INVOICE, discount_key(invoice_key), FIELDS)
        if note is not None and note["state"] != "cancelled":
            await self._records.press_once(INVOICE, note["id"], "cancel", reached=("cancelled",), accept=DATES_AHEAD)

    async def _take_apart(self, invoice_key: str) -> None:
        """Open the lines of an invoice, its memo and discount again, where they were netted; not while it is being paid.

        Raises:
            Rejected: a payment of it is under way or done (``in-payment``).
        """
        keys = [invoice_key, memo_key(invoice_key), discount_key(invoice_key)]
        bills = await self._rpc.search(INVOICE, [[KEY, "in", keys], ["move", "!=", None]], ["move"])
        moves = [bill["move"] for bill in bills]
        nets = await self._nets(moves)
        # After netting a payment hangs on the line that stands for them all.
        paying = [["line.move", "in", [*moves, *nets]], ["state", "!=", "failed"]]
        if await self._rpc.search(PAYMENT, paying, []):
            raise Rejected("the invoice is being paid", code="in-payment", system=SYSTEM)
        if not nets:
            return
        try:
            steps = ({"default": {"description": None, "reversal": True}}, "cancel")
            await self._rpc.wizard("account.move.cancel", "account.move", nets, steps, accept=NETTED)
        except Rejected:  # an earlier try of ours may have come through meanwhile
            if await self._nets(moves):
                raise

    async def _nets(self, moves: list[int]) -> list[int]:
        """The moves by which lines of these were netted into one."""
        netted = [["move", "in", moves], ["reconciliation.delegate_to", "!=", None]]
        rows = await self._rpc.search("account.move.line", netted, ["reconciliation.delegate_to.move"])
        return sorted({row["reconciliation."]["delegate_to."]["move"] for row in rows})

    async def _discount(self, payment: PaymentOrder, on: date) -> Record:
        """What the terms let us keep, booked as a credit note of our own."""
        purchase = await self._records.find_keyed(
            INVOICE, payment.invoice_key, ["lines.analytic_accounts.account.code"]
        )
        entries = [e["account."]["code"] for line in (purchase or {})["lines."] for e in line["analytic_accounts."]]
        bill = await self._bill(payment.supplier, entries[0], payment.amount.currency)
        bill.head |= {
            "reference": f"{payment.invoice}-DISC",
            "invoice_date": on,
            "description": f"Discount taken on invoice {payment.invoice}",
        }
        bill.add(await self._account("DISCOUNT"), -cents(payment.discount.amount), text="Early payment discount")
        made, _ = await self._once(discount_key(payment.invoice_key), bill, POSTED)
        return made

    async def _send_to_bank(self, payment: int) -> None:
        try:
            await self._rpc.wizard("account.payment.process", PAYMENT, [payment], ({}, "process"))
        except Rejected:
            state = (await self._rpc.read(PAYMENT, payment, ["state"]))["state"]
            if state not in SENT:
                raise

    @staticmethod
    def _receipt(kind: str, row: Record, key: str, *, already: bool, related: tuple[str, ...] = ()) -> ErpReceipt:
        amount: Money = money(row["total_amount" if kind == "erp_invoice" else "amount"], row["currency."]["code"])
        return ErpReceipt(
            system="tryton",
            kind=kind,
            id=str(row["id"]),
            number=row["number"] or "",
            key=key,
            state=row["state"],
            amount=amount,
            already=already,
            related=related,
        )
