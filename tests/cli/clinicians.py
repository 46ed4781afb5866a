"""Clinicians' cases in memory for the commands to talk to: one before the committee, and a person who works at two places."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from canonical.cases import Answer
from canonical.credentials import Privilege
from canonical.onboarding import ExpiryWarning, Facet, PersonTask, PersonWord
from cli.clinician_views import ClinicianRow, ClinicianView
from cli.exits import not_found, wrong_usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY, AT_TWO = "person-0001", "person-0002"


class FakeClinicians:
    """It remembers what it was asked to do, in ``asked_for``."""

    def __init__(self, asked_for: list[Any]) -> None:
        self._asked_for = asked_for

    async def rows(self, facility: str, headline: str, everything: bool, limit: int) -> Sequence[ClinicianRow]:
        self._asked_for.append(("clinicians", facility, headline, everything))
        about: dict[str, Any] = {"facility": "NGH", "role": "surgeon", "department": "surgery", "open": 2, "overdue": 1}
        keys = (KEY, AT_TWO)
        return [ClinicianRow(person=one, headline="committee pending", **about) for one in keys][:limit]

    async def facility_of(self, person: str, facility: str) -> str:
        if person not in (KEY, AT_TWO):
            raise not_found("case of the person", person, "see `fascia clinician list --all`")
        if person == AT_TWO and not facility:
            raise wrong_usage(f"{person} is at NGH, SGH", "say which by --facility")
        return facility or "NGH"

    async def show(self, facility: str, person: str) -> ClinicianView | None:
        about: dict[str, Any] = {"person": person, "facility": facility, "requested_at": NOON}
        asked = Privilege(id="p-1", state="requested", requested_by="E-MSO", **about)
        task: dict[str, Any] = {"id": "t-1", "kind": "decide", "subject": "p-1", "owner": "credentials committee"}
        owed = PersonTask(person=person, facility=facility, opened_at=NOON, due=NOON + timedelta(days=14), **task)
        facet = Facet(name="verification", state="stopped", owner="medical staff office", reason="dea:IL missing")
        (row, *_) = await self.rows("", "", True, 1)
        told: dict[str, Any] = {"stopped": ("dea:IL: missing",), "facets": (facet,), "privileges": (asked,)}
        told |= {"warnings": (ExpiryWarning(name="licence:IL", expires=date(2026, 12, 1), days=30),), "tasks": (owed,)}
        return ClinicianView.model_validate(row.model_dump() | {"verifications": {"npi": "confirmed"}} | told)

    async def say(self, facility: str, person: str, word: PersonWord) -> Answer:
        self._asked_for.append((facility, person, word))
        return Answer(taken=True, message=f"{word.verb} taken", business_state="committee pending")
