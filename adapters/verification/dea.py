"""The DEA's registrants: is this registration active, for this state, until when, and for which schedules.

The look-up serves the fields of the registrant file the DEA publishes through NTIS (DEA number, business activity code, drug
schedules as ``22N33N4 5``, expiration date YYYYMMDD, name, state) as JSON: ``GET <url>/<number>``, or 404.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any, Final

import httpx

from adapters import lookup
from canonical.credentials import ClinicianRole, Evidence
from canonical.errors import Rejected
from canonical.people import ClinicianRecord
from canonical.verifying import DeaEntry, mistyped, of_dea, registration_of

_SCHEDULE: Final = re.compile(r"[1-5]N?", re.ASCII)


class DeaRegistrants:
    """One look-up of the DEA's registrants, by its address."""

    def __init__(self, client: httpx.AsyncClient, code: str, url: str) -> None:
        self._client, self._code, self._url = client, code, url

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        """What the DEA says of the person's registration for state ``subject``; a mistyped number is refuted without asking.

        Raises:
            Rejected: (data-missing) the record has no registration for that state.
        """
        asked = registration_of(record, subject)
        if asked is None or not asked.number:
            where = f" for {subject}" if subject else ""
            raise Rejected(f"the record has no DEA registration{where}", code="data-missing", system=self._code)
        if wrong := mistyped(asked.number, self._code, as_of):
            return wrong
        answer = await lookup.ask(self._client, self._url, asked.number, system=self._code)
        entry = _entry(answer, self._code) if answer is not None else None
        if entry is not None and entry.number != asked.number:
            raise lookup.nonsense(self._code, "it answered about another registration than was asked")
        return of_dea(record, asked, entry, subject, self._code, as_of)


def _entry(answer: dict[str, Any], system: str) -> DeaEntry:
    try:
        return DeaEntry(
            number=answer["dea_number"],
            status=answer["status"],
            name=answer["name"],
            state=answer.get("state") or "",
            expires=_day(answer.get("expiration_date") or ""),
            schedules=tuple(_SCHEDULE.findall(answer.get("drug_schedules") or "")),
        )
    except (KeyError, TypeError, ValueError):
        raise lookup.nonsense(system) from None


def _day(told: str) -> date | None:
    return datetime.strptime(told, "%Y%m%d").date() if told else None  # noqa: DTZ007 (a day, of no zone)
