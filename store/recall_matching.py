"""What a recall meets with us: each use of it and each location that holds it, found in a few statements however many they are.

Lots and serials are compared as :func:`canonical.recall.covers` says, without regard to case, among the rows of the recalled item
alone (the index on facility and item): so one way serves single lots, ranges and whole items.
"""

# ruff: noqa: S608 (the statements are put together of our own texts alone; what is given is bound)
from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, DateTime, Integer, Text, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.recall import UNCLASSIFIED
from canonical.usage import UsagePolicy
from store.register_reading import all_codes, current


def _dated(sql: str) -> TextClause:
    """A statement with the moment ``at``, which has its zone."""
    return text(sql).bindparams(bindparam("at", type_=DateTime(timezone=True)))


def _within(code: str, first: str, last: str) -> str:
    """A code within a range whose ends have one length."""
    return f'(length({code}) = length({first}) AND upper({code}) COLLATE "C" BETWEEN {first} AND {last})'


def covered(of: str, by: str) -> str:
    """SQL: the lot and serial of ``of`` are meant by ``by`` (a block or a scope); what is asked for and not known is not meant."""
    lot = f"({by}.lot_from = '' OR {_within(f'{of}.lot', f'{by}.lot_from', f'{by}.lot_to')})"
    serial = f"({by}.serial_from = '' OR {_within(f'{of}.serial', f'{by}.serial_from', f'{by}.serial_to')})"
    return f"({lot} AND {serial})"


def possible(of: str, by: str) -> str:
    """SQL: as :func:`covered`, and what our books do not know may be meant."""
    lot = f"({by}.lot_from = '' OR {of}.lot = '' OR {_within(f'{of}.lot', f'{by}.lot_from', f'{by}.lot_to')})"
    serial = f"({by}.serial_from = '' OR {of}.serial = '' OR {_within(f'{of}.serial', f'{by}.serial_from', f'{by}.serial_to')})"
    return f"({lot} AND {serial})"


# The facilities there are in a table, one index look-up for each: blocks of all facilities are asked for in each of them.
def _sites(table: str) -> str:
    return f"""sites AS (
        (SELECT facility FROM {table} ORDER BY facility LIMIT 1)
        UNION ALL
        SELECT (SELECT facility FROM {table} t WHERE t.facility > s.facility ORDER BY facility LIMIT 1)
        FROM sites s WHERE s.facility IS NOT NULL
    )"""


_AT: Final = "FROM recall_blocks b JOIN sites s ON s.facility IS NOT NULL AND b.facility IN ('', s.facility)"
_USED: Final = "e.kind = 'use' AND e.voided_by = '' AND e.state NOT IN ('voided', 'dismissed')"
_OF_ITEM: Final = f"""{_AT}
    JOIN usage_events e ON e.facility = s.facility AND e.item = b.item AND {covered("e", "b")} AND {_USED}
    WHERE b.active AND (b.recall = :recall OR :recall = '')"""
# A use whose item nobody knows yet may have the very barcode that is recalled; such wait, each kind of waiting has its index.
_OF_DEVICE: Final = f"""FROM recall_scopes c JOIN recalls r ON r.number = c.recall AND r.blocked
    JOIN (SELECT * FROM usage_events WHERE state = 'waiting'
            UNION ALL SELECT * FROM usage_events WHERE state IN ('review', 'parked', 'taken')) e
        ON e.content -> 'device' ->> 'device' = c.device
        AND (c.facility = '' OR c.facility = e.facility) AND {covered("e", "c")} AND {_USED}
    WHERE c.device <> '' AND (c.lot_from <> '' OR c.serial_from <> '' OR c.everything)
        AND (c.recall = :recall OR :recall = '')"""
_HELD: Final = f"""{_AT}
    JOIN stock_balances h ON h.facility = s.facility AND h.item = b.item AND {possible("h", "b")}
    WHERE b.active AND (b.recall = :recall OR :recall = '')"""
_NEW_USE: Final = "NOT EXISTS (SELECT 1 FROM recall_matches m WHERE m.recall = {recall} AND m.event = e.id)"
_INTO: Final = """INSERT INTO recall_matches
    (recall, kind, facility, location, procedure, item, lot, serial, event, quantity, certain, at)"""
_USE: Final = """:recall, CASE WHEN e.procedure <> '' THEN 'procedure' ELSE 'use' END, e.facility, e.location, e.procedure, e.item,
    e.lot, e.serial, e.id, coalesce(e.quantity, 0), true, :at"""

