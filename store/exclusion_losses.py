"""What tells a full edition of an exclusion list from one that lost rows on its way: what of the one in force is not on it any more.

Editions grow: OIG adds some hundreds of rows a month to some eighty thousand and takes dozens away (people reinstated, a name
put right). So rows are counted by who is on them, not how many there are: what was added does not hide what is missing.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.credentials import VerificationSource
from canonical.errors import Rejected
from store.people_tables import exclusions
from store.register_reading import current

TELLS_ITS_AGE: Final = 1000  # rows: hundreds are added a month, so the newest of so many says how old an edition is
END: Final = 10  # rows: a list goes on in its order, so all of its last ones are gone where it was cut, and hardly ever otherwise
_LAST_WORD: Final = "accept it by fascia exclusions load FILE --smaller --reason"


async def least_checked_in(connection: AsyncConnection, source: str, rows: int, as_of: date) -> None:
    """An edition has the rows its source has at least, also the first, which there is nothing to hold against.

    Raises:
        Rejected: (list-truncated) it has fewer.
    """
    least = (await _source(connection, source, as_of)).least_rows
    if rows < least:
        raise _cut(source, f"has {rows} rows where there are {least} at least (least_rows)")


async def edition_checked_in(
    connection: AsyncConnection, source: str, edition: int, before: Any, as_of: date, *, smaller: bool
) -> int:
    """How many rows of the edition in force (``before``: its row, or None) the new one has not.

    ``edition``: the new one, copied already. ``smaller``: a person knows what is missing, nothing is refused.

    Raises:
        Rejected: (list-truncated, list-older) more are gone than the source may lose, or all at the end; or it is older.
    """
    if before is None:
        return 0
    many, held = before["rows"], before["id"]
    gone = await _gone(connection, held, edition)
    if smaller:
        return gone
    share = (await _source(connection, source, as_of)).may_lose
    if gone > max(1, int(many * share)):
        raise _cut(source, f"lacks {gone} of the {many} rows in force: {share:.1%} at most go in a month (may_lose)")
    if many >= TELLS_ITS_AGE:
        if await _gone(connection, held, edition, many - END) == END:
            raise _cut(source, f"lacks the last {END} of the {many} rows in force: it was cut off")
        newest, known = await _newest(connection, edition), await _newest(connection, held)
        if newest is not None and known is not None and newest < known:
            told = f"the list of {source} goes to {newest}, the one in force to {known}: an older edition is not taken"
            raise Rejected(told, code="list-older", system=source)
    return gone


async def _source(connection: AsyncConnection, source: str, as_of: date) -> VerificationSource:
    """What the register says of a list; the platform's own words where it has no row."""
    found = await current(connection, VerificationSource, "verification_source", "", source, as_of)
    return found or VerificationSource(code=source, kind="exclusion", adapter="leie")


async def _gone(connection: AsyncConnection, held: int, edition: int, after: int = 0) -> int:
    """How many rows of an edition behind a place are not in another, each as often as it is there."""
    before = select(*_WHO).where(exclusions.c.list == held, exclusions.c.row > after)
    lacking = before.except_all(select(*_WHO).where(exclusions.c.list == edition)).subquery()
    return int(await connection.scalar(select(func.count()).select_from(lacking)) or 0)


_WHO: Final = (
    exclusions.c.family_folded,
    exclusions.c.given_folded,
    exclusions.c.middle_folded,
    exclusions.c.business,
    exclusions.c.birth_date,
    exclusions.c.excluded_on,
)


async def _newest(connection: AsyncConnection, edition: int) -> date | None:
    """The last day on which somebody on it was excluded: editions go on from month to month, and this with them."""
    found: date | None = await connection.scalar(
        select(func.max(exclusions.c.excluded_on)).where(exclusions.c.list == edition)
    )
    return found


def _cut(source: str, what: str) -> Rejected:
    told = f"the list of {source} {what}; the edition before stays. Fetch it again; if it is whole, {_LAST_WORD}"
    return Rejected(told, code="list-truncated", system=source)
