"""A state's licence board: is this licence this person's, active, unrestricted, and until when.

Boards have no common interface; this is the look-up one of ours speaks (:mod:`demo.registries`): ``GET <url>/<state>/<number>``
answers state, number, status, profession, name, expires (YYYY-MM-DD) and discipline, or 404. A board that answers otherwise is
another file beside this one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
from pydantic import ValidationError

from adapters import lookup
from canonical.credentials import ClinicianRole, Evidence
from canonical.errors import Rejected
from canonical.people import ClinicianRecord
from canonical.verifying import BoardEntry, licence_of, of_board, same_number


class LicenceBoard:
    """One board, by its address; it may serve several states."""

    def __init__(self, client: httpx.AsyncClient, code: str, url: str) -> None:
        self._client, self._code, self._url = client, code, url

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        """What the board of state ``subject`` says of the person's licence there.

        Raises:
            Rejected: (data-missing) the record has no licence of that state.
        """
        licence = licence_of(record, subject)
        if licence is None or not licence.number:
            raise Rejected(f"the record has no licence of {subject}", code="data-missing", system=self._code)
        answer = await lookup.ask(self._client, self._url, subject, licence.number, system=self._code)
        entry = _entry(answer, self._code) if answer is not None else None
        if entry is not None and not (entry.state == subject and same_number(entry.number, licence.number)):
            raise lookup.nonsense(self._code, "it answered about another licence than was asked")
        return of_board(record, entry, self._code, as_of)


def _entry(answer: dict[str, Any], system: str) -> BoardEntry:
    name = answer.get("name")
    if not isinstance(name, dict):
        raise lookup.nonsense(system)
    said = {key: answer.get(key) or "" for key in ("state", "number", "status", "profession")}
    try:
        return BoardEntry.model_validate(
            said
            | {"family": name.get("family") or "", "given": name.get("given") or "", "expires": answer.get("expires")}
            | {"discipline": bool(answer.get("discipline"))}
        )
    except ValidationError:
        raise lookup.nonsense(system) from None
