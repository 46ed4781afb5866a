"""``fascia case approve``, ``reject``, ``correct`` ...: a person's word to a case, on what that person has seen.

A decision names the revision it was made on: without ``--revision`` the one the case has now. If the case has moved on in
the meantime it is refused (exit code 5) and nothing happens. The same ``--id`` twice is one decision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from canonical.base import Money, Quantity, read_strictly
from canonical.cases import REASON_NEEDED, Correction, Decision, LineCorrection
from canonical.errors import Rejected, Unavailable
from canonical.purchasing import Requisition
from cli.case import CaseName, app, find_case, headline
from cli.command import DryRun, Yes, command
from cli.exits import Stop, not_found, wrong_usage
from cli.house import House, open_house
from cli.output import Output
from cli.views import CaseView

Line = Annotated[str, typer.Option("--line", help="The line it is about.")]
Document = Annotated[str, typer.Option("--document", help="The document it is about, as the case names it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; some decisions need one.")]
Revision = Annotated[
    int | None, typer.Option("--revision", min=0, help="The revision you have seen.", show_default="the case's own now")
]
DecisionId = Annotated[
    str, typer.Option("--id", help="The decision's own name, to repeat one safely.", show_default="a new one")
]


@dataclass(frozen=True)
class Verb:
    """One decision as the command line names it; ``final`` ones are asked back at a terminal."""

    name: str
    help: str
    final: bool = False

    @property
    def verb(self) -> str:
        return _AS_DECIDED.get(self.name, self.name.replace("-", "_"))


_AS_DECIDED = {"release-hold": "resume"}  # `case resume` starts a stopped case again
VERBS = (
    Verb("approve", "Approve a requisition, as far as your role goes."),
    Verb("reject", "Refuse a requisition; it ends.", final=True),
    Verb("retry", "Try again what was refused or failed."),
    Verb("accept", "Accept what the supplier changed, what arrived, or a price."),
    Verb("refuse", "Do not accept it: the line ends, or the document is set aside.", final=True),
    Verb("short-close", "Take what came and end the rest.", final=True),
    Verb("pay-short", "Pay what is accepted; a debit memo covers the rest.", final=True),
    Verb("release", "Let a payment go.", final=True),
    Verb("confirm-bank", "Say that the supplier's new bank details were checked with the supplier.", final=True),
    Verb("resend", "Send the last document to the supplier again, under the same number."),
    Verb("hold", "Stop the case where it is, until released."),
    Verb("release-hold", "Let a held case go on."),
    Verb("cancel", "Cancel: what was done is undone as far as it can be.", final=True),
)


def _add(verb: Verb) -> None:
    @command(app, verb.name, help=verb.help)
    async def decide(
        out: Output,
        case: CaseName,
        line: Line = "",
        document: Document = "",
        reason: Reason = "",
        revision: Revision = None,
        decision_id: DecisionId = "",
        yes: Yes = False,
        dry_run: DryRun = False,
    ) -> None:
        decision = Decision(
            verb=verb.verb,
            line=line or None,
            document=document or None,
            reason=reason,
            revision=revision,
            id=decision_id or uuid4().hex,
        )
        await give(out, case, decision, verb, yes=yes, dry_run=dry_run)


for _verb in VERBS:
    _add(_verb)


@command(app, "correct")
async def correct(
    out: Output,
    case: CaseName,
    line: Annotated[str, typer.Option("--line", help="The line to correct.")] = "",
    item: Annotated[str, typer.Option("--item", help="Its item.")] = "",
    quantity: Annotated[str, typer.Option("--quantity", help='Its quantity with unit, like "2 BX".')] = "",
    supplier: Annotated[str, typer.Option("--supplier", help="Its supplier.")] = "",
    price: Annotated[str, typer.Option("--price", help='Its unit price, like "12.50 USD".')] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the line away.")] = False,
    cost_centre: Annotated[str, typer.Option("--cost-centre", help="The cost centre of the whole.")] = "",
    requisition: Annotated[
        Path | None, typer.Option("--requisition", help="A file with the whole requisition.", exists=True)
    ] = None,
    document: Document = "",
    reason: Reason = "",
    revision: Revision = None,
    decision_id: DecisionId = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Correct what a case could not go on with, and try again."""
    values = {
        "item": item or None,
        "quantity": quantity_of(quantity) if quantity else None,
        "supplier": supplier or None,
        "unit_price": price_of(price) if price else None,
        "remove": remove,
    }
    asked = any(values.values())
    if asked and not line:
        raise wrong_usage("--item, --quantity, --supplier, --price and --remove are about a line: name it by --line")
    if not (asked or cost_centre or requisition):
        raise wrong_usage("nothing to correct was given", "see `fascia case correct --help`")
    correction = Correction(
        requisition=read_strictly(Requisition, requisition.read_bytes()) if requisition else None,
        cost_centre=cost_centre or None,
        lines=(LineCorrection(line=line, **values),) if asked else (),
    )
    decision = Decision(
        verb="correct",
        line=line or None,
        document=document or None,
        reason=reason,
        revision=revision,
        id=decision_id or uuid4().hex,
        correction=correction,
    )
    await give(out, case, decision, Verb("correct", ""), yes=yes, dry_run=dry_run)


