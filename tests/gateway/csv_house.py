"""What stands behind the doors of CSV files in these tests: our store in memory, a register of two senders, a place for results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from canonical.catalogue import MasterFile
from canonical.errors import Rejected, Unavailable
from canonical.messages import Kept, NewMessage
from canonical.purchasing import Requisition
from canonical.senders import Mapping, Sender
from gateway.csv_files import CsvFiles
from gateway.intake import Intake
from gateway.master_files import MasterFiles
from tests.fakes.store import FakeCases
from tests.gateway.fakes import FakeEngine, NotingJournal

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SUPPLIER = Sender(code="ALPINE", facility="NGH", dialect="file", owner="purchasing")
WARD = Sender(
    code="WARD-FILES",
    facility="NGH",
    dialect="file",
    source="ward-desk",
    department="surgery",
    cost_centre="CC-4100",
    deliver_to="NGH-W3",
    requester="E-1001",
)
CATALOGUE = b"""item,catalogue_number,description,unit,base_units,price,valid_from
ITM-1001,ALP-1,Glove,BX,100,18.75,2026-12-01
ITM-1002,ALP-2,Mask,BX,50,7.10,
ITM-1003,ALP-3,Gown,EA,,4,20270101
"""
REQUISITIONS = b"""number,line,item,quantity,unit,note
R-1,1,ITM-1001,4,BX,for Monday
R-2,1,ITM-1002,1,BX,
R-1,2,ITM-1003,10,EA,
"""


@dataclass
class Report:
    """What a comparison came to."""

    compared: int
    unknown: int = 0
    differ: tuple[str, ...] = ()


@dataclass
class FakeDrifts:
    """Notes what is held against the register."""

    files: list[tuple[MasterFile, str, date]] = field(default_factory=list)
    away: bool = False

    async def compare(self, file: MasterFile, message: str, as_of: date) -> Report:
        if self.away:
            raise Unavailable("our own database does not answer", system="store")
        self.files.append((file, message, as_of))
        return Report(len(file.entries), differ=("one",))

    @property
    def rows(self) -> list[str]:
        """The rows that were taken, each time they were."""
        return [entry.row for file, _, _ in self.files for entry in file.entries]


@dataclass
class FakeResults:
    """Result files by their source and name."""

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    away: bool = False
    refuses: bool = False

    async def put(self, source: str, name: str, data: bytes) -> None:
        if self.away:
            raise Unavailable("the folder does not answer", system="files")
        if self.refuses:
            raise Rejected("the folder does not let us write", code="forbidden", system="files")
        self.files[source, name] = data


class House:
    """Everything behind the doors of files."""

    def __init__(self, *senders: Sender) -> None:
        self.rows = list(senders or (SUPPLIER, WARD))
        self.tables: list[Mapping] = []
        self.policies: dict[str, str] = {}
        self.journal, self.engine = NotingJournal(), FakeEngine()
        self.cases = FakeCases(self.journal)
        self.intake = Intake(self.journal, self.cases, self.engine, clock=lambda: NOW)
        self.drifts, self.results = FakeDrifts(), FakeResults()
        self.files = CsvFiles(
            self.intake, self, MasterFiles(self.intake, self.drifts, lambda: NOW), self.results, self, lambda: NOW
        )

    async def senders(self) -> Sequence[Sender]:
        return self.rows

    async def mappings(self) -> Sequence[Mapping]:
        return self.tables

    async def bad_rows(self, source: str) -> str | None:
        return self.policies.get(source)

    async def kept(self, data: bytes, feed: str = "catalogue", name: str = "file.csv", source: str = "IN") -> Kept:
        """A file as the folder's door keeps it."""
        sender = SUPPLIER if feed == "catalogue" else WARD
        about = {"sender": sender.code, "channel": source, "control_number": name, "key": f"{source}/{name}"}
        new = NewMessage(door="files", kind=f"csv_{feed}", data=data).model_copy(update=about)
        return (await self.journal.keep(new)).message

    async def taken(self, data: bytes, feed: str = "catalogue", name: str = "file.csv", source: str = "IN") -> Kept:
        """A file kept and routed; as it stands then."""
        message = await self.kept(data, feed, name, source)
        await self.intake.route(message)
        return self.now(message)

    def now(self, message: Kept) -> Kept:
        return self.journal.messages[message.id]

    @property
    def started(self) -> list[Requisition]:
        return [Requisition.model_validate_json(data) for _, data in self.engine.started]

    def of_kind(self, kind: str) -> list[Kept]:
        return [one for one in self.journal.messages.values() if one.kind == kind]

    @property
    def result(self) -> list[str]:
        """The one result file, line by line."""
        (data,) = self.results.files.values()
        return data.decode().splitlines()
