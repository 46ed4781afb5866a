"""Keeps rows of a CSV file that are each kept as they are (uses, HR events), in lots of one transaction each."""

from __future__ import annotations

from canonical.messages import Kept
from canonical.people import HrEvent
from canonical.senders import Sender
from canonical.usage import UsageEvent
from gateway.csv_reading import Part
from gateway.csv_rows import RowFault
from gateway.csv_uses import Use, keep_uses
from gateway.csv_work import Working
from gateway.people import HrTaker
from gateway.people_rows import MOST_AT_ONCE as PEOPLE_AT_ONCE
from gateway.people_rows import Said, keep_people
from gateway.usage import MOST_AT_ONCE as USES_AT_ONCE
from gateway.usage import UsageTaker


class KeptRows:
    """The rows of one file. ``refused``: those known with other content."""

    def __init__(
        self, uses: UsageTaker | None, people: HrTaker | None, whole: Kept, sender: Sender, ours: Working | None
    ) -> None:
        self.refused: list[RowFault] = []
        self._takers = uses, people
        self._whole = whole
        self._sender = sender
        self._ours = ours
        self._used: list[Use] = []
        self._said: list[Said] = []

    async def add(self, part: Part) -> bool:
        """Keep a row, at once or with the others of its lot; False: it is none of these.

        Raises:
            Rejected: nobody takes such rows here.
            Unavailable: our store is away.
        """
        if isinstance(part.noun, UsageEvent):
            self._used.append((part, part.noun))
        elif isinstance(part.noun, HrEvent):
            self._said.append((part, part.noun))
        else:
            return False
        if len(self._used) == USES_AT_ONCE or len(self._said) == PEOPLE_AT_ONCE:
            await self.end()
        return True

    async def end(self) -> None:
        """Keep what is left."""
        uses, people = self._takers
        if self._used:
            self.refused += await keep_uses(uses, self._whole, self._sender, self._used)
        if self._said:
            self.refused += await keep_people(people, self._whole, self._sender, self._said)
        if self._ours is not None and (self._used or self._said):
            await self._ours.step(done=len(self._used) + len(self._said))
        self._used.clear()
        self._said.clear()
