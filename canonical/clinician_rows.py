"""What rows of the register about clinicians must say to mean anything: refused where they are loaded, not when somebody is hired."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from canonical.access import AccessTarget
from canonical.base import Canonical
from canonical.credentials import BY_PEOPLE, ClinicianPolicy, ClinicianRole, VerificationSource
from canonical.parties import ROLES

SPEAKS: Final[Mapping[str, tuple[str, ...]]] = {
    "identity": ("scim",),
    "scheduling": ("rest_scheduling",),
    "directory": ("hl7_mfn_m02", "hl7_pmu", "fhir_practitioner_role"),
    "erp": ("tryton",),
    "manual": ("manual",),
}
"""Which adapters speak to a kind of target (:data:`adapters.registry.TARGETS` builds them)."""
ASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "npi": ("nppes",),
    "licence": ("licence_board",),
    "dea": ("dea",),
    "exclusion": ("leie",),
}
"""Which adapters ask a kind of source; what people verify has none."""
BY_URL: Final = frozenset({"scim", "rest_scheduling", "nppes", "licence_board", "dea"})
_URL: Final = re.compile(r"https?://[^\s@/?#]+(/[^\s@?#]*)?")
_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

Wrong = tuple[str, str]


def wrong_with(record: Canonical, targets: Mapping[str, AccessTarget]) -> Wrong | None:
    """The field that makes no sense and why; None where the row does, or is of another kind. ``targets``: those there are."""
    match record:
        case AccessTarget():
            return _reached(record, SPEAKS[record.kind], record.kind) or _told(record, targets)
        case VerificationSource() if record.kind in BY_PEOPLE:
            return "kind", f"no source answers {record.kind}: people do, by fascia clinician verify"
        case VerificationSource():
            return _reached(record, ASKS[record.kind], f"{record.kind} source")
        case ClinicianPolicy():
            return _rules(record)
        case ClinicianRole() if record.clinical_role and not record.checks:
            return (
                "checks",
                "nothing would be verified of who has this role: name what is, or say that it is no clinical role",
            )
    return None


def _reached(record: AccessTarget | VerificationSource, known: tuple[str, ...], what: str) -> Wrong | None:
    if record.adapter not in known:
        return "adapter", f"{record.adapter} is no adapter of a {what}: {', '.join(known)}"
    if (record.url or record.adapter in BY_URL) and not _URL.fullmatch(record.url):
        return "url", "an address like https://host/path, without a user, a password or a question"
    if record.token_file and not _FILE.fullmatch(record.token_file):
        return "token_file", "the name of a file among our secrets, without a folder"
    return None


def _told(target: AccessTarget, targets: Mapping[str, AccessTarget]) -> Wrong | None:
    if target.kind == "directory" and not target.channel:
        return "channel", "a directory hears by a channel of the register"
    for code in target.after:
        if code != target.code and code not in targets:
            return "after", f"no target {code} in the register: it is loaded before what comes after it"
    way, met = list(target.after), set[str]()
    while way:
        code = way.pop()
        if code == target.code:
            return "after", f"{target.code} would wait for itself"
        if code not in met and code in targets:
            met.add(code)
            way += targets[code].after
    return None


def _rules(policy: ClinicianPolicy) -> Wrong | None:
    if policy.valid_to and policy.valid_to < policy.valid_from:
        return "valid_to", "it ends before it begins"
    if unknown := [role for role in policy.approvers if role not in ROLES]:
        return "approvers", f"{unknown[0]} is no role of ours ({', '.join(ROLES)})"
    if not policy.approvers:
        return "approvers", "somebody decides about privileges: name their roles"
    if any(days < 1 for days in policy.warn_days):
        return "warn_days", "days before the end, each at least 1"
    return None