async def give(out: Output, name: str, decision: Decision, verb: Verb, *, yes: bool, dry_run: bool) -> None:
    """Give a decision to a case and say what the case answers."""
    if decision.verb in REASON_NEEDED and not decision.reason.strip():
        raise wrong_usage(f"{verb.name} needs a reason", f'`fascia case {verb.name} {name} --reason "..."`')
    async with open_house() as house:
        view = await _seen(house, name)
        decision = decision.model_copy(
            update={
                "actor": await house.whoami(),
                "revision": view.revision if decision.revision is None else decision.revision,
            }
        )
        if dry_run:
            unsaid = await _foreseen(house, view, decision)
            told = f"would {verb.name} {view.case} at revision {decision.revision}; not checked: {unsaid}"
            out.data(_plan(view, decision, unsaid), lambda: [told])
            return
        out.detail(f"{view.case} at revision {view.revision}: {headline(view)}")
        if verb.final and out.interactive and not yes and not out.ask(f"{verb.name} {view.case} ({headline(view)})?"):
            raise Stop("nothing was decided", code="interrupted")
        try:
            answer = await house.decide(view.case, decision)
        except Unavailable as away:
            raise _NoAnswer(away, decision) from away
    out.data(
        {"case": view.case, "decision": decision.id, **answer.model_dump()},
        lambda: [answer.message, f"{view.case} is now {answer.business_state}"],
    )


class _NoAnswer(Unavailable):
    """Nothing answered a decision, which is no word on whether it is taken: the same one again is answered, not decided twice."""

    def __init__(self, away: Unavailable, decision: Decision) -> None:
        super().__init__(away.message, code=away.code, system=away.system)
        again = f"`--id {decision.id} --revision {decision.revision}`"
        self.hint = f"repeat it with {again}: it is one decision, however often it is sent"


async def _seen(house: House, name: str) -> CaseView:
    case = await find_case(house, name)
    view = await house.case(case)
    if view is None:
        raise not_found("case", case)
    return view


async def _foreseen(house: House, view: CaseView, decision: Decision) -> str:
    """Refuse what the case would refuse, as far as one can see it from here; gives what one cannot."""
    if view.closed:
        raise Rejected(f"the case is {view.business_state}: nothing is left to decide", code="not-open")
    if decision.revision != view.revision:
        raise Rejected(
            f"the case has changed since revision {decision.revision}; it is now at {view.revision}: look again",
            code="changed",
        )
    return await house.may_decide(view.case, decision)


def _plan(view: CaseView, decision: Decision, unsaid: str) -> dict[str, object]:
    return {
        "case": view.case,
        "business_state": view.business_state,
        "dry_run": True,
        "not_checked": unsaid,
        "decision": decision.model_dump(mode="json", exclude={"seal"}, exclude_defaults=True),
    }


def quantity_of(text: str) -> Quantity:
    """``2 BX`` or ``2BX`` as a quantity."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]{2,3})?\s*", text)
    if not found:
        raise wrong_usage(f'{text!r} is not a quantity: write it like "2 BX"')
    return Quantity(value=Decimal(found[1]), unit=(found[2] or "EA").upper())


def price_of(text: str) -> Money:
    """``12.50 USD`` as money; without a currency it is US dollars."""
    amount, _, currency = text.strip().partition(" ")
    try:
        return Money(amount=Decimal(amount), currency=currency.strip().upper() or "USD")
    except (InvalidOperation, ValueError):
        raise wrong_usage(f'{text!r} is not a price: write it like "12.50 USD"') from None
