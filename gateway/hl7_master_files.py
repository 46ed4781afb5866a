"""What HL7 master files say alike (MFN, v2.4 to 2.8 chapter 8.5): the file (MFI), and its rows (MFE), good and bad apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TypeVar

from pydantic import ValidationError

from canonical.base import Canonical, in_words
from canonical.catalogue import Action, BadRow, MasterFile
from canonical.errors import Malformed
from formats.hl7 import Message, Part, Segment, place
from gateway.mapping import Tongue

ACTIONS: dict[str, Action] = {  # HL7 table 0180
    "MAD": "add",
    "MUP": "update",
    "MDL": "delete",
    "MDC": "deactivate",
    "MAC": "reactivate",
}
Row = TypeVar("Row", bound=Canonical)


def header(message: Message, tongue: Tongue) -> tuple[MasterFile, date | None]:
    """The file without its rows, and since when its rows hold where they do not say.

    ``number`` is the message's own (MSH-10).

    Raises:
        Malformed: there is no MFI, or a date in it is none.
    """
    mfi = message.first("MFI")
    if mfi is None:
        raise Malformed("MFI is missing: which master file is it?", path="MFI", code="data-invalid")
    about = {"source": tongue.sender.code, "facility": tongue.sender.facility, "number": message.header.control}
    return MasterFile.model_validate({"kind": "items", "issued_on": mfi.day(4), **about}), mfi.day(5)


def rows(message: Message, read: Callable[[Part, Segment], Row]) -> tuple[tuple[Row, ...], tuple[BadRow, ...]]:
    """Each MFE with what follows it, read; those that cannot be read with their place and the reason.

    Raises:
        Malformed: there is no row at all.
    """
    good: list[Row] = []
    bad: list[BadRow] = []
    parts = message.groups("MFE")
    if not parts:
        raise Malformed("MFE is missing: the master file has no rows", path="MFE", code="data-invalid")
    for part in parts:
        mfe = part.all("MFE")[0]
        name = mfe.value(2).strip()[:80] or str(mfe.sequence)
        try:
            good.append(read(part, mfe))
        except Malformed as wrong:
            bad.append(BadRow(row=name, path=wrong.path or at(mfe), reason=wrong.message[:2000]))
        except ValidationError as wrong:
            problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(one) for one in problem["loc"])
            bad.append(BadRow(row=name, path=at(mfe), reason=f"{at(mfe)}: {where}: {in_words(problem['msg'])}"))
    return tuple(good), tuple(bad)


def about(mfe: Segment, since: date | None) -> dict[str, object]:
    """What every row says of itself: its name, its place, what is to be done, and since when (MFE-3, else the file's).

    Raises:
        Malformed: an event that is none (table 0180), or a date that is none.
    """
    event = mfe.required(1, 0).strip()
    if event not in ACTIONS:
        raise Malformed(f"{at(mfe, 1)}: {event[:10]} is no event of a row", path=at(mfe, 1), code="data-invalid")
    name = mfe.value(2).strip()[:80] or str(mfe.sequence)
    return {"row": name, "path": at(mfe), "action": ACTIONS[event], "valid_from": mfe.day(3) or since}


def needed(part: Part, mfe: Segment, name: str) -> Segment:
    """The segment that a row cannot be without.

    Raises:
        Malformed: it is not there.
    """
    found = part.first(name)
    if found is None:
        raise Malformed(f"{at(mfe)} has no {name}", path=at(mfe), code="data-invalid")
    return found


def at(one: Segment, field: int = 0) -> str:
    """Where: ``PKG(2)-5``."""
    return place(one.name, one.sequence, field)
