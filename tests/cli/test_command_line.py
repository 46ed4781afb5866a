"""What every command has in common: where its words go, how it ends, and that it asks nobody who is not there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from canonical.errors import FasciaError, Malformed, Rejected, Throttled, Unavailable
from cli import app as root
from cli import demo
from cli.completion import Shell, script
from cli.exits import Exit, Stop, exit_for
from cli.output import Output
from tests.cli.conftest import Fascia
from tests.cli.house import LOADED_PARTLY, ORDER, FakeHouse, order

FASCIA = [sys.executable, "-m", "cli.app"]


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Stop("x", code="not-found"), 3),
        (Stop("x", code="not-allowed"), 4),
        (Rejected("x", code="changed"), 5),
        (Rejected("x", code="not-open"), 5),
        (Rejected("x"), 5),
        (Stop("x", code="partly"), 6),
        (Unavailable("x"), 7),
        (Throttled("x"), 7),
        (Malformed("x"), 2),
        (FasciaError("x"), 1),
    ],
)
def test_each_kind_of_ending_has_its_exit_code(
    fascia: Fascia, house: FakeHouse, problem: FasciaError, code: int
) -> None:
    house.failing = problem
    assert exit_for(problem) == code
    assert fascia("case", "list").code == code
    ended = fascia("case", "list", "--json")
    assert ended.code == code and ended.json["error"]["exit_code"] == code and ended.err == ""


def test_an_error_in_json_has_one_shape(fascia: Fascia, house: FakeHouse) -> None:
    house.failing = Malformed("lines.0: wrong", path="lines.0", code="data-invalid")
    assert fascia("case", "list", "--json").json == {
        "error": {"code": "data-invalid", "message": "lines.0: wrong", "path": "lines.0", "hint": "", "exit_code": 2}
    }


@pytest.mark.parametrize("wrong", [["case", "lsit"], ["case", "list", "--colour"], ["case", "show"], ["nothing"]])
def test_a_command_line_that_does_not_fit_is_told_in_the_form_asked_for(fascia: Fascia, wrong: list[str]) -> None:
    plain = fascia(*wrong)
    assert plain.code == 2 and plain.out == "" and "--help" in plain.err
    assert fascia(*wrong, "--json").json["error"]["exit_code"] == 2


def test_what_is_not_there_is_not_found(fascia: Fascia) -> None:
    for command in (["case", "show", "PO9"], ["journal", "show", "m-9"], ["register", "show", "item", "ITM-9"]):
        assert fascia(*command).code == 3


def test_data_goes_to_stdout_and_messages_to_stderr(fascia: Fascia) -> None:
    ended = fascia("case", "list", "--limit", "1")
    assert ORDER in ended.out and "the first 1 are shown" in ended.err and "the first" not in ended.out


def test_quiet_leaves_the_answer_only(fascia: Fascia) -> None:
    ended = fascia("case", "list", "--limit", "1", "-q")
    assert ORDER in ended.out and ended.err == ""


def test_verbose_says_more_on_stderr(fascia: Fascia) -> None:
    assert "invoice blocked" in fascia("case", "accept", ORDER, "-v").err


def test_nothing_is_coloured_where_nobody_looks(fascia: Fascia) -> None:
    assert "\x1b[" not in fascia("case", "show", ORDER).out


def test_no_color_is_obeyed_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert Output()._out.color_system is None
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert Output(no_color=True)._out.color_system is None
    assert Output()._out.color_system is not None


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_a_partner_sent_cannot_command_the_terminal(fascia: Fascia, house: FakeHouse, form: list[str]) -> None:
    house.bytes = "ISA\x1b]0;owned\x07\x9b2J\u202e[/red]~"
    house.the_cases[ORDER] = order(business_state="a\x1b[2Jb [/nobody] [bold]c", next_action="\x07")
    for command in (["journal", "show", "m-1"], ["case", "show", ORDER], ["case", "list"]):
        ended = fascia(*command, *form)
        assert ended.code == 0
        assert not set(ended.out) & set("\x1b\x07\x9b\u202e")
    assert "[/nobody] [bold]c" in fascia("case", "list").out
    assert fascia("journal", "show", "m-1", "--json").json["data"] == house.bytes


def test_nobody_is_asked_where_nobody_sits(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("case", "cancel", ORDER, "--reason", "no longer needed").code == 0
    assert len(house.decided) == 1


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Somebody at a terminal, who answers what the list says next."""
    answers: list[str] = []
    monkeypatch.setattr(Output, "interactive", property(lambda _: True))
    monkeypatch.setattr("sys.stdin.readline", lambda: answers.pop(0))
    yield answers


