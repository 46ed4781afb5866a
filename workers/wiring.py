"""Plugs the platform together: the one place that knows which class stands behind each port.

Built once per process from the settings; nothing here decides anything about the business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.cases import CaseActivities
from activities.erp import ErpActivities
from activities.register import RegisterActivities
from activities.supplier import SupplierActivities
from adapters.registry import ERPS, FOLDERS, SUPPLIERS, ErpAccess
from canonical.base import Canonical, FacilityCode
from canonical.catalogue import MasterFile
from canonical.errors import Rejected, Unavailable
from canonical.folders import FileSource, Folder
from canonical.hr_ports import HrRowsApart
from canonical.parties import Partner
from canonical.people import HrEvent
from canonical.ports import Erp, SupplierChannel
from canonical.purchasing import Requisition
from canonical.stock import StockCount
from canonical.usage import UsageEvent
from gateway.beside import Beside
from gateway.callers import RecentCallers
from gateway.csv_files import CsvFiles
from gateway.decisions import settle_decisions
from gateway.directory import Directory
from gateway.files import FilesDoor
from gateway.folders import FolderDoor
from gateway.hl7_refusals import Refusals
from gateway.intake import Intake
from gateway.master_files import MasterFiles
from gateway.people import HrTaker, PersonHashes
from gateway.people_rows import rows_apart
from gateway.preview import Previewer
from gateway.quota import Leases
from gateway.routing import Routing, Taker, TakerOfAll, requisitions
from store import migrate
from store.arrivals import StoredArrivals
from store.channels import StoredChannels
from store.drift import StoredDrift
from store.file_work import StoredFileWork
from store.foreseen import StoredForesight
from store.keys import StoredKeys
from store.marks import StoredMarks
from store.numbering import StoredNumbering
from store.outbox import StoredOutbox
from store.queries import StoredQueries
from store.quotas import StoredQuotas
from store.register import StoredRegister
from store.replays import StoredReplays
from store.replies import StoredReplies
from workers import telemetry, temporal
from workers.acknowledged import credit
from workers.answers import KeysOfCallers, KeysOfSigners, StoredLookups
from workers.fhir_wiring import FhirParts
from workers.loops.folder_watch import FolderResults, FolderWatch
from workers.loops.pace import Turn
from workers.loops.replies import ReplyWriter
from workers.one_per_row import OnePerRow
from workers.our_store import our_store
from workers.people_wiring import PeopleParts
from workers.replaying import Replayer
from workers.settings import SECRETS, Settings
from workers.stock_wiring import StockParts
from workers.traced import TracedCases, TracedJournal
from workflows.registry import PROCESSES

if TYPE_CHECKING:  # SFTP is loaded by who opens a mailbox, a web server by who opens the REST door
    from adapters.sftp import SftpMailbox
    from gateway.rest import Doors


@dataclass
class Wiring:
    """Everything of one process, each part made when first asked for."""

    settings: Settings
    database: AsyncEngine
    client: Client
    _erps: dict[str, Erp] = field(default_factory=dict)
    _mailboxes: OnePerRow[SftpMailbox] = field(default_factory=OnePerRow)
    _folders: OnePerRow[Folder] = field(default_factory=OnePerRow)

    @cached_property
    def seal_key(self) -> bytes:
        key = self.settings.seal_key
        return key.get_secret_value().encode() if key else b""

    @cached_property
    def beside(self) -> Beside:
        """Where this process has large resources read, but for its door."""
        return Beside()

    @cached_property
    def journal(self) -> TracedJournal:
        return TracedJournal(self.database)

    @cached_property
    def cases(self) -> TracedCases:
        return TracedCases(self.database, self.seal_key)

    @cached_property
    def register(self) -> StoredRegister:
        return StoredRegister(self.database)

    @cached_property
    def numbering(self) -> StoredNumbering:
        return StoredNumbering(self.database)

    @cached_property
    def marks(self) -> StoredMarks:
        return StoredMarks(self.database)

    @cached_property
    def queries(self) -> StoredQueries:
        return StoredQueries(self.database)

    @cached_property
    def outbox(self) -> StoredOutbox:
        return StoredOutbox(self.database)

    @cached_property
    def channels(self) -> StoredChannels:
        """What leaves us by channels."""
        return StoredChannels(self.database)

    @cached_property
    def engine(self) -> temporal.TemporalEngine:
        return temporal.TemporalEngine(self.client, self.settings, self.seal_key)

    @cached_property
    def people(self) -> PeopleParts:
        """What knows people: onboarding, access, revocation."""
        return PeopleParts(self.settings, self.database, self.client, self.cases.person, self._erp_access)

    @cached_property
    def stock(self) -> StockParts:
        """What keeps stock."""
        return StockParts(
            settings=self.settings,
            database=self.database,
            client=self.client,
            seal_key=self.seal_key,
            cases=self.cases,
            register=self.register,
            journal=self.journal,
            intake=self.intake,
            erp_for=self.erp_for,
            facilities=self.facilities,
        )

    @cached_property
    def fhir(self) -> FhirParts:
        """What speaks FHIR."""
        return FhirParts(
            database=self.database,
            cases=self.cases,
            journal=self.journal,
            directory=self.directory,
            beside=self.beside,
            seal_key=self.seal_key,
            api_url=self.settings.api_url,
        )

    @cached_property
    def intake(self) -> Intake:
        return Intake(self.journal, self.cases, self.engine)

    @cached_property
    def mailbox_door(self) -> FilesDoor:
        """The door of partners' mailboxes; its kept messages have their way on from here."""
        return FilesDoor(self.intake, self.journal, self.numbering, self.register, self.mailbox_for, self.master_files)

    @cached_property
    def drift(self) -> StoredDrift:
        return StoredDrift(self.database, self.register)

    @cached_property
    def person_hashes(self) -> PersonHashes:
        """What national numbers are kept by."""
        return PersonHashes(self.seal_key)

    @cached_property
    def hr_taker(self) -> HrTaker:
        """Where HR events go, whichever door they came by."""
        return HrTaker(self.people.inbox, self.intake, self.person_hashes)

    @cached_property
    def master_files(self) -> MasterFiles:
        """Where catalogues and location files go."""
        return MasterFiles(self.intake, self.drift)

    def folder_for(self, source: FileSource) -> Folder:
        """The folders of a file source as its row is now; a changed row is another one."""
        make = partial(FOLDERS[source.kind], source, self.settings.home / SECRETS)
        return self._folders.get(source.code, source.model_dump_json(), make)

    @cached_property
    def csv_files(self) -> CsvFiles:
        """Where CSV files go on from here, whichever door they came by."""
        results = FolderResults(self.register, self.folder_for)
        return CsvFiles(
            *(self.intake, self.register, self.master_files, results, results),
            work=StoredFileWork(self.database),
            uses=self.stock.usage_taker,
            counts=self.stock.counts,
            people=self.hr_taker,
        )

    def folder_watch(self, turn: Turn) -> FolderWatch:
        """Watches the folders of the register's file sources; with none it does nothing."""
        door = FolderDoor(self.intake, self.csv_files, StoredArrivals(self.database))
        return FolderWatch(self.register, self.folder_for, door, turn, looked=self.marks.beat)

    def corridor(self) -> Intake:
        """The corridor with the way on of every door's messages, as the routing sweep and a replay need it."""
        settle_decisions(self.intake)
        assert self.mailbox_door
        assert self.csv_files
        return self.intake

    @cached_property
    def directory(self) -> Directory:
        """Who sends HL7 messages and FHIR resources; read for the first time when somebody looks."""
        return Directory(self.register)

    def routing(self) -> Routing:
        """Where kept messages of streams go, by what they say."""
        takers: dict[type[Canonical], Taker] = {
            Requisition: requisitions(self.intake),
            MasterFile: self.master_files.take,
            StockCount: self.stock.counts.take,
        }
        takers[HrRowsApart] = rows_apart(self.intake)
        of_all: dict[type[Canonical], TakerOfAll] = {
            UsageEvent: self.stock.usage_taker.take,
            HrEvent: self.hr_taker.take,
        }
        return Routing(
            *(self.journal, self.intake, self.directory, takers),
            refuser=Refusals(self.register, self.channels),
            credit=credit(self.channels),
            takers_of_all=of_all,
        )

    def previewer(self) -> Previewer:
        """Says what routing messages once more would do; a fresh one for each list."""
        return Previewer(
            self.routing().reader,
            StoredForesight(self.database),
            self.cases,
            self.register.partner,
            self.corridor().routes,
            bad_rows=FolderResults(self.register, self.folder_for).bad_rows,
            procedures=self.stock.procedures,
            hashes=self.person_hashes,
        )

    def replayer(self) -> Replayer:
        """Routes messages once more, as their routers do."""
        return Replayer(
            StoredReplays(self.database),
            StoredForesight(self.database),
            self.journal,
            self.corridor(),
            self.routing(),
            self.previewer,
        )

    def erp_for(self, facility: FacilityCode) -> Erp:
        """The ERP of a facility: one serves all of them (docs/adr/0006-doors-and-workers.md)."""
        kind = self.settings.erp_kind
        if not self.settings.erp_url:
            raise Unavailable("no ERP address is set: FASCIA_ERP_URL", system="erp")
        if kind not in self._erps:
            self._erps[kind] = ERPS[kind](self._erp_access())
        return self._erps[kind]

    def _erp_access(self) -> ErpAccess:
        password = self.settings.erp_password
        return ErpAccess(
            url=self.settings.erp_url,
            database=self.settings.erp_database,
            user=self.settings.erp_user,
            password=password.get_secret_value() if password else "",
            timeout=self.settings.erp_timeout,
            on_request=(telemetry.passes_trace_on(),),
        )

    def mailbox_for(self, partner: Partner) -> SftpMailbox:
        """The mailbox of a partner as its row is now; a changed row is another mailbox."""
        from adapters.sftp import SftpMailbox

        make = partial(SftpMailbox, partner, keys=self.settings.home / SECRETS)
        return self._mailboxes.get(partner.code, partner.model_dump_json(), make)

    def channel_for(self, partner: Partner) -> SupplierChannel:
        """The way to a supplier, by the dialect in its row."""
        if partner.dialect not in SUPPLIERS:
            raise Rejected(
                f"nobody speaks {partner.dialect} to {partner.code}", code="configuration", system="supplier"
            )
        return SUPPLIERS[partner.dialect](self.numbering, self.journal, self.mailbox_for)

    def reply_writer(self) -> ReplyWriter:
        """Writes what departments are to hear of their orders."""
        return ReplyWriter(StoredReplies(self.database), self.journal, self.cases, self.register, self.channels)

    async def facilities(self) -> list[str]:
        """The facilities the register has."""
        return [row.code for row in (await self.queries.records("facility", limit=1000)).records]

    def doors(self) -> Doors:
        """What stands behind the REST door.

        Raises:
            Rejected: there is no key to seal decisions with.
        """
        from gateway.rest import Doors

        if not self.seal_key:
            where = self.settings.secret_path("seal_key")
            raise Rejected(f"no key to seal decisions with: put one into {where}", code="configuration")
        return Doors(
            intake=self.intake,
            cases=self.cases,
            engine=self.engine,
            keys=RecentCallers(KeysOfCallers(StoredKeys(self.database), self.register)),
            quotas=Leases(StoredQuotas(self.database)),
            lookups=StoredLookups(self.queries, self.register, self.cases),
            unmatched=self.cases,
            files=self.csv_files,
            hooks=KeysOfSigners(StoredKeys(self.database, seal_key=self.seal_key)),
            seal_key=self.seal_key,
            ready={"store": self._store_ready, "temporal": self._temporal_ready},
            version=version("fascia"),
            fhir=self.fhir.door(),
            scans=self.stock.scan_door(self.directory),
            revoking=self.people,
            heard=StoredForesight(self.database),
        )

    async def _store_ready(self) -> None:
        await migrate.check_head(self.database)

    async def _temporal_ready(self) -> None:
        if not await temporal.answers(self.client):
            raise Unavailable("Temporal does not answer", system="temporal")

    async def close(self) -> None:
        """Give every connection back."""
        await self.beside.close()
        await self._mailboxes.close()
        await self._folders.close()
        if "people" in self.__dict__:
            await self.people.close()
        for erp in self._erps.values():
            if close := getattr(erp, "close", None):
                await close()

    def steps(self) -> dict[str, Sequence[Callable[..., Any]]]:
        """The steps each task queue serves."""
        stock, people = self.stock.steps(), self.people.steps(self.cases)
        own = [CaseActivities(self.cases, self.register), RegisterActivities(self.register)]
        return people | {
            temporal.PROCESSES: [*temporal.steps_of(own), *stock[temporal.PROCESSES], *people[temporal.PROCESSES]],
            temporal.ERP: [*temporal.steps_of([ErpActivities(self.erp_for)]), *stock[temporal.ERP]],
            temporal.SUPPLIER: temporal.steps_of([SupplierActivities(self.channel_for, self.register)]),
        }

    def workflows(self) -> list[type]:
        return [process.workflow for process in PROCESSES.values()]


@asynccontextmanager
async def wired(settings: Settings, *, lazy: bool) -> AsyncIterator[Wiring]:
    """The parts of a process, with our store behind them; closed when the block ends.

    Raises:
        FasciaError: no address, no answer, or a database of another shape, with what to do about it.
    """
    async with our_store(settings) as database:
        client = await temporal.connect(settings, interceptors=[telemetry.through_temporal()], lazy=lazy)
        wiring = Wiring(settings, database, client)
        try:
            yield wiring
        finally:
            await wiring.close()
