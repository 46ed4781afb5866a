"""``fascia person``: who is known by which key, what HR systems said, whose an event is, and the trace of what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from canonical.onboarding import EMPLOYMENT_STATES, HEADLINES
from canonical.people import EVENT_STATES, ClinicianRecord
from cli.command import Limit, command, noun
from cli.exits import Exit, not_found, one_of, wrong_usage
from cli.house import first, open_house
from cli.output import Output, table, when
from cli.people_views import HrEventFilter, HrEventRow, HrEventView, PeopleFilter, PersonRow, PersonView, TraceView

app = noun("People by opaque key: where they work, what HR said of them, whose an event is, and the trace.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="The person's key, as `fascia person list` has it.")]
EventId = Annotated[str, typer.Argument(metavar="EVENT", help="The event's id, as `fascia person events` has it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept with who decided.")]
Facility = Annotated[str, typer.Option("--facility", help="Of this facility.")]
After = Annotated[str, typer.Option("--after", help="Go on from this one: the last of the page before.")]
Names = Annotated[
    bool, typer.Option("--names", help="Also who it is: for hr and medical staff, and noted in the trace.")
]


@command(app, "list")
async def list_people(
    out: Output,
    facility: Facility = "",
    state: Annotated[
        str, typer.Option("--state", help="offered, working, away, ended, withdrawn, or a headline.")
    ] = "",
    role: Annotated[str, typer.Option("--role", help="In this role.")] = "",
    blocked: Annotated[bool, typer.Option("--blocked", help="Only those whose access is revoked.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those whose employment is over.")] = False,
    after: After = "",
    limit: Limit = 50,
) -> None:
    """List people at facilities by key: how each stands, in which role, until when. Never a name.

    With --blocked also keys that nobody has, and since when, by whom and why each is blocked.
    """
    one_of(state, dict.fromkeys((*EMPLOYMENT_STATES, *HEADLINES)), "--state")
    which = PeopleFilter(facility=facility, state=state, role=role, blocked=blocked, everything=everything, after=after)
    async with open_house() as house:
        rows, more = first(await house.people.rows(which, limit + 1), limit)
    out.rows(PersonRow, rows, lambda: [_blocked(rows) if blocked else _listed(rows)], more=more)
    if not rows:
        out.say("nobody is like that")
    elif more:
        out.say(f"and more: --after {rows[-1].person}/{rows[-1].facility}")


@command(app, "show")
async def show(out: Output, person: Key, names: Names = False) -> None:
    """Show a person: where and how they work, what is verified, granted and open, and which days of pay were changed since."""
    async with open_house() as house:
        view = await house.people.show(person, names)
    if view is None:
        raise not_found("person", person, "see `fascia person list --all`")
    out.data(view, lambda: _drawn(view))


@command(app, "events", lists=True)
async def events(
    out: Output,
    state: Annotated[
        str,
        typer.Option("--state", help="open, or waiting, matched, possible, applied, superseded, parked, dismissed."),
    ] = "",
    facility: Facility = "",
    person: Annotated[str, typer.Option("--person", help="Of this person, in the order they were said.")] = "",
    source: Annotated[str, typer.Option("--source", help="Of this HR system.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that need nobody.")] = False,
    after: After = "",
    limit: Limit = 50,
) -> None:
    """List HR events; without a filter those that wait: for a person's word on whose they are, or for a hire."""
    one_of(state, ("open", *EVENT_STATES), "--state")
    wanted = state or ("" if everything or person else "open")
    which = HrEventFilter(state=wanted, facility=facility, person=person, source=source, after=after)
    async with open_house() as house:
        rows, more = first(await house.people.events(which, limit + 1), limit)
    out.rows(HrEventRow, rows, lambda: [_events(rows)], more=more)
    if not rows:
        out.say("no HR event waits" if wanted == "open" else "none is like that")
    elif more:
        out.say(f"and more: --after {rows[-1].id}")


@command(app, "event")
async def event(out: Output, event: EventId, names: Names = False) -> None:
    """Show an HR event, and how the people it may be about are like it: which marks are the same, without their values."""
    async with open_house() as house:
        view = await house.people.event(event, names)
    if view is None:
        raise not_found("HR event", event, "see `fascia person events --all`")
    out.data(view, lambda: _event(view))


@command(app, "match")
async def match(
    out: Output,
    event: EventId,
    same: Annotated[str, typer.Option("--same", metavar="KEY", help="It is this person.")] = "",
    new: Annotated[bool, typer.Option("--new", help="It is somebody we do not know yet.")] = False,
    whole_number: Annotated[
        bool, typer.Option("--whole-number", help="So is all that was heard before under its number.")
    ] = False,
    reason: Reason = "",
) -> None:
    """Say whose an HR event is. Its number is theirs from now on, and what waited for it goes on at once."""
    if bool(same) == new:
        raise wrong_usage("whose is it? --same KEY or --new", f"fascia person event {event} says how they are like it")
    if not reason.strip():
        raise wrong_usage("match needs a reason", f'fascia person match {event} ... --reason "..."')
    async with open_house() as house:
        told = await house.people.match(event, same, whole_number, reason)
    out.data(told, lambda: [f"event {told.event} is of {told.person}: {told.state}"])


