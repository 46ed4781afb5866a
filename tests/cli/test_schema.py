"""What we publish: the committed schemas are today's, and a change that breaks somebody is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from canonical.base import read_strictly
from canonical.cases import BusinessEvent
from canonical.errors import Malformed
from canonical.events import EVENTS
from cli import schema as command
from cli.app import run
from cli.published import FOLDER, NOUNS, Published, compare, published, schema_of


class Pen(BaseModel):
    colour: str
    length: int = 10


class PenWithCap(Pen):
    cap: bool = False


class PenWithoutLength(BaseModel):
    colour: str


def _publish(monkeypatch: pytest.MonkeyPatch, model: type[BaseModel], version: int = 1) -> None:
    monkeypatch.setattr(command, "published", lambda: (Published("pen", version, schema_of(model)),))


def test_the_committed_schemas_are_those_of_todays_code() -> None:
    differing = {
        finding.file: [str(b) for b in finding.breaks]
        for finding in compare(FOLDER, published())
        if finding.state != "same"
    }
    assert differing == {}, "run `fascia schema export`; what it refuses breaks a running case or a partner"


def test_every_business_event_has_a_schema_of_its_own() -> None:
    names = {f"{one.name}.v{one.version}" for one in published()}
    assert set(EVENTS) <= names


@pytest.mark.parametrize("event", EVENTS)
def test_the_data_of_an_event_is_text_that_any_subscriber_reads(event: str) -> None:
    BusinessEvent.model_validate(
        {"type": event, "key": "k", "case": "c", "facility": "NGH", "occurred_at": "2026-11-21T10:00:00Z"}
    )
    for name, field in schema_of(EVENTS[event])["properties"].items():
        assert field["type"] == "string", name


def test_an_event_says_only_what_its_schema_knows() -> None:
    assert read_strictly(EVENTS["order.issued.v1"], '{"order": "PO-1", "amount": "12.50 USD"}')
    with pytest.raises(Malformed) as refused:
        read_strictly(EVENTS["order.issued.v1"], '{"order": "PO-1", "amount": "twelve"}')
    assert refused.value.path == "amount"


IN_SECONDS = {"channel", "verification_source", "access_target"}  # seconds, and calls a second: no amounts


@pytest.mark.parametrize("model", [pytest.param(model, id=name) for name, _, model in NOUNS if name not in IN_SECONDS])
def test_no_schema_lets_a_binary_fraction_stand_for_an_amount(model: type[BaseModel]) -> None:
    assert '"type": "number"' not in json.dumps(schema_of(model))


def test_the_first_export_writes_every_schema(tmp_path: Path) -> None:
    assert run(["schema", "export", "--to", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {one.file for one in published()}
    assert run(["schema", "export", "--check", "--to", str(tmp_path)]) == 0


def test_a_schema_that_is_not_exported_fails_the_check_and_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["schema", "export", "--check", "--to", str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == []
    assert "run `fascia schema export`" in capsys.readouterr().err


def test_an_addition_with_a_default_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _publish(monkeypatch, Pen)
    assert run(["schema", "export", "--to", str(tmp_path)]) == 0
    _publish(monkeypatch, PenWithCap)
    assert run(["schema", "export", "--check", "--to", str(tmp_path)]) == 1
    assert "to be exported" in capsys.readouterr().out
    assert run(["schema", "export", "--to", str(tmp_path)]) == 0
    assert "cap" in json.loads((tmp_path / "pen.v1.json").read_text())["properties"]


def test_a_change_that_breaks_somebody_is_refused_with_model_path_and_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _publish(monkeypatch, Pen)
    run(["schema", "export", "--to", str(tmp_path)])
    before = (tmp_path / "pen.v1.json").read_text()
    capsys.readouterr()
    _publish(monkeypatch, PenWithoutLength)
    assert run(["schema", "export", "--to", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert [word for word in ("pen.v1.json", "length", "removed") if word not in said.out] == []
    assert "would break those who rely on it" in said.err
    assert (tmp_path / "pen.v1.json").read_text() == before


def test_a_break_may_be_published_under_the_next_version_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(monkeypatch, Pen)
    run(["schema", "export", "--to", str(tmp_path)])
    _publish(monkeypatch, PenWithoutLength, version=2)
    assert run(["schema", "export", "--to", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"pen.v1.json", "pen.v2.json"}


def test_a_schema_that_nobody_publishes_any_more_is_a_break(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "quill.v1.json").write_text("{}")
    assert run(["schema", "export", "--json", "--to", str(tmp_path)]) == 1
    gone = [one for one in json.loads(capsys.readouterr().out)["items"] if one["state"] == "gone"]
    assert gone == [
        {"file": "quill.v1.json", "state": "gone", "breaks": [{"path": "", "reason": "no longer published"}]}
    ]
