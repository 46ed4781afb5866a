"""What becomes of a master file: what it says otherwise than the register is listed for a person, and so is each bad row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Protocol

from canonical.base import Canonical
from canonical.catalogue import MasterFile
from canonical.messages import Kept
from canonical.senders import Sender
from gateway.intake import Intake


class Report(Protocol):
    """What a master file came to: things compared, those that differ, items that are none of ours."""

    @property
    def compared(self) -> int: ...
    @property
    def unknown(self) -> int: ...
    @property
    def differ(self) -> Sequence[object]: ...


class Drifts(Protocol):
    """Holds master files against the register, which it never changes."""

    async def compare(self, file: MasterFile, message: str, as_of: date) -> Report:
        """List what the file of a message says otherwise than the register as it stands on a day."""
        ...


class MasterFiles:
    """Takes master files where they belong. Taking one again changes nothing."""

    def __init__(
        self, intake: Intake, drifts: Drifts, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._intake = intake
        self._drifts = drifts
        self._clock = clock

    async def take(self, message: Kept, sender: Sender, noun: Canonical) -> str:
        """As the routing of kept messages gives it to us; no case comes of it."""
        assert isinstance(noun, MasterFile)
        await self.listed(message, noun, facility=sender.facility)
        return ""

    async def compared(self, message: Kept, file: MasterFile) -> Report:
        """List what differs, and nothing else."""
        return await self._drifts.compare(file, message.id, self._clock().date())

    async def listed(self, message: Kept, file: MasterFile, *, facility: str = "") -> str:
        """List what differs and what could not be read; says how many. ``facility``: whose it is where the file does not say.

        Raises:
            Unavailable: our store is away: take it again later.
        """
        if facility and not file.facility:
            file = file.model_copy(update={"facility": facility})
        report = await self.compared(message, file)
        for row in file.bad_rows:
            about = {"number": row.row, "facility": file.facility or ""}
            await self._intake.listed("catalogue_row", message, row.reason, None, row.path, **about)
        said = [f"{len(report.differ)} of {report.compared} things differ from the register"]
        said += [f"{report.unknown} items are none of ours"] if report.unknown else []
        said += [f"{len(file.bad_rows)} rows could not be read"] if file.bad_rows else []
        return ", ".join(said)
