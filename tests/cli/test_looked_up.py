"""Lists that a person reads at two in the morning say what is in them, or that nothing is."""

from __future__ import annotations

import pytest

from cli.views import RegisterRow, UnmatchedRow
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse


def test_a_list_of_the_register_says_how_many_codes_a_table_has_and_that_there_is_none(
    fascia: Fascia, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def register(self: FakeHouse, kind: str, facility: str, code: str, limit: int) -> list[RegisterRow]:
        table = RegisterRow(
            kind="mapping", code="WARD/unit", record={"sender": "WARD", "rows": {"BOX": "BX", "E": "EA"}}
        )
        return [table] if kind == "mapping" else []

    monkeypatch.setattr(FakeHouse, "register", register)
    assert "2 codes" in fascia("register", "show", "mapping").out
    assert "no sender yet" in fascia("register", "show", "sender").err


def test_what_waits_for_a_person_names_the_message_that_shows_its_bytes(
    fascia: Fascia, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unmatched(self: FakeHouse, state: str, facility: str, limit: int) -> list[UnmatchedRow]:
        return [UnmatchedRow(id="u-1", kind="conflict", number="M1", supplier="WARD", message="m-7")]

    monkeypatch.setattr(FakeHouse, "unmatched", unmatched)
    assert "m-7" in fascia("unmatched", "list").out
