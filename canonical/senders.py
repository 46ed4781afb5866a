"""Who sends to us and whom we send to, on which terms: a sender, the channel to a target, and a sender's own codes."""

from __future__ import annotations

import re
from collections.abc import Mapping as Rows
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, StringConstraints, field_validator, model_validator

from canonical.base import (
    CODE,
    Canonical,
    CostCentreCode,
    Currency,
    DepartmentCode,
    EmployeeId,
    FacilityCode,
    LocationCode,
    SourceSystem,
    Text,
)

SenderCode = Annotated[str, CODE]
ChannelCode = Annotated[str, CODE]
Fingerprint = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9A-Fa-f]{64}$")]
KindPattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=227)]
Priority = Annotated[int, Field(ge=0, le=9)]

# How much more (below 0) or less urgent a kind is than its sender is in general: what was used on a patient overtakes what can
# wait for the night. Patterns as in ``kinds``; the first that fits.
KIND_SHIFTS: Final[Rows[str, int]] = {
    "DFT^*": -3,  # charges: what was used
    "RDS^*": -3,  # dispensed
    "RAS^*": -3,  # administered
    "*/DeviceUsage": -3,
    "*/DeviceUseStatement": -3,
    "*/SupplyDelivery": -3,
    "usage": -3,  # scanned
    "hr_event": -3,  # it may end somebody's access
    "scim_user": -3,
    "ACK*": -2,  # what became of a message of ours
    "INU^*": 2,  # counts of what lies there
    "PMU^B05": -3,  # somebody's access is to end
    "PMU^B06": -3,
    "PMU^B08": -3,
    "PMU^*": 3,
    "MFN^*": 4,  # catalogues, locations and other master files
}


# HL7 table 0211 and what is written for it, in capitals and digits alone; formats.hl7 has a codec for each.
CHARACTER_SETS: Final = frozenset(
    (
        *("ASCII", "USASCII", "ISOIR6", "ISOIR13", "ISOIR14", "ISOIR87", "ISOIR159", "GB180302000", "KSX1001", "BIG5"),
        *("UNICODE", "UNICODEUTF8", "UTF8", "UNICODEUTF16", "UTF16", "UNICODEUTF32", "UTF32", "WINDOWS1252"),
        *(f"{prefix}8859{part}" for prefix in ("", "ISO") for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)),
    )
)
_KINDS: Final[Rows[str, tuple[re.Pattern[str], str]]] = {
    "hl7": (re.compile(r"[A-Z0-9*?]+(\^[A-Z0-9_*?]+)?"), "a kind of HL7 is written OMS^O05 or ADT^*"),
    "fhir": (re.compile(r"\*|[^/]+/.+"), "a kind of FHIR is written r5/SupplyRequest or */SupplyRequest"),
}


