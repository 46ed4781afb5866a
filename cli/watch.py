"""A list that is looked at again and again: a table that moves on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence

from rich.live import Live

from canonical.errors import Unavailable
from cli.case import case_table, headline
from cli.house import CaseFilter, House
from cli.output import Output, plain, safe, sealed_json, when
from cli.views import CaseRow


async def watch(out: Output, house: House, which: CaseFilter, limit: int, every: float) -> None:
    """Show cases and what changes on them until somebody ends it (Ctrl-C: 130). An outage is told once and waited out.

    Raises:
        FasciaError: the very first look fails.
    """
    rows = await house.cases(which, limit)
    if out.as_json or not sys.stdout.isatty():
        await _lines(out, house, which, limit, every, rows)
        return
    with Live(case_table(rows), console=out.screen, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            await asyncio.sleep(every)
            rows = await _look(out, house, which, limit, rows)
            live.update(case_table(rows), refresh=True)


async def _lines(
    out: Output, house: House, which: CaseFilter, limit: int, every: float, rows: Sequence[CaseRow]
) -> None:
    known: dict[str, CaseRow] = {}
    while True:
        now = {row.case: row for row in rows}
        for row in [*reversed(rows), *await _gone(house, known, now)]:  # the newest change is the last line
            if known.get(row.case) != row:
                _print(out, row)
        known = now
        await asyncio.sleep(every)
        rows = await _look(out, house, which, limit, rows)


async def _look(
    out: Output, house: House, which: CaseFilter, limit: int, before: Sequence[CaseRow]
) -> Sequence[CaseRow]:
    try:
        return await house.cases(which, limit)
    except Unavailable as away:
        out.say(f"{away.message}; looking again")
        return before


async def _gone(house: House, known: Mapping[str, CaseRow], now: Mapping[str, CaseRow]) -> list[CaseRow]:
    """How cases stand that the list does not have any more: closed, or pushed off its end (those did not change)."""
    found: list[CaseRow] = []
    for case in known.keys() - now.keys():
        found += await house.find(case)
    return found


def _print(out: Output, row: CaseRow) -> None:
    if out.as_json:
        print(sealed_json(json.dumps(plain(row), ensure_ascii=False)), flush=True)
    else:
        waits = f", waiting for {row.waiting_for} since {when(row.waiting_since)}" if row.waiting_for else ""
        mark = "! " if row.needs_attention or row.stopped else ""
        print(safe(f"{when(row.changed_at)}  {row.case}  {mark}{headline(row)}{waits}"), flush=True)
