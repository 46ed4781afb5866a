"""Lists of people nobody may employ or pay: their rows in our words, and what it means that one may be somebody of ours.

OIG's LEIE is the first (42 U.S.C. 1320a-7); SAM and state lists are another source with another reader of the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from canonical.base import Canonical
from canonical.check_digits import is_npi
from canonical.credentials import Evidence
from canonical.people import ClinicianRecord, stable
from canonical.verifying import is_called


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a list; names folded (:func:`canonical.people_matching.folded`), ``npi`` empty where the list has no real one."""

    row: int
    family: str = ""
    given: str = ""
    middle: str = ""
    business: str = ""
    npi: str = ""
    birth_date: date | None = None
    state: str = ""
    kind: str = ""
    excluded_on: date | None = None
    waived_on: date | None = None
    waiver_state: str = ""

    @property
    def key(self) -> str:
        """The row's name, the same in every edition of its list that has it unchanged."""
        born, since = (moment.isoformat() if moment else "" for moment in (self.birth_date, self.excluded_on))
        return stable(self.family, self.given, self.middle, self.npi, born, self.kind, since)

    @property
    def waived(self) -> bool:
        """Whether a state has the exclusion waived: what that means where somebody works, a person says."""
        return bool(self.waiver_state)


class ExclusionEdition(Canonical):
    """One full edition of a list as it is held: ``seen_at``: when its source was last found to have no other."""

    id: int
    source: str
    file_hash: str
    rows: int
    published: date | None = None
    by: str = ""
    at: datetime
    seen_at: datetime | None = None


class ListLoaded(Canonical):
    """What became of a file: ``new`` (it has replaced the list before) or ``same`` (that list is in force already)."""

    source: str
    outcome: str
    id: int
    rows: int
    before: int = 0
    file_hash: str


class ExclusionLists(Protocol):
    """The lists we hold; a full edition replaces the one before at once."""

    async def replace(
        self, source: str, rows: Sequence[Listed], file_hash: str, by: str, at: datetime, *, smaller: bool = False
    ) -> ListLoaded:
        """Let a full edition take the place of the one before, all of it or nothing.

        Raises:
            Rejected: (``list-empty``, ``list-truncated``) it holds no row, or has lost more of the one before than its source may
                lose and ``smaller`` does not say that a person knows.
        """
        ...

    async def refused(self, source: str, why: str, at: datetime) -> None:
        """A file of a source was not taken: people are told until one is."""
        ...

    async def editions(self) -> Sequence[ExclusionEdition]:
        """The one in force of each source."""
        ...


def held_against(
    record: ClinicianRecord, rows: Iterable[Listed], edition: ExclusionEdition, as_of: datetime
) -> Evidence:
    """What a list says of somebody. ``rows``: those with the NPI or a family name of theirs; others are passed over.

    The NPI where the list has a real one decides. Else the same name and birth date may be the person (OIG has no number to
    compare in five rows of six), and so may the same name where either side has no birth date: a person confirms on the list's
    own site. Rows with another real NPI than a person's are somebody else's unless name and birth date agree.
    """
    npi = record.npi if is_npi(record.npi) else ""
    certain = [row for row in rows if npi and row.npi == npi]
    hits = certain or [row for row in rows if _may_be(record, npi, row)]
    if not hits:
        state, finding, detail = "confirmed", "not-listed", f"not among {edition.rows} rows"
    elif certain and not all(row.waived for row in certain):
        state, finding, detail = "refuted", "excluded", "listed under this NPI"
    elif all(row.waived for row in hits):
        state, finding, detail = "possible", "excluded-waived", "listed, with a waiver of a state: a person says"
    else:
        state, finding = "possible", "name-on-list"
        detail = f"{len(hits)} rows have this name: confirm by the number the list's own site compares"
    return Evidence.model_validate(
        {
            "state": state,
            "finding": finding,
            "detail": detail,
            "source": edition.source,
            "verified_on": as_of.date(),
            "reference": f"{edition.source}:{edition.id}:{edition.file_hash[:16]}",
            "hits": tuple(sorted({row.key for row in hits})),
        }
    )


def _may_be(record: ClinicianRecord, npi: str, row: Listed) -> bool:
    if not is_called(record, row.family, row.given):
        return False
    if record.birth_date and row.birth_date:
        return record.birth_date == row.birth_date
    return not (npi and row.npi)
