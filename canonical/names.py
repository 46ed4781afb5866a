"""People's names as two systems may write them: accents, case, hyphens and initials make no other name."""

from __future__ import annotations

import unicodedata
from typing import Literal

from canonical.people import ClinicianRecord

Agreement = Literal["same", "former", "other"]


def folded(name: str) -> str:
    """A name to compare: no accents or case, apostrophes and points left out, every other sign a blank."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ø", "o").replace("Ø", "O").replace("ł", "l"))
    kept = (sign for sign in plain if not unicodedata.combining(sign) and sign not in "'’`.ʼ")
    return " ".join("".join(sign if sign.isalnum() else " " for sign in kept).casefold().split())


def given_agree(one: str, other: str) -> bool:
    """Whether two folded given names may be one person's: the first parts are the same, or one is the other's initial."""
    first, second = one.partition(" ")[0], other.partition(" ")[0]
    if not first or not second:
        return True
    return first == second or (min(len(first), len(second)) == 1 and first[0] == second[0])


def agreement(record: ClinicianRecord, family: str, given: str) -> Agreement:
    """How a name that a source has stands to a person's: the same, by a former family name, or another's."""
    theirs, hers = folded(family), folded(given)
    if not given_agree(folded(record.name.given), hers):
        return "other"
    if theirs and theirs == folded(record.name.family):
        return "same"
    return "former" if theirs and theirs == folded(record.former_family) else "other"
