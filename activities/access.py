"""Steps about what people may reach: what is to be done, each write and look, and taking it all back.

Each write is one step: it reads what is wanted and whether a block stands immediately before, writes, and reads the block again
whatever came of it. A write that crossed a block is undone at once. No failure of a target leaves a step: it is kept with the time
it is tried again, so the next try reads everything anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import activity

from canonical.access import (
    AccessAsked,
    AccessStanding,
    AccessTarget,
    Block,
    OffSeen,
    RevocationStanding,
    TargetAsked,
    TargetDone,
    TargetKind,
    TargetSeen,
    Wanted,
)
from canonical.errors import FasciaError, Rejected, Throttled, Unavailable
from canonical.people_ports import Access, ClinicianTarget

TRIES_TO_UNDO = 3


class AccessActivities:
    """What the cases of access and of its revocation do; ``target_for`` gives what speaks to a row of the register."""

    def __init__(self, access: Access, target_for: Callable[[AccessTarget], ClinicianTarget]) -> None:
        self._access = access
        self._target_for = target_for

    # -- on our own store ----------------------------------------------------------------------------------------

    @activity.defn
    async def access_standing(self, asked: AccessAsked) -> AccessStanding:
        """What is to be written or looked at now."""
        return await self._access.standing(asked.person, asked.as_of)

    @activity.defn
    async def commit_block(self, block: Block) -> Block:
        """Commit a revocation block, or find the one that stands.

        Every door commits its own before it begins the case: one that is not there yet came by Temporal alone, where everybody may
        call themselves what they like.
        """
        said = block.model_copy(update={"by": f"unverified: {block.by}"[:120]})
        return (await self._access.block(said)).changed(reason="")  # its words stay in our own store

    @activity.defn
    async def revocation_standing(self, asked: AccessAsked) -> RevocationStanding:
        """How often each target was seen off, and whether that is all of them."""
        return await self._access.revocation(asked.person, asked.as_of)

    # -- in other systems ----------------------------------------------------------------------------------------

    @activity.defn
    async def write_target(self, asked: TargetAsked) -> TargetDone:
        """Make one target as is wanted now."""
        row = await self._access.target(asked.target, asked.as_of)
        if row is None:
            return TargetDone(target=asked.target, state="refused", finding="configuration")
        wanted = await self._access.begin(asked.person, asked.target, asked.as_of)
        failure: Exception | None = None
        seen: TargetSeen | None = None
        try:
            seen = await self._in_time(row, lambda target: target.write(wanted))
        except Exception as failed:  # whatever it is, what may have been given is looked at first
            failure = failed
        if wanted.active and (await self._access.blocked(asked.person)) is not None:
            return await self._undo(
                asked, row, wanted, heard=failure is None or isinstance(failure, Rejected | Throttled)
            )
        if failure is not None or seen is None:
            problem = failure or Unavailable("no answer", system=row.code)
            return await self._failed(asked, problem, gave=wanted.active)
        state = await self._access.wrote(asked.person, asked.target, wanted, seen, asked.as_of)
        return TargetDone(target=asked.target, state=state, active=seen.active, finding=seen.finding)

    @activity.defn
    async def look_target(self, asked: TargetAsked) -> TargetDone:
        """See what stands in one target."""
        row = await self._access.target(asked.target, asked.as_of)
        if row is None:
            return TargetDone(target=asked.target, state="refused", finding="configuration")
        wanted = await self._access.wanted(asked.person, asked.target, asked.as_of)
        try:
            seen = await self._in_time(row, lambda target: target.look(wanted))
        except FasciaError as failed:
            return await self._failed(asked, failed)
        state = await self._access.saw(asked.person, asked.target, seen, asked.as_of)
        return TargetDone(target=asked.target, state=state, active=seen.active, finding=seen.finding)

    @activity.defn
    async def off_target(self, asked: TargetAsked) -> OffSeen:
        """Take everything away in one target while a block stands, and see whether it is off.

        The first time it is written whatever stands there; afterwards only where something is on again. Each look counts that
        begins after ``as_of``.
        """
        row = await self._access.target(asked.target, asked.as_of)
        kind: TargetKind = row.kind if row is not None else "identity"
        standing = await self._access.revocation(asked.person, asked.as_of)
        if not standing.blocked:
            return OffSeen(target=asked.target, kind=kind, stands=False)
        before = next((one for one in standing.targets if one.target == asked.target), None)
        if before is None:  # two people said meanwhile that its system is gone: nobody waits for it any more
            return OffSeen(target=asked.target, kind=kind, confirmed=True)
        if row is None:
            return OffSeen(target=asked.target, kind=kind, answered=False, reason="no such target")
        off = nothing(asked, await self._access.wanted(asked.person, asked.target, asked.as_of))
        try:
            seen = await self._off(row, off, first=before.times == 0)
        except FasciaError as failed:
            await self._failed(asked, failed)
            return OffSeen(
                target=row.code, kind=row.kind, answered=False, reason=f"{failed.code}: {failed.message}"[:500]
            )
        return await self._access.seen_off(asked.person, asked.target, seen, asked.as_of, asked.apart)

    async def _off(self, row: AccessTarget, off: Wanted, *, first: bool) -> TargetSeen:
        if not first:
            seen = await self._in_time(row, lambda target: target.look(off))
            if not (seen.active or seen.groups):
                return seen
        return await self._in_time(row, lambda target: target.write(off))

    async def _undo(self, asked: TargetAsked, row: AccessTarget, gave: Wanted, *, heard: bool) -> TargetDone:
        """A block came while we wrote: take away at once what we gave, or may have given.

        ``heard`` False: the write did not answer, and may still be carried out after this; its mark stays.

        Raises:
            Unavailable: it could not be: this step is tried again, and the revocation tries beside it.
        """
        off, failure = nothing(asked, gave), None
        for _ in range(TRIES_TO_UNDO):
            try:
                seen = await self._in_time(row, lambda target: target.write(off))
            except (Unavailable, Throttled) as away:
                failure = away
                continue
            state = await self._access.wrote(
                asked.person, asked.target, off, seen, asked.as_of, crossed=True, heard=heard
            )
            return TargetDone(target=asked.target, state=state, active=seen.active, crossed=True, finding="undone")
        raise failure or Unavailable("what crossed the block could not be undone yet", system=row.code)

    async def _failed(self, asked: TargetAsked, problem: Exception, *, gave: bool = False) -> TargetDone:
        """Keep what a target said, or that it did not answer; a mistake of ours goes on as that."""
        if not isinstance(problem, FasciaError):
            raise problem
        code = _code(problem)
        state = await self._access.refused(asked.person, asked.target, code, problem.message, asked.as_of, gave=gave)
        return TargetDone(target=asked.target, state=state, finding=code)

    async def _in_time(self, row: AccessTarget, call: Callable[[ClinicianTarget], Awaitable[TargetSeen]]) -> TargetSeen:
        """All of one write or look within the target's time-out.

        Raises:
            Unavailable: it took longer; what was asked may still be done there.
            Rejected, Throttled, Malformed: as the target says.
        """
        try:
            async with asyncio.timeout(row.timeout):
                return await call(self._target_for(row))
        except TimeoutError:
            raise Unavailable(f"{row.code} took longer than {row.timeout:g} s", system=row.code) from None


def _code(problem: FasciaError) -> str:
    """What kept a target from it; not there is not there, whatever its adapter calls it."""
    if isinstance(problem, Throttled):
        return "throttled"
    return "unavailable" if isinstance(problem, Unavailable) else problem.code


def nothing(asked: TargetAsked, known: Wanted) -> Wanted:
    """What is wanted of somebody who may reach nothing."""
    return Wanted(person=asked.person, target=asked.target, active=False, exists=False, known_as=known.known_as)