class Sender(Canonical):
    """A system that sends to us on one dialect: how it is known, what it may send, and who answers for it.

    It is known by ``certificates`` (SHA-256 of the whole certificate, hex) or ``addresses`` (CIDR), and by ``applications``
    (MSH-3) and ``facilities`` (MSH-4): every one that is given must fit; a FHIR sender by keys made for its code. ``kinds`` are
    patterns (``OMS^O05``, ``ADT^*``, ``r5/SupplyRequest``); a kind in scope that no feed reads is answered ``unrouted``, and so
    is a structure its version has no table of. ``check``: what is wrong with a message's structure refuses it, is only noted, or
    is not looked for; ``processing``: which MSH-11 it may send (P production, T training, D debugging: a test system's order would
    else be a real one); ``later_version`` tolerates what a version later than MSH-12 would allow. ``per_minute`` 0 is no quota;
    ``priority`` 0 urgent to 9 bulk, shifted by what kind a message is (``KIND_SHIFTS``) unless ``priorities`` names that kind's
    own (pattern to priority); ``duplicates_for`` and ``keep_for`` in days; ``on_dead``: a dead letter parks its own stream, or
    the stream goes on. ``batch``: one answer to a batch, or one to each message. ``source``, ``department``, ``cost_centre``,
    ``deliver_to``, ``requester`` and ``currency`` are those of the requisitions it sends where they say none; ``reply_channel``
    is the channel that brings it what became of them. Of what was used: ``time_zone`` (IANA) is where its clocks are, for times
    sent without a zone; ``charges``: all it charges (FT1) are supplies, or of a mixture only what its item table names or a
    barcode came with; ``stock_use``: its OMS^O05 say what it took, not what it asks for. Of its CSV files: ``separator`` (empty:
    as the first row shows) and ``decimal_sign``, whether they must have ``counts`` (H and T records), and what follows from
    ``bad_rows``: they are set apart and the others taken, or the file is refused whole.
    """

    code: SenderCode
    facility: FacilityCode
    name: Text = ""
    dialect: Literal["hl7", "fhir", "rest", "file"] = "hl7"
    applications: tuple[Name, ...] = ()
    facilities: tuple[Name, ...] = ()
    addresses: tuple[str, ...] = ()
    certificates: tuple[Fingerprint, ...] = ()
    kinds: tuple[KindPattern, ...] = ("*",)
    unrouted: Literal["AA", "AR"] = "AA"
    check: Literal["refuse", "warn", "off"] = "refuse"
    processing: tuple[Literal["P", "T", "D"], ...] = ("P",)
    z_segments: bool = True
    later_version: bool = False
    character_set: str = Field(default="", max_length=40)
    batch: Literal["batch", "single"] = "batch"
    per_minute: int = Field(default=0, ge=0)
    priority: Priority = 5
    priorities: dict[KindPattern, Priority] = Field(default_factory=dict)
    duplicates_for: int = Field(default=7, ge=1)
    keep_for: int = Field(default=400, ge=1)
    on_dead: Literal["park", "go on"] = "park"
    owner: Text = ""
    contact: Text = ""
    source: SourceSystem | None = None
    department: DepartmentCode | None = None
    cost_centre: CostCentreCode | None = None
    deliver_to: LocationCode | None = None
    requester: EmployeeId | None = None
    currency: Currency = "USD"
    reply_channel: ChannelCode | None = None
    time_zone: str = Field(default="UTC", max_length=40)
    charges: Literal["supplies", "mixed"] = "supplies"
    stock_use: bool = False
    separator: Literal["", ",", ";", "\t", "|"] = ""
    decimal_sign: Literal[".", ","] = "."
    counts: Literal["if there", "required"] = "if there"
    bad_rows: Literal["apart", "refuse all"] = "apart"
    active: bool = True

    @field_validator("addresses")
    @classmethod
    def _networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ip_network(one.strip())) for one in given)
        except ValueError:
            raise ValueError("an address is an IP address or a network (10.2.0.0/16)") from None

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, ZoneInfoNotFoundError):
            raise ValueError(f"{name} is not an IANA time zone") from None
        return name

    @model_validator(mode="after")
    def _known_by_something(self) -> Sender:
        if self.dialect == "hl7" and not (self.addresses or self.certificates):
            raise ValueError("an HL7 sender is known by its addresses or certificates")
        return self

    @property
    def days_kept(self) -> int:
        """How long its messages are kept: as long as their numbers are known at least, or a repeat of one that was refused could not
        be told from one that was taken."""
        return max(self.keep_for, self.duplicates_for)

    def means_nothing(self) -> tuple[str, str] | None:
        """The field and the reason where a row that can be read would let nothing in; a load refuses it."""
        written = _KINDS.get(self.dialect)
        if written and (never := next((kind for kind in self.kinds if not written[0].fullmatch(kind)), "")):
            return "kinds", f"{never} fits no message: {written[1]}"
        sets = (re.sub(r"[^A-Z0-9]", "", name.upper()) for name in self.character_set.split("~") if name)
        if self.dialect == "hl7" and not CHARACTER_SETS.issuperset(sets):
            return "character_set", "none of HL7 table 0211 that we read: 8859/1 to 8859/9, 8859/15, UNICODE UTF-8 ..."
        return None

    def takes(self, kind: str) -> bool:
        """Whether a kind of message is in its scope."""
        return any(fnmatchcase(kind, pattern) for pattern in self.kinds)

    def priority_of(self, kind: str) -> int:
        """How urgent a message of this kind is, from this sender."""
        for pattern, own in self.priorities.items():
            if fnmatchcase(kind, pattern):
                return own
        return min(9, max(0, self.priority + _shift(kind)))

    def comes_from(self, host: str) -> bool:
        """Whether a connection from this IP address may be its; true where it names none."""
        if not self.addresses:
            return True
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in ip_network(one) for one in self.addresses)


