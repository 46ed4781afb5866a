"""Asks a Tryton database of employees what changed: who is employed since when, until when, and as what.

Tryton 8.2 keeps employees (``company.employee``) as parties; what it has no field for stands in categories of the party, under a
parent named ``Role``, ``Department``, ``Cost centre`` or ``Service line``, and in identifiers without a type (``NPI 1234567893``).
A party's code is the employee's number; its name is ``Family, Given Middle``, or the family name last.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import httpx

from adapters.erp.tryton.rpc import Record, TrytonRpc
from canonical.errors import Rejected, Throttled, Unavailable
from canonical.hr_ports import HrChanges, HrSaid

SYSTEM: Final = "hr"
OVERLAP: Final = timedelta(seconds=60)  # a change carries the moment its transaction began, and may be seen later
EMPLOYEE: Final = ("party", "start_date", "end_date", "supervisor", "last_modified_at")
PARTY: Final = ("name", "code", "email", "phone", "categories", "identifiers", "last_modified_at")
CATEGORIES: Final[Mapping[str, str]] = {
    "role": "role",
    "department": "department",
    "cost centre": "cost_centre",
    "service line": "service_line",
}
NPI: Final = re.compile(r"NPI[ :]?(\d{10})")
MOST_AT_ONCE: Final = 500  # parties in one question


class TrytonHr:
    """The port :class:`canonical.hr_ports.HrSystem`. Changes nothing there, and reads no clock but Tryton's own."""

    def __init__(self, client: httpx.AsyncClient, url: str, database: str, user: str, password: str) -> None:
        self._client = client
        self._rpc = TrytonRpc(client, url, database, user, password)

    async def close(self) -> None:
        """Give its connections back."""
        await self._client.aclose()

    async def changes_since(self, since: datetime) -> HrChanges:
        """Everybody whose employment or party changed since then; see the port."""
        try:
            return await self._changes(since)
        except (Rejected, Throttled, Unavailable) as failed:
            failed.system = SYSTEM
            failed.message = failed.message.replace("the ERP", "the HR system")
            raise

    async def _changes(self, since: datetime) -> HrChanges:
        modified = ["last_modified_at", ">=", since.astimezone(UTC).replace(tzinfo=None)]
        context = {"active_test": False}
        told = await self._rpc.search("party.party", [modified], ["last_modified_at"], context=context)
        employees = await self._rpc.search("company.employee", [modified], EMPLOYEE, context=context)
        asked = [row["id"] for row in told if row["id"] not in {one["party"] for one in employees}]
        for some in _some(asked):
            employees += await self._rpc.search("company.employee", [["party", "in", some]], EMPLOYEE, context=context)
        supervisors = [row["supervisor"] for row in employees if row["supervisor"]]
        bosses = await self._by_id("company.employee", supervisors, ["party"], context)
        of = [row["party"] for row in (*employees, *bosses.values())]
        parties = await self._by_id("party.party", of, PARTY, context)
        groups = await self._by_id("party.category", _of_all(parties, "categories"), ["name", "parent"], context)
        above = await self._by_id("party.category", [one["parent"] for one in groups.values()], ["name"], context)
        numbers = await self._by_id("party.identifier", _of_all(parties, "identifiers"), ["code"], context)
        said = []
        for row in employees:
            party = parties[row["party"]]
            boss = bosses.get(row["supervisor"])
            its = [one for one in _these(groups, party, "categories") if one["parent"]]
            placed = {above[one["parent"]]["name"].lower(): one["name"] for one in its}
            codes = [one["code"] or "" for one in _these(numbers, party, "identifiers")]
            npi = [found[1] for code in codes if (found := NPI.fullmatch(code))]
            manager = parties[boss["party"]]["code"] if boss else ""
            said.append(_said(row, party, placed, npi, manager or ""))
        seen = [_utc(row["last_modified_at"]) for row in (*told, *employees)]
        return HrChanges(said=tuple(said), until=max([since, *(moment - OVERLAP for moment in seen)]))

    async def _by_id(
        self, model: str, ids: Sequence[int | None], fields: Sequence[str], context: Record
    ) -> dict[int, Record]:
        found: dict[int, Record] = {}
        for some in _some(sorted({one for one in ids if one})):
            rows = await self._rpc.search(model, [["id", "in", some]], fields, context=context)
            found |= {row["id"]: row for row in rows}
        return found


def _said(row: Record, party: Record, placed: Mapping[str, str], npi: Sequence[str], manager: str) -> HrSaid:
    """How somebody stands."""
    person = str(party["code"] or f"employee-{row['id']}")
    changed = max(_utc(row["last_modified_at"]), _utc(party["last_modified_at"]))
    starts: date | None = row["start_date"]
    ends: date | None = row["end_date"]
    position: dict[str, Any] = {ours: placed[name] for name, ours in CATEGORIES.items() if placed.get(name)}
    position |= {"starts": starts.isoformat()} if starts else {}
    position |= {"manager": manager} if manager else {}
    record: dict[str, Any] = {"name": _name(party["name"] or "")}
    record |= {name: value for name in ("email", "phone") if (value := party[name])}
    record |= {"npi": npi[0]} if npi else {}
    content = json.dumps([record, position, str(starts), str(ends)], sort_keys=True)
    digest = hashlib.sha256(f"{person}\x1f{content}".encode()).hexdigest()[:24]
    return HrSaid(
        number=f"{changed:%Y%m%dT%H%M%S%f}-{digest}",
        person=person,
        kind="terminate" if ends else "update",
        said_at=changed,
        effective=ends or changed.date(),
        starts=starts,
        record=record,
        position=position,
    )


def _name(text: str) -> dict[str, str]:
    """A party's name in its parts."""
    family, comma, rest = (part.strip() for part in text.strip().partition(","))
    given = rest.split()
    if not comma:
        *given, family = text.split() or [""]
    found = {"family": family, "given": given[0] if given else "", "middle": " ".join(given[1:])}
    return {part: value for part, value in found.items() if value}


def _these(rows: Mapping[int, Record], party: Record, field: str) -> list[Record]:
    return [rows[one] for one in party[field] or () if one in rows]


def _of_all(parties: Mapping[int, Record], field: str) -> list[int]:
    return [one for party in parties.values() for one in party[field] or ()]


def _some(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[first : first + MOST_AT_ONCE]) for first in range(0, len(ids), MOST_AT_ONCE)]


def _utc(moment: datetime) -> datetime:
    """Tryton's moments are UTC and do not say so."""
    return moment.replace(tzinfo=UTC)
