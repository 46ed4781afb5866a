"""What a source's answer about a clinician means: pure rules from a person's record and what was answered to evidence.

Findings are short codes, details words without anybody's identity. A name that differs never says yes or no: a person looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from canonical.base import Canonical
from canonical.check_digits import DEA_RULE, is_dea, mistyped_dea, prescribes
from canonical.credentials import ClinicianRole, Evidence, EvidenceState
from canonical.people import ClinicianRecord, DeaRegistration, Licence
from canonical.people_matching import fits_given, folded

WORST: Final[tuple[EvidenceState, ...]] = ("refuted", "possible", "unknown", "confirmed")
ACTIVE: Final = frozenset({"active", "current", "clear", "active in renewal"})
BLANKS: Final = str.maketrans("", "", " -./")


class RegistryEntry(Canonical):
    """A provider as NPPES has it. ``names``: family and given, the present and former ones."""

    npi: str
    individual: bool
    active: bool
    names: tuple[tuple[str, str], ...] = ()
    taxonomies: tuple[str, ...] = ()
    updated: str = ""


class BoardEntry(Canonical):
    """A licence as its board has it; ``discipline``: the board names an action or a restriction."""

    state: str
    number: str
    status: str
    family: str = ""
    given: str = ""
    profession: str = ""
    expires: date | None = None
    discipline: bool = False


class DeaEntry(Canonical):
    """A registration as the DEA has it; ``schedules`` as 2, 2N, 3, 3N, 4, 5."""

    number: str
    status: str
    name: str = ""
    state: str = ""
    expires: date | None = None
    schedules: tuple[str, ...] = ()


def of_registry(
    record: ClinicianRecord, entry: RegistryEntry | None, role: ClinicianRole, source: str, as_of: datetime
) -> Evidence:
    """What NPPES says: that somebody exists under this number, is active, and does what the role asks for. It proves no licence."""
    if entry is None:
        return _says("unknown", "not-found", "the registry has no such number", source, as_of)
    reference = f"NPPES last updated {entry.updated}" if entry.updated else ""
    if not entry.individual:
        return _says("refuted", "not-a-person", "the number is an organisation's", source, as_of, reference)
    if not entry.active:
        return _says("refuted", "deactivated", "the number is not active", source, as_of, reference)
    if all(not is_called(record, family, given) for family, given in entry.names):
        return _says("possible", "name-differs", "the registry has another name", source, as_of, reference)
    if role.taxonomies and not set(role.taxonomies) & set(entry.taxonomies):
        detail = "no taxonomy of the registry is one of the role's"
        return _says("possible", "taxonomy-differs", detail, source, as_of, reference)
    return _says("confirmed", "active", "", source, as_of, reference)


def of_board(record: ClinicianRecord, entry: BoardEntry | None, source: str, as_of: datetime) -> Evidence:
    """What a board says of a licence; it ends with the day it expires on."""
    if entry is None:
        return _says("unknown", "not-found", "the board has no such licence", source, as_of)
    until = entry.expires
    reference = f"{entry.state} {entry.profession}".strip()
    status = entry.status.strip().casefold()
    if until is not None and until < as_of.date():
        return _says("refuted", "expired", f"expired {until}", source, as_of, reference, until)
    if status not in ACTIVE:
        finding = f"licence-{'-'.join(status.split()) or 'without-status'}"[:60]
        return _says("refuted", finding, "the board does not have it as active", source, as_of, reference, until)
    if not is_called(record, entry.family, entry.given):
        return _says("possible", "name-differs", "the board has another name", source, as_of, reference, until)
    if entry.discipline:
        detail = "the board names an action or a restriction: a person reads it"
        return _says("possible", "disciplined", detail, source, as_of, reference, until)
    return _says("confirmed", "active", "", source, as_of, reference, until)


def mistyped(number: str, source: str, as_of: datetime) -> Evidence | None:
    """What a DEA number says by itself: None where the DEA is to be asked."""
    if not is_dea(number):
        detail = DEA_RULE if mistyped_dea(number) else "the number is not a DEA number: two letters and seven digits"
        return _says("refuted", "check-digit", detail, source, as_of)
    if not prescribes(number):
        return _says("refuted", "class", "the number is of a class that does not prescribe", source, as_of)
    return None


def of_dea(
    record: ClinicianRecord, asked: DeaRegistration, entry: DeaEntry | None, state: str, source: str, as_of: datetime
) -> Evidence:
    """What the DEA says of a registration in a state of practice, and for which schedules it is."""
    if entry is None:
        return _says("unknown", "not-found", "the DEA has no such registration", source, as_of)
    until = entry.expires
    reference = "schedules " + " ".join(entry.schedules) if entry.schedules else ""
    if until is not None and until < as_of.date():
        return _says("refuted", "expired", f"expired {until}", source, as_of, reference, until)
    if entry.status.strip().casefold() not in ACTIVE:
        return _says("refuted", "not-active", "the registration is not active", source, as_of, reference, until)
    if state and entry.state and entry.state != state:
        return _says("refuted", "other-state", f"it is for {entry.state}, not {state}", source, as_of, reference, until)
    if not entry.schedules:
        return _says("refuted", "no-schedules", "it is for no schedule", source, as_of, reference, until)
    family, comma, given = entry.name.partition(",")
    known = is_called(record, family, given.split()[0] if given.strip() else "")
    if not known and (comma or not any(folded(entry.name).startswith(name) for name in families(record))):
        return _says("possible", "name-differs", "the DEA has another name", source, as_of, reference, until)
    if set(asked.schedules) - set(entry.schedules):
        detail = "it is for fewer schedules than the record says"
        return _says("possible", "schedules-differ", detail, source, as_of, reference, until)
    return _says("confirmed", "active", "", source, as_of, reference, until)


def families(record: ClinicianRecord) -> frozenset[str]:
    """The family names somebody is or was known by, folded."""
    return frozenset({folded(name.family) for name in record.names} - {""})


def is_called(record: ClinicianRecord, family: str, given: str) -> bool:
    """Whether a name that a source has may be this person's: any family name of theirs, with any given name of theirs.

    Not only in the pairs they were said in: a source may hold the old family name with the new given one.
    """
    givens = [folded(name.given) for name in record.names if name.given] or [""]
    return folded(family) in families(record) and any(fits_given(one, folded(given)) for one in givens)


def licence_of(record: ClinicianRecord, state: str) -> Licence | None:
    """The licence to ask a state's board about: of several the one that ends last."""
    held = [licence for licence in record.licences if licence.state == state]
    return max(held, key=lambda licence: licence.expires or date.max, default=None)


