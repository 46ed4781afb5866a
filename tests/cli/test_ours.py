"""Whose word a command is: a key's person's through the REST door, else that of the login the system knows."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from canonical.cases import Actor
from cli.app import run
from cli.door import DoorHouse
from cli.exits import Stop
from cli.house import MessageFilter
from cli.ours import api_key, login, our_house
from cli.reading import links, query_of
from workers.settings import load

KEY = "fsc_the_key_of_somebody"


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FASCIA_API_KEY", "FASCIA_API_KEY_FILE", "FASCIA_DATABASE_URL", "TEMPORAL_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FASCIA_HOME", str(tmp_path))


def test_a_login_is_what_the_system_says_not_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "the-director")
    assert login() == pwd.getpwuid(os.getuid()).pw_name != "the-director"


def test_a_key_comes_from_the_environment_or_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert api_key(load()) == ""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api_key").write_text("fsc_from_the_state_folder\n")
    assert api_key(load()) == "fsc_from_the_state_folder"
    (tmp_path / "elsewhere").write_text("fsc_from_a_named_file\n")
    monkeypatch.setenv("FASCIA_API_KEY_FILE", str(tmp_path / "elsewhere"))
    assert api_key(load()) == "fsc_from_a_named_file"
    monkeypatch.setenv("FASCIA_API_KEY", KEY)
    assert api_key(load()) == KEY


async def test_with_a_key_and_no_database_everything_goes_through_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASCIA_API_KEY", KEY)
    async with our_house() as house:
        assert isinstance(house, DoorHouse)
        assert await house.whoami() == Actor(id="api-key", known_by="api_key")


def test_a_door_that_is_away_is_told_without_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASCIA_API_KEY", KEY)
    monkeypatch.setenv("FASCIA_API_URL", "http://127.0.0.1:9")
    assert run(["case", "list"]) == 7
    said = capsys.readouterr()
    assert "http://127.0.0.1:9" in said.err and KEY not in said.out + said.err


def test_without_any_address_one_is_told_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["case", "list"]) == 7
    assert "fascia up" in capsys.readouterr().err


def test_a_case_is_linked_to_the_temporal_ui(monkeypatch: pytest.MonkeyPatch) -> None:
    assert links(load(), "purchase_order/NGH/PO1", "run-1") == {}
    monkeypatch.setenv("FASCIA_TEMPORAL_UI_URL", "http://127.0.0.1:8233/")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "fascia")
    assert links(load(), "purchase_order/NGH/PO1", "run-1") == {
        "Temporal UI": "http://127.0.0.1:8233/namespaces/fascia/workflows/purchase_order%2FNGH%2FPO1/run-1/history"
    }


def test_a_migration_without_a_database_ends_as_every_other_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate"]) == run(["case", "list"]) == 7
    assert capsys.readouterr().err.count("FASCIA_DATABASE_URL") == 2


def test_a_state_no_message_is_ever_in_finds_not_nothing_but_an_error_that_names_those_there_are() -> None:
    assert query_of(MessageFilter(state="dead", direction="in")).state == "dead"
    for misspelt in (MessageFilter(state="deaad"), MessageFilter(direction="inward")):
        with pytest.raises(Stop) as refused:
            query_of(misspelt)
        assert refused.value.code == "usage" and ("dead" in refused.value.hint or "out" in refused.value.hint)
