"""Which loops run beside the workers, how often each, and that one that breaks never takes the others with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import FasciaError
from store.database import open_engine
from store.expiry import StoredExpiry
from store.needs_again import StoredNeedsAgain
from store.partitions import StoredPartitions
from store.people_wakes import StoredRegisterDays
from store.replays import StoredReplays
from store.replenishment import StoredReplenishment
from store.retention import KeepFor, StoredRetention
from store.shards import SILENT, StoredShards
from store.standing import StoredStandings
from workers import channels, telemetry
from workers.loops import people_wakes, recalls, revocations_served
from workers.loops.engine_runs import TemporalRuns
from workers.loops.engine_sweep import EngineSweep
from workers.loops.erp_watcher import ErpWatcher
from workers.loops.expiry import EXPIRY_EVERY, ExpiryWarnings
from workers.loops.hr_watcher import HrWatcher
from workers.loops.journal_upkeep import EVERY, JournalUpkeep
from workers.loops.mailbox_poller import MailboxPoller
from workers.loops.mended_needs import EVERY as MENDED_EVERY
from workers.loops.mended_needs import MendedNeeds
from workers.loops.outbox import OutboxSender
from workers.loops.pace import Turn, forever, turns
from workers.loops.register_refresh import RegisterRefresh
from workers.loops.replay_jobs import ReplayJobs
from workers.loops.replenishment import Replenishment
from workers.loops.revocations_served import RevocationsServed
from workers.loops.router import Routers
from workers.loops.routing_sweep import RoutingSweep
from workers.settings import SECRETS
from workers.wiring import Wiring

REGISTER_EVERY = 60.0
COUNTS_EVERY = (
    5.0  # seconds between two looks at which locations are to be compared: a new one before its first use is judged
)
SENDERS_EVERY = 5.0
ENGINE_AT_MOST = 20.0  # what is stopped outside must show within a minute
CHARGES_AT_MOST = 2.0  # what is used is billed within seconds
NEW_FACILITIES_EVERY = 30.0
LOCKS = 20

log = structlog.get_logger(__name__)


async def run(parts: Wiring, stop: asyncio.Event) -> None:
    """Run every loop until told to stop; what a loop has begun it ends first."""
    given = parts.settings
    # A turn holds its connection for a whole round; from the pool of those who work in it, rounds could block each other.
    locks = open_engine(given.database_url.get_secret_value(), pool=LOCKS)
    try:
        await _run(parts, stop, locks)
    finally:
        await locks.dispose()


async def revoke(parts: Wiring, stop: asyncio.Event) -> None:
    """Begin the revocations that are to begin, until told to stop; of several processes one at a time."""
    locks = open_engine(parts.settings.database_url.get_secret_value(), pool=1)
    try:
        rounds = parts.people.waking().revoke
        await forever("revocations", people_wakes.REVOKE_EVERY, rounds, stop, turns(locks))
    finally:
        await locks.dispose()


async def _run(parts: Wiring, stop: asyncio.Event, locks: AsyncEngine) -> None:
    given, turn = parts.settings, turns(locks)
    poller = MailboxPoller(parts.register, parts.mailbox_for, parts.mailbox_door, turn)
    sweep = RoutingSweep(parts.journal, parts.corridor())
    engine = EngineSweep(parts.cases, TemporalRuns(parts.client), parts.marks)
    async with (
        httpx.AsyncClient(event_hooks={"request": [telemetry.passes_trace_on()]}, follow_redirects=False) as client,
        asyncio.TaskGroup() as group,
    ):
        standings = StoredStandings(parts.database)
        name, write = channels.own_name(), parts.fhir.notifier()
        outbox = OutboxSender(parts.outbox, standings, client, given.home / SECRETS, name, write=write)
        group.create_task(forever("mailboxes", given.poll_interval, poller.once, stop))
        group.create_task(forever("watched folders", given.poll_interval, parts.folder_watch(turn).once, stop))
        group.create_task(forever("routing sweep", min(given.sweep_interval, 15.0), sweep.once, stop, turn))
        group.create_task(forever("engine sweep", min(given.sweep_interval, ENGINE_AT_MOST), engine.once, stop, turn))
        group.create_task(_tell(outbox, given.poll_interval, stop))
        group.create_task(forever("journal upkeep", EVERY, _upkeep(parts).once, stop, turn))
        group.create_task(channels.send(parts, stop))
        group.create_task(forever("replies", given.poll_interval, parts.reply_writer().once, stop, turn))
        group.create_task(forever("usage wakes", given.usage_interval, parts.stock.usage_wakes().once, stop, turn))
        group.create_task(
            forever("charges", min(given.poll_interval, CHARGES_AT_MOST), parts.stock.charge_writer().once, stop, turn)
        )
        group.create_task(
            forever("counts against the ERP", COUNTS_EVERY, parts.stock.nightly_counts().once, stop, turn)
        )
        needs = Replenishment(StoredReplenishment(parts.database), parts.cases)
        group.create_task(forever("replenishment", given.poll_interval, needs.once, stop, turn))
        mended = MendedNeeds(StoredNeedsAgain(parts.database))
        group.create_task(forever("needs once the register is mended", MENDED_EVERY, mended.once, stop, turn))
        jobs = ReplayJobs(StoredReplays(parts.database), parts.replayer())
        group.create_task(forever("replay jobs", given.poll_interval, jobs.once, stop, turn))
        wakes = recalls.RecallWakes(parts.stock.recalls, parts.stock.recall_engine)
        group.create_task(forever("recalls", recalls.EVERY, wakes.once, stop, turn))
        waking = parts.people.waking()
        group.create_task(forever("people", people_wakes.EVERY, waking.once, stop, turn))
        served = RevocationsServed(parts.marks.silent_for)
        group.create_task(forever("revocations are served", revocations_served.EVERY, served.once, stop))
        warnings = ExpiryWarnings(StoredExpiry(parts.database))
        group.create_task(forever("expiry warnings", EXPIRY_EVERY, warnings.once, stop, turn))
        if parts.people.hr_system is not None:
            asked, people = parts.people.hr_system, parts.people
            hr = HrWatcher(given.hr_sender, asked, parts.journal, parts.directory, parts.marks, people.hr_away)
            group.create_task(forever("HR system", given.poll_interval, hr.once, stop, turn))
        else:  # one that was asked before keeps nobody waiting any more
            group.create_task(forever("no HR system", REGISTER_EVERY, parts.people.hr_away.only, stop, turn))
        monthly, expiring = parts.people.verification.schedule(), parts.people.verification.warnings()
        group.create_task(forever("monitoring schedule", REGISTER_EVERY, monthly.once, stop, turn))
        group.create_task(forever("credential warnings", EXPIRY_EVERY, expiring.once, stop, turn))
        begun = ExpiryWarnings(
            StoredRegisterDays(parts.database), what="rows of the register come into force for people"
        )
        group.create_task(forever("register days", EXPIRY_EVERY, begun.once, stop, turn))
        group.create_task(_watch_erps(parts, stop, turn, group))
        group.create_task(_route(parts, stop, locks))


async def _tell(outbox: OutboxSender, every: float, stop: asyncio.Event) -> None:
    """Tell subscribers until told to stop, then let others."""
    try:
        await forever("outbox", every, outbox.once, stop)
    finally:
        await outbox.close()


async def _route(parts: Wiring, stop: asyncio.Event, locks: AsyncEngine) -> None:
    """Route what was kept in streams, for our fair part of the shards."""
    shards = StoredShards(locks)
    routers = Routers(shards, parts.journal, parts.routing())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(forever("senders", SENDERS_EVERY, parts.directory.refresh, stop))
            group.create_task(forever("router is there", SILENT / 6, shards.beat, stop))
            group.create_task(forever("router", parts.settings.route_interval, routers.once, stop))
    finally:
        await shards.release()


def _upkeep(parts: Wiring) -> JournalUpkeep:
    async def keep_for() -> Sequence[KeepFor]:
        """How long each sender's messages are kept, by its row."""
        return [KeepFor(sender=sender.code, days=sender.days_kept) for sender in await parts.register.senders()]

    partitions = StoredPartitions(parts.database)
    return JournalUpkeep(partitions, StoredRetention(parts.database, partitions), parts.journal, rules=keep_for)


async def _watch_erps(parts: Wiring, stop: asyncio.Event, turn: Turn, group: asyncio.TaskGroup) -> None:
    """One watcher for each facility the register has, also for those that come later."""
    watched: set[str] = set()

    async def look() -> None:
        for facility in await _facilities(parts):
            if facility not in watched:
                erp = parts.erp_for(facility)
                watched.add(facility)
                watcher = ErpWatcher(facility, erp, parts.journal, parts.intake, parts.marks)
                refresh = RegisterRefresh(facility, erp, parts.register)
                every = parts.settings.poll_interval
                group.create_task(forever(f"erp watcher {facility}", every, watcher.once, stop, turn))
                group.create_task(forever(f"register refresh {facility}", REGISTER_EVERY, refresh.once, stop, turn))
                log.info("ERP watched", facility=facility)

    await forever("facilities", NEW_FACILITIES_EVERY, look, stop)


async def _facilities(parts: Wiring) -> Sequence[str]:
    try:
        return await parts.facilities()
    except FasciaError:
        return ()
