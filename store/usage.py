"""What was used, kept: each event once under its source's name for it, with a state and an owner; and a person's word on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import content_hash
from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.stock_ports import UsageKept
from canonical.usage import FINDINGS, OWNER, UsageEvent
from canonical.usage_kept import KeptUse, decided
from store.acts import Act, note_in
from store.database import at_once, driven, transaction
from store.ids import IdsInOrder, new_id
from store.register_reading import utc_today
from store.tables import fit, register
from store.usage_mending import mended
from store.usage_rows import COLUMNS, kept_use
from store.usage_tables import usage_conflicts, usage_events

PAGE: Final = 100
EARLY: Final = "unknown-use"
_NUL: Final = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u0000"
)  # as JSON writes it; behind a backslash that is written it is text

# A void is of the location its use is of; one whose use is not known waits for it, parked, and a use frees whom it finds waiting.
# Two that are kept at the same moment do not see each other: the void looks once more, and so does who takes the use.
_OF_ITS_USE: Final = """
    LEFT JOIN usage_events AS u ON g.kind = 'void' AND u.kind <> 'void'
        AND (u.facility, u.source, u.number, u.sequence) = (g.facility, g.source, g.voids_number, g.voids_sequence)
    LEFT JOIN given AS o ON g.kind = 'void' AND o.kind <> 'void'
        AND (o.facility, o.source, o.number, o.sequence) = (g.facility, g.source, g.voids_number, g.voids_sequence)"""
_NOTHING: Final = "(SELECT NULL::text AS id, NULL::text AS location)"
_NO_USE: Final = f"CROSS JOIN {_NOTHING} AS u CROSS JOIN {_NOTHING} AS o"


def _keeping(its_use: str) -> str:
    return f"""
WITH given AS (
    SELECT * FROM unnest(
        $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[], $9::text[], $10::text[], $11::text[],
        $12::text[], $13::text[], $14::date[], $15::text[], $16::text[], $17::text[], $18::text[], $19::int[], $20::text[],
        $21::timestamptz[], $22::timestamptz[], $23::boolean[]) AS g (id, facility, source, number, sequence, kind, hash, location,
        item, lot, serial, expires, service_line, procedure, procedure_code, voids_number, voids_sequence, content, used_at, at, known)
), judged AS (
    SELECT g.*, CASE
        WHEN g.kind = 'void' AND u.id IS NULL AND o.id IS NULL THEN 'unknown-use'
        WHEN g.kind = 'void' THEN ''
        WHEN g.known THEN ''
        ELSE 'unknown-location' END AS finding, coalesce(u.id, o.id, '') AS of, coalesce(u.location, o.location) AS of_at
    FROM given AS g {its_use}
), written AS (
    INSERT INTO usage_events (id, facility, source, number, sequence, kind, hash, message, sender, state, owner, finding,
        findings, reason, location, item, lot, serial, expires, service_line, procedure, procedure_code, voids, voids_number,
        content, used_at, at, changed_at)
    SELECT id, facility, source, number, sequence, kind, hash, $1, $2,
        CASE finding WHEN '' THEN 'waiting' ELSE 'parked' END, CASE finding WHEN '' THEN '' ELSE '{OWNER}' END, finding,
        CASE finding WHEN '' THEN '[]' ELSE jsonb_build_array(finding) END,
        CASE finding WHEN '' THEN ''
            WHEN 'unknown-use' THEN '{FINDINGS["unknown-use"]}: ' || voids_number || '/' || voids_sequence
            ELSE '{FINDINGS["unknown-location"]}: ' || coalesce(nullif(location, ''), 'none is named') END,
        coalesce(of_at, location), item, lot, serial, expires, service_line, procedure, procedure_code, of, voids_number,
        content::jsonb, used_at, at, at
    FROM judged ORDER BY facility, source, number, sequence
    ON CONFLICT (facility, source, number, sequence) DO NOTHING
    RETURNING id, state
), freed AS (
    UPDATE usage_events AS v SET state = 'waiting', owner = '', finding = '', findings = '[]', reason = '', round = NULL,
        voids = g.id, location = g.location, changed_at = g.at
    FROM given AS g JOIN written AS w ON w.id = g.id
    WHERE g.kind <> 'void' AND v.kind = 'void' AND v.state = 'parked' AND v.finding = 'unknown-use'
    AND (v.facility, v.source, v.voids_number) = (g.facility, g.source, g.number)
    AND coalesce((v.content ->> 'voids_sequence')::int, 1) = g.sequence
)
SELECT id, state FROM written"""  # noqa: S608 our own words alone


_KEEP: Final = _keeping(_OF_ITS_USE)
_KEEP_USES: Final = _keeping(_NO_USE)  # where nothing is taken back, as nearly always

_LOOK_AGAIN: Final = text("""
UPDATE usage_events AS v SET state = 'waiting', owner = '', finding = '', findings = '[]', reason = '',
    voids = u.id, location = u.location, changed_at = :at
