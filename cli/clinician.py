"""``fascia clinician``: how clinicians' cases stand, and what people say to them: evidence, privileges, suspension, leaving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import ValidationError
from rich.console import RenderableType

from canonical.base import in_words
from canonical.onboarding import HEADLINES, PersonWord
from cli.clinician_views import ClinicianRow, ClinicianView
from cli.command import Limit, Yes, command, noun
from cli.exits import Stop, not_found, one_of, wrong_usage
from cli.house import first, open_house
from cli.output import Output, table, when

app = noun("Clinicians' cases: verified, privileged, active, suspended, gone; and what people say to them.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="The person's key, as `fascia clinician list` has it.")]
At = Annotated[str, typer.Option("--facility", help="Which case of the person.", show_default="their only one")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept with who said it.")]
WordId = Annotated[
    str, typer.Option("--id", help="This word's own name, to repeat it safely.", show_default="a new one")
]
PrivilegeId = Annotated[
    str, typer.Argument(metavar="PRIVILEGE", help="The privilege, as `fascia clinician show` names it.")
]


@command(app, "list")
async def list_clinicians(
    out: Output,
    facility: Annotated[str, typer.Option("--facility", help="Of this facility.")] = "",
    headline: Annotated[str, typer.Option("--headline", help="Only those that stand so: 'committee pending'.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Limit = 50,
) -> None:
    """List cases by key: how each stands, which tasks wait, and when it may change by itself. Never a name."""
    one_of(headline, HEADLINES, "--headline")
    async with open_house() as house:
        rows, more = first(await house.clinicians.rows(facility, headline, everything, limit + 1), limit)
    out.rows(ClinicianRow, rows, lambda: [_listed(rows)], more=more)
    if not rows:
        out.say("no case is like that")
    elif more:
        out.say(f"and more: the first {limit} are shown (--limit)")


@command(app, "show")
async def show(out: Output, person: Key, facility: At = "") -> None:
    """Show a case: each facet with whose it is, what stops it, verifications, privileges, tasks, and what expires soon."""
    async with open_house() as house:
        site = await house.clinicians.facility_of(person, facility)
        view = await house.clinicians.show(site, person)
    if view is None:
        raise not_found("case of the person", person, "see `fascia clinician list --all`")
    out.data(view, lambda: _drawn(view))


@command(app, "verify")
async def verify(
    out: Output,
    person: Key,
    check: Annotated[str, typer.Argument(metavar="CHECK", help="education, reference, board, licence:IL, ...")],
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="confirmed or refuted.")],
    reference: Annotated[str, typer.Option("--reference", help="By what: a document's number.")] = "",
    expires: Annotated[str, typer.Option("--expires", metavar="DATE", help="Until when it is good.")] = "",
    facility: At = "",
    reason: Reason = "",
    word_id: WordId = "",
) -> None:
    """Say what no source answers, or whether a possible hit is this person; with what it was verified by."""
    one_of(outcome, ("confirmed", "refuted"), "OUTCOME")
    about = {"check": check, "outcome": outcome, "reference": reference, "expires_on": _day(expires, "--expires")}
    await _said(out, person, facility, _word("verify", reason, word_id, **about))


@command(app, "request")
async def request(
    out: Output,
    person: Key,
    service: Annotated[str, typer.Option("--service", help="In this service line; all without it.")] = "",
    site: Annotated[str, typer.Option("--site", help="At this location; everywhere without it.")] = "",
    procedures: Annotated[str, typer.Option("--procedures", help="This family of procedures; all without it.")] = "",
    starts: Annotated[str, typer.Option("--starts", metavar="DATE", help="From this day.")] = "",
    ends: Annotated[str, typer.Option("--ends", metavar="DATE", help="Until the end of this day.")] = "",
    facility: At = "",
    reason: Reason = "",
    word_id: WordId = "",
) -> None:
    """Put privileges before the committee. Who asks for them does not approve them."""
    scope = {"service": service, "site": site, "procedures": procedures}
    days = {"starts": _day(starts, "--starts"), "ends": _day(ends, "--ends")}
    await _said(out, person, facility, _word("request", reason, word_id, scope=scope | days))


@command(app, "approve")
async def approve(
    out: Output, person: Key, privilege: PrivilegeId, facility: At = "", reason: Reason = "", word_id: WordId = ""
) -> None:
    """Say yes to privileges, as one of two of the committee; with the second they are granted."""
    await _said(out, person, facility, _word("approve", reason, word_id, privilege=privilege))


@command(app, "reject")
async def reject(
    out: Output, person: Key, privilege: PrivilegeId, facility: At = "", reason: Reason = "", word_id: WordId = ""
) -> None:
    """Say no to privileges that were asked for; temporary ones end with it."""
    await _said(out, person, facility, _word("reject", reason, word_id, privilege=privilege))


@command(app, "temporary")
async def temporary(
    out: Output,
    person: Key,
    privilege: PrivilegeId,
    days: Annotated[int | None, typer.Option("--days", min=1, max=120, help="For so many days at most.")] = None,
    facility: At = "",
    reason: Reason = "",
    word_id: WordId = "",
) -> None:
    """Say yes, as one of two, to temporary privileges until the committee decides; they end by themselves."""
    await _said(out, person, facility, _word("temporary", reason, word_id, privilege=privilege, days=days))


@command(app, "revoke-privilege")
async def revoke_privilege(
    out: Output, person: Key, privilege: PrivilegeId, facility: At = "", reason: Reason = "", word_id: WordId = ""
) -> None:
    """Take a privilege back at once; all access ends by `fascia person revoke`, not by this."""
    await _said(out, person, facility, _word("revoke", reason, word_id, privilege=privilege))


@command(app, "suspend")
async def suspend(out: Output, person: Key, facility: At = "", reason: Reason = "", word_id: WordId = "") -> None:
    """Stop everything clinical until two people reinstate them."""
    await _said(out, person, facility, _word("suspend", reason, word_id))


@command(app, "reinstate")
async def reinstate(out: Output, person: Key, facility: At = "", reason: Reason = "", word_id: WordId = "") -> None:
    """Say, as one of two, that a suspension ends; not while a check stops them."""
    await _said(out, person, facility, _word("reinstate", reason, word_id))


@command(app, "withdraw")
async def withdraw(
    out: Output, person: Key, facility: At = "", reason: Reason = "", word_id: WordId = "", yes: Yes = False
) -> None:
    """Withdraw the offer, or cancel the hire: whatever was given is taken back."""
    if out.interactive and not yes and not out.ask(f"everything given to {person} is taken back?"):
        raise Stop("nothing was decided", code="interrupted")
    await _said(out, person, facility, _word("withdraw", reason, word_id))


@command(app, "leave")
async def leave(
    out: Output,
    person: Key,
    on: Annotated[str, typer.Option("--on", metavar="DATE", help="The last day of work.")],
    facility: At = "",
    reason: Reason = "",
    word_id: WordId = "",
) -> None:
    """Say the last day of work: privileges and access end with it."""
    await _said(out, person, facility, _word("leave", reason, word_id, on=_day(on, "--on")))


@command(app, "noticed")
async def noticed(
    out: Output, person: Key, privilege: PrivilegeId, facility: At = "", reason: Reason = "", word_id: WordId = ""
) -> None:
    """Say that the applicant has been told what the committee decided."""
    await _said(out, person, facility, _word("noticed", reason, word_id, privilege=privilege))


@command(app, "done")
async def done(
    out: Output,
    person: Key,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task, as `fascia clinician show` names it.")],
    facility: At = "",
    reason: Reason = "",
    word_id: WordId = "",
) -> None:
    """Say that a task is done."""
    await _said(out, person, facility, _word("done", reason, word_id, task=task))


async def _said(out: Output, person: str, facility: str, word: PersonWord) -> None:
    async with open_house() as house:
        site = await house.clinicians.facility_of(person, facility)
        answer = await house.clinicians.say(site, person, word)
    out.data({"person": person, "facility": site, **answer.model_dump()}, lambda: [answer.message])


def _word(verb: str, reason: str, word_id: str, **fields: object) -> PersonWord:
    try:
        return PersonWord.model_validate({"verb": verb, "reason": reason, "id": word_id or uuid4().hex} | fields)
    except ValidationError as wrong:
        problem = wrong.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        words = in_words(problem["msg"])
        fix = "give it by --reason" if "needs a reason" in words else ""
        raise wrong_usage(f"{where}: {words}" if where else words, fix) from None


def _day(given: str, option: str) -> date | None:
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise wrong_usage(f"{option} {given} is no day: 2026-12-31") from None


def _listed(rows: Sequence[ClinicianRow]) -> RenderableType:
    counts = ("open", "overdue")
    shown = table(
        "person", "facility", "headline", "role", "department", *counts, "starts", "ends", "next", right=counts
    )
    for row in rows:
        about = (row.person, row.facility, row.headline, row.role, row.department, str(row.open), str(row.overdue))
        shown.add_row(*about, str(row.starts or ""), str(row.ends_on or ""), when(row.next_at))
    return shown


def _drawn(view: ClinicianView) -> Iterator[RenderableType]:
    yield f"{view.person} at {view.facility}: {view.headline}  {view.role}  {view.department}"
    if view.stopped:
        yield f"nothing clinical may be done: {', '.join(view.stopped)}"
    if view.taken_back:
        yield "whatever was given is taken back"
    sides = table("facet", "state", "owner", "since", "due", "why")
    for one in view.facets:
        sides.add_row(one.name, one.state, one.owner, when(one.since), when(one.due), one.reason[:60])
    yield sides
    if view.verifications:
        yield "verified: " + "; ".join(f"{name} {state}" for name, state in sorted(view.verifications.items()))
    if view.privileges:
        granted = table("privilege", "state", "scope", "from", "until", "decided by", "told")
        for each in view.privileges:
            state = f"{each.state}, temporary" if each.temporary else each.state
            days = when(each.starts), when(each.until)
            granted.add_row(each.id, state, str(each.scope), *days, each.decided_by, when(each.noticed_at))
        yield granted
    for warned in view.warnings:
        yield f"{warned.name} expires on {warned.expires}"
    if view.tasks:
        owed = table("task", "kind", "about", "owner", "due")
        for task in view.tasks:
            owed.add_row(task.id, task.kind, task.subject, task.owner, when(task.due))
        yield owed
