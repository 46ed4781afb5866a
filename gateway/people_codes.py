"""Codes of HR systems as we have them, whichever door they came by: roles, reasons, employment, and what ends access at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from canonical.errors import Malformed
from canonical.people import MAY_BE_URGENT, HrKind
from gateway.mapping import Tongue

Employment = Literal["", "employed", "contracted", "locum", "volunteer"]
KINDS: Final[tuple[str, ...]] = get_args(HrKind)
ON_LEAVE: Final = frozenset({"L"})  # HL7 table 0066: leave of absence
# HL7 table 0066, and the letters of STF-20 most systems write; a sender's own table (``employment``) comes first.
EMPLOYMENTS: Final[dict[str, Employment]] = {
    "1": "employed",
    "2": "employed",
    "F": "employed",
    "P": "employed",
    "4": "contracted",
    "C": "contracted",
    "D": "contracted",
    "LT": "locum",
    "V": "volunteer",
}
CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
EMERGENCY: Final = "emergency"  # a reason of ours that begins so ends access now, not at the day's end


def utc(moment: datetime, path: str) -> datetime:
    """The same moment in UTC.

    Raises:
        Malformed: it is at an end of the calendar, where UTC has no name for it: a system's word for a time it does not know.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Malformed(f"{path}: this is no time anything was recorded at", path=path, code="data-invalid") from None


def shown(text: str, most: int) -> str:
    """A text as written: nothing but what can be printed."""
    return "".join(sign if sign.isprintable() else "?" for sign in text.strip())[:most].strip()


def role_of(tongue: Tongue, codes: Sequence[str], stated: int = 1) -> str:
    """The first of ``codes`` the sender's table of roles has a row for; else the first of the first ``stated`` that was sent, as
    written; else the table's row for an empty code. Empty: nobody says."""
    found = next((tongue.ours("role", code) for code in codes if code.strip() and tongue.knows("role", code)), "")
    found = found or next((code for code in codes[:stated] if code.strip()), "") or tongue.ours("role", "")
    return shown(found, 40)


def reason_of(tongue: Tongue, code: str) -> str:
    """Our code of a reason, by the sender's table; one that can be no code (a sentence about somebody) is ``other``."""
    found = tongue.ours("reason", code)
    return found if not found or CODE.fullmatch(found) else "other"


def emergency(reason: str) -> bool:
    """Whether a reason ends access now."""
    return reason.lower().startswith(EMERGENCY)


def urgent(tongue: Tongue, kind: HrKind, code: str) -> bool:
    """Whether an event of this kind with this reason of the sender's ends access now."""
    return kind in MAY_BE_URGENT and emergency(reason_of(tongue, code))


def scope_codes(tongue: Tongue, code: str) -> tuple[str, str]:
    """Service and family of procedures of a code of privileges: ``service/procedures`` in the sender's table; without, the code is
    the family's."""
    ours = tongue.ours("privilege", code)
    service, slash, procedures = ours.partition("/")
    return (shown(service, 40), shown(procedures, 80)) if slash else ("", shown(ours, 80))
