"""What one sees of cases, and that a person's word reaches the case on the revision that person saw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from canonical.base import Money, Quantity
from canonical.cases import VERBS, Actor, LineState
from canonical.errors import Rejected, Unavailable
from cli import decide
from cli.house import CaseFilter
from cli.views import CaseRow, CaseView, LineWay, WayStep
from tests.cli.conftest import Fascia
from tests.cli.house import ORDER, REQUISITION, FakeHouse, order


def test_a_list_names_each_case_its_state_and_owner(fascia: Fascia) -> None:
    ended = fascia("case", "list")
    assert ended.code == 0
    assert ORDER in ended.out and "! invoice blocked" in ended.out and "finance" in ended.out


def test_a_list_in_json_says_whether_there_is_more(fascia: Fascia) -> None:
    everything = fascia("case", "list", "--json").json
    assert (everything["count"], everything["more"]) == (2, False)
    one = fascia("case", "list", "--json", "--limit", "1").json
    assert (one["count"], one["more"]) == (1, True)


def test_a_list_asks_for_what_was_asked(fascia: Fascia, house: FakeHouse) -> None:
    fascia(
        "case", "list", "--process", "purchase_order", "--facility", "NGH", "--state", "closed", "--all", "--attention"
    )
    assert house.asked_for == [
        CaseFilter(process="purchase_order", facility="NGH", state="closed", everything=True, attention=True)
    ]


def test_an_empty_list_says_so_on_stderr_only(fascia: Fascia, house: FakeHouse) -> None:
    house.the_cases.clear()
    ended = fascia("case", "list")
    assert ended.code == 0 and "no case fits" in ended.err and "no case fits" not in ended.out


@pytest.mark.parametrize(
    "said",
    [
        "invoice blocked, with finance, due 2026-11-20T22:00:00Z, next: accept the price, or pay short",
        "revision 7",
        "waiting for erp since 2026-11-20T18:00:00Z",
        "price is 3 % over the contract",
        "accept, pay-short",
        "ITM-1001",
        "INV-9",
        "E-200",
        "The way of line 1 (ITM-1001)",
        "message m-1 in rest",
        "412 bytes, sha-256 ab12",
        "erp_order PO-17 in tryton",
        "http://127.0.0.1:8233/namespaces/fascia/workflows/",
    ],
)
def test_one_case_is_shown_whole(fascia: Fascia, said: str) -> None:
    ended = fascia("case", "show", ORDER)
    assert ended.code == 0 and said in ended.out


GOODS = ("ordered", "shipped", "received", "invoiced", "unit", "item", "order")


@pytest.mark.parametrize(
    ("process", "title", "columns", "row"),
    [
        ("clinician_access", "Targets", ("target", "kind", "state"), ("idp", "identity", "given")),
        ("clinician_revocation", "Targets", ("target", "kind", "state"), ("idp", "identity", "seen off 1 of 2")),
        (
            "clinician_onboarding",
            "Facets",
            ("facet", "owner", "state", "due"),
            ("verification", "medical staff office", "3 of 6 verified", "2026-12-01"),
        ),
    ],
)
def test_a_case_about_a_person_shows_its_targets_or_facets_and_nothing_of_goods(
    fascia: Fascia, house: FakeHouse, process: str, title: str, columns: tuple[str, ...], row: tuple[str, ...]
) -> None:
    name = f"{process}/person-1"
    line = LineState(line=row[0], item=row[1], state=row[2], expected=row[3] if len(row) > 3 else "")
    way = LineWay(line=line.line, item=line.item, steps=(WayStep(kind=process, name=name),))
    house.the_cases[name] = CaseView(case=name, process=process, lines=(line,), way=(way,))
    ended = fascia("case", "show", name)
    shown = ended.out.splitlines()
    head = shown[next(at for at, text in enumerate(shown) if text.strip() == title) :]
    assert ended.code == 0 and next(text.split() for text in head if columns[0] in text) == list(columns)
    assert any(all(cell in text for cell in row) for text in head)
    assert not [word for word in GOODS if word in ended.out.split()] and "way of line" not in ended.out
    assert fascia("case", "show", name, "--json").json["lines"][0]["state"] == line.state


def test_a_case_is_found_by_its_number_alone(fascia: Fascia) -> None:
    assert fascia("case", "show", "PO000001", "--json").json["case"] == ORDER


def test_a_number_that_several_cases_have_is_asked_back(fascia: Fascia, house: FakeHouse) -> None:
    house.the_cases["purchase_order/SGH/PO000001"] = order(case="purchase_order/SGH/PO000001")
    ended = fascia("case", "show", "PO000001")
    assert ended.code == 2 and "purchase_order/SGH/PO000001" in ended.err


def test_json_holds_exact_decimals_and_times_in_utc(fascia: Fascia) -> None:
    case = fascia("case", "show", ORDER, "--json").json
    assert case["amount"] == {"amount": "120.50", "currency": "USD"}
    assert case["lines"][0]["ordered"] == "2.00"
    assert case["due"] == "2026-11-20T22:00:00Z"
    assert case["way"][0]["steps"][1]["kind"] == "erp_order"


def test_a_decision_is_given_on_the_revision_the_case_has_now(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("case", "accept", ORDER, "--line", "1", "--document", "INV-9", "--reason", "agreed by phone")
    [(case, decision)] = house.decided
    assert ended.code == 0 and "price accepted" in ended.out and "invoice approved" in ended.out
    assert (case, decision.verb, decision.line, decision.document) == (ORDER, "accept", "1", "INV-9")
    assert (decision.revision, decision.actor) == (7, Actor(id="mito", known_by="os_user"))
    assert decision.reason == "agreed by phone" and decision.id


def test_a_decision_on_an_older_revision_is_refused_as_changed(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("case", "accept", ORDER, "--revision", "6")
    assert ended.code == 5 and "changed since revision 6" in ended.err
    assert fascia("case", "accept", ORDER, "--revision", "6", "--json").json["error"] == {
        "code": "changed",
        "message": "the case has changed since revision 6",
        "path": "",
        "hint": "",
        "exit_code": 5,
    }


def test_two_decisions_have_names_of_their_own_and_one_can_be_repeated(fascia: Fascia, house: FakeHouse) -> None:
    fascia("case", "accept", ORDER)
    fascia("case", "accept", ORDER)
    fascia("case", "accept", ORDER, "--id", "d-1")
    ids = [decision.id for _, decision in house.decided]
    assert len(set(ids)) == 3 and ids[2] == "d-1"


def test_a_decision_nobody_answered_says_how_to_repeat_it(fascia: Fascia, house: FakeHouse) -> None:
    class Away(FakeHouse):
        pass

    async def away(case: str, decision: object) -> None:
        raise Unavailable("no answer yet: it is safe to repeat")

    house.decide = away  # type: ignore[assignment]
    ended = fascia("case", "accept", ORDER, "--id", "d-1")
    assert ended.code == 7 and "--id d-1 --revision 7" in ended.err and ended.err.count("safe to repeat") == 1


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("correct", "resume")])
def test_every_decision_a_case_knows_has_a_command(fascia: Fascia, house: FakeHouse, verb: str) -> None:
    ended = fascia("case", verb.replace("_", "-"), ORDER, "--reason", "because")
    assert ended.code == 0 and house.decided[0][1].verb == verb


def test_a_held_case_is_let_go_by_release_hold(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("case", "release-hold", ORDER).code == 0
    assert house.decided[0][1].verb == "resume"


@pytest.mark.parametrize("verb", ["reject", "refuse", "cancel", "hold", "short-close"])
def test_a_decision_that_needs_a_reason_is_not_sent_without(fascia: Fascia, house: FakeHouse, verb: str) -> None:
    ended = fascia("case", verb, ORDER)
    assert ended.code == 2 and "needs a reason" in ended.err and house.decided == []


def test_a_dry_run_decides_nothing_and_says_what_it_would(fascia: Fascia, house: FakeHouse) -> None:
    ended = fascia("case", "accept", ORDER, "--dry-run", "--json")
    assert ended.json["dry_run"] is True and ended.json["decision"]["revision"] == 7
    assert house.decided == []


def test_a_dry_run_is_refused_for_what_the_decision_would_be(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("case", "accept", ORDER, "--dry-run", "--revision", "6").code == 5
    house.failing = Rejected("the login root is no active employee's at NGH", code="not-allowed")
    find = house.find

    async def found(name: str) -> Sequence[CaseRow]:
        failing, house.failing = house.failing, None
        rows = await find(name)
        house.failing = failing
        return rows

    house.find = found  # type: ignore[method-assign]
    refused = fascia("case", "accept", ORDER, "--dry-run")
    assert refused.code == 4 and "the login root" in refused.err
    house.failing = None
    house.the_cases[ORDER] = order(closed=True)
    assert fascia("case", "accept", ORDER, "--dry-run").code == 5
    assert house.decided == []


def test_a_correction_carries_the_new_values(fascia: Fascia, house: FakeHouse, tmp_path: Path) -> None:
    file = tmp_path / "requisition.json"
    content = {
        "facility": "NGH", "source": "or-desk", "number": "R-1", "department": "surgery", "cost_centre": "CC-4100",
        "requester": "E-1", "deliver_to": "OR", "lines": [{"id": "1", "item": "ITM-1", "quantity": {"value": "1"}}],
    }  # fmt: skip
    file.write_text(json.dumps(content))
    ended = fascia(
        "case", "correct", REQUISITION, "--line", "1", "--item", "ITM-1001", "--quantity", "2 BX", "--supplier", "ALPINE",
        "--price", "12.50 USD", "--cost-centre", "CC-4200", "--requisition", str(file), "--revision", "0",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    correction = house.decided[0][1].correction
    assert correction is not None and correction.requisition is not None
    assert (correction.cost_centre, correction.requisition.number) == ("CC-4200", "R-1")
    [line] = correction.lines
    assert (line.line, line.item, line.supplier) == ("1", "ITM-1001", "ALPINE")
    assert line.quantity == Quantity(value=Decimal(2), unit="BX")
    assert line.unit_price == Money(amount=Decimal("12.50"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "nothing to correct"),
        (["--item", "ITM-1"], "name it by --line"),
        (["--line", "1", "--quantity", "a few"], "not a quantity"),
        (["--line", "1", "--price", "cheap"], "not a price"),
    ],
)
def test_a_correction_that_says_nothing_clear_is_refused(
    fascia: Fascia, house: FakeHouse, options: list[str], said: str
) -> None:
    ended = fascia("case", "correct", ORDER, *options)
    assert ended.code == 2 and said in ended.err and house.decided == []


def test_a_correction_with_a_file_that_does_not_read_says_where(fascia: Fascia, tmp_path: Path) -> None:
    file = tmp_path / "requisition.json"
    file.write_text('{"facility": "NGH", "colour": "red"}')
    ended = fascia("case", "correct", REQUISITION, "--requisition", str(file), "--json")
    assert ended.code == 2 and ended.json["error"]["path"] in ("colour", "source")


@pytest.mark.parametrize(("text", "value"), [("2 BX", "2 BX"), ("2bx", "2 BX"), ("1.5 ca", "1.5 CA"), ("7", "7 EA")])
def test_a_quantity_is_read_as_people_write_it(text: str, value: str) -> None:
    assert str(decide.quantity_of(text)) == value


def test_a_stopped_case_is_started_again(fascia: Fascia, house: FakeHouse) -> None:
    house.the_cases[ORDER] = order(stopped="stopped outside")
    ended = fascia("case", "resume", ORDER, "--json")
    assert ended.json == {"case": ORDER, "generation": 2, "run": "run-2", "terminated": False}
    assert house.resumed == [ORDER]


def test_a_dry_run_says_what_would_end_and_refuses_what_no_successor_could_be_made_of(
    fascia: Fascia, house: FakeHouse
) -> None:
    house.the_cases[ORDER] = order(stopped="stopped outside")
    ended = fascia("case", "resume", ORDER, "--dry-run")
    assert ended.code == 0 and "would start generation 2" in ended.out and "would be terminated" in ended.out
    house.failing = Rejected(f"our own store does not know what {ORDER} was to order", code="not-found")
    ended = fascia("case", "resume", ORDER, "--dry-run")
    assert ended.code == 3 and "does not know what" in ended.err and house.resumed == []


@pytest.mark.parametrize(("changes", "said"), [({"stopped": ""}, "--force"), ({"closed": True}, "nothing is left")])
def test_a_case_that_runs_or_has_ended_is_not_started_again(
    fascia: Fascia, house: FakeHouse, changes: dict[str, Any], said: str
) -> None:
    house.the_cases[ORDER] = order(**changes)
    ended = fascia("case", "resume", ORDER)
    assert ended.code == 5 and said in ended.err and house.resumed == []


def test_a_stuck_case_is_started_again_by_force(fascia: Fascia, house: FakeHouse) -> None:
    assert fascia("case", "resume", ORDER, "--force").code == 0
    assert house.resumed == [ORDER]


def test_a_history_is_exported_for_replay(fascia: Fascia, tmp_path: Path) -> None:
    assert fascia("dev", "history", "PO000001", "--run", "run-1").json == {"events": [], "case": ORDER, "run": "run-1"}
    saved = tmp_path / "order.json"
    assert fascia("dev", "history", "PO000001", "--save", str(saved)).out == ""
    assert json.loads(saved.read_text())["case"] == ORDER


def test_a_document_is_given_to_a_case_or_set_aside(fascia: Fascia, house: FakeHouse) -> None:
    assert "INV-77" in fascia("unmatched", "list").out
    assert fascia("unmatched", "attach", "u-1", "PO000001", "--reason", "typo").code == 0
    assert fascia("unmatched", "dismiss", "u-1", "--reason", "test file").code == 0
    assert fascia("unmatched", "attach", "u-1", "PO000001", "--dry-run", "--json").json["dry_run"] is True
    assert house.handed == [("u-1", ORDER, "typo"), ("u-1", "", "test file"), ("u-1", ORDER, "dry")]
    assert fascia("unmatched", "dismiss", "u-1").code == 2


def test_a_document_that_was_decided_on_already_is_a_conflict(fascia: Fascia, house: FakeHouse) -> None:
    async def taken(*_: object) -> None:
        raise Rejected("document u-1 was set aside", code="conflict")

    house.attach = taken  # type: ignore[assignment]
    assert fascia("unmatched", "attach", "u-1", "PO000001").code == 5