def test_a_person_is_asked_before_what_cannot_be_taken_back(
    fascia: Fascia, house: FakeHouse, terminal: list[str]
) -> None:
    terminal += ["n\n", "y\n"]
    said_no = fascia("case", "cancel", ORDER, "--reason", "x")
    assert said_no.code == Exit.INTERRUPTED and house.decided == []
    assert ORDER in said_no.err and "invoice blocked" in said_no.err
    assert fascia("case", "cancel", ORDER, "--reason", "x").code == 0
    assert fascia("case", "cancel", ORDER, "--reason", "x", "--yes").code == 0
    assert len(house.decided) == 2 and terminal == []


def test_a_harmless_decision_is_not_asked_back(fascia: Fascia, house: FakeHouse, terminal: list[str]) -> None:
    assert fascia("case", "accept", ORDER).code == 0


def _commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    group = group or get_command(root.app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), list(_commands()), ids=[" ".join(path) for path, _ in _commands()])
def test_every_command_says_what_it_does(path: tuple[str, ...], command: Any, fascia: Fascia) -> None:
    ended = fascia(*path, "--help")
    assert (ended.code == 0 and command.help in re.sub(r"\s+", " ", ended.out)) or command.help
    options = {name for parameter in command.params for name in parameter.opts}
    if path != ("demo",):
        assert {"--json", "--quiet", "--no-color"} <= options


