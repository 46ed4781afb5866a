"""What every source that verifies must do, whatever it speaks: the real adapters against servers of ours, and the fake."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Protocol

import pytest

from canonical.credentials import ClinicianRole
from canonical.errors import Rejected, Throttled, Unavailable
from canonical.people import ClinicianRecord, DeaRegistration, Licence, PersonName
from canonical.people_ports import Verifier

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PHYSICIAN = ClinicianRole(code="physician", prescriber=True)
NPI, OTHER_NPI = "1234567893", "1993999998"
DEA = "AB1234563"
RECORD = ClinicianRecord(
    name=PersonName(family="Bergström-Álvarez", given="Wilhelmina"),
    npi=NPI,
    licences=(Licence(state="IL", number="036-117722"),),
    dea=(DeaRegistration(number=DEA, state="IL"),),
)
CANARY = ("bergstr", "lvarez", "wilhelmina")  # in no evidence or failure


class Source(Protocol):
    """A source as the suite sets it up."""

    code: str
    subject: str
    verifier: Verifier
    asked: int

    def has(self, *, ended: str = "", expires: date | None = None) -> None:
        """It has the record's credential: active, or ended in its own words."""
        ...

    def away(self) -> None: ...
    def slow(self) -> None: ...
    def throttles(self, seconds: int) -> None: ...
    def back(self) -> None: ...


class VerifierContract:
    """The suite."""

    async def test_what_the_source_has_as_active_is_confirmed_on_the_day_asked_of(self, source: Source) -> None:
        source.has()
        found = await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        assert (found.state, found.finding, found.source) == ("confirmed", "active", source.code)
        assert found.verified_on == NOON.date()

    async def test_what_the_source_has_not_is_unknown_and_never_confirmed(self, source: Source) -> None:
        found = await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        assert (found.state, found.finding) == ("unknown", "not-found")

    async def test_what_has_ended_is_refuted(self, source: Source) -> None:
        source.has(ended="Suspended")
        found = await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        assert found.state == "refuted"
        assert found.finding

    async def test_a_record_with_nothing_to_ask_by_is_refused_for_a_person_to_mend(self, source: Source) -> None:
        bare = ClinicianRecord(name=RECORD.name)
        with pytest.raises(Rejected) as refused:
            await source.verifier.check(bare, source.subject, PHYSICIAN, NOON)
        assert refused.value.code == "data-missing"

    async def test_asked_twice_it_says_the_same(self, source: Source) -> None:
        source.has()
        first = await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        assert await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON) == first

    async def test_a_source_that_is_down_answers_neither_yes_nor_no(self, source: Source) -> None:
        source.has()
        source.away()
        with pytest.raises(Unavailable):
            await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        source.back()
        assert (await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)).state == "confirmed"

    async def test_a_source_slower_than_our_time_out_answers_neither_yes_nor_no(self, source: Source) -> None:
        source.has()
        source.slow()
        with pytest.raises(Unavailable):
            await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)

    async def test_one_that_asks_us_to_slow_down_says_for_how_long(self, source: Source) -> None:
        source.has()
        source.throttles(7)
        with pytest.raises(Throttled) as told:
            await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        assert told.value.retry_after == 7

    async def test_neither_evidence_nor_failure_names_anybody(self, source: Source) -> None:
        said: list[str] = []
        source.has()
        said.append((await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)).model_dump_json())
        source.has(ended="Suspended")
        said.append((await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)).model_dump_json())
        source.away()
        with pytest.raises(Unavailable) as lost:
            await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        said.append(lost.value.message)
        assert not [name for name in CANARY for text in said if name in text.casefold()]


class ExpiringContract(VerifierContract):
    """What holds besides for credentials that expire."""

    async def test_the_evidence_says_until_when(self, source: Source) -> None:
        source.has(expires=date(2027, 7, 31))
        found = await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        assert found.expires_on == date(2027, 7, 31)

    async def test_it_holds_on_its_last_day_and_is_refuted_on_the_next(self, source: Source) -> None:
        source.has(expires=NOON.date())
        assert (await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)).state == "confirmed"
        source.has(expires=date(2026, 11, 19))
        found = await source.verifier.check(RECORD, source.subject, PHYSICIAN, NOON)
        assert (found.state, found.finding) == ("refuted", "expired")
