"""Kept messages go through their routing once more, one now or many as a job; corrected ones go in their original's place.

Who asked for it stands in the message's history, with the job, and among the deeds of operators, written before anything is routed.
What cannot go on now waits: the workers bring it when what was away is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from canonical.cases import Actor
from canonical.messages import Kept
from canonical.replays import CONFLICT, DONE, NEW, NOT_REPLAYED, Preview, ReplayItem, ReplayJob
from cli.exits import not_found, wrong_usage
from cli.house import MessageFilter
from cli.reading import query_of
from cli.replay_views import Accepted, Corrected, ParkedRow, ReplayedRow, ReplayRow, ReplayView, Skipped
from cli.versions import Versions
from cli.views import Replayed
from gateway.replay_rules import NotReplayed, refusal
from store.acceptance import UNDECIDED, StoredAcceptance
from store.acts import Act, StoredActs
from store.query_models import MessageQuery
from store.replays import CORRECTABLE, MOST, StoredReplays
from workers.wiring import Wiring

HELD: Final = timedelta(seconds=30)  # that a message is ours before the workers take its replay over
PAGE: Final = 500


class OurReplays:
    """:class:`cli.replay_views.Replays` over our own store and Temporal."""

    def __init__(self, wiring: Wiring, by: Actor) -> None:
        self._wiring = wiring
        self._by = by
        self._stored = StoredReplays(wiring.database)

    # ---- looking first --------------------------------------------------------------------------------------------------

    async def preview(self, message: str) -> Preview:
        kept = await self._kept(message)
        return (await self._previewed([kept]))[0]

    async def preview_all(self, which: MessageFilter, limit: int) -> Sequence[Preview]:
        query = _query(which)
        previewer, found, after = self._wiring.previewer(), list[Preview](), ""
        while len(found) < limit:
            page = await self._wiring.queries.kept(query, after=after, limit=min(PAGE, limit - len(found)))
            found += await previewer.preview(page)
            if len(page) < PAGE:
                break
            after = page[-1].id
        return found

    async def _previewed(self, messages: Sequence[Kept]) -> list[Preview]:
        return await self._wiring.previewer().preview(messages)

    # ---- doing it -------------------------------------------------------------------------------------------------------

    async def one(self, message: str, why: str, dry_run: bool) -> Replayed:
        """Route a kept message once more.

        Raises:
            Stop: there is none of that name.
            Rejected: it is of those that are never routed again, or would conflict; with the reason.
        """
        kept = await self._kept(message)
        cases = [] if kept.stream else await StoredActs(self._wiring.database).cases_of(message)
        readable = bool(kept.stream) or self._wiring.corridor().routes(kept.kind)
        if why_not := refusal(kept, cases, readable=readable):
            raise why_not
        await self._stored.check(message)
        told = (await self._previewed([kept]))[0]
        if told.outcome in (NOT_REPLAYED, CONFLICT):
            raise NotReplayed(told.detail, code="conflict" if told.outcome == CONFLICT else "not-open")
        if dry_run:
            return _replayed(kept, kept, told.outcome, dry_run=True)
        job, item = await self._stored.open_one(message, self._act("journal replay", why), HELD)
        outcome = await self._do(job, item)
        return _replayed(kept, await self._kept(message), outcome, replay=job.id)

    async def begin(self, which: MessageFilter, why: str, at_most: int | None = None) -> ReplayRow:
        act = self._act("journal replay", why)
        return _row(await self._stored.open(_query(which), act, at_most=at_most or MOST))

    async def correct(self, message: str, data: bytes, why: str, dry_run: bool) -> Corrected:
        """Keep the corrected bytes as the next version of a message and route them in its place.

        Raises:
            Stop: there is no such message.
            Rejected: it is not in a state to be corrected.
            Malformed: the corrected bytes would be refused by its door; with the place.
        """
        original = await self._kept(message)
        if original.state == "corrected":
            raise NotReplayed(f"{message} is corrected already: correct its correction", hint=original.reason)
        if original.direction == "out" or original.state not in CORRECTABLE:
            raise NotReplayed(f"{message} is {original.state}: only what was not taken is corrected")
        new = await Versions(self._wiring).of(original, data)
        shown = Kept(
            **original.model_dump(exclude={"data", "state", "reason", "kind", "control_number", "case", "version_of"}),
            data=data, state="received", kind=new.kind, control_number=new.control_number, version_of=message,
        )  # fmt: skip
        told = await self._wiring.previewer().correction(original, shown)
        if dry_run:
            return Corrected(original=message, preview=told, outcome=told.outcome, dry_run=True)
        made = await self._stored.correct(message, new, self._act("journal correct", why), HELD)
        outcome = await self._do(made.job, made.items[0])
        after = await self._kept(made.message.id)
        return Corrected(
            original=message,
            message=after.id,
            preview=told.model_copy(update={"message": after.id}),
            state=after.state,
            reason=after.reason,
            case=after.case,
            outcome=outcome,
            replay=made.job.id,
        )

    async def accept(self, message: str, why: str, dry_run: bool) -> Accepted:
        """Take a message that came under the number of another as one of its own.

        Raises:
            Stop: there is no such message.
            Rejected, Malformed: it came under no other's number, was decided before, or what it says cannot be taken all the same.
        """
        kept = await self._kept(message)
        acceptance = StoredAcceptance(self._wiring.database)
        first = await acceptance.first(message)
        if kept.state not in UNDECIDED:
            raise NotReplayed(f"{message} is {kept.state}: only what was refused for its number is accepted")
        await Versions(self._wiring).may_be_new(kept)
        as_new = kept.model_copy(update={"state": "dead", "reason": ""})
        before = await self._wiring.journal.read(first)
        told = await self._wiring.previewer().correction(before or as_new, as_new)
        if told.outcome not in (NEW, DONE):
            hint = "correct it instead, under a number of its own: fascia journal correct, or pass it over: skip"
            raise NotReplayed(f"{told.outcome}: {told.detail}", code="conflict", hint=hint)
        if not dry_run:
            await acceptance.accept(message, self._act("journal accept", why))
            if not kept.stream:  # what is in a stream its router takes, in its order
                await self._wiring.corridor().route(await self._kept(message))
        after = await self._kept(message)
        return Accepted(
            message=message,
            first=first,
            preview=told,
            state=after.state,
            reason=after.reason,
            case=after.case,
            dry_run=dry_run,
        )

    async def skip(self, message: str, why: str, dry_run: bool) -> Skipped:
        kept = await self._kept(message)
        if dry_run:
            parked = [one for one in await self._wiring.journal.parked() if one.message == kept.id]
            return Skipped(message=message, stream_goes_on=bool(parked), dry_run=True)
        return Skipped(message=message, stream_goes_on=await self._stored.skip(message, self._act("journal skip", why)))

    async def _do(self, job: ReplayJob, item: ReplayItem) -> str:
        """Do it here and now; what it needs may be away, and then the workers do it later."""
        results = await self._wiring.replayer().do(job, [item])
        return results[0].outcome if results else ""

    # ---- jobs -----------------------------------------------------------------------------------------------------------

    async def parked(self) -> Sequence[ParkedRow]:
        return [ParkedRow.model_validate(one.model_dump()) for one in await self._wiring.journal.parked()]

    async def rows(self, limit: int) -> Sequence[ReplayRow]:
        return [_row(one) for one in await self._stored.jobs(limit)]

    async def show(self, replay: str, outcome: str, limit: int) -> ReplayView | None:
        job = await self._stored.job(replay)
        if job is None:
            return None
        items = await self._stored.items(replay, outcome, limit=limit)
        return ReplayView(**_row(job).model_dump(), items=tuple(_item(one) for one in items))

    async def cancel(self, replay: str, why: str) -> ReplayRow:
        return _row(await self._stored.cancel(replay, self._act("replay cancel", why)))

    async def _kept(self, message: str) -> Kept:
        kept = await self._wiring.journal.read(message)
        if kept is None:
            raise not_found("message", message)
        return kept

    def _act(self, verb: str, why: str) -> Act:
        return Act(verb=verb, about="", actor=self._by, reason=why)


def _query(which: MessageFilter) -> MessageQuery:
    query = query_of(which).model_copy(update={"direction": "in"})
    if query == MessageQuery(direction="in"):
        raise wrong_usage(
            "which messages?", "a MESSAGE, or a filter such as --state dead --sender WARD --since 2026-11-20"
        )
    return query


def _replayed(before: Kept, after: Kept, outcome: str, *, replay: str = "", dry_run: bool = False) -> Replayed:
    return Replayed(
        id=before.id,
        kind=before.kind,
        before=before.state,
        state=after.state,
        reason=after.reason,
        case=after.case,
        outcome=outcome,
        replay=replay,
        dry_run=dry_run,
    )


def _row(job: ReplayJob) -> ReplayRow:
    fields = job.model_dump(exclude={"id", "actor"})
    return ReplayRow(replay=job.id, actor=job.actor.id, known_by=job.actor.known_by, **fields)


def _item(item: ReplayItem) -> ReplayedRow:
    return ReplayedRow.model_validate(item.model_dump())
