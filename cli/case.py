"""``fascia case``: which cases there are, and everything about one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.table import Table

from canonical.cases import Attention
from cli.command import Limit, command, noun
from cli.exits import Stop, not_found, wrong_usage
from cli.house import CaseFilter, House, first, open_house
from cli.output import Output, table, when
from cli.views import CaseRow, CaseView, DecisionView, LineWay

TARGETS: Final = ("target", "kind", "state")
COLUMNS: Final[
    Mapping[str, tuple[str, ...]]
] = {  # what the lines of a case about a person are; everybody else's are goods
    "clinician_access": TARGETS,
    "clinician_revocation": TARGETS,
    "clinician_onboarding": ("facet", "owner", "state", "due"),
}

app = noun("Cases: one for each requisition and each order. See them, decide, set them going again.")

CaseName = Annotated[str, typer.Argument(metavar="CASE", help="The case's name, or a requisition's or order's number.")]


async def find_case(house: House, name: str) -> str:
    """The one case a person means.

    Raises:
        Stop: there is none, or several (each is named).
    """
    found = await house.find(name)
    if not found:
        raise not_found("case", name, "see `fascia case list --all`")
    if len(found) > 1:
        names = ", ".join(row.case for row in found[:5])
        raise Stop(f"{name} may be any of {names}", code="usage", hint="give the case's whole name")
    return found[0].case


@command(app, "list")
async def list_cases(
    out: Output,
    process: Annotated[str, typer.Option("--process", help="procure_to_pay or purchase_order.")] = "",
    facility: Annotated[str, typer.Option("--facility", help="Of this facility.")] = "",
    state: Annotated[str, typer.Option("--state", help="In this state, in people's words or ours.")] = "",
    supplier: Annotated[str, typer.Option("--supplier", help="With this supplier.")] = "",
    attention: Annotated[bool, typer.Option("--attention", help="Only what needs a person, longest first.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for an outside system.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Limit = 50,
    watched: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C, showing what changes.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks of --watch.")] = 2.0,
) -> None:
    """List cases, newest change first; open ones unless told otherwise. "since" is since when one needs a person, or an answer."""
    if watched and out.as_csv:
        raise wrong_usage("--watch prints lines or, with --json, one object a line; no CSV")
    which = CaseFilter(
        process=process,
        facility=facility,
        state=state,
        supplier=supplier,
        attention=attention,
        waiting=waiting,
        everything=everything,
    )
    async with open_house() as house:
        if watched:
            from cli.watch import watch

            await watch(out, house, which, limit, every)
            return
        rows, more = first(await house.cases(which, limit + 1), limit)
    out.rows(CaseRow, rows, lambda: [case_table(rows)], more=more)
    if not rows:
        out.say("no case fits" + ("" if everything else "; --all shows closed ones too"))
    elif more and not out.as_csv:
        out.say(f"and more: the first {limit} are shown (--limit)")


@command(app, "show")
async def show_case(out: Output, case: CaseName) -> None:
    """Show one case: how it stands, what it needs, its lines and documents, who decided, and the whole way of each line."""
    async with open_house() as house:
        name = await find_case(house, case)
        view = await house.case(name)
    if view is None:
        raise not_found("case", name)
    out.data(view, lambda: drawn(view))


def case_table(rows: Iterable[CaseRow], title: str | None = None) -> Table:
    """Cases as a table."""
    shown = table("case", "state", "owner", "due", "next", "since", "changed", title=title)
    for row in rows:
        mark = "! " if row.needs_attention or row.stopped else ""
        waits = f"; waiting for {row.waiting_for}" if row.waiting_for else ""
        since = when(row.waiting_since or row.attention_since)
        shown.add_row(
            row.case, mark + said(row) + waits, row.owner, when(row.due), row.next_action, since, when(row.changed_at)
        )
    return shown


def said(row: CaseRow) -> str:
    """A case's state in people's words."""
    return f"{row.stopped} ({row.business_state})" if row.stopped else row.business_state


def headline(view: CaseRow) -> str:
    """The case's state in one line of plain words: what, whose, until when, what next."""
    parts = [said(view)]
    if view.owner:
        parts.append(f"with {view.owner}")
    if view.due:
        parts.append(f"due {when(view.due)}")
    if view.next_action:
        parts.append(f"next: {view.next_action}")
    return ", ".join(parts)