@lru_cache(maxsize=1000)
def _shift(kind: str) -> int:
    return next((shift for pattern, shift in KIND_SHIFTS.items() if fnmatchcase(kind, pattern)), 0)


class Channel(Canonical):
    """The way to one target: where it listens, how long it is waited for, and what follows when it does not take a message.

    Certificates and authority are names of files among our secrets, never keys themselves; ``server_name`` is the name the target's
    certificate must have where that is not ``host``. ``keep_connection`` False is for a target that closes after each answer: a
    message must not race with its closing. Times are seconds. ``on_dead``: after a
    message that cannot be delivered the stream goes on, or stands still until a person decides. ``open_after`` failures in a row
    the target is left in peace for ``half_open_after``; ``per_second`` 0 is no limit. ``version``: the HL7 version of what is not a
    reply (charges). Of a FHIR server: ``path`` is that of its base, ``release`` what it speaks, ``token_file`` the bearer token we
    show it.
    """

    code: ChannelCode
    facility: FacilityCode
    name: Text = ""
    kind: Literal["mllp", "webhook", "fhir", "file"] = "mllp"
    version: Literal["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"] = "2.5.1"
    path: str = Field(default="", max_length=200, pattern=r"^(/[A-Za-z0-9._~-]+)*$")
    release: Literal["r4b", "r5"] = "r5"
    token_file: str = ""
    host: str = ""
    port: int = Field(default=0, ge=0, le=65535)
    keep_connection: bool = True
    tls: bool = False
    server_name: str = Field(default="", max_length=253)
    authority_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    sending_application: str = Field(default="", max_length=227)
    sending_facility: str = Field(default="", max_length=227)
    receiving_application: str = Field(default="", max_length=227)
    receiving_facility: str = Field(default="", max_length=227)
    enhanced: bool = False
    answer_within: float = Field(default=30.0, gt=0)
    attempts: int = Field(default=5, ge=1)
    pause_first: float = Field(default=1.0, gt=0)
    pause_longest: float = Field(default=300.0, gt=0)
    on_dead: Literal["go on", "stand still"] = "stand still"
    per_second: float = Field(default=0.0, ge=0)
    open_after: int = Field(default=5, ge=1)
    half_open_after: float = Field(default=30.0, gt=0)
    owner: Text = ""
    contact: Text = ""
    active: bool = True

    @model_validator(mode="after")
    def _certificates_need_tls(self) -> Channel:
        if self.server_name and not self.tls:
            raise ValueError("server_name is checked in a certificate: it needs tls")
        return self


PeopleTable = Literal["role", "employment", "reason", "certificate", "privilege", "event", "institution"]
"""Codes of HR systems: who does what (our role), how somebody is employed, why something ends, what a certificate is, what a
privilege allows (``service/procedures``), and which institution is which facility."""


class Mapping(Canonical):
    """What a sender's own codes of one table mean in ours, from a day on; a later one replaces it whole.

    The table ``column`` is of the names a sender gives the columns of its CSV files.
    """

    sender: SenderCode
    table: (
        Literal["item", "unit", "location", "cost_centre", "priority", "department", "account", "column"] | PeopleTable
    )
    rows: dict[str, str] = Field(default_factory=dict)
    valid_from: date = date(2000, 1, 1)

    @property
    def code(self) -> str:
        """Its name in the register."""
        return f"{self.sender}/{self.table}"


class Mappings:
    """All of a sender's tables in force on a day: what feeds look codes up in."""

    def __init__(self, tables: Rows[str, Rows[str, str]] | None = None) -> None:
        self._tables = dict(tables or {})

    def __contains__(self, table: str) -> bool:
        return table in self._tables

    def find(self, table: str, code: str) -> str | None:
        """Our code for the sender's; None where the table has no such row."""
        return self._tables.get(table, {}).get(code)

    def of(self, table: str, code: str) -> str:
        """Our code for the sender's; the same code where the sender has no such table, or no such row in it."""
        return self._tables.get(table, {}).get(code, code)
