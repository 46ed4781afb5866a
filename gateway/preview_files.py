"""What taking a CSV file once more would do today, row by row: nothing is changed, and of a large file only the first are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Protocol

from canonical.catalogue import CatalogueEntry, MasterFile
from canonical.people import HrEvent
from canonical.purchasing import Requisition
from canonical.replays import CONFLICT, DONE, NEW, NOT_REPLAYED, OUTCOMES, UNREADABLE, Difference, Outcome, RowPreview
from canonical.senders import Sender
from canonical.usage import UsageEvent
from gateway.csv_files import DEALT_WITH, ENTRIES_AT_ONCE, MOST_BAD, REQUISITIONS_AT_ONCE
from gateway.csv_parts import breathing, catalogue
from gateway.csv_reading import CsvFile, Part

MOST_SHOWN: Final = 100
MOST_DIFFERENCES: Final = 500

Foretold = tuple[Outcome, str, Sequence[Difference]]
Asked = Requisition | UsageEvent | HrEvent
Judge = Callable[[Sequence[Asked]], Awaitable[Sequence[Foretold]]]
"""What each of these requisitions, uses and HR events would come to, in their order."""


class Register(Protocol):
    """The register's lists, and what was set apart of files."""

    async def drifts_by_row(self, file: MasterFile, message: str, as_of: date) -> Mapping[str, Sequence[Difference]]:
        """What of a master file would be listed that is not listed yet, by the path of its entry."""
        ...

    async def apart(self, message: str) -> Mapping[int, str]:
        """Rows of a file that were set apart before, by the first of each, and their states."""
        ...


@dataclass
class FilePreview:
    """What a file would come to: how many rows come to what, and the first of those that are not done already."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: list[RowPreview] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)

    def note(self, row: int, told: Foretold, apart: str = "") -> None:
        """Count a row; one that was set apart and can be taken now is a new effect, whatever the register says of it."""
        outcome, detail, differences = told
        if outcome == DONE and apart in ("dead", "refused"):
            outcome, detail = NEW, f"it was set apart and would be taken; {detail}"
        self.counts[outcome] += 1
        if outcome != DONE and len(self.rows) < MOST_SHOWN:
            self.rows.append(RowPreview(row=row, outcome=outcome, detail=detail))
            self.differences += differences[: MOST_DIFFERENCES - len(self.differences)]

    @property
    def outcome(self) -> Outcome:
        """The word for the whole: anything new in it counts first, then what would conflict."""
        return next((one for one in (NEW, CONFLICT, UNREADABLE) if self.counts[one]), DONE)

    def detail(self) -> str:
        """How many come to what, and how many of those that are not done are shown."""
        counted = ", ".join(f"{self.counts[name]} {name}" for name in OUTCOMES if self.counts[name])
        others = sum(self.counts.values()) - self.counts[DONE] - len(self.rows)
        return f"of its rows: {counted}" + (f"; the first {len(self.rows)} are shown" if others else "")


async def foretell(
    file: CsvFile,
    message: str,
    sender: Sender,
    register: Register,
    judge: Judge,
    as_of: date,
    *,
    refuse_all: bool = False,
) -> FilePreview:
    """What each row of a checked file would come to. ``refuse_all``: by agreement one bad row refuses them all."""
    found, apart = FilePreview(), await register.apart(message)
    entries: list[tuple[Part, CatalogueEntry]] = []
    asked: list[tuple[Part, Asked]] = []

    async def compare() -> None:
        news = await register.drifts_by_row(catalogue(file, sender, [one for _, one in entries]), message, as_of)
        for part, entry in entries:
            found.note(part.first, _of_entry(news.get(entry.path, ())), apart.get(part.first, ""))
        entries.clear()

    async def held() -> None:
        for (part, one), told in zip(asked, await judge([one for _, one in asked]), strict=True):
            found.note(part.first, told, apart.get(part.first, ""))
            if told[0] == NEW and isinstance(one, Requisition) and len(found.cases) < MOST_SHOWN:
                found.cases.append(one.case_id)
        asked.clear()

    async for part in breathing(file.parts()):
        if apart.get(part.first, "") in DEALT_WITH:
            found.note(part.first, (DONE, f"it is {apart[part.first]}", ()))
        elif part.noun is None:
            fault = part.faults[0]
            found.note(part.first, (UNREADABLE, f"row {fault.row} {fault.column}".strip() + f": {fault.reason}", ()))
        elif isinstance(part.noun, CatalogueEntry):
            entries.append((part, part.noun))
        elif isinstance(part.noun, Requisition | UsageEvent | HrEvent):
            asked.append((part, part.noun))
        if len(entries) == ENTRIES_AT_ONCE:
            await compare()
        if len(asked) == REQUISITIONS_AT_ONCE:
            await held()
    if entries:
        await compare()
    if asked:
        await held()
    return (
        _refused(found) if found.counts[UNREADABLE] and (refuse_all or found.counts[UNREADABLE] > MOST_BAD) else found
    )


def _of_entry(news: Sequence[Difference]) -> Foretold:
    if not news:
        return DONE, "the register's lists know all of it", ()
    return NEW, f"{len(news)} things would be listed anew", news


def _refused(found: FilePreview) -> FilePreview:
    """Nothing of the file would be taken, for its bad rows."""
    bad = found.counts[UNREADABLE]
    rows = [one for one in found.rows if one.outcome == UNREADABLE]
    kept = Counter({UNREADABLE: bad, NOT_REPLAYED: sum(found.counts.values()) - bad})
    return FilePreview(kept, rows)
