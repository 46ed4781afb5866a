"""Each source's adapter against a server of ours in its published format, and what only that source does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from canonical.credentials import ClinicianRole
from canonical.errors import Rejected, Unavailable
from canonical.people import ClinicianRecord, DeaRegistration, Licence
from demo.registries import licence, provider
from tests.adapters.verification.contract import (
    DEA,
    NOON,
    NPI,
    OTHER_NPI,
    PHYSICIAN,
    RECORD,
    ExpiringContract,
    VerifierContract,
)
from tests.adapters.verification.sources import FakeSource, ServedSource


async def opened(adapter: str, subject: str) -> AsyncIterator[ServedSource]:
    source = ServedSource(adapter, subject)
    await source.open()
    yield source
    await source.close()


@pytest.fixture
async def nppes() -> AsyncIterator[ServedSource]:
    async for source in opened("nppes", ""):
        yield source


@pytest.fixture
async def board() -> AsyncIterator[ServedSource]:
    async for source in opened("licence_board", "IL"):
        yield source


@pytest.fixture
async def dea() -> AsyncIterator[ServedSource]:
    async for source in opened("dea", "IL"):
        yield source


class TestNppes(VerifierContract):
    @pytest.fixture
    def source(self, nppes: ServedSource) -> ServedSource:
        return nppes


class TestLicenceBoard(ExpiringContract):
    @pytest.fixture
    def source(self, board: ServedSource) -> ServedSource:
        return board


class TestDea(ExpiringContract):
    @pytest.fixture
    def source(self, dea: ServedSource) -> ServedSource:
        return dea


class TestFakeRegistry(VerifierContract):
    @pytest.fixture
    def source(self) -> FakeSource:
        return FakeSource("npi")


class TestFakeBoard(ExpiringContract):
    @pytest.fixture
    def source(self) -> FakeSource:
        return FakeSource("licence")


async def found(source: ServedSource, record: ClinicianRecord = RECORD, role: ClinicianRole = PHYSICIAN) -> Any:
    return await source.verifier.check(record, source.subject, role, NOON)


async def test_a_mistyped_npi_is_refused_before_the_registry_is_asked(nppes: ServedSource) -> None:
    with pytest.raises(Rejected) as refused:
        await found(nppes, RECORD.model_copy(update={"npi": "1234567890"}))
    assert refused.value.code == "check-digit" and nppes.asked == 0
    assert "the record's NPI: this is no NPI" in refused.value.message and "Luhn over 80840" in refused.value.message
    assert "1234567890" not in refused.value.message


async def test_an_npi_of_another_name_or_an_organisation_is_not_confirmed(nppes: ServedSource) -> None:
    nppes.sources.providers[NPI] = provider(NPI, "Okafor", "Chidi")
    assert ((await found(nppes)).state, (await found(nppes)).finding) == ("possible", "name-differs")
    nppes.has(enumeration_type="NPI-2")
    assert (await found(nppes)).finding == "not-a-person"


async def test_a_former_name_of_the_registry_is_the_same_person(nppes: ServedSource) -> None:
    former = {"last_name": "BERGSTROM-ALVAREZ", "first_name": "WILHELMINA", "type": "Former Name", "code": "1"}
    nppes.sources.providers[NPI] = provider(NPI, "Lund", "Wilhelmina", other_names=[former])
    assert (await found(nppes)).state == "confirmed"


async def test_a_taxonomy_that_is_none_of_the_roles_is_for_a_person(nppes: ServedSource) -> None:
    nppes.has()
    nurse = ClinicianRole(code="nurse", taxonomies=("163W00000X",))
    assert (await found(nppes, role=nurse)).finding == "taxonomy-differs"
    assert (await found(nppes, role=ClinicianRole(code="d", taxonomies=("207R00000X",)))).state == "confirmed"


async def test_without_an_npi_a_licence_the_registry_has_points_to_the_person(nppes: ServedSource) -> None:
    nppes.has(licence="036117722")
    for count in range(450):  # two full pages before the last
        number = f"18{count:08d}"
        nppes.sources.providers[number] = provider(number, "Bergström-Álvarez", "Wilhelmina", licence=f"9{count}")
    nppes.sources.providers = dict(reversed(nppes.sources.providers.items()))
    mine = nppes.sources.providers[NPI]
    mine["basic"]["last_name"] = "Bergström-Álvarez"
    evidence = await found(nppes, RECORD.model_copy(update={"npi": ""}))
    assert (evidence.state, evidence.finding) == ("possible", "npi-missing")
    assert nppes.asked == 3


async def test_more_providers_than_the_registry_gives_must_be_asked_more_narrowly(nppes: ServedSource) -> None:
    for count in range(1300):
        number = f"18{count:08d}"
        nppes.sources.providers[number] = provider(number, "Bergström-Álvarez", "Wilhelmina")
    with pytest.raises(Rejected) as refused:
        await found(nppes, RECORD.model_copy(update={"npi": ""}))
    assert refused.value.code == "too-many"
    assert nppes.asked == 6


async def test_the_registrys_refusal_comes_with_a_good_status_and_is_one_all_the_same(nppes: ServedSource) -> None:
    nppes.answers({"Errors": [{"description": "Unsupported Version", "field": "version", "number": "04"}]})
    with pytest.raises(Rejected, match=r"version, 04"):
        await found(nppes)


@pytest.mark.parametrize("said", [b"<html>maintenance</html>", {}, [], {"result_count": 2, "results": [{}]}, b""])
async def test_an_answer_that_cannot_be_read_is_no_answer(nppes: ServedSource, said: Any) -> None:
    nppes.answers(said)
    with pytest.raises(Unavailable):
        await found(nppes)


async def test_an_answer_about_somebody_else_is_never_taken_for_ours(
    nppes: ServedSource, board: ServedSource, dea: ServedSource
) -> None:
    nppes.answers({"result_count": 1, "results": [provider(OTHER_NPI, "Bergstrom-Alvarez", "Wilhelmina")]})
    board.sources.licences["IL/036-117722"] = licence("IL", "036999999", "Bergstrom Alvarez", "W")
    dea.has(dea_number="BB1388568")
    for source in (nppes, board, dea):
        with pytest.raises(Unavailable, match="another"):
            await found(source)


async def test_a_source_that_answers_every_question_twice_is_heard_once(board: ServedSource) -> None:
    """The second answer waits on the connection; were it read as the next question's, one person's licence were another's."""
    board.has()
    board.sources.twice = True
    other = ClinicianRecord(name=RECORD.name, licences=(Licence(state="IL", number="041-000001"),))
    states = [(await found(board, record)).state for record in (RECORD, other, RECORD, other)]
    assert states == ["confirmed", "unknown", "confirmed", "unknown"]


