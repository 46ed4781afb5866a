"""``fascia generate``: files that can be made again, live traffic with its ledger, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from formats.mllp import Broken, Frame, Frames
from tests.cli.conftest import Fascia
from tests.cli.synthetic.listener import listening


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_command_writes_the_same_files_in_another_process(fascia: Fascia, tmp_path: Path) -> None:
    words = (
        "generate",
        "--kind",
        "hl7",
        "--kind",
        "x12",
        "--kind",
        "csv",
        "-n",
        "30",
        "--seed",
        "seven",
        "--from",
        "2027-02-28",
    )
    assert fascia(*words, "--out", str(tmp_path / "here"), "--json").json["messages"] == 30
    there = [sys.executable, "-m", "cli.app", *words, "--out", str(tmp_path / "there")]
    subprocess.run(there, check=True, capture_output=True)
    assert tree(tmp_path / "here") == tree(tmp_path / "there") and len(tree(tmp_path / "here")) == 31
    fascia(*words[:-1], "2027-03-01", "--out", str(tmp_path / "later"))
    assert tree(tmp_path / "later") != tree(tmp_path / "here")


def test_the_manifest_names_every_file_with_its_hash(fascia: Fascia, tmp_path: Path) -> None:
    fascia("generate", "--kind", "OMS^O05", "--kind", "855", "-n", "8", "--out", str(tmp_path / "out"))
    rows = manifest(tmp_path / "out")
    assert [row["number"] for row in rows] == [str(number) for number in range(1, 9)]
    for row in rows:
        data = (tmp_path / "out" / row["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert row["control"].encode() in data
        assert row["file"].endswith(".hl7" if row["kind"] == "OMS^O05" else ".x12")


def test_framed_files_hold_what_goes_over_each_connection_with_its_faults(fascia: Fascia, tmp_path: Path) -> None:
    faults = ("--fault", "unclosed/10", "--fault", "noise/3", "--fault", "doubled/4")
    fascia(
        "generate",
        "-k",
        "ADT^A08",
        "-n",
        "40",
        "--connections",
        "2",
        "--framed",
        *faults,
        "--out",
        str(tmp_path / "out"),
    )
    rows, found = manifest(tmp_path / "out"), dict[str, list[Frame | Broken]]()
    for name in sorted({row["file"] for row in rows}):
        frames = Frames()
        found[name] = [*frames.feed((tmp_path / "out" / name).read_bytes()), *frames.end()]
    assert len(found) >= 4 and {name[:14] for name in found} == {"connection-001", "connection-002"}
    unclosed = [
        one for frames in found.values() for one in frames if isinstance(one, Broken) and one.fault == "truncated"
    ]
    assert len(unclosed) == [row["fault"] for row in rows].count("unclosed") >= 4
    whole = [one.data for frames in found.values() for one in frames if isinstance(one, Frame)]
    assert len(whole) + len(unclosed) == len(rows) > 45


async def test_live_it_says_what_came_of_it_and_keeps_the_ledger(tmp_path: Path) -> None:
    async with listening(lambda control, many: None if many == 9 else [control]) as heard:
        from cli.generate import generate
        from cli.output import Output

        to, ledger = f"mllp://127.0.0.1:{heard.port}", tmp_path / "ledger.csv"
        await generate(
            Output(as_json=True), kind=["ADT^A08"], count=30, seed="1", first_day="2026-11-02", first_number=1,
            version=None, release="R4B", application="", facility="", distinct=0, folder=None, framed=False, to=to,
            ledger=ledger, rate=0, burst="", connections=3, in_flight=1, answer_within=5, tries=2, fault=None,
            huge_bytes=10,
        )  # fmt: skip
    with ledger.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["answer"] for row in rows].count("AA") == 30 and len(rows) == 31
    assert set(heard.controls) == {row["control"] for row in rows}


def test_what_is_not_answered_or_refused_ends_the_command_as_such(fascia: Fascia) -> None:
    ended = fascia("generate", "-n", "2", "--to", "mllp://127.0.0.1:1", "--answer-within", "0.2", "--json")
    assert (ended.code, ended.json["error"]["code"]) == (7, "unavailable")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-n", "1"), "--out DIR or --to URL"),
        (("--kind", "XYZ"), "there is no kind XYZ"),
        (("--fault", "fire", "--framed"), "there is no fault fire"),
        (("--fault", "noise"), "--framed"),
        (("--from", "soon"), "YYYY-MM-DD"),
        (("--burst", "many"), "SIZE/SECONDS"),
        (("--kind", "x12", "--framed"), "MLLP"),
        (("--version", "9.9"), "9.9"),
    ],
)
def test_what_it_cannot_do_is_wrong_usage(fascia: Fascia, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    where = () if words == ("-n", "1") else ("--out", str(tmp_path / "out"))
    ended = fascia("generate", *words, *where)
    assert ended.code == 2 and said in ended.err


def test_a_folder_that_holds_something_is_left_alone(fascia: Fascia, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    assert fascia("generate", "--out", str(tmp_path)).code == 2
    assert tree(tmp_path) == {"mine": b"kept"}
