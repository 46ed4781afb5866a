"""What a person's word to a clinician's case comes to: what does not fit is refused in words that say what to do."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from canonical.credentials import ClinicianPolicy, ClinicianRole
from canonical.errors import Rejected
from canonical.onboarding import Appointment, OnboardingFile, PersonWord
from canonical.person_word_rules import outcome

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def leaves(on: date) -> PersonWord:
    return PersonWord(id="w-1", verb="leave", on=on, reason="moves away")


def test_a_last_day_before_the_first_is_a_withdrawal_and_ends_nobody() -> None:
    here = Appointment(
        person="person-0001", facility="NGH", state="working", starts=date(2026, 10, 13), offered_at=NOON
    )
    told = OnboardingFile(appointment=here, role=ClinicianRole(code="surgeon"), policy=ClinicianPolicy(facility="NGH"))
    with pytest.raises(Rejected, match="before the first, 2026-10-13"):
        outcome(told, leaves(date(2020, 11, 30)), "E-HR", NOON)
    said = outcome(told, leaves(date(2026, 10, 13)), "E-HR", NOON)
    assert said.event is not None and (said.event.kind, said.event.effective) == ("terminate", date(2026, 10, 13))