_USES: Final = _dated(f"""WITH RECURSIVE {_sites("usage_events")} {_INTO} SELECT DISTINCT {_USE} {_OF_ITEM}
    AND {_NEW_USE.format(recall=":recall")} ON CONFLICT DO NOTHING""")
_USES_BY_DEVICE: Final = _dated(f"""{_INTO} SELECT DISTINCT {_USE} {_OF_DEVICE}
    AND {_NEW_USE.format(recall=":recall")} ON CONFLICT DO NOTHING""")
_STOCK: Final = _dated(f"""WITH RECURSIVE {_sites("stock_balances")} {_INTO} SELECT :recall, 'location', h.facility, h.location, '',
        h.item, h.lot, h.serial, '', max(h.on_hand), bool_or({covered("h", "b")}), :at {_HELD} AND h.on_hand > 0
    GROUP BY h.facility, h.location, h.item, h.lot, h.serial
    ON CONFLICT (recall, facility, location, item, lot, serial) WHERE event = '' DO UPDATE SET quantity = excluded.quantity,
        certain = recall_matches.certain OR excluded.certain, at = excluded.at,
        task = CASE WHEN excluded.quantity > recall_matches.quantity THEN '' ELSE recall_matches.task END
    WHERE recall_matches.quantity <> excluded.quantity""")
_LESS_STOCK: Final = text("""UPDATE recall_matches m SET quantity = greatest(coalesce((SELECT h.on_hand FROM stock_balances h
        WHERE (h.facility, h.location, h.item, h.lot, h.serial) = (m.facility, m.location, m.item, m.lot, m.serial)), 0), 0)
    WHERE m.recall = :recall AND m.event = '' AND m.quantity > 0 AND NOT EXISTS (SELECT 1 FROM stock_balances h
        WHERE (h.facility, h.location, h.item, h.lot, h.serial) = (m.facility, m.location, m.item, m.lot, m.serial)
        AND h.on_hand >= m.quantity)""")

_KEY: Final = (
    "CASE WHEN c.device <> '' THEN 'device:' || c.device ELSE 'catalogue:' || c.supplier || '/' || c.catalogue END"
)
# Which recalls have something to look at: a use or stock not met before, or a product the register has come to know since.
_NEWS: Final = text(f"""WITH RECURSIVE {_sites("usage_events")}, {_sites("stock_balances").replace("sites", "places")}
    SELECT b.recall {_OF_ITEM} AND {_NEW_USE.format(recall="b.recall")}
    UNION SELECT c.recall {_OF_DEVICE} AND {_NEW_USE.format(recall="c.recall")}
    UNION SELECT b.recall {_HELD.replace("sites", "places")} AND h.on_hand > 0 AND NOT EXISTS (SELECT 1 FROM recall_matches m
        WHERE m.recall = b.recall AND m.event = '' AND (m.facility, m.location, m.item, m.lot, m.serial)
            = (h.facility, h.location, h.item, h.lot, h.serial) AND m.quantity >= h.on_hand)
    UNION SELECT c.recall FROM recall_scopes c JOIN recalls r ON r.number = c.recall AND r.blocked
        JOIN register_keys k ON k.kind = 'item' AND k.key = {_KEY} AND c.facility IN ('', k.facility)
        WHERE c.item = '' AND (c.lot_from <> '' OR c.serial_from <> '' OR c.everything) AND NOT EXISTS (
            SELECT 1 FROM recall_blocks b WHERE b.recall = c.recall AND b.item = k.code AND b.facility = k.facility)""")

# A place: its location, or its procedure wherever that was. Where its last task is answered it gets another.
_PLACE: Final = """m.kind, m.facility, CASE WHEN m.kind = 'procedure' THEN '' ELSE m.location END AS location,
    CASE WHEN m.kind = 'procedure' THEN m.procedure ELSE '' END AS procedure"""