async def test_an_action_of_the_board_is_for_a_person_to_read(board: ServedSource) -> None:
    board.has(discipline=["2025-11 reprimand"])
    evidence = await found(board)
    assert (evidence.state, evidence.finding) == ("possible", "disciplined")


async def test_the_token_goes_to_the_source_and_a_wrong_one_is_our_own_fault() -> None:
    source = ServedSource("dea", "IL", token="of the sandbox")
    await source.open()
    source.has()
    source.sources.token = "of the sandbox"
    assert (await found(source)).state == "confirmed"
    source.sources.token = "another"
    with pytest.raises(Rejected) as refused:
        await found(source)
    assert refused.value.code == "unauthenticated"
    await source.close()


@pytest.mark.parametrize(("number", "finding"), [("AB1234564", "check-digit"), ("PB1234563", "class")])
async def test_a_dea_number_that_cannot_be_right_is_refuted_without_asking(
    dea: ServedSource, number: str, finding: str
) -> None:
    held = (DeaRegistration(number=number, state="IL"),)
    evidence = await found(dea, RECORD.model_copy(update={"dea": held}))
    assert (evidence.state, evidence.finding, dea.asked) == ("refuted", finding, 0)


async def test_a_registration_is_for_its_state_and_its_schedules(dea: ServedSource) -> None:
    dea.has(state="WI")
    assert (await found(dea)).finding == "other-state"
    dea.has(drug_schedules="    4 5")
    evidence = await found(dea)
    assert (evidence.state, evidence.reference) == ("confirmed", "schedules 4 5")
    asks_more = (DeaRegistration(number=DEA, state="IL", schedules=("2", "4")),)
    assert (await found(dea, RECORD.model_copy(update={"dea": asks_more}))).finding == "schedules-differ"
    dea.has(drug_schedules="")
    assert (await found(dea)).finding == "no-schedules"


async def test_of_two_licences_of_a_state_the_one_that_ends_last_is_asked_about(board: ServedSource) -> None:
    board.has()
    old = Licence(state="IL", number="036-000001", expires=date(2020, 7, 31))
    assert (await found(board, RECORD.model_copy(update={"licences": (old, *RECORD.licences)}))).state == "confirmed"
