"""What ``fascia doctor`` asks: one row per part, the questions about our own tables and namespace among them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError, RPCStatusCode

from canonical.errors import FasciaError
from canonical.messages import LEFT_IN_MAILBOX
from cli.checks_programs import PROGRAMS
from cli.checks_senders import folders, senders
from cli.checks_usage import usage
from stack import doctor, questions
from stack.doctor import Check, Finding, State
from store import migrate
from store.database import open_engine
from workers.namespace import RETENTION, TABLE
from workers.settings import Settings

NAMESPACE_COMMAND = "python -m workers.namespace"
MIGRATE = "fascia migrate"
WAITING_CASES = "fascia case list --waiting"


async def database(settings: Settings) -> Finding:
    """Our own store answers and has the tables this version needs."""
    found = await doctor.database(settings)
    if found.state != "ok":
        return found
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        await migrate.check_head(engine)
        revision = await migrate.current(engine)
    except migrate.NotMigrated as error:
        return replace(found, state="fail", text=error.message.partition(": run")[0], fix=MIGRATE)
    finally:
        await engine.dispose()
    return replace(found, text=f"{found.text}, tables at {revision}")


async def temporal(settings: Settings) -> Finding:
    """Temporal answers, and our namespace keeps cases as long and searchable as the platform needs."""
    found = await doctor.temporal(settings)
    if found.state != "ok":
        return found
    client = await questions.connect(settings)
    try:
        namespace = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
        request = ListSearchAttributesRequest(namespace=client.namespace)
        attributes = (await client.operator_service.list_search_attributes(request)).custom_attributes
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return replace(found, state="fail", text=f"no namespace {client.namespace}", fix=NAMESPACE_COMMAND)
    retention = namespace.config.workflow_execution_retention_ttl.ToTimedelta()
    if missing := [name for name in TABLE if name not in attributes]:
        return replace(found, state="fail", text=f"search attributes missing: {missing}", fix=NAMESPACE_COMMAND)
    if retention < RETENTION:
        text = f"closed cases vanish after {retention.days} days, not {RETENTION.days}"
        return replace(found, state="warn", text=text, fix=NAMESPACE_COMMAND)
    return replace(found, text=f"{found.text}, kept {retention.days} days, {len(TABLE)} search attributes")


async def erp(settings: Settings) -> Finding:
    """The ERP answers, and how many cases wait for it all the same (or because it does not)."""
    found = await doctor.erp(settings)
    if not (waiting := (await _waiting(settings)).get("erp")):
        return found
    state: State = "warn" if found.state == "ok" else found.state
    text, fix = f"{found.text}; {waiting} cases wait for it", found.fix or WAITING_CASES
    return replace(found, state=state, text=text, fix=fix)


async def _waiting(settings: Settings) -> Mapping[str, int]:
    """How many cases wait for each outside system; none where that cannot be read: the part database says so."""
    if (await doctor.database(settings)).state != "ok":
        return {}
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        from store.queries import StoredQueries

        return await StoredQueries(engine).waiting_for()
    except (FasciaError, SQLAlchemyError):
        return {}
    finally:
        await engine.dispose()


async def partner_sftp(settings: Settings) -> Finding:
    """The mailbox of every partner in the register answers as an SFTP server does."""
    if (await doctor.database(settings)).state != "ok":
        return Finding("partner_sftp", "fail", "", "the register cannot be read", "see database")
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        from store.register_reading import RegisterReading
        from store.unmatched import StoredUnmatched

        partners = await RegisterReading(engine).partners()
        left = await StoredUnmatched(engine).count(LEFT_IN_MAILBOX)
    except FasciaError as error:
        return Finding("partner_sftp", "fail", "", f"the register cannot be read: {error.message}", MIGRATE)
    finally:
        await engine.dispose()
    hosted = [partner for partner in partners if partner.active and partner.mailbox_host]
    if not hosted:
        fix = "fascia demo brings two; else fascia register load"
        return Finding("partner_sftp", "warn", "", "no partner with a mailbox in the register", fix)
    words = await asyncio.gather(*(questions.first_words(one.mailbox_host, one.mailbox_port) for one in hosted))
    silent = [one.code for one, word in zip(hosted, words, strict=True) if not word.startswith("SSH-")]
    address = ", ".join(f"{one.mailbox_host}:{one.mailbox_port}" for one in hosted)
    if silent:
        fix = "ask the partner, or correct its row in the register"
        return Finding("partner_sftp", "fail", address, f"no SFTP server answers for {', '.join(silent)}", fix)
    if left:
        text = f"{len(hosted)} mailboxes answer; {left} files in them cannot be taken in"
        return Finding(
            "partner_sftp", "warn", address, text, f"fascia unmatched list, kind {LEFT_IN_MAILBOX} (docs/runbook.md)"
        )
    return Finding("partner_sftp", "ok", address, f"{len(hosted)} mailboxes answer")


async def mllp(settings: Settings) -> Finding:
    """The MLLP door takes connections, and there is somebody it would know."""
    found = await doctor.mllp(settings)
    if found.state != "ok" or (await doctor.database(settings)).state != "ok":
        return found
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        from store.register_reading import RegisterReading

        known = [
            sender for sender in await RegisterReading(engine).senders() if sender.active and sender.dialect == "hl7"
        ]
    except FasciaError as error:
        return replace(found, state="fail", text=f"the register cannot be read: {error.message}", fix=MIGRATE)
    finally:
        await engine.dispose()
    if not known:
        return replace(
            found, state="warn", text=f"{found.text}; no sender is known", fix="fascia register load --kind sender"
        )
    return replace(found, text=f"{found.text}; {len(known)} senders known")


async def channels(settings: Settings) -> Finding:
    """Every channel sends: none is paused, stands still or waits for a target that does not answer."""
    if (await doctor.database(settings)).state != "ok":
        return Finding("channels", "fail", "", "the channels cannot be read", "see database")
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        from store.channel_keeping import StoredChannelKeeping
        from store.register_reading import RegisterReading

        rows = [one.code for one in await RegisterReading(engine).channels() if one.active]
        keeping = StoredChannelKeeping(engine)
        standings, backlogs = await keeping.standings(), await keeping.backlogs()
    except (FasciaError, SQLAlchemyError):
        return Finding("channels", "fail", "", "the channels cannot be read", MIGRATE)
    finally:
        await engine.dispose()
    ill = [f"{one.channel} is paused ({one.paused_why})" for one in standings if one.paused]
    ill += [f"{one.channel}: {one.error}" for one in standings if one.breaker != "closed" and not one.paused]
    ill += [f"{one.channel} stands still behind {one.head}" for one in backlogs if one.stands_still]
    dead = sum(one.dead for one in backlogs)
    if dead:
        ill.append(f"{dead} dead letters")
    waiting = sum(one.waiting for one in backlogs)
    if ill:
        return Finding("channels", "warn", "", "; ".join(ill), "fascia channel list --trouble (docs/runbook.md)")
    return Finding("channels", "ok", "", f"{len(rows)} channels send, {waiting} messages wait")


async def attention(settings: Settings) -> Finding:
    """What stands still and needs a person, counted: streams, dead letters, files, channels, replays, cases."""
    if (await doctor.database(settings)).state != "ok":
        return Finding("attention", "fail", "", "what stands still cannot be read", "see database")
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        from store.attention import StoredAttention

        stuck = await StoredAttention(engine).stuck(datetime.now(UTC))
    except (FasciaError, SQLAlchemyError):
        return Finding("attention", "fail", "", "what stands still cannot be read", MIGRATE)
    finally:
        await engine.dispose()
    counts: Counter[str] = Counter()
    for one in stuck:
        counts[one.what] += one.count
    if counts:
        said = ", ".join(f"{many} {what}" for what, many in sorted(counts.items()))
        return Finding("attention", "warn", "", said, "fascia attention list")
    return Finding("attention", "ok", "", "nothing waits for a person")


CHECKS: Mapping[str, Check] = {
    "database": database,
    "temporal": temporal,
    "temporal_ui": doctor.temporal_ui,
    "erp": erp,
    "hr": doctor.hr,
    "partner_sftp": partner_sftp,
    "api": doctor.api,
    "mllp": mllp,
    **PROGRAMS,
    "channels": channels,
    "senders": senders,
    "folders": folders,
    "usage": usage,
    "attention": attention,
}