_TASKS: Final = _dated(f"""WITH p AS (SELECT DISTINCT {_PLACE} FROM recall_matches m WHERE m.recall = :recall AND m.task = ''
            AND (m.event <> '' OR m.quantity > 0)),
        t AS (SELECT kind, facility, location, procedure, count(*) AS many, bool_or(state = 'open') AS open FROM recall_tasks
            WHERE recall = :recall GROUP BY kind, facility, location, procedure),
        n AS (SELECT p.*, 1 + coalesce(t.many, 0) AS sequence FROM p LEFT JOIN t USING (kind, facility, location, procedure)
            WHERE t.open IS NOT TRUE)
    INSERT INTO recall_tasks (id, recall, kind, facility, location, procedure, sequence, state, due, opened_at)
    SELECT left(encode(sha256(convert_to(concat_ws(chr(31), :recall, kind, facility, location, procedure, sequence), 'UTF8')),
            'hex'), 16), :recall, kind, facility, location, procedure, sequence, 'open',
        :at + make_interval(hours => coalesce((SELECT h.hours FROM unnest(CAST(:sites AS text[]), CAST(:hours AS int[]))
            AS h (site, hours) WHERE h.site = facility), :else_hours)), :at FROM n""").bindparams(
    bindparam("sites", type_=ARRAY(Text)), bindparam("hours", type_=ARRAY(Integer))
)
_PUT: Final = text(f"""UPDATE recall_matches x SET task = t.id FROM (SELECT m.id, {_PLACE} FROM recall_matches m
        WHERE m.recall = :recall AND m.task = '' AND (m.event <> '' OR m.quantity > 0)) p
    JOIN recall_tasks t ON t.recall = :recall AND t.state = 'open'
        AND (t.kind, t.facility, t.location, t.procedure) = (p.kind, p.facility, p.location, p.procedure)
    WHERE x.id = p.id""")
_EXPECTED: Final = text("""UPDATE recall_tasks t SET expected = s.many FROM (SELECT task, sum(quantity) AS many FROM recall_matches
    WHERE recall = :recall AND task <> '' GROUP BY task) s WHERE t.id = s.task AND t.state = 'open' AND t.expected <> s.many""")

# The blocks of what is certain: of our item everywhere it is known by that device identifier or catalogue number.
_BLOCKED: Final = (
    "coalesce(k.facility, c.facility), coalesce(k.code, c.item), c.lot_from, c.lot_to, c.serial_from, c.serial_to"
)
_BLOCKS: Final = _dated(f"""
    INSERT INTO recall_blocks (id, facility, item, lot_from, lot_to, serial_from, serial_to, recall, active, at, changed_at)
    SELECT left(encode(sha256(convert_to(concat_ws(chr(31), c.recall, {_BLOCKED}), 'UTF8')), 'hex'), 32), {_BLOCKED}, c.recall,
        true, :at, :at
    FROM recall_scopes c LEFT JOIN register_keys k ON k.kind = 'item' AND k.key = {_KEY}
        AND c.item = '' AND c.facility IN ('', k.facility)
    WHERE c.recall = :recall AND (c.lot_from <> '' OR c.serial_from <> '' OR c.everything)
        AND (c.item <> '' OR k.code IS NOT NULL)
    ON CONFLICT DO NOTHING""")


async def block(connection: AsyncConnection, recall: str, at: datetime) -> int:
    """Make the blocks that are missing; how many. Who calls holds the recall's row."""
    return (await connection.execute(_BLOCKS, {"recall": recall, "at": at})).rowcount


async def match(connection: AsyncConnection, recall: str, classification: str, at: datetime) -> int:
    """Find what is new, and open a task for each place that has it; how many tasks. Who calls holds the recall's row."""
    given = {"recall": recall, "at": at}
    for statement in (_USES, _USES_BY_DEVICE, _STOCK):
        await connection.execute(statement, given)
    await connection.execute(_LESS_STOCK, {"recall": recall})
    sites, hours = await _clocks(connection, classification, at)
    default = hours_of(UsagePolicy(facility="any"), classification)
    clocks = {"sites": sites, "hours": hours, "else_hours": default}
    # These rows are new, so the planner believes there are hardly any; row by row they would be compared each with each.
    await connection.execute(text("SET LOCAL enable_nestloop = off"))
    opened = (await connection.execute(_TASKS, given | clocks)).rowcount
    await connection.execute(_PUT, {"recall": recall})
    await connection.execute(_EXPECTED, {"recall": recall})
    await connection.execute(text("SET LOCAL enable_nestloop = on"))
    return opened


async def news(connection: AsyncConnection) -> Sequence[str]:
    """The recalls whose blocks stand and that have met something new."""
    return sorted(await connection.scalars(_NEWS, {"recall": ""}))


def hours_of(policy: UsagePolicy, classification: str) -> int:
    """How long a task of this class may take, in hours on the clock; without a class as the gravest."""
    return policy.recall_hours.get(classification or UNCLASSIFIED, 24)


async def _clocks(connection: AsyncConnection, classification: str, at: datetime) -> tuple[list[str], list[int]]:
    sites = await all_codes(connection, "facility", at.date())
    hours = []
    for site in sites:
        found = await current(connection, UsagePolicy, "usage_policy", site, site, at.date())
        in_force = found is not None and (found.valid_to is None or at.date() <= found.valid_to)
        policy = found if found is not None and in_force else UsagePolicy(facility=site)
        hours.append(hours_of(policy, classification))
    return sites, hours