def test_every_list_has_a_limit() -> None:
    lists = [command for path, command in _commands() if path[-1] == "list"]
    assert len(lists) >= 7
    for command in lists:
        assert "--limit" in {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize("shell", list(Shell))
def test_each_shell_gets_its_completion_script(shell: Shell, fascia: Fascia) -> None:
    assert fascia("completion", shell.value).out == script(shell)
    assert "_FASCIA_COMPLETE" in script(shell) and "fascia" in script(shell)


def test_a_shell_that_asks_is_answered_with_our_commands() -> None:
    asked = {**os.environ, "COMP_WORDS": "fascia case appr", "COMP_CWORD": "2", "_FASCIA_COMPLETE": "complete_bash"}
    answer = subprocess.run(FASCIA, env=asked, capture_output=True, text=True, check=False, timeout=60)
    assert answer.stdout.split() == ["approve"]


def test_the_program_ends_with_the_code_of_its_command() -> None:
    wrong = subprocess.run([*FASCIA, "case", "lsit"], capture_output=True, text=True, check=False, timeout=60)
    assert (wrong.returncode, wrong.stdout) == (2, "")


@pytest.mark.parametrize("command", [["completion", "bash"], ["schema", "export", "--check", "--json"]])
def test_a_reader_that_has_read_enough_is_no_failure(command: list[str]) -> None:
    with subprocess.Popen([*FASCIA, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ours:
        assert ours.stdout is not None and ours.stderr is not None
        ours.stdout.close()
        said = ours.stderr.read().decode()
        assert (ours.wait(timeout=60), said) == (0, "")


def test_a_stopped_command_ends_as_interrupted(
    monkeypatch: pytest.MonkeyPatch, fascia: Fascia, house: FakeHouse
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    house.fail_at_opening = interrupted  # type: ignore[method-assign]
    assert fascia("case", "list").code == 130


PROGRAM = """
import signal, sys, time
def end(number, _):
    sys.exit(40 + number)
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, end)
open(sys.argv[1], "w").close()
time.sleep(30)
"""


@pytest.mark.parametrize("code", [0, 3])
def test_the_demo_ends_as_its_program_ends(code: int) -> None:
    assert demo.run([sys.executable, "-c", f"raise SystemExit({code})"]) == code


def test_a_demo_killed_by_a_signal_ends_as_a_shell_says_it() -> None:
    assert demo.run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]) == 137


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_us_is_a_signal_to_the_demo(number: signal.Signals, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    ours = f"import sys; from cli.demo import run; sys.exit(run([sys.executable, '-c', {PROGRAM!r}, {str(ready)!r}]))"
    with subprocess.Popen([sys.executable, "-c", ours], stdin=subprocess.DEVNULL, start_new_session=True) as us:
        for _ in range(200):
            if ready.exists():
                break
            time.sleep(0.05)
        us.send_signal(number)
        assert us.wait(timeout=20) == 40 + number


def test_the_demo_is_started_as_a_program_with_what_was_asked(monkeypatch: pytest.MonkeyPatch, fascia: Fascia) -> None:
    started: list[list[str]] = []

    def run(program: list[str]) -> int:
        started.append(program)
        return 6

    monkeypatch.setattr(demo, "run", run)
    assert fascia("demo", "--once").code == 6
    assert started == [[sys.executable, "-m", "demo", "--once"]]


def test_a_partly_refused_load_ends_as_partly_done(fascia: Fascia, house: FakeHouse, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("code\n")
    assert fascia("register", "load", str(file), "--kind", "item", "--facility", "NGH").code == 0
    assert house.asked_for == [("items.csv", "item", "NGH", "hospital")]
    house.report = LOADED_PARTLY
    ended = fascia("register", "load", str(file))
    assert ended.code == 6
    assert "1 loaded, 0 unchanged, 1 refused" in ended.out
    assert "line 3" in ended.out and "base_unit: not a unit" in ended.out and "ITM-1 " not in ended.out
    assert fascia("register", "load", str(file), "--json").json["records"][1]["reason"] == "base_unit: not a unit"
    house.report = LOADED_PARTLY.model_copy(update={"loaded": 0})
    assert fascia("register", "load", str(file)).code == 1


def test_the_erp_is_loaded_for_one_facility(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("register", "load", "--from-erp").code == 2
    assert fascia("register", "load").code == 2
    assert fascia("register", "load", "--from-erp", "--facility", "NGH", "--dry-run", "--json").json["dry_run"] is True
    assert house.asked_for == [("erp", "NGH")]


def test_the_register_is_looked_up(fascia: Fascia) -> None:
    assert "Gloves" in fascia("register", "show", "item").out
    assert fascia("register", "show", "item", "ITM-1001").json["description"] == "Gloves"


def test_the_journal_is_listed_and_a_message_shown_byte_for_byte(
    fascia: Fascia, house: FakeHouse, tmp_path: Path
) -> None:
    listed = fascia("journal", "list", "--limit", "2", "--partner", "ALPINE")
    assert "m-1" in listed.out and "m-2" not in listed.out
    shown = fascia("journal", "show", "m-1")
    assert "ISA*00*~" in shown.out and "received" in shown.out
    assert fascia("journal", "show", "m-1", "--json").json["data"] == "ISA*00*~"
    saved = tmp_path / "message"
    fascia("journal", "show", "m-1", "--save", str(saved))
    assert saved.read_bytes() == b"ISA*00*~"


def test_content_that_is_not_for_who_asks_is_shown_saved_and_printed_in_no_form(
    fascia: Fascia, house: FakeHouse, tmp_path: Path
) -> None:
    house.withheld = "its content tells of people: this is for admin, hr, medical_staff, not for buyer"
    shown = fascia("journal", "show", "m-1")
    assert shown.code == 0 and "received" in shown.out and "not for buyer" in " ".join(shown.out.split())
    saved = tmp_path / "message"
    for how in (("--raw",), ("--save", str(saved))):
        refused = fascia("journal", "show", "m-1", *how)
        assert refused.code == 4 and "not for buyer" in refused.err and refused.out == ""
    assert not saved.exists()
    said = fascia("journal", "show", "m-1", "--json").json
    assert said["data"] == "" and said["withheld"] == house.withheld


def test_a_keys_secret_is_shown_once_and_only_to_who_made_it(fascia: Fascia, house: FakeHouse, tmp_path: Path) -> None:
    ended = fascia(
        "key", "add", "or-desk", "--facility", "NGH", "--person", "E-1", "--scope", "lookups", "--days", "30"
    )
    assert ended.out.strip() == "fk_secret" and "shown this once" in ended.err
    assert (house.made[0].scopes, house.made[0].days) == (("lookups",), 30)
    wrong = fascia("key", "add", "or-desk", "--facility", "NGH", "--scope", "lookup")
    assert wrong.code == 2 and "no such scope" in wrong.err and len(house.made) == 1, "a key that may nothing is no key"
    assert fascia("key", "add", "or-planner", "--facility", "NGH", "--hmac").code == 0
    assert [request.hmac for request in house.made] == [False, True]
    file = tmp_path / "key"
    saved = fascia("key", "add", "or-desk", "--facility", "NGH", "--save", str(file))
    assert "fk_secret" not in saved.out + saved.err
    assert file.read_text() == "fk_secret\n" and file.stat().st_mode & 0o777 == 0o600
    assert fascia("key", "add", "or-desk", "--facility", "NGH", "--save", str(file)).code == 5
    assert "or-desk" in fascia("key", "list").out
    assert fascia("key", "revoke", "k-1").code == 0
    assert "secret" not in fascia("key", "list", "--json").out


def test_one_command_makes_the_keys_of_a_file_all_or_none(fascia: Fascia, house: FakeHouse, tmp_path: Path) -> None:
    one, other, file = tmp_path / "one", tmp_path / "other", tmp_path / "keys.json"
    wanted: list[dict[str, Any]] = [
        {"sender": "or-desk", "facility": "NGH", "save": str(one)},
        {"sender": "E-1", "facility": "NGH", "person": "E-1", "scopes": ["lookups"], "save": str(other)},
        {"sender": "lab", "facility": "NGH", "per_minute": 0},
    ]
    file.write_text(json.dumps(wanted))
    ended = fascia("key", "add", "--from", str(file), "--json")
    assert ended.code == 0 and [key["sender"] for key in ended.json["items"]] == ["or-desk", "E-1", "lab"]
    assert [key["secret"] for key in ended.json["items"]] == ["", "", "fk_secret_3"]
    assert (one.read_text(), other.read_text()) == ("fk_secret\n", "fk_secret_2\n")
    assert other.stat().st_mode & 0o777 == 0o600 and house.made[1].scopes == ("lookups",)

    one.unlink()
    assert fascia("key", "add", "--from", str(file)).code == 5, "a secret would be written over another"
    assert not one.exists() and len(house.made) == 3
    other.unlink()
    house.failing = Unavailable("away")
    assert fascia("key", "add", "--from", str(file)).code == 7
    assert not one.exists() and not other.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([{"sender": "a", "facility": "NGH", "colour": "red"}], "0.colour"),
        ([{"sender": "a", "facility": "NGH"}, {"sender": "b"}], "1.facility"),
        ([{"sender": n, "facility": "NGH", "save": "same"} for n in "ab"], "two keys"),
        ({"sender": "a"}, "document"),
    ],
)
def test_a_file_of_keys_that_does_not_fit_makes_none(
    fascia: Fascia, house: FakeHouse, tmp_path: Path, content: Any, says: str
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(content))
    ended = fascia("key", "add", "--from", str(file))
    assert ended.code == 2 and says in ended.err and house.made == []
    assert fascia("key", "add", "a", "--facility", "NGH", "--from", str(file)).code == 2
    assert fascia("key", "add", "a").code == fascia("key", "add", "a", "-f", "not a code").code == 2


def test_settings_are_shown_without_their_secrets(
    fascia: Fascia, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FASCIA_HOME", str(tmp_path))
    monkeypatch.setenv("FASCIA_DATABASE_URL", "postgresql+asyncpg://fascia:hunter2@db.example/fascia")
    monkeypatch.setenv("TEMPORAL_API_KEY", "hunter3")
    (tmp_path / "addresses.json").write_text('{"FASCIA_ERP_URL": "http://127.0.0.1:8000"}')
    for form in ([], ["--json"]):
        ended = fascia("config", "show", *form)
        assert ended.code == 0 and "hunter" not in ended.out + ended.err
    values = {row["variable"]: row for row in fascia("config", "show", "--json").json["settings"]}
    assert values["FASCIA_DATABASE_URL"]["value"] == "postgresql+asyncpg://fascia:********@db.example/fascia"
    assert values["FASCIA_ERP_URL"]["source"] == "addresses.json"
    assert values["TEMPORAL_API_KEY"] == {
        "name": "temporal_api_key", "variable": "TEMPORAL_API_KEY", "value": "********", "source": "environment",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("channel", "retry", "--dead", "--channel", ""), "--channel is empty"),
        (("channel", "retry", "--dead", "--channel="), "--channel is empty"),
        (("journal", "replay", "--state", "dead", "--sender", "", "--reason", "mended"), "--sender is empty"),
        (("channel", "pause", "", "--reason", "an update"), "an argument is empty"),
    ],
)
def test_an_option_given_nothing_is_no_wish_for_all(fascia: Fascia, words: tuple[str, ...], said: str) -> None:
    ended = fascia(*words)
    assert ended.code == Exit.USAGE and said in ended.err
