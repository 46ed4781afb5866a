"""Access as the commands reach it: the block in our own store first, then its case in Temporal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from canonical.access import LIFTED, BlockWord, LiftTaken, TargetRow, TargetWord, TargetWordTaken
from canonical.cases import Actor
from canonical.errors import Rejected, Unavailable
from canonical.onboarding import TargetStanding
from cli.access_views import AccessShown, Revoked, TargetShown
from store.ids import now
from workers.wiring import Wiring


class OurAccess:
    """:class:`cli.access_views.AccessDeskView`; ``decider`` says who decides: a login, or the person behind a key with the one
    facility that they are somebody at."""

    def __init__(self, wiring: Wiring, decider: Callable[[], Awaitable[tuple[Actor, str]]]) -> None:
        self._people, self._decider = wiring.people, decider

    async def revoke(self, word: BlockWord) -> Revoked:
        block = await self._people.access_desk.block(word, *await self._decider())
        if not block.stands:
            raise Rejected(f"{LIFTED} --id", code="lifted", system="store")
        told: dict[str, Any] = {"person": word.person, "since": block.since, "by": block.by, "id": block.id}
        begun_now = True
        try:
            await self._people.engine.revoke(word.person, block.id)
        except Unavailable:
            begun_now = False
        with suppress(Unavailable):  # the block stands, and that is what is told
            told["gone_to"] = tuple(await self._people.access_desk.gone_to(word.person))
        if not begun_now:
            later = "nobody writes any access from now on; Temporal is away, and its case begins when it is back"
            return Revoked(begun=False, message=later, **told)
        begun = "it is being taken away everywhere: `fascia person access` shows what is confirmed"
        return Revoked(begun=True, message=begun, **told)

    async def lift(self, word: BlockWord) -> LiftTaken:
        return await self._people.access_desk.lift(word, *await self._decider())

    async def gone(self, word: TargetWord) -> TargetWordTaken:
        return await self._people.access_desk.end(word, *await self._decider())

    async def targets(self) -> Sequence[TargetRow]:
        return await self._people.access_desk.targets()

    async def access(self, person: str) -> AccessShown:
        view = await self._people.access_desk.view(person, now())
        seen = {one.target: one for one in view.revocation.targets} if view.revocation else {}
        kept = {one.target: one for one in view.targets}
        rows = []
        for code in sorted({*kept, *seen}):
            stands = kept.get(code) or TargetStanding(target=code, kind=seen[code].kind, state="absent")
            off = seen.get(code)
            told = stands.model_dump() | {
                "times": off.times if off else 0,
                "confirmed_off": bool(off and off.confirmed),
            }
            rows.append(TargetShown.model_validate(told))
        block = view.block
        return AccessShown(
            person=person,
            known=view.known,
            gone_to=view.gone_to,
            blocked=view.blocked,
            confirmed=bool(view.revocation and view.revocation.confirmed),
            since=block.since if block else None,
            by=block.by if block else "",
            lift_asked_by=block.lift_asked_by if block else "",
            targets=tuple(rows),
        )