def registration_of(record: ClinicianRecord, state: str) -> DeaRegistration | None:
    """The DEA registration for a state of practice; one whose state nobody said only where there is none of it."""
    held = [one for one in record.dea if one.state == state] or [one for one in record.dea if not one.state]
    if not state:
        held = list(record.dea)
    return max(held, key=lambda one: one.expires or date.max, default=None)


def same_number(one: str, other: str) -> bool:
    """Whether two licences' numbers are one: blanks, points, hyphens and leading noughts of each part aside."""
    first, second = (number.upper().translate(BLANKS).lstrip("0") for number in (one, other))
    return first == second


def worst(found: Iterable[Evidence]) -> Evidence:
    """What several sources of one kind say together: the worst of it, with all that may be the person."""
    said = sorted(found, key=lambda one: WORST.index(one.state))
    ends = [one.expires_on for one in said if one.expires_on is not None]
    hits = tuple(dict.fromkeys(hit for one in said for hit in one.hits))
    together = {
        "source": "+".join(one.source for one in said)[:60],
        "hits": hits,
        "expires_on": min(ends, default=None),
    }
    return said[0].model_copy(update=together | {"verified_on": min(one.verified_on for one in said)})


def _says(
    state: EvidenceState,
    finding: str,
    detail: str,
    source: str,
    as_of: datetime,
    reference: str = "",
    until: date | None = None,
) -> Evidence:
    return Evidence(
        state=state,
        finding=finding,
        detail=detail,
        source=source,
        verified_on=as_of.date(),
        expires_on=until,
        reference=reference[:200],
    )
