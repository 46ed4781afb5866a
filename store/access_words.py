"""People's words about blocks: who may set and lift one is checked here, whichever door they came by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import (
    MAY_BLOCK,
    MAY_END,
    MAY_LIFT,
    NOT_BLOCKED,
    Block,
    BlockWord,
    LiftTaken,
    RevocationStanding,
    TargetRow,
    TargetWord,
    TargetWordTaken,
)
from canonical.base import Canonical
from canonical.cases import Actor
from canonical.errors import Rejected, Unavailable
from canonical.onboarding import TargetStanding
from canonical.parties import Employee
from store.access import StoredAccess
from store.access_blocks import blocking_in, lift_in
from store.access_rows import known_in, target_in
from store.acts import Act, note_in
from store.database import transaction
from store.ids import now
from store.people_reading import gone_to_in, known_at_in
from store.people_tables import access_states
from store.register_reading import all_codes
from store.register_writing import alone
from store.target_words import rows_in, say_in

OF_ALL = frozenset({"admin"})  # whose role at one facility counts at each

Who = Callable[[str, Actor], Awaitable[Employee | None]]  # who is behind an actor at a facility


class AccessView(Canonical):
    """How somebody's access stands, by key and codes. ``gone_to``: keys whose events made this one somebody, and do no more."""

    person: str
    known: bool
    blocked: bool
    block: Block | None = None
    revocation: RevocationStanding | None = None
    gone_to: tuple[str, ...] = ()
    targets: tuple[TargetStanding, ...] = ()


class AccessDesk:
    """What doors ask about access."""

    def __init__(self, engine: AsyncEngine, who: Who) -> None:
        self._engine, self._who, self._access = engine, who, StoredAccess(engine)

    async def block(self, word: BlockWord, actor: Actor, facility: str = "") -> Block:
        """Commit a block in the word of whoever may; the one that stands, where there is one.

        ``facility``: the actor is known there alone, as a key's person is; another's employee may have the same number.

        Raises:
            Rejected: (not-allowed) who says it may not.
            Unavailable: (not-blocked) our database is away: no block is known to stand, say it again.
        """
        try:
            by = await self.allowed(actor, facility, MAY_BLOCK, "revoke")
            asked = Block(person=word.person, since=now(), by=by, reason=word.reason, id=word.id)
            async with transaction(self._engine) as connection:
                block = await blocking_in(connection, asked)
                if block is asked:  # the one that stood before is told by who set it
                    await note_in(connection, _deed("person revoke", word, actor, asked.since))
            return block
        except Unavailable as away:
            raise Unavailable(f"{NOT_BLOCKED} ({away.message})", code="not-blocked", system="store") from away

    async def lift(self, word: BlockWord, actor: Actor, facility: str = "") -> LiftTaken:
        """Ask for a block to be lifted, or lift it; ``facility`` as above.

        Raises:
            Rejected: (not-allowed, not-open) see :func:`store.access_blocks.lift_in`.
        """
        async with transaction(self._engine) as connection:
            known_at = await known_at_in(connection, word.person)
        by, at = await self.allowed(actor, facility, MAY_LIFT, "lift", known_at), now()
        async with transaction(self._engine) as connection:
            taken = await lift_in(connection, word, by, at)
            await note_in(connection, _deed("person lift", word, actor, at, "lifted" if taken.lifted else "asked for"))
        return taken

    async def end(self, word: TargetWord, actor: Actor, facility: str = "") -> TargetWordTaken:
        """Ask that a target that is out of use count as gone for good, or say it as the second; ``facility`` as above.

        Raises:
            Rejected: (not-allowed, not-found, not-open) see :func:`store.target_words.say_in`.
        """
        at = now()
        async with transaction(self._engine) as connection:
            row = await target_in(connection, word.target, at)
        sites = [row.facility] if row is not None and row.facility else []
        by = await self.allowed(actor, facility, MAY_END, "gone", sites, "whose target it is")
        async with transaction(self._engine) as connection:
            await alone(connection, "access_target")
            taken = await say_in(connection, word, by, at)
            about = {"verb": "target gone", "about": f"target/{word.target}", "actor": actor, "reason": word.reason}
            await note_in(connection, Act(**about, detail=taken.message, at=at))
        return taken

    async def targets(self) -> Sequence[TargetRow]:
        """Every target, what may stand there, and the word that it is gone."""
        async with transaction(self._engine) as connection:
            return await rows_in(connection, now())

    async def gone_to(self, person: str) -> Sequence[str]:
        """The keys a person's word made of this one, where it has left it no hire: who is meant may be known by those."""
        async with transaction(self._engine) as connection:
            return await gone_to_in(connection, person)

    async def view(self, person: str, at: datetime) -> AccessView:
        """How it stands; changes nothing but what a look confirms."""
        async with transaction(self._engine) as connection:
            known = await known_in(connection, person)
            asked = select(access_states).where(access_states.c.person == person).order_by(access_states.c.target)
            rows = (await connection.execute(asked)).mappings().all()
            gone_to = await gone_to_in(connection, person)
        block = await self._access.blocked(person)
        return AccessView(
            person=person,
            known=known,
            gone_to=tuple(gone_to),
            blocked=block is not None,
            block=block,
            revocation=await self._access.revocation(person, at) if block is not None else None,
            targets=tuple(TargetStanding.model_validate(dict(row)) for row in rows),
        )

    async def allowed(
        self,
        actor: Actor,
        facility: str,
        roles: frozenset[str],
        verb: str,
        known_at: Sequence[str] = (),
        which: str = "that knows the person",
    ) -> str:
        """The employee behind an actor, of this facility or (without one) of whichever, who has one of the roles.

        ``known_at``: they must have it at one of these, where there are any; an admin's word counts for the whole house.

        Raises:
            Rejected: (not-allowed) nobody is, or none of theirs is one of them.
        """
        sites: Sequence[str] = [facility]
        if not facility:
            async with transaction(self._engine) as connection:
                sites = await all_codes(connection, "facility", now().date())
        for site in sites:
            person = await self._who(site, actor)
            may = roles if not known_at or site in known_at else roles & OF_ALL
            if person is not None and person.active and may & set(person.roles):
                return person.id
        where = f" at a facility {which} ({', '.join(known_at)})" if known_at else ""
        raise Rejected(f"{verb} is for the roles {', '.join(sorted(roles))}{where}", code="not-allowed", system="store")


def _deed(verb: str, word: BlockWord, actor: Actor, at: datetime, detail: str = "") -> Act:
    """What operators did, with their reason in words: the trace has none."""
    return Act(verb=verb, about=f"person/{word.person}", actor=actor, reason=word.reason, detail=detail, at=at)
