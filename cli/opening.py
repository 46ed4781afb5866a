"""Opens the content of kept messages: what tells of staff is shown to whom names are shown, after it was noted who sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from canonical.cases import Actor
from canonical.messages import Kept
from cli.exits import Stop
from gateway.staff_messages import said_of_staff, tells_of_staff
from store.message_reads import StoredMessageReads, told_of
from store.people_listing import StoredPeopleLists
from workers.wiring import Wiring


class Opening:
    """Whether a message's content may be shown. ``decider``: who asks, where they may see names at a facility; else it stops."""

    def __init__(self, wiring: Wiring, decider: Callable[[str], Awaitable[Actor]]) -> None:
        self._wiring = wiring
        self._decider = decider

    async def __call__(self, message: Kept) -> str:
        """Why the content is not shown to whoever asks; empty: it may be, and that they saw it stands in our store already.

        Raises:
            Unavailable: it could not be noted, so it is not shown.
        """
        reader = self._wiring.routing().reader
        sender = await reader.sender(message.sender) if message.sender else None
        if not tells_of_staff(message, sender):
            return ""
        facilities = [sender.facility] if sender is not None else []
        if told := told_of(message):
            facilities = list(await StoredPeopleLists(self._wiring.database).facilities_of(told))
        try:
            by = await self._seer(facilities or [""])
        except Stop as no:
            if no.code != "not-allowed":
                raise
            return f"its content tells of people: {no.message}"
        said = await said_of_staff(reader, message, sender)
        await StoredMessageReads(self._wiring.database).opened(message, by, said)
        return ""

    async def _seer(self, facilities: list[str]) -> Actor:
        """Somebody of any of these facilities who may."""
        for facility in facilities[:-1]:
            try:
                return await self._decider(facility)
            except Stop:
                continue
        return await self._decider(facilities[-1])
