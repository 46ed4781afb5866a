"""``GET /v1/...``: where is my requisition, my order; what can I order, from whom. Always of the key's own facility."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter, Query

from canonical.base import case_id
from canonical.supply import Item
from gateway.lookups import CasePage, CaseView, ItemPage, SupplierPage, SupplierRow
from gateway.problems import Problem
from gateway.rest import Behind, Who, may

Thing = TypeVar("Thing")

router = APIRouter(prefix="/v1", tags=["look-ups"])
NO_NUL = r"^[^\x00]*$"  # PostgreSQL has no such character to look for
Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]
After = Annotated[str, Query(max_length=300, description="the `next` of the page before")]
State = Annotated[str, Query(max_length=60, pattern=NO_NUL, description="only these, in the words of `business_state`")]
Search = Annotated[str, Query(max_length=80, pattern=NO_NUL, description="part of a code, name or catalogue number")]
Open = Annotated[bool, Query(alias="open", description="leave out what has ended")]


@router.get("/requisitions", operation_id="listRequisitions", summary="Requisitions, newest change first")
async def requisitions(
    who: Who, behind: Behind, state: State = "", only_open: Open = False, after: After = "", limit: Limit = 50
) -> CasePage:
    """Requisitions of your facility."""
    may(who, "lookups")
    return await behind.lookups.cases(
        who.facility, "procure_to_pay", state=state, open_only=only_open, after=after, limit=limit
    )


@router.get("/requisitions/{source}/{number:path}", operation_id="getRequisition", summary="Where is my requisition?")
async def requisition(source: str, number: str, who: Who, behind: Behind) -> CaseView:
    """One requisition with its lines, orders and what it waits for."""
    may(who, "lookups")
    return _found(await behind.lookups.case(case_id("procure_to_pay", who.facility, source, number)), "requisition")


@router.get("/orders", operation_id="listOrders", summary="Orders, newest change first")
async def orders(
    who: Who, behind: Behind, state: State = "", only_open: Open = False, after: After = "", limit: Limit = 50
) -> CasePage:
    """Orders of your facility."""
    may(who, "lookups")
    return await behind.lookups.cases(
        who.facility, "purchase_order", state=state, open_only=only_open, after=after, limit=limit
    )


@router.get("/orders/{number}", operation_id="getOrder", summary="Where is my order?")
async def order(number: str, who: Who, behind: Behind) -> CaseView:
    """One order with its lines, documents and what it waits for."""
    may(who, "lookups")
    return _found(await behind.lookups.case(case_id("purchase_order", who.facility, number)), "order")


@router.get("/items", operation_id="listItems", summary="What can be ordered")
async def items(who: Who, behind: Behind, search: Search = "", after: After = "", limit: Limit = 50) -> ItemPage:
    """Items by code."""
    may(who, "lookups")
    return await behind.lookups.items(who.facility, search=search, after=after, limit=limit)


@router.get("/items/{code}", operation_id="getItem", summary="One item: packaging and suppliers")
async def item(code: str, who: Who, behind: Behind) -> Item:
    """One item."""
    may(who, "lookups")
    return _found(await behind.lookups.item(who.facility, code), "item")


@router.get("/suppliers", operation_id="listSuppliers", summary="Who sells to us")
async def suppliers(
    who: Who, behind: Behind, search: Search = "", after: After = "", limit: Limit = 50
) -> SupplierPage:
    """Suppliers by code."""
    may(who, "lookups")
    return await behind.lookups.suppliers(search=search, after=after, limit=limit)


@router.get("/suppliers/{code}", operation_id="getSupplier", summary="One supplier: status and terms")
async def supplier(code: str, who: Who, behind: Behind) -> SupplierRow:
    """One supplier, without bank details."""
    may(who, "lookups")
    return _found(await behind.lookups.supplier(code), "supplier")


def _found(thing: Thing | None, what: str) -> Thing:
    if thing is None:
        raise Problem(404, "not-found", f"no {what} of that name at this facility")
    return thing
