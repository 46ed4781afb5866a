"""The world outside misbehaves: the ERP refuses, answers too late, suppliers' documents come twice or in the wrong order."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from demo.partner_mailbox import Mailbox
from demo.stage import ERP, SUPPLIERS
from demo.story_outside import Ending
from demo.story_scene import LABORATORY, PHARMACY, SURGERY, Ask, Order, Requisition, Scene
from tests.journeys.conftest import Hospital, sent_once

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital

SYRINGES = Ask("ITM-1018", 5, "BX")  # 87.00 at ALPINE, 85.26 with its discount
GOWNS = Ask("ITM-1015", 2, "CA")  # 276.00 at BOREAL
TUBES = Ask("ITM-1019", 6, "BX")  # 118.50 at ALPINE, 116.13 with its discount; the first 850 is not answered
CREATE = "model.purchase.purchase.create"
POST_INVOICE = "model.account.invoice.post"
PAY = "model.account.payment.create"
LATE = 400.0


async def both(scene: Scene) -> tuple[Requisition, Requisition]:
    """A small requisition to each supplier, which nobody has to approve."""
    return await scene.post(PHARMACY, SYRINGES), await scene.post(SURGERY, GOWNS)


async def to_the_end(asked: Requisition) -> None:
    """Delivered, billed, paid, closed."""
    for order in await asked.ordered():
        await order.delivered_and_paid()
    await asked.until("closed")


BOTH_PAID = Ending("", 2, 2, 2, 2, 2, Decimal("361.26"), Decimal("361.26"), credit_notes=1)


async def test_while_the_erp_refuses_connections_its_cases_say_since_when_they_wait(hospital: Hospital) -> None:
    scene, stack = hospital.scene(), hospital.stage.stack
    await hospital.erp_line.stop()
    await stack.stop(ERP)
    try:
        asked = await both(scene)
        for requisition in asked:
            (order,) = await requisition.ordered()
            view = await order.until(when=lambda found: bool(found["waits_for"]))
            (trouble,) = view["waits_for"]
            assert (trouble["system"], trouble["step"]) == ("erp", "create_purchase_order")
            assert trouble["since"]
    finally:
        await stack.start(ERP)
        await hospital.erp_line.start()
    await asyncio.gather(*(to_the_end(requisition) for requisition in asked))
    for order in await scene.orders():
        shown = await order.view()
        assert shown is not None
        assert shown["waits_for"] == []
    await hospital.everything_once(scene)
    assert await hospital.counts(scene) == BOTH_PAID


async def test_what_the_erp_commits_after_our_time_out_is_there_once(hospital: Hospital) -> None:
    scene, line = hospital.scene(), hospital.erp_line
    late = line.hold(request=CREATE, times=1)  # reaches the ERP after a second try has made the order
    first = await scene.post(PHARMACY, SYRINGES)
    await asyncio.wait_for(late.caught.wait(), LATE)
    unheard = line.hold(answer=CREATE)  # made, but we hear nothing of it
    second = await scene.post(SURGERY, GOWNS)
    await asyncio.wait_for(unheard.caught.wait(), LATE)
    orders = [*await first.ordered(), *await second.ordered()]
    await asyncio.gather(*(order.shipped() for order in orders))
    line.let_go()
    async with asyncio.timeout(LATE):
        while not late.heard.rstrip().endswith(b"}"):
            await asyncio.sleep(0.1)
    assert b'"error"' in late.heard  # the ERP has an order of that key

    posted, paid = line.hold(answer=POST_INVOICE, times=2), line.hold(answer=PAY, times=2)
    await asyncio.gather(*(order.receive() for order in orders))
    await asyncio.gather(*(order.until("paid, waiting for bank") for order in orders))
    assert (posted.left, paid.left) == (0, 0)
    line.let_go()
    await asyncio.gather(*(order.paid() for order in orders))
    await asyncio.gather(first.until("closed"), second.until("closed"))
    await hospital.everything_once(scene)
    assert await hospital.counts(scene) == BOTH_PAID


async def test_every_document_of_a_supplier_may_come_three_times(hospital: Hospital) -> None:
    scene = hospital.scene()
    async with doubled(hospital) as repeats:
        asked = await both(scene)
        await asyncio.gather(*(to_the_end(requisition) for requisition in asked))
    kinds = {name.split("_")[0] for name in repeats}
    assert {"997", "855", "856", "810"} <= kinds
    for name in list(repeats)[-4:]:
        assert await scene.taken(repeats[name], f"again_{name}")
    for order in await scene.orders():
        view = await order.view()
        assert view is not None
        (line,) = view["status"]["lines"]
        assert (
            Decimal(line["ordered"])
            == Decimal(line["shipped"])
            == Decimal(line["received"])
            == Decimal(line["invoiced"])
        )
    await hospital.everything_once(scene)
    assert await hospital.counts(scene) == BOTH_PAID


@contextlib.asynccontextmanager
async def doubled(hospital: Hospital) -> AsyncIterator[dict[str, str]]:
    """Whatever a supplier leaves for the hospital comes again under another name, and again in an interchange of another number."""
    repeats: dict[str, str] = {}
    before = {(supplier, path.name) for supplier in SUPPLIERS for path in _left(hospital, supplier)}

    async def watch() -> None:
        while True:
            for supplier in SUPPLIERS:
                for path in _left(hospital, supplier):
                    if (supplier, path.name) in before or path.name.startswith(("again_", "new_")):
                        continue
                    try:
                        data = path.read_bytes()
                    except FileNotFoundError:  # taken just now: it is found where it lies then
                        continue
                    before.add((supplier, path.name))
                    box = Mailbox(hospital.stage.home, supplier)
                    box.leave(f"again_{path.name}", data)
                    box.leave(f"new_{path.name}", renumbered(data))
                    repeats[path.name] = supplier
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    try:
        yield repeats
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _left(hospital: Hospital, supplier: str) -> list[Path]:
    folder = hospital.stage.home / "partners" / supplier / "outbound"
    return [path for path in (*folder.glob("*.x12"), *folder.glob(".taken/*.x12")) if path.is_file()]


def renumbered(data: bytes) -> bytes:
    """The same documents in an interchange with another ISA13 (and IEA02)."""
    number = data[90:99]
    return re.sub(number, b"9" + number[1:], data[:106]) + re.sub(
        rb"(IEA.\d+.)\d{9}", rb"\g<1>9" + number[1:], data[106:]
    )


async def test_an_invoice_before_the_ship_notice_before_the_answer_is_paid_once_the_goods_are_here(
    hospital: Hospital,
) -> None:
    scene = hospital.scene()
    asked = await scene.post(LABORATORY, TUBES)
    (order,) = await asked.ordered()
    await order.at_supplier("our order", sent_once)
    order.tell_supplier("810", ahead=True)
    await has_document(order, "invoice")
    assert "receipt" in (await order.until_offered("accept"))["reason"]
    order.tell_supplier("856")
    await has_document(order, "ship_notice")
    await order.receive()
    await has_document(order, "receipt")
    order.tell_supplier("855")
    await has_document(order, "order_acknowledgement")
    await order.paid()
    await asked.until("closed")
    await hospital.everything_once(scene)
    assert await hospital.counts(scene) == Ending(
        "", 1, 1, 1, 1, 1, Decimal("116.13"), Decimal("116.13"), credit_notes=1
    )


async def has_document(order: Order, kind: str) -> None:
    """Wait until the case has taken in a document of this kind."""

    def there(view: dict[str, object]) -> bool:
        documents = view["documents"]
        assert isinstance(documents, list)
        return any(document["kind"] == kind for document in documents)

    await order.until(when=there)