def drawn(view: CaseView) -> Iterator[RenderableType]:
    """A case for a person at a terminal."""
    yield f"{view.case}   revision {view.revision}"
    if view.summary:
        yield view.summary
    yield headline(view)
    for trouble in view.troubles:
        yield f"waiting for {trouble.system} since {when(trouble.since)}: {trouble.message}"
    for part in (_attention(view), _lines(view), _orders(view), _documents(view), _decisions(view)):
        if part.row_count:
            yield ""
            yield part
    for way in () if _process(view) in COLUMNS else view.way:  # a system that is told of somebody has no way
        yield ""
        yield from _way(way)
    if view.links:
        yield ""
        for name, link in view.links.items():
            yield f"{name}: {link}"


def _attention(view: CaseView) -> Table:
    shown = table("kind", "about", "reason", "one may", title="Needs attention")
    for what in view.attention:
        shown.add_row(
            what.kind,
            f"{_about(what)} {what.path}".strip(),
            what.reason,
            ", ".join(verb.replace("_", "-") for verb in what.verbs),
        )
    return shown


def _about(what: Attention | DecisionView) -> str:
    return " ".join(filter(None, (f"line {what.line}" if what.line else "", what.document or "")))


def _process(view: CaseView) -> str:
    return view.process or view.case.partition("/")[0]


def _lines(view: CaseView) -> Table:
    if columns := COLUMNS.get(_process(view)):
        title = "Targets" if columns == TARGETS else "Facets"
        shown = table(*columns, title=title)
        for line in view.lines:
            told = {"target": line.line, "facet": line.line, "kind": line.item, "owner": line.item}
            told |= {"state": line.state, "due": line.expected}
            shown.add_row(*(told[column] for column in columns))
        return shown
    shown = table(
        "line", "item", "order", "state", "ordered", "shipped", "received", "invoiced", "unit", "expected",
        title="Lines", right=("ordered", "shipped", "received", "invoiced"),
    )  # fmt: skip
    for line in view.lines:
        counts = (f"{count.normalize():f}" for count in (line.ordered, line.shipped, line.received, line.invoiced))
        shown.add_row(line.line, line.item, line.order, line.state, *counts, line.unit, line.expected)
    return shown


def _orders(view: CaseView) -> Table:
    return case_table(view.children, title="Orders")


def _documents(view: CaseView) -> Table:
    shown = table("document", "number", "in", "state", "amount", "message", title="Documents", right=("amount",))
    for document in view.documents:
        amount = str(document.amount) if document.amount else ""
        shown.add_row(document.kind, document.number, document.system, document.state, amount, document.message)
    return shown


def _decisions(view: CaseView) -> Table:
    shown = table("when", "who", "known", "what", "reason", title="Decisions")
    for decision in view.decisions:
        who = decision.employee or decision.actor
        if decision.kind == "checked":
            known = f"by {decision.known_by}" if decision.verified else "identity not verified"
            what, reason = f"{decision.verb or decision.what} {_about(decision)}".strip(), decision.reason
        else:
            known, what, reason = "", f"{decision.kind}: {decision.what}", ""
        shown.add_row(when(decision.at), who, known, what, reason)
    return shown


def _way(way: LineWay) -> Iterator[RenderableType]:
    yield f"The way of line {way.line}{f' ({way.item})' if way.item else ''}"
    for step in way.steps:
        told = " ".join(filter(None, (step.kind, step.name, f"in {step.system}" if step.system else "")))
        rest = ", ".join(filter(None, (step.state, when(step.at), step.detail)))
        yield f"{'  ' * (step.depth + 1)}{told}{f'  ({rest})' if rest else ''}"
