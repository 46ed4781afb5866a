"""What a CSV file is cut into on its way on: messages of its own, a master file, the result its sender is told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from typing import Final, TypeVar

from canonical.base import Canonical
from canonical.catalogue import MasterFile
from canonical.messages import Kept, NewMessage
from canonical.senders import Sender
from gateway.csv_reading import CsvFile, Part
from gateway.csv_results import FileResult
from gateway.registry import CSV_KINDS

BREATH: Final = 200  # parts read before others in this process have their turn

Thing = TypeVar("Thing")


def catalogue(file: CsvFile, sender: Sender, entries: Sequence[Canonical]) -> MasterFile:
    """Rows of a catalogue as the master file they are of."""
    day = file.sheet.made_on
    return MasterFile.model_validate(
        {
            "kind": "catalogue",
            "source": sender.code,
            "facility": sender.facility,
            "number": file.sheet.number,
            "issued_on": day if _is_day(day) else None,
            "entries": tuple(entries),
        }
    )


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def part_of(whole: Kept, kind: str, data: bytes, part: str, sender: Sender) -> NewMessage:
    """A message that is a part of a file's, the same one each time the file is read."""
    about = {"sender": whole.sender, "channel": whole.channel, "trace": whole.trace, "priority": sender.priority}
    return NewMessage(door=whole.door, data=data, kind=kind, key=f"{whole.id}/{part}").model_copy(update=about)


def result_of(whole: Kept, state: str, reason: str = "") -> FileResult:
    """What is to be told of a file, before its rows are counted."""
    name = whole.control_number
    digest = whole.hash or hashlib.sha256(whole.data).hexdigest()
    return FileResult.model_validate(
        {
            "message": whole.id,
            "name": name,
            "feed": CSV_KINDS.get(whole.kind, ""),
            "sha256": digest,
            "state": state,
            "reason": reason,
        }
    )


async def breathing(parts: Iterator[Part]) -> AsyncIterator[Part]:
    """Parts one by one, with a breath for everybody else in this process now and then."""
    for count, part in enumerate(parts, start=1):
        yield part
        if count % BREATH == 0:
            await asyncio.sleep(0)


def some_at_a_time(things: Sequence[Thing], size: int) -> Iterator[Sequence[Thing]]:
    """Things in their order, never more than ``size`` at once."""
    return (things[at : at + size] for at in range(0, len(things), size))