FROM usage_events AS u
WHERE v.id = ANY(CAST(:voids AS text[])) AND v.state = 'parked' AND v.finding = 'unknown-use' AND u.kind <> 'void'
AND (u.facility, u.source, u.number) = (v.facility, v.source, v.voids_number)
AND u.sequence = coalesce((v.content ->> 'voids_sequence')::int, 1)""")


class StoredUsage:
    """The port :class:`canonical.stock_ports.UsageInbox` in our own database, and questions about events."""

    def __init__(self, engine: AsyncEngine, today: Callable[[], date] = utc_today) -> None:
        self._engine = engine
        self._today = today
        self._ids = IdsInOrder()
        self._places: set[tuple[str, str]] = set()  # locations the register has

    # -- keep ----------------------------------------------------------------------------------------------------

    async def keep(
        self, events: Sequence[UsageEvent], message: str, sender: str, corrects: str = ""
    ) -> Sequence[UsageKept]:
        """Keep the events of one message, in one statement; see the port."""
        if not events:
            return ()
        await self._look_up({(event.facility, fit(event.location)) for event in events if event.kind != "void"})
        rows = [self._row(event) for event in events]
        firsts: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in rows:
            firsts.setdefault(_name(row), row)
        columns = zip(*(tuple(row.values()) for row in firsts.values()), strict=True)
        async with driven(self._engine) as driver:
            asked = _KEEP if any(row["kind"] == "void" for row in rows) else _KEEP_USES
            found = await driver.fetch(asked, message, sender, *(list(one) for one in columns))
        written = {row["id"]: row["state"] for row in found}
        early = [row["id"] for row in rows if row["kind"] == "void" and written.get(row["id"]) == "parked"]
        if early:
            async with at_once(self._engine) as connection:
                await connection.execute(_LOOK_AGAIN, {"voids": early, "at": self._ids.next()[1]})
        if len(written) == len(rows):
            return [UsageKept(id=row["id"], outcome="new", state=written[row["id"]]) for row in rows]
        async with transaction(self._engine) as connection:
            known = await _known(connection, [row for row in rows if row["id"] not in written])
            told = []
            for row in rows:
                held = known.get(_name(row))
                if held is not None and held.hash != row["hash"] and firsts[_name(row)] is row:
                    state = await mended(connection, held.id, row, message, corrects, sender, self._today())
                    if state is not None:
                        told.append(UsageKept(id=held.id, outcome="new", state=state))
                        continue
                told.append(await _told(connection, row, held, written, message))
            return told

    def _row(self, event: UsageEvent) -> dict[str, Any]:
        """In the order of the statement's arguments."""
        one, at = self._ids.next()
        device = event.device
        return {
            "id": one,
            "facility": event.facility,
            "source": event.source,
            "number": fit(event.number),
            "sequence": event.sequence,
            "kind": event.kind,
            "hash": content_hash(event),
            "location": fit(event.location),
            "item": fit(event.item),
            "lot": fit(event.lot or (device.lot if device else "")),
            "serial": fit(event.serial or (device.serial if device else "")),
            "expires": event.expires or (device.expires if device else None),
            "service_line": fit(event.service_line),
            "procedure": fit(event.procedure),
            "procedure_code": fit(event.procedure_code),
            "voids_number": fit(event.voids_number),
            "voids_sequence": event.voids_sequence,
            "content": fit(_NUL.sub("\\1\ufffd", event.model_dump_json(exclude_defaults=True))),
            "used_at": event.used_at,
            "at": at,
            "known": (event.facility, fit(event.location)) in self._places,
        }

    async def _look_up(self, places: set[tuple[str, str]]) -> None:
        """Ask the register for locations not met before: what it has it does not lose, so each is asked for once."""
        if not (new := places - self._places):
            return
        asked = select(register.c.facility, register.c.code).where(
            register.c.kind == "location",
            tuple_(register.c.facility, register.c.code).in_(sorted(new)),
            register.c.valid_from <= self._today(),
        )
        async with at_once(self._engine) as connection:
            self._places |= {(row.facility, row.code) for row in await connection.execute(asked)}

    # -- a person's word -----------------------------------------------------------------------------------------

    async def decide(
        self, one: str, verb: str, by: Actor, reason: str, changes: dict[str, Any] | None = None
    ) -> KeptUse:
        """Post it all the same, correct it (what came stays beside), or dismiss it; noted with the deed in one transaction.

        Raises:
            Rejected: there is no such event, it waits for nobody, or its location is still not in the register.
            Malformed: see :func:`canonical.usage_kept.decided`.
        """
        async with transaction(self._engine) as connection:
            found = await connection.execute(select(*COLUMNS).where(usage_events.c.id == one).with_for_update())
            if (row := found.mappings().one_or_none()) is None:
                raise Rejected(f"there is no usage event {one}", code="not-found")
            use = decided(kept_use(row), verb, by.id, reason, changes)
            if use.state == "waiting" and not await self._is_known(connection, use):
                where = use.location or "none"
                raise Rejected(f"location {where} is not in the register: correct it", code="unknown-code")
            names = ("state", "owner", "round", "allowed", "corrected", "location", "item", "lot", "serial")
            values = {name: getattr(use, name) for name in (*names, "decided_by", "decided_why")}
            if use.event.kind == "void":
                values |= {"voids_number": use.event.voids_number, "voids": ""}
            values["allowed"] = list(use.allowed)
            at = self._ids.next()[1]
            await connection.execute(
                update(usage_events).where(usage_events.c.id == one).values(**values, changed_at=at)
            )
            said = ", ".join(f"{name}: {value}" for name, value in sorted((changes or {}).items()))
            await note_in(
                connection, Act(verb=f"usage {verb}", about=f"usage/{one}", actor=by, reason=reason, detail=said, at=at)
            )
        return use

    async def _is_known(self, connection: AsyncConnection, use: KeptUse) -> bool:
        asked = select(register.c.code).where(
            register.c.kind == "location",
            register.c.facility == use.facility,
            register.c.code == use.location,
            register.c.valid_from <= self._today(),
        )
        return await connection.scalar(asked.limit(1)) is not None

    # -- questions -----------------------------------------------------------------------------------------------

    async def event(self, one: str) -> KeptUse | None:
        """An event by its id."""
        async with at_once(self._engine) as connection:
            found = await connection.execute(select(*COLUMNS).where(usage_events.c.id == one))
            row = found.mappings().one_or_none()
        return kept_use(row) if row is not None else None

    async def list(self, after: str = "", limit: int = PAGE, **wanted: str | Sequence[str]) -> Sequence[KeptUse]:
        """Events in the order they came, from the one after ``after`` on: of a facility, location, item, lot, serial, state, source,
        procedure, message, sender, owner or finding; of several where a list is given."""
        asked = select(*COLUMNS).order_by(usage_events.c.id).limit(limit)
        if after:
            asked = asked.where(usage_events.c.id > after)
        for name, value in wanted.items():
            column = usage_events.c[name]
            if value:
                asked = asked.where(column == value if isinstance(value, str) else column.in_(list(value)))
        async with at_once(self._engine) as connection:
            return [kept_use(row) for row in (await connection.execute(asked)).mappings()]


