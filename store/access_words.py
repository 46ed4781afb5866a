"""People's words about blocks: who may set and lift one is checked here, whichever door they came by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import MAY_BLOCK, MAY_LIFT, Block, BlockWord, LiftTaken, RevocationStanding
from canonical.base import Canonical
from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.onboarding import TargetStanding
from canonical.parties import Employee
from store.access import StoredAccess
from store.access_rows import known_in
from store.database import transaction
from store.ids import now
from store.people_tables import access_states
from store.register_reading import all_codes

Who = Callable[[str, Actor], Awaitable[Employee | None]]  # who is behind an actor at a facility


class AccessView(Canonical):
    """How somebody's access stands, by key and codes."""

    person: str
    known: bool
    blocked: bool
    block: Block | None = None
    revocation: RevocationStanding | None = None
    targets: tuple[TargetStanding, ...] = ()


class AccessDesk:
    """What doors ask about access."""

    def __init__(self, engine: AsyncEngine, who: Who) -> None:
        self._engine, self._who, self._access = engine, who, StoredAccess(engine)

    async def block(self, word: BlockWord, actor: Actor) -> Block:
        """Commit a block in the word of whoever may; the one that stands, where there is one.

        Raises:
            Rejected: (not-allowed) who says it may not.
        """
        by = await self._allowed(actor, MAY_BLOCK, "revoke")
        return await self._access.block(Block(person=word.person, since=now(), by=by, reason=word.reason, id=word.id))

    async def lift(self, word: BlockWord, actor: Actor) -> LiftTaken:
        """Ask for a block to be lifted, or lift it.

        Raises:
            Rejected: (not-allowed, not-open) see :func:`store.access_blocks.lift_in`.
        """
        return await self._access.lift(word, await self._allowed(actor, MAY_LIFT, "lift"), now())

    async def view(self, person: str, at: datetime) -> AccessView:
        """How it stands; changes nothing but what a look confirms."""
        async with transaction(self._engine) as connection:
            known = await known_in(connection, person)
            asked = select(access_states).where(access_states.c.person == person).order_by(access_states.c.target)
            rows = (await connection.execute(asked)).mappings().all()
        block = await self._access.blocked(person)
        return AccessView(
            person=person,
            known=known,
            blocked=block is not None,
            block=block,
            revocation=await self._access.revocation(person, at) if block is not None else None,
            targets=tuple(TargetStanding.model_validate(dict(row)) for row in rows),
        )

    async def _allowed(self, actor: Actor, roles: frozenset[str], verb: str) -> str:
        """The employee behind an actor, of whichever facility, who has one of the roles.

        Raises:
            Rejected: (not-allowed) nobody is, or none of theirs is one of them.
        """
        async with transaction(self._engine) as connection:
            sites: Sequence[str] = await all_codes(connection, "facility", now().date())
        for site in sites:
            person = await self._who(site, actor)
            if person is not None and person.active and roles & set(person.roles):
                return person.id
        raise Rejected(f"{verb} is for the roles {', '.join(sorted(roles))}", code="not-allowed", system="store")
