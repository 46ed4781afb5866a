"""Loading the register: each record is checked, put together from who has the say, and refused with its reason where it must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical import clinician_rows
from canonical.access import AccessTarget
from canonical.base import Canonical, in_words
from canonical.calendar import BusinessCalendar
from canonical.credentials import ClinicianPolicy
from canonical.erp_steps import CostCentreActual
from canonical.errors import Rejected
from canonical.folders import FileSource
from canonical.parties import ROLES, CostCentre, Employee, Facility, Location, Partner, Policy, Supplier
from canonical.ports import MasterData
from canonical.senders import Channel, Sender
from canonical.senders import Mapping as CodeMapping
from canonical.stock import StockLevel
from canonical.supply import ContractPrice, Item
from store.acts import Act, note_in, of_a_load
from store.authority import ERP, HOSPITAL, KINDS, OF_ALL, SOURCES, Kind
from store.database import transaction
from store.ids import now
from store.people_wakes import wake_for_rows_in
from store.register_reading import RegisterReading, all_current, current
from store.register_refusals import Refused, check_units, check_words
from store.register_writing import alone, write
from store.tables import register
from store.usage_wakes import moves

PERSONS_WORD = {
    "bank_changed_by",
    "bank_confirmed_fingerprint",
    "bank_confirmed_by",
    "bank_confirmed_at",
}  # never a load's
ALWAYS = date(2000, 1, 1)  # since when the first version of a record holds, where nobody says


_NAMES = {
    "contract_price": ("item", "supplier"),
    "facility": ("calendar",),
    "partner": ("calendar",),
    "sender": ("facility",),
    "channel": ("facility",),
    "mapping": ("sender",),
    "file_source": ("sender",),
    "stock_level": ("item", "location"),
    "clinician_policy": ("facility",),
    "access_target": ("facility",),
}


class LoadedRecord(Canonical):
    """What became of one record: loaded, unchanged, or refused with the path of what is wrong and why."""

    row: int
    code: str = ""
    outcome: str
    path: str = ""
    reason: str = ""


class LoadReport(Canonical):
    """What became of a load."""

    kind: str
    source: str
    records: tuple[LoadedRecord, ...] = ()

    def count(self, outcome: str) -> int:
        """How many records had this outcome."""
        return sum(1 for record in self.records if record.outcome == outcome)

    @property
    def loaded(self) -> int:
        """How many were new or changed."""
        return self.count("loaded")

    @property
    def unchanged(self) -> int:
        """How many were there as they are."""
        return self.count("unchanged")

    @property
    def refused(self) -> tuple[tuple[int, str, str], ...]:
        """Row, path and reason of each that was refused."""
        return tuple((one.row, one.path, one.reason) for one in self.records if one.outcome == "refused")


class StoredRegister(RegisterReading):
    """The port Register in our own database, and how it is filled."""

    async def load(
        self,
        kind: str,
        records: Iterable[Canonical | Mapping[str, Any] | tuple[int, Mapping[str, Any]]],
        source: str,
        facility: str = OF_ALL,
        *,
        dry_run: bool = False,
        by: str = "",
        act: Act | None = None,
    ) -> LoadReport:
        """Load records of a kind as a source has them, in one transaction; each is loaded, unchanged or refused.

        ``by``: the person whose file it is, where one is known (an employee's id, else a login). ``act``: whose deed it is, noted
        where anything changes by it.
        A record is a model, or fields as read from a file (with its row). Fields that are not given stay as they are.

        Raises:
            Rejected: no such kind or source.
        """
        if kind not in KINDS or source not in SOURCES:
            raise Rejected(f"the register knows no {kind} from {source}", code="unknown-code", system="store")
        outcomes = []
        async with transaction(self._engine) as connection:
            await alone(connection, kind)
            load = _Load(connection, kind, source, facility, self._today(), by)
            await load.prepare()
            for position, record in enumerate(records, start=1):
                row, content = record if isinstance(record, tuple) else (position, record)
                outcomes.append(await load.take(row, content))
            report = LoadReport(kind=kind, source=source, records=tuple(outcomes))
            changed = [record.code for record in outcomes if record.outcome == "loaded"]
            if dry_run:
                await connection.rollback()
            elif changed:
                await wake_for_rows_in(connection, kind, changed, now())
                if act is not None:
                    await note_in(connection, of_a_load(act, kind, changed, facility))
        return report

    async def load_master_data(
        self, data: MasterData, facility: str, *, dry_run: bool = False, act: Act | None = None
    ) -> Sequence[LoadReport]:
        """Load what the ERP is the authority for."""
        parts: Sequence[tuple[str, Sequence[Canonical]]] = (
            ("location", data.locations),
            ("cost_centre", data.cost_centres),
            ("supplier", data.suppliers),
            ("item", data.items),
            ("employee", data.employees),
        )
        return [await self.load(kind, records, ERP, facility, dry_run=dry_run, act=act) for kind, records in parts]

    async def take_actuals(self, facility: str, actuals: Sequence[CostCentreActual]) -> None:
        """Write what the ERP has booked on cost centres."""
        known = {centre.code for centre in await self.cost_centres(facility)}
        centres = [
            CostCentre(code=booked.cost_centre, facility=facility, actual=booked.actual)
            for booked in actuals
            if booked.cost_centre in known
        ]
        await self.load("cost_centre", centres, ERP, facility)

    async def take_suppliers(self, suppliers: Sequence[Supplier]) -> None:
        """Write status, terms and bank fingerprint as the ERP has them; what a person confirmed stays."""
        await self.load("supplier", suppliers, ERP)

    async def confirm_bank(self, supplier: str, fingerprint: str, by: Employee, at: datetime) -> Supplier:
        """A person has checked these bank details with the supplier; who and when is kept. Once, when said again.

        Raises:
            Rejected: no such supplier, its bank details have changed again since, or this person changed them.
        """
        async with transaction(self._engine) as connection:
            await alone(connection, "supplier")
            held = await current(connection, Supplier, "supplier", OF_ALL, supplier, self._today())
            if held is None:
                raise Rejected(f"no supplier {supplier} in the register", code="not-found", system="store")
            if not fingerprint or held.bank_fingerprint != fingerprint:
                raise Rejected(f"the bank details of {supplier} have changed since", code="conflict", system="store")
            confirmed = held
            if held.bank_changed_unseen:
                if held.bank_changed_by and held.bank_changed_by in (by.id, by.os_user):
                    why = f"who changed the bank details of {supplier} may not confirm them"
                    raise Rejected(why, code="not-allowed", system="store")
                said = {"bank_confirmed_fingerprint": fingerprint, "bank_confirmed_by": by.id, "bank_confirmed_at": at}
                confirmed = held.model_copy(update=said)
                await write(connection, "supplier", OF_ALL, supplier, self._today(), confirmed, HOSPITAL)
        return confirmed


class _Load:
    """One load in one transaction."""

    def __init__(
        self, connection: AsyncConnection, kind: str, source: str, facility: str, today: date, by: str = ""
    ) -> None:
        self._connection = connection
        self._name = kind
        self._kind: Kind = KINDS[kind]
        self._source = source
        self._facility = OF_ALL if self._kind.of_all else facility
        self._today = today
        self._by = by
        self._seen: set[tuple[str, str, date | None]] = set()
        self._held: dict[str, Canonical] | None = None
        self._known: dict[str, set[str]] = {}
        self._logins: dict[str, str] = {}
        self._targets: dict[str, AccessTarget] = {}

    async def prepare(self) -> None:
        """Read what is there, and what new records are checked against."""
        if self._facility or self._kind.of_all:
            records = await all_current(self._connection, self._kind.model, self._name, [self._facility], self._today)
            self._held = {self._kind.code(record): record for record in records}
        for kind in _NAMES.get(self._name, ()):
            asked = select(register.c.code).where(register.c.kind == kind)
            if self._facility:
                asked = asked.where(register.c.facility.in_((OF_ALL, self._facility)))
            self._known[kind] = set(await self._connection.scalars(asked))
        if self._name == "employee" and self._held:
            people = [person for person in self._held.values() if isinstance(person, Employee)]
            self._logins = {person.os_user: person.id for person in people if person.os_user}
        self._targets = {code: held for code, held in (self._held or {}).items() if isinstance(held, AccessTarget)}

    async def take(self, row: int, content: Canonical | Mapping[str, Any]) -> LoadedRecord:
        """Check one record and write it, unless it is there as it is."""
        code = _called(content)
        try:
            given, valid_from = self._read(content)
            code = self._kind.code(given)
            facility = self._scope(given)
            if (facility, code, valid_from) in self._seen:
                raise Refused("", "a second time in one load")
            self._seen.add((facility, code, valid_from))
            held = await self._before(facility, code, valid_from)
            record = self._put_together(given, held)
            self._check(record)
        except Refused as refused:
            return LoadedRecord(row=row, code=code, outcome="refused", path=refused.path, reason=refused.reason)
        if held == record:
            return LoadedRecord(row=row, code=code, outcome="unchanged")
        since = valid_from or (ALWAYS if held is None else self._today)
        await write(self._connection, self._name, facility, code, since, record, self._source)
        if isinstance(record, Location) and record.moved_to and record.moved_to != getattr(held, "moved_to", None):
            await moves(self._connection, facility, code, max(now(), datetime.combine(since, time(), UTC)))
        if isinstance(record, Employee) and record.os_user:
            self._logins[record.os_user] = record.id
        if isinstance(record, AccessTarget):
            self._targets[record.code] = record
        return LoadedRecord(row=row, code=code, outcome="loaded")

    async def _before(self, facility: str, code: str, valid_from: date | None) -> Canonical | None:
        """The record as it is without this load; one that carries its own dates is there from exactly that date or not."""
        if valid_from is None and self._held is not None:
            return self._held.get(code)
        as_of = valid_from or self._today
        held = await current(self._connection, self._kind.model, self._name, facility, code, as_of)
        return None if self._kind.dated and getattr(held, "valid_from", None) != valid_from else held

    def _read(self, content: Canonical | Mapping[str, Any]) -> tuple[Canonical, date | None]:
        """The record and since when it holds."""
        model = self._kind.model
        if isinstance(content, model):
            return content, getattr(content, "valid_from", None)
        if isinstance(content, Canonical):
            raise Refused("", f"this is no {self._name}")
        fields = dict(content)
        since = None
        try:
            if not self._kind.dated and "valid_from" in fields:
                since = date.fromisoformat(str(fields.pop("valid_from")))
            if "facility" in model.model_fields and self._facility and "facility" not in fields:
                fields["facility"] = self._facility
            record = model.model_validate(fields, extra="forbid")
        except ValidationError as wrong:
            first = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
            raise Refused(".".join(str(part) for part in first["loc"]), in_words(first["msg"])) from None
        except ValueError:
            raise Refused("valid_from", "not a date (YYYY-MM-DD)") from None
        return record, getattr(record, "valid_from", since)

    def _scope(self, record: Canonical) -> str:
        """Whose record it is; it may name its own facility, never another than the one that is loaded."""
        if self._kind.of_all:
            return OF_ALL
        named = record.code if self._name == "facility" else getattr(record, "facility", None)  # type: ignore[attr-defined]
        if named and self._facility and named != self._facility:
            raise Refused("facility", f"of {named}, while {self._facility} is loaded")
        if not named and not self._facility and self._name != "contract_price":
            raise Refused("facility", "say which facility it is for")
        return str(named or self._facility or OF_ALL)

    def _put_together(self, given: Canonical, held: Canonical | None) -> Canonical:
        """The record as the authority of each field has it."""
        if held is None:
            if self._source not in self._kind.makers:
                who = " or ".join(sorted(self._kind.makers))
                raise Refused("", f"not in the register, where only the {who} makes a {self._name}")
            if isinstance(given, Supplier):
                fresh: dict[str, Any] = {
                    "bank_changed_by": self._by,
                    "bank_confirmed_by": "",
                    "bank_confirmed_at": None,
                }
                if "bank_confirmed_fingerprint" not in given.model_fields_set:
                    fresh["bank_confirmed_fingerprint"] = given.bank_fingerprint
                return given.model_copy(update=fresh)
            return given
        if self._kind.dated:
            return given
        changes = {}
        for field in given.model_fields_set - PERSONS_WORD:
            value, before = getattr(given, field), getattr(held, field)
            if self._kind.owner(field) == self._source:
                changes[field] = value
            elif self._source == HOSPITAL and not _same(value, before):
                raise Refused(field, f"the ERP is the authority for it, and says {_told(before)}")
        if "bank_fingerprint" in changes and changes["bank_fingerprint"] != getattr(held, "bank_fingerprint", None):
            changes["bank_changed_by"] = self._by
        try:
            return held.changed(**changes)
        except ValidationError as wrong:
            first = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
            raise Refused(".".join(str(part) for part in first["loc"]), in_words(first["msg"])) from None

    def _check(self, record: Canonical) -> None:
        """What one record says of others must be true."""
        check_words(record)
        if isinstance(record, Employee):
            self._check_person(record)
        elif isinstance(record, StockLevel):
            self._named(("item", record.item), ("location", record.location), ("location", record.warehouse))
        elif isinstance(record, ContractPrice):
            self._named(("item", record.item), ("supplier", record.supplier))
            if record.price.amount <= 0:
                raise Refused("price", "a price is above zero")
        elif isinstance(record, Facility | Partner) and not record.calendar.hours:
            code = record.calendar.code
            if code not in {BusinessCalendar().code, *self._known["calendar"]}:
                raise Refused("calendar", f"no calendar {code} in the register")
        elif isinstance(record, Item):
            check_units(record)
        elif wrong := clinician_rows.wrong_with(record, self._targets):
            raise Refused(*wrong)
        elif isinstance(record, AccessTarget | ClinicianPolicy) and record.facility:
            self._named(("facility", record.facility))
        elif isinstance(record, Sender | Channel) and record.facility not in self._known["facility"]:
            raise Refused("facility", f"no facility {record.facility} in the register")
        elif isinstance(record, CodeMapping | FileSource) and record.sender not in self._known["sender"]:
            raise Refused("sender", f"no sender {record.sender} in the register")
        if isinstance(record, ContractPrice | Policy) and record.valid_to and record.valid_to < record.valid_from:
            raise Refused("valid_to", "it ends before it begins")

    def _named(self, *names: tuple[str, str | None]) -> None:
        for kind, code in names:
            if code is not None and code not in self._known[kind]:
                raise Refused(kind, f"no {kind} {code} in the register")

    def _check_person(self, person: Employee) -> None:
        unknown = [role for role in person.roles if role not in ROLES]
        if unknown:
            raise Refused("roles", f"{unknown[0]} is no role of ours ({', '.join(ROLES)})")
        if person.substitute == person.id:
            raise Refused("substitute", "nobody is their own substitute")
        if self._logins.get(person.os_user, person.id) != person.id:
            raise Refused("os_user", f"this login is {self._logins[person.os_user]}'s")


def _called(content: Canonical | Mapping[str, Any]) -> str:
    """What a record calls itself before it is read, so that one that is refused can be found in its file."""
    if isinstance(content, Canonical):
        return ""
    return str(content.get("code") or content.get("id") or "")[:80]


def _same(one: Any, other: Any) -> bool:
    """Whether two values say the same; the order of packagings or suppliers says nothing."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return bool(one == other)


def _told(value: Any) -> str:
    return str(value)[:200] if isinstance(value, str | int | bool | Canonical) and value != "" else "otherwise"
