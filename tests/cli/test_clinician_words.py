"""Many words at once: each is given as its own command would give it, and one that is refused stops no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from canonical.cases import Answer
from canonical.errors import Rejected, Unavailable
from canonical.onboarding import PersonWord
from cli import clinician_words
from cli.clinician_views import ClinicianView
from cli.exits import Exit, exit_for
from tests.cli.clinicians import AT_TWO, KEY, FakeClinicians
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse
from workers.temporal import REFUSALS
from workflows import clinician_onboarding, recall

VERIFY = {"person": KEY, "verb": "verify", "check": "education", "outcome": "confirmed", "reference": "d-1"}
APPROVE = {"person": KEY, "verb": "approve", "reason": "file complete"}


def written(folder: Path, *words: dict[str, Any]) -> str:
    path = folder / "words.json"
    path.write_text(json.dumps(words))
    return str(path)


def given(house: FakeHouse) -> list[PersonWord]:
    return [asked[2] for asked in house.asked_for if isinstance(asked[2], PersonWord)]


def test_each_word_is_given_in_the_order_of_its_person_under_a_name_of_its_own(
    fascia: Fascia, house: FakeHouse, tmp_path: Path
) -> None:
    ended = fascia("clinician", "say", "--from", written(tmp_path, VERIFY, APPROVE), "--id", "monday", "--json")
    assert ended.code == 0
    assert [(word.verb, word.id) for word in given(house)] == [("verify", "monday/1"), ("approve", "monday/2")]
    assert [(row["verb"], row["taken"]) for row in ended.json["items"]] == [("verify", True), ("approve", True)]


def test_a_word_that_names_no_privilege_is_about_the_only_one_it_can_be(
    fascia: Fascia, house: FakeHouse, tmp_path: Path
) -> None:
    fascia("clinician", "say", "--from", written(tmp_path, APPROVE))
    assert [word.privilege for word in given(house)] == ["p-1"]


def test_a_list_given_again_is_about_what_it_has_decided(
    fascia: Fascia, house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = FakeClinicians.show

    async def decided(self: FakeClinicians, facility: str, person: str) -> ClinicianView | None:
        view = await seen(self, facility, person)
        assert view is not None
        return view.changed(privileges=tuple(one.changed(state="granted") for one in view.privileges))

    monkeypatch.setattr(FakeClinicians, "show", decided)
    fascia("clinician", "say", "--from", written(tmp_path, APPROVE), "--id", "monday")
    assert [(word.privilege, word.id) for word in given(house)] == [("p-1", "monday/1")]


def test_where_no_privilege_can_be_meant_the_word_is_refused_and_the_others_are_given(
    fascia: Fascia, house: FakeHouse, tmp_path: Path
) -> None:
    revoke = {"person": KEY, "verb": "revoke", "reason": "outcomes"}  # nothing was granted yet
    nobody = APPROVE | {"person": "person-9999"}
    twice = APPROVE | {"person": AT_TWO}  # of which case?
    ended = fascia("clinician", "say", "--from", written(tmp_path, revoke, nobody, twice, APPROVE), "--json")
    assert ended.code == 6
    codes = [(row["taken"], row["code"]) for row in ended.json["items"]]
    assert codes == [(False, "usage"), (False, "not-found"), (False, "usage"), (True, "")]
    assert [word.verb for word in given(house)] == ["approve"]


def test_a_word_that_is_not_answered_is_given_again_under_its_name(
    fascia: Fascia, house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    async def away(_: FakeClinicians, facility: str, person: str, word: PersonWord) -> Answer:
        said.append(word.id)
        if len(said) < 3:
            raise Unavailable("no answer yet")
        return Answer(taken=True, message="taken", business_state="committee pending")

    monkeypatch.setattr(clinician_words, "AGAIN_AFTER", 0.0)
    monkeypatch.setattr(FakeClinicians, "say", away)
    assert fascia("clinician", "say", "--from", written(tmp_path, VERIFY), "--id", "monday").code == 0
    assert said == ["monday/1"] * 3


def test_a_list_of_which_nothing_was_taken_has_failed(
    fascia: Fascia, house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no(_: FakeClinicians, facility: str, person: str, word: PersonWord) -> Answer:
        raise Rejected("the second yes is another person's", code="not-allowed")

    monkeypatch.setattr(FakeClinicians, "say", no)
    ended = fascia("clinician", "say", "--from", written(tmp_path, VERIFY))
    assert ended.code == 1 and "another person's" in ended.out.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "1"),
        ([VERIFY, {"person": KEY, "verb": "approve"}], "1: approve needs a reason"),
        ([VERIFY | {"verb": "bless"}], "0.verb"),
        ([VERIFY | {"loud": True}], "0.loud"),
        ([VERIFY | {"person": "x"}], "0.person"),
    ],
)
def test_a_list_that_cannot_be_right_is_refused_before_anything_is_said(
    fascia: Fascia, house: FakeHouse, tmp_path: Path, words: list[dict[str, Any]], said: str
) -> None:
    ended = fascia("clinician", "say", "--from", written(tmp_path, *words))
    assert ended.code == 2 and said in ended.err.replace("\n", " ") and house.asked_for == []


@pytest.mark.parametrize("refused", [clinician_onboarding.REFUSED, recall.REFUSED], ids=["clinician", "recall"])
def test_a_word_that_is_refused_ends_with_the_code_the_documentation_has(refused: dict[str, str]) -> None:
    """A rule's code goes through Temporal as a failure's type, and comes back as the code a command ends by."""
    documented = {"not-found": Exit.NOT_FOUND, "not-allowed": Exit.NOT_ALLOWED, "not-open": Exit.CONFLICT}
    for code, ends in documented.items():
        assert exit_for(Rejected("no", code=REFUSALS[refused[code]])) == ends
