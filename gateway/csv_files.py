"""Takes a kept CSV file where it belongs: requisitions start cases, catalogues are held against the register, uses are kept, bad rows
stand apart.

A file is one message, each requisition of it and each part set apart is one of its own, under a key made of the file's. So a file
that was broken off anywhere is taken again from its beginning, and what was done before is found done.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, Protocol

import structlog

from canonical.catalogue import CatalogueEntry
from canonical.errors import Malformed, Rejected, Unavailable
from canonical.folders import FileStanding
from canonical.messages import Kept, Move
from canonical.people import HrEvent
from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from canonical.stock import StockCount
from gateway.counts import Counted, CountTaker, keep_counts
from gateway.csv_answers import FileAnswers, Results
from gateway.csv_kept import KeptRows
from gateway.csv_parts import breathing, catalogue, part_of, result_of, some_at_a_time
from gateway.csv_reading import CsvFile, Part, rows_of
from gateway.csv_results import TakenRequisition, faults_of
from gateway.csv_rows import RowFault
from gateway.csv_work import FileWork, OwnWork, Working, working
from gateway.directory import SenderRegister
from gateway.intake import REQUISITION, Intake
from gateway.mapping import in_force
from gateway.master_files import MasterFiles
from gateway.people import HrTaker
from gateway.registry import CSV_KINDS, csv_feed
from gateway.usage import UsageTaker

MOST_BAD: Final = 1000  # parts set apart; a file with more is another file than was agreed, and refused whole
DEALT_WITH: Final = ("routed", "corrected", "skipped")  # states of rows set apart that are nobody's work any more
ENTRIES_AT_ONCE: Final = 2000
REQUISITIONS_AT_ONCE: Final = 100
# What rows set apart are listed as; else as a requisition's.
LISTED_AS: Final = {
    "csv_catalogue": "catalogue_row",
    "csv_usage": "usage_row",
    "csv_counts": "count_row",
    "csv_people": "hr_row",
}

log = structlog.get_logger(__name__)


class Terms(Protocol):
    """What a file source says otherwise than its sender."""

    async def bad_rows(self, source: str) -> str | None: ...


class CsvFiles:
    """The way on of CSV files, whichever door they came by; the routing sweep's too."""

    def __init__(
        self,
        intake: Intake,
        register: SenderRegister,
        master_files: MasterFiles,
        results: Results,
        terms: Terms | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        work: FileWork | None = None,
        uses: UsageTaker | None = None,
        counts: CountTaker | None = None,
        people: HrTaker | None = None,
    ) -> None:
        self._intake = intake
        self._journal = intake.journal
        self._register = register
        self._master_files = master_files
        self._answers = FileAnswers(intake.journal, results)
        self._terms = terms
        self._work = work or OwnWork()
        self._uses = uses
        self._counts = counts
        self._people = people
        self._clock = clock
        for kind, name in CSV_KINDS.items():
            feed = csv_feed(name)
            assert feed is not None
            intake.add_route(kind, self._route)
            intake.add_route(feed.parts_kind, self._rows_again)

    async def opened(self, data: bytes, kind: str, sender: Sender) -> CsvFile:
        """A file as its sender's feed reads it.

        Raises:
            Malformed: it cannot be read at all.
            Rejected: it is not in the sender's scope, or nobody reads it.
        """
        if not sender.takes(kind):
            raise Rejected(f"{kind} is not in the scope of sender {sender.code}", code="not-allowed")
        feed = csv_feed(CSV_KINDS.get(kind.removesuffix("_rows"), ""), sender.code)
        if feed is None:
            raise Rejected(f"nobody reads {kind}", code="configuration")
        return CsvFile(data, feed, sender, await self._mappings(sender))

    async def standing(self, message: str) -> FileStanding | None:
        """How far a file is that somebody works on."""
        return await self._work.standing(message)

    async def sender(self, code: str) -> Sender | None:
        """A sender's row as it stands."""
        return next((one for one in await self._register.senders() if one.code == code), None)

    async def _mappings(self, sender: Sender) -> Mappings:
        return in_force(await self._register.mappings(), sender.code, self._today())

    def _today(self) -> date:
        return self._clock().date()

    # ---- a kept file, now or from the sweep ---------------------------------------------------------------------------

    async def _route(self, message: Kept) -> None:
        async with working(self._work, message.id) as ours:  # a large file may take longer than the sweep waits
            await self._routed(message, ours)

    async def _routed(self, message: Kept, ours: Working) -> None:
        whole = await self._journal.read(message.id)
        if whole is None:
            raise Unavailable(f"message {message.id} is not in the journal", system="store")
        sender = await self.sender(whole.sender)
        if sender is None:
            await self._intake.dead(whole, f"its sender {whole.sender} is not in the register")
            return
        try:
            file = await self.opened(whole.data, whole.kind, sender)
            rows = file.check()
        except (Malformed, Rejected) as wrong:
            await self._refused(whole, sender, wrong.message)
            return
        await ours.step(rows=rows)
        bad, first = await self._looked_through(file)
        if reason := await self._refuses_all(bad, sender, whole):
            await self._refused(whole, sender, reason, rows, bad, file.unread)
            return
        before = await self._apart_before(whole)
        dealt_with = {row for row, one in before.items() if one.state in DEALT_WITH}
        hurried = KeptRows(self._uses, self._people, whole, sender, ours)
        for part in first:
            if part.first not in dealt_with:
                await hurried.add(part)
        await hurried.end()
        await self._set_apart(whole, sender, file, bad, before)
        await ours.step(done=rows_of(bad))
        dealt_with |= {part.first for part in first}
        said, taken, refused = await self._take(whole, sender, file, ours, without=dealt_with)
        faults = (*faults_of(bad), *hurried.refused, *refused)
        await self._taken_after_all(whole, before, {one.row for one in faults}, taken)
        await self._told(whole, sender, rows, faults, taken, said, file.unread)

    async def _apart_before(self, whole: Kept) -> dict[int, Kept]:
        """What was set apart when this file was read before, by its first row."""
        prefix = f"{whole.id}/rows/"
        kept = await self._journal.kept_under(prefix)
        return {int(row): one for one in kept if (row := one.key.removeprefix(prefix)).isdecimal()}

    async def _taken_after_all(
        self, whole: Kept, before: Mapping[int, Kept], bad: Container[int], taken: Sequence[TakenRequisition]
    ) -> None:
        """Rows that were set apart before and are taken with their file now wait for nobody any more."""
        good = {row: one for row, one in before.items() if row not in bad and one.state not in DEALT_WITH}
        cases = {one.row: one.case for one in taken}
        why = f"taken with its file, message {whole.id}"
        moves = [Move(message=one.id, state="routed", reason=why, case=cases.get(row, "")) for row, one in good.items()]
        await self._journal.mark_many(moves)
        await self._intake.settled([whole.id, *(one.id for one in good.values())], whole.reason or why)

    async def _looked_through(self, file: CsvFile) -> tuple[list[Part], list[Part]]:
        """What cannot be read, found before anything is taken; and what goes first, since it ends somebody's access now."""
        bad: list[Part] = []
        first: list[Part] = []
        async for part in breathing(file.parts()):
            if part.noun is None:
                bad.append(part)
                if len(bad) > MOST_BAD:
                    break
            elif isinstance(part.noun, HrEvent) and part.noun.emergency:
                first.append(part)
        return bad, first

    async def _refuses_all(self, bad: Sequence[Part], sender: Sender, whole: Kept) -> str:
        """Why the whole file is refused for its bad rows; empty: it is not."""
        if not bad:
            return ""
        if len(bad) > MOST_BAD:
            return f"more than {MOST_BAD} of its rows cannot be read: it is refused whole"
        own = await self._terms.bad_rows(whole.channel) if self._terms is not None and whole.channel else None
        if (own or sender.bad_rows) == "refuse all":
            return f"{rows_of(bad)} of its rows cannot be taken, so by agreement none is"
        return ""

    async def _set_apart(
        self, whole: Kept, sender: Sender, file: CsvFile, bad: Sequence[Part], before: Mapping[int, Kept]
    ) -> None:
        """Keep each bad part under its own name, to be corrected and replayed, and list it for a person."""
        for some in some_at_a_time(bad, REQUISITIONS_AT_ONCE):
            new = [part for part in some if part.first not in before]
            kept = await self._journal.keep_many(
                [
                    part_of(whole, file.feed.parts_kind, file.alone(part), f"rows/{part.first}", sender).model_copy(
                        update={"control_number": f"row {part.first}"}
                    )
                    for part in new
                ]
            )
            messages = {**before, **{part.first: one.message for part, one in zip(new, kept, strict=True)}}
            moves = []
            for part in some:
                message = messages[part.first]
                fault = part.faults[0]
                reason = f"row {fault.row}{f' {fault.column}' if fault.column else ''}: {fault.reason}"
                where = {"number": f"row {part.first}", "facility": sender.facility, "supplier": sender.code}
                owner = f" [owner: {sender.owner}]" if sender.owner else ""
                kind = LISTED_AS.get(file.feed.kind, "requisition_row")
                said = f"{reason} [file: message {whole.id}]{owner}"
                await self._intake.listed(kind, message, said, None, "", **where)
                if message.state in ("received", "validated"):
                    moves.append(Move(message=message.id, state="dead", reason=reason, owner=sender.owner))
            await self._journal.mark_many(moves)
        if bad:
            log.warning("rows set apart", message=whole.id, sender=sender.code, parts=len(bad), rows=rows_of(bad))

    async def _rows_again(self, message: Kept) -> None:
        """Rows that were set apart, perhaps corrected by now, or their codes given a row in a table."""
        sender = await self.sender(message.sender)
        if sender is None:
            raise Rejected(f"its sender {message.sender} is not in the register", code="configuration")
        file = await self.opened(message.data, message.kind.removesuffix("_rows"), sender)
        for part in file.parts():
            if part.faults:
                fault = part.faults[0]
                place = f"row {fault.row} {fault.column}".strip()
                raise Malformed(f"{place}: {fault.reason}", path=place, code="data-invalid")
        said, taken, refused = await self._take(message, sender, file)
        if refused:
            raise Rejected(refused[0].reason)
        case = taken[0].case if len(taken) == 1 else ""
        stands = await self._journal.read(message.id) or message  # its reason says who asked for it
        await self._journal.mark(message.id, "routed", reason=said, case=case)
        await self._intake.settled([message.id, message.version_of], stands.reason or "its rows are taken")

    # ---- what can be read ---------------------------------------------------------------------------------------------

    async def _take(
        self, whole: Kept, sender: Sender, file: CsvFile, ours: Working | None = None, without: Container[int] = ()
    ) -> tuple[str, list[TakenRequisition], list[RowFault]]:
        """Take every good part; gives what is to be said of catalogues, the requisitions begun and those refused.

        ``without``: parts by their first row that somebody dealt with already.
        """
        entries: list[CatalogueEntry] = []
        asked: list[tuple[Part, Requisition]] = []
        taken: list[TakenRequisition] = []
        kept = KeptRows(self._uses, self._people, whole, sender, ours)
        counted: list[Counted] = []
        refused: list[RowFault] = []
        differ = compared = unknown = 0

        async def compare() -> None:
            nonlocal differ, compared, unknown
            report = await self._master_files.compared(whole, catalogue(file, sender, entries))
            differ, compared = differ + len(report.differ), compared + report.compared
            unknown += report.unknown
            if ours is not None:
                await ours.step(done=len(entries))
            entries.clear()

        async def begin() -> None:
            await self._begin(whole, sender, asked, taken, refused)
            if ours is not None:
                await ours.step(done=rows_of([part for part, _ in asked]))
            asked.clear()

        async for part in breathing(file.parts()):
            if part.first in without:
                continue
            if isinstance(part.noun, CatalogueEntry):
                entries.append(part.noun)
                if len(entries) == ENTRIES_AT_ONCE:
                    await compare()
            elif isinstance(part.noun, Requisition):
                asked.append((part, part.noun))
                if len(asked) == REQUISITIONS_AT_ONCE:
                    await begin()
            elif isinstance(part.noun, StockCount):
                counted.append((part, part.noun))
            else:
                await kept.add(part)
        await kept.end()
        refused += kept.refused
        refused += await keep_counts(self._counts, whole, sender, counted)
        if entries:
            await compare()
        if asked:
            await begin()
        said = f"{differ} of {compared} things differ from the register" if compared or unknown else ""
        return said + (f", {unknown} items are none of ours" if unknown else ""), taken, refused

    async def _begin(
        self,
        whole: Kept,
        sender: Sender,
        asked: Sequence[tuple[Part, Requisition]],
        taken: list[TakenRequisition],
        refused: list[RowFault],
    ) -> None:
        """Keep each requisition as a message of its own, and start its case."""
        new = [
            part_of(
                whole,
                REQUISITION,
                one.model_dump_json(exclude_defaults=True).encode(),
                f"requisition/{one.number}",
                sender,
            )
            for _, one in asked
        ]
        for (part, one), result in zip(asked, await self._journal.keep_many(new), strict=True):
            message = result.message
            if message.state in ("received", "validated"):
                if not await self._intake.route(message):
                    raise Unavailable(f"requisition {one.number} waits for its case", system="temporal")
                message = await self._journal.read(message.id) or message
            if message.state == "routed":
                taken.append(TakenRequisition(row=part.first, number=one.number, case=message.case))
                continue
            refused += [
                RowFault(row=row.number, column="number", reason=message.reason or "refused") for row in part.rows
            ]

    # ---- what its sender is told --------------------------------------------------------------------------------------

    async def _refused(
        self,
        whole: Kept,
        sender: Sender,
        reason: str,
        rows: int = 0,
        bad: Sequence[Part] = (),
        unread: Sequence[str] = (),
    ) -> None:
        """Nothing of it is taken: it is listed for a person, and its sender told why."""
        owner = f" [owner: {sender.owner}]" if sender.owner else ""
        first = f"; the first: row {bad[0].faults[0].row} {bad[0].faults[0].reason}" if bad else ""
        about = {"number": "file", "facility": sender.facility, "supplier": sender.code}
        await self._intake.listed("unreadable", whole, f"{reason}{first}{owner}", None, "", **about)
        result = result_of(whole, "refused", reason).model_copy(
            update={"rows": rows, "refused": rows, "faults": faults_of(bad)[:MOST_BAD], "unread": tuple(unread)}
        )
        await self._answers.tell(whole, result)
        await self._journal.mark(whole.id, "refused", reason=f"{reason}{first}")

    async def _told(
        self,
        whole: Kept,
        sender: Sender,
        rows: int,
        faults: Sequence[RowFault],
        taken: Sequence[TakenRequisition],
        said: str,
        unread: tuple[str, ...],
    ) -> None:
        out = len({one.row for one in faults})
        result = result_of(whole, "taken in part" if out else "taken").model_copy(
            update={
                "rows": rows,
                "unread": unread,
                "taken": rows - out,
                "refused": out,
                "faults": tuple(sorted(faults, key=lambda one: one.row)),
                "requisitions": tuple(sorted(taken, key=lambda one: one.row)),
            }
        )
        await self._answers.tell(whole, result)
        case = taken[0].case if len(taken) == 1 else ""
        await self._journal.mark(whole.id, "routed", reason="; ".join(filter(None, (result.said(), said))), case=case)
        log.info("file taken", message=whole.id, sender=sender.code, kind=whole.kind, rows=rows, refused=out)

    async def refuse(self, message: Kept, sender: Sender, reason: str) -> None:
        """Nothing of a kept file is taken, for a reason its door found; the same again is harmless."""
        whole = await self._journal.read(message.id)
        if whole is None:
            raise Unavailable(f"message {message.id} is not in the journal", system="store")
        await self._refused(whole, sender, reason)

    async def told_again(self, message: Kept) -> None:
        """Put the result of a file that came a second time where its sender looks, as it was."""
        await self._answers.again(message)