@command(app, "dismiss")
async def dismiss(out: Output, event: EventId, reason: Reason = "") -> None:
    """Say that an HR event that waits is nothing for us; it stays listed, and is in force nowhere."""
    if not reason.strip():
        raise wrong_usage("dismiss needs a reason", f'fascia person dismiss {event} --reason "..."')
    async with open_house() as house:
        told = await house.people.dismiss(event, reason)
    out.data(told, lambda: [f"event {told.event} is {told.state}"])


@command(app, "trace")
async def trace(
    out: Output,
    person: Key,
    check: Annotated[bool, typer.Option("--check", help="Say only whether every entry is as it was written.")] = False,
) -> None:
    """Print a person's trace: who did, saw, decided and sent what, when and by which rules, each entry bound to the one before.

    A changed, missing or added entry ends the command with 1, and says which is the first.
    """
    async with open_house() as house:
        view = await house.people.trace(person)
    if view is None:
        raise not_found("person", person, "see `fascia person list --all`")
    told = {
        "person": person,
        "whole": view.whole,
        "broken_at": view.broken_at,
        "entries": len(view.entries),
        "last": view.last,
    }
    out.data(told if check else view, lambda: [*(() if check else _trace(view)), _checked(view)])
    if not view.whole:
        raise typer.Exit(Exit.FAILED)


def _checked(view: TraceView) -> str:
    if view.whole:
        return f"{len(view.entries)} entries, each as it was written; the last is {view.last or 'none'}"
    return f"NOT AS IT WAS WRITTEN: entry {view.broken_at} was changed, is missing or was added"


def _listed(rows: Sequence[PersonRow]) -> RenderableType:
    shown = table(
        "person", "facility", "stands", "role", "department", "cost centre", "starts", "ends", "next change", "access"
    )
    for row in rows:
        access = "BLOCKED" if row.blocked else "suspended" if row.suspended else ""
        days = (str(day or "") for day in (row.starts, row.ends_on, row.next_change))
        stands = row.headline or row.state
        shown.add_row(row.person, row.facility, stands, row.role, row.department, row.cost_centre, *days, access)
    return shown


def _blocked(rows: Sequence[PersonRow]) -> RenderableType:
    shown = table("person", "facility", "stands", "role", "department", "blocked since", "by", "why")
    for row in rows:
        stands = row.headline or row.state or "nobody has this key"
        about = (row.facility, stands, row.role, row.department)
        shown.add_row(row.person, *about, when(row.blocked_since), row.blocked_by, row.blocked_reason)
    return shown


def _drawn(view: PersonView) -> Iterator[RenderableType]:
    events = "1 HR event" if view.events == 1 else f"{view.events} HR events"
    entries = "1 entry" if view.trace == 1 else f"{view.trace} entries"
    yield f"{view.person}  {events}, {entries} in the trace"
    yield from gone(view.gone_to, "show")
    if view.record is not None:
        yield from _who(view.record)
    if view.at:
        yield _listed(view.at)
    for title, said in (
        ("verified", view.verifications),
        ("privileges", view.privileges),
        ("access", view.access),
    ):
        if said:
            yield f"{title}: " + ", ".join(f"{name} {value}" for name, value in said.items())
    if view.tasks:
        yield "open tasks:"
        yield from (f"  {name} {value}" for name, value in view.tasks.items())
    if view.numbers:
        yield "known as: " + ", ".join(f"{one.source} {one.number} ({one.by})" for one in view.numbers)
    for pay in view.pay:
        yield f"payroll, by event {pay.event} at {pay.facility}:"
        for span in pay.spans:
            days = f"{span.first} to {span.last} ({span.days} days)"
            yield f"  {span.field.replace('_', ' ')}: {span.was or 'nothing'}, now {span.now or 'nothing'}: {days}"


def gone(keys: Sequence[str], verb: str) -> Iterator[str]:
    """That this key is nobody's by now, and what to press."""
    for key in keys:
        yield f"by a person's word its HR events are of {key}: fascia person {verb} {key}"


def _who(record: ClinicianRecord) -> Iterator[str]:
    name = record.name
    former = f" (was {record.former_family})" if record.former_family else ""
    yield " ".join(part for part in (name.prefix, name.given, name.middle, name.family, name.suffix) if part) + former
    born = f"born {record.birth_date}" if record.birth_date else "birth date unknown"
    yield f"{born}; NPI {record.npi or 'unknown'}; {len(record.licences)} licences"


def _events(rows: Sequence[HrEventRow]) -> RenderableType:
    shown = table("event", "facility", "source", "number", "kind", "effective", "said", "state", "person", "why")
    for row in rows:
        kind = f"{row.kind} EMERGENCY" if row.emergency else row.kind
        whose = row.person or ", ".join(row.candidates)
        about = (row.facility, row.source, row.number, kind, str(row.effective), when(row.said_at))
        shown.add_row(row.id, *about, row.state, whose, row.reason)
    return shown


def _event(view: HrEventView) -> Iterator[RenderableType]:
    yield _events([view])
    if view.record is not None:
        yield from _who(view.record)
    for one in view.likeness:
        yield f"{one.person}: " + ", ".join(f"{name} {said}" for name, said in one.marks.items())
    if view.state in ("possible", "waiting"):
        yield f"fascia person match {view.id} --same KEY or --new, with --reason"


def _trace(view: TraceView) -> Iterator[RenderableType]:
    shown = table("link", "at", "did", "what", "by", "facility", "rules", right=("link",))
    for one in view.entries:
        shown.add_row(str(one.link), when(one.at), one.did, one.what, one.by, one.facility, one.rules)
    yield shown
