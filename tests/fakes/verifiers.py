"""A source that verifies, in memory: the port :class:`canonical.people_ports.Verifier`, for tests that need no server."""

from __future__ import annotations

import asyncio
from datetime import date, datetime

from canonical.credentials import CheckKind, ClinicianRole, Evidence
from canonical.errors import FasciaError, Rejected
from canonical.people import ClinicianRecord


class FakeVerifier:
    """Knows what it is told of numbers. ``failure``: what it raises instead of answering; ``thinks``: it answers once this is set;
    ``asked``: how often it was.
    """

    def __init__(self, kind: CheckKind, code: str = "FAKE") -> None:
        self.kind, self.code = kind, code
        self.known: dict[str, Evidence] = {}
        self.failure: FasciaError | None = None
        self.thinks: asyncio.Event | None = None
        self.asked = 0

    def knows(self, number: str, finding: str = "active", *, expires: date | None = None) -> None:
        """It has this number: active, or with a finding that says no."""
        state = "confirmed" if finding == "active" else "refuted"
        self.known[number] = Evidence(state=state, finding=finding, verified_on=date.min, expires_on=expires)

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        self.asked += 1
        if self.thinks is not None:
            await self.thinks.wait()
        if self.failure is not None:
            raise self.failure
        number = self._number(record, subject)
        if not number:
            raise Rejected("the record has nothing to ask by", code="data-missing", system=self.code)
        said = self.known.get(number) or Evidence(state="unknown", finding="not-found", verified_on=date.min)
        expired = said.expires_on is not None and said.expires_on < as_of.date()
        changed = {"state": "refuted", "finding": "expired"} if expired else {}
        return said.model_copy(update={"verified_on": as_of.date(), "source": self.code, **changed})

    def _number(self, record: ClinicianRecord, subject: str) -> str:
        if self.kind == "licence":
            return next((one.number for one in record.licences if one.state == subject), "")
        if self.kind == "dea":
            return next((one.number for one in record.dea if one.state in (subject, "")), "")
        return record.npi
