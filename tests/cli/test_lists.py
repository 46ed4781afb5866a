"""Lists as programs and spreadsheets read them, and a list that is watched."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence

import pytest

from canonical.errors import Unavailable
from cli import house as way_in
from cli.house import CaseFilter
from cli.output import as_csv
from cli.views import CaseRow
from tests.cli.conftest import Fascia
from tests.cli.house import ORDER, REQUISITION, FakeHouse, order

LISTS = ["case", "unmatched", "journal", "replay", "key", "subscriber", "outbox", "channel", "audit"]


@pytest.mark.parametrize("noun", LISTS)
def test_every_list_is_csv_where_that_is_asked_with_the_fields_of_its_json(fascia: Fascia, noun: str) -> None:
    ended = fascia(noun, "list", "--csv")
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    items = fascia(noun, "list", "--json").json["items"]
    assert ended.code == 0 and len(rows) == len(items) > 0
    assert list(rows[0]) == list(items[0])
    assert fascia(noun, "list", "--csv", "--json").code == 2


def test_csv_keeps_amounts_exact_and_has_its_header_without_a_row(fascia: Fascia, house: FakeHouse) -> None:
    first = next(csv.DictReader(io.StringIO(fascia("case", "list", "--csv").out)))
    assert json.loads(first["amount"]) == {"amount": "120.50", "currency": "USD"}
    assert (first["needs_attention"], first["due"]) == ("true", "2026-11-20T22:00:00Z")
    house.the_cases.clear()
    assert fascia("case", "list", "--csv").out.startswith("case,process,facility,")


@pytest.mark.parametrize("noun", ["case", "journal"])
def test_a_csv_that_the_limit_cut_says_so_once_on_stderr(fascia: Fascia, noun: str) -> None:
    cut, whole = fascia(noun, "list", "--csv", "--limit", "1"), fascia(noun, "list", "--csv", "--limit", "9")
    assert (cut.err.count("and more"), whole.err) == (1, "") and len(cut.out.splitlines()) == 2


def test_no_cell_is_a_formula_and_none_commands_the_terminal() -> None:
    said = as_csv(("a",), [{"a": text} for text in ("=1+1", "@x", "-24.00", "+3", "-2+3", "\x1b[2J", 'a,"b"')])
    cells = [row[0] for row in csv.reader(io.StringIO(said))]
    assert cells == ["a", "'=1+1", "'@x", "-24.00", "+3", "'-2+3", "\u241b[2J", 'a,"b"']


class Changing(FakeHouse):
    """A platform on which something happens between two looks; after the last, somebody presses Ctrl-C."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    async def cases(self, which: CaseFilter, limit: int) -> Sequence[CaseRow]:
        self.looks += 1
        if self.looks == 2:
            self.the_cases[ORDER] = order(business_state="invoice approved", revision=8)
        if self.looks == 4:
            raise Unavailable("our own database does not answer")
        if self.looks == 5:
            self.the_cases[ORDER] = order(business_state="closed", closed=True, revision=9)
        if self.looks == 7:
            raise KeyboardInterrupt
        return [row for row in await super().cases(which, limit) if not row.closed]


@pytest.fixture
def changing(house: FakeHouse) -> Iterator[Changing]:
    """The commands find a platform on which something happens."""
    made = Changing()
    before = way_in.open_by(made.opened)
    yield made
    way_in.open_by(before)


def test_a_watched_list_is_a_line_for_each_change_until_ctrl_c(fascia: Fascia, changing: Changing) -> None:
    ended = fascia("case", "list", "--watch", "--every", "0.1")
    told = [line.split("  ", 2)[1:] for line in ended.out.splitlines()]
    assert [case for case, _ in told] == [REQUISITION, ORDER, ORDER, ORDER]
    assert [state.split(",")[0] for case, state in told if case == ORDER] == [
        "! invoice blocked",
        "! invoice approved",
        "! closed",
    ]
    assert ended.code == 130 and ended.err.count("does not answer; looking again") == 1


def test_a_watched_list_in_json_is_an_object_a_line(fascia: Fascia, changing: Changing) -> None:
    ended = fascia("case", "list", "--watch", "--every", "0.1", "--json")
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [row["revision"] for row in rows if row["case"] == ORDER] == [7, 8, 9]
    assert fascia("case", "list", "--watch", "--csv").code == 2


def test_a_watch_that_finds_nobody_at_first_ends(fascia: Fascia, house: FakeHouse) -> None:
    house.failing = Unavailable("our own database does not answer")
    assert fascia("case", "list", "--watch").code == 7


def test_on_a_terminal_a_watched_list_is_a_table_that_moves(
    fascia: Fascia, changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    ended = fascia("case", "list", "--watch", "--every", "0.1")
    assert ended.code == 130 and changing.looks == 7
    assert ended.out.index("invoice blocked") < ended.out.index("invoice approved")
    assert ended.out.count("next") > 1, "the table is drawn again"


def test_a_list_says_for_whom_a_case_waits_and_can_show_those_only(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("case", "list", "--waiting", "--json")
    waiting = {row["case"]: row["waiting_for"] for row in ended.json["items"]}
    assert waiting[ORDER] == "erp" and house.asked_for[0].waiting
    assert "waiting for erp" in " ".join(fascia("case", "list").out.split())