def _name(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["facility"], row["source"], row["number"], row["sequence"]


async def _known(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> dict[tuple[Any, ...], Any]:
    asked = text("""
        SELECT u.id, u.facility, u.source, u.number, u.sequence, u.hash, u.state
        FROM unnest(CAST(:facilities AS text[]), CAST(:sources AS text[]), CAST(:numbers AS text[]), CAST(:sequences AS int[]))
            AS g (facility, source, number, sequence)
        JOIN usage_events AS u USING (facility, source, number, sequence)""")
    facilities, sources, numbers, sequences = zip(*(_name(row) for row in rows), strict=True)
    given = {"facilities": list(facilities), "sources": list(sources)}
    found = await connection.execute(asked, given | {"numbers": list(numbers), "sequences": list(sequences)})
    return {(row.facility, row.source, row.number, row.sequence): row for row in found}


async def _told(
    connection: AsyncConnection, row: dict[str, Any], known: Any, written: dict[str, str], message: str
) -> UsageKept:
    """What became of one; another's content under its name is put beside it once, for a person."""
    if row["id"] in written:
        return UsageKept(id=row["id"], outcome="new", state=written[row["id"]])
    if known.hash == row["hash"]:
        return UsageKept(id=known.id, outcome="same", state=known.state)
    beside = {"event": known.id, "hash": row["hash"], "message": message, "state": "open", "at": row["at"]}
    await connection.execute(
        upsert(usage_conflicts)
        .values(id=new_id(row["at"]), content=json.loads(row["content"]), **beside)
        .on_conflict_do_nothing(index_elements=["event", "hash"])
    )
    return UsageKept(id=known.id, outcome="conflict", state=known.state)
