"""What no system of ours reaches (a badge, a pager, keys): a person hands it out and takes it back, and says so.

Each wish opens a task, once, in the place of one before that is still open; somebody counts as still having what is theirs until
the task to bring it back is done.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

from canonical.access import AccessTarget, TargetSeen, Wanted
from canonical.onboarding import PersonTask

HAND_OUT: Final = "hand-out"
BRING_BACK: Final = "bring-back"
Errand = Literal["hand-out", "bring-back"]


class Errands(Protocol):
    """The tasks of people about one target and one person, the newest of which counts."""

    async def last(self, target: str, person: str) -> PersonTask | None:
        """The newest; None where there never was one."""
        ...

    async def open(self, target: str, person: str, facility: str, kind: Errand, after: str) -> PersonTask:
        """Open one behind the task ``after`` (empty: the first), which it replaces where that is still open; the one that was
        opened there already, where there is."""
        ...


class ManualTarget:
    """One kind of thing that is handed out by people."""

    def __init__(self, target: AccessTarget, errands: Errands) -> None:
        self._target, self._errands = target, errands

    async def look(self, wanted: Wanted) -> TargetSeen:
        """What people have said."""
        return _seen(await self._errands.last(self._target.code, wanted.person), wanted)

    async def write(self, wanted: Wanted) -> TargetSeen:
        """Ask people to make it so, once."""
        last = await self._errands.last(self._target.code, wanted.person)
        kind: Errand = HAND_OUT if wanted.active else BRING_BACK
        if last is None and not wanted.active:
            return _seen(None, wanted)
        if last is None or last.kind != kind:
            facility = self._target.facility or next((one.facility for one in wanted.held), "")
            facility = facility or (last.facility if last else "")
            last = await self._errands.open(self._target.code, wanted.person, facility, kind, last.id if last else "")
        return _seen(last, wanted)


def _seen(last: PersonTask | None, wanted: Wanted) -> TargetSeen:
    if last is None:
        return TargetSeen(present=False, as_wanted=not wanted.active)
    has_it = last.kind == HAND_OUT or last.state == "open"
    right = last.state == "done" and (last.kind == HAND_OUT) == wanted.active
    return TargetSeen(present=True, active=has_it, reference=last.id, as_wanted=right)
