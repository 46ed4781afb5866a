"""``fascia feed`` and ``fascia register drift``: what a message would become, and where others say otherwise than the register."""

from __future__ import annotations

from pathlib import Path

from canonical.errors import Rejected, Unavailable
from gateway.csv_results import FileResult
from tests.cli.conftest import Fascia
from tests.cli.house import FakeHouse
from tests.formats.fhir_files import SAMPLES as FHIR
from tests.formats.hl7_files import SAMPLES
from tests.formats.x12_files import SAMPLES as X12
from tests.gateway.csv_house import CATALOGUE
from tests.gateway.feeds.hl7_senders import LINE, order

OMS = str(SAMPLES / "oms_o05.hl7")
M16 = str(SAMPLES / "mfn_m16.hl7")


def test_every_feed_is_listed_with_what_it_reads(fascia: Fascia) -> None:
    rows = {row["kind"]: row for row in fascia("feed", "list", "--json").json["items"]}
    assert {"OMS^O05", "OMN^O07", "MFN^M05", "MFN^M16", "832", "855", "810"} <= rows.keys()
    assert (rows["catalogue"]["dialect"], rows["requisitions"]["feed"]) == ("csv", "csv_requisitions")
    assert rows["OMS^O05"]["feed"] == "hl7_oms_o05" and "stock" in rows["OMS^O05"]["reads"]
    assert fascia("feed", "list", "--csv").out.startswith("dialect,kind,sender,feed,reads\n")


def test_a_file_shows_what_each_message_would_become_and_do(fascia: Fascia) -> None:
    ended = fascia("feed", "simulate", M16, "--json")
    (message,) = ended.json["messages"]
    assert (ended.code, message["kind"], message["outcome"]) == (0, "MFN^M16", "read")
    assert message["effects"][0]["content"]["entries"][0]["item"] == "ITM-1001"
    assert message["effects"][0]["would"]["outcome"] == "new"
    assert "ITM-1001" in fascia("feed", "simulate", M16).out


def test_charges_show_the_uses_they_would_become_and_whose_they_are_not(fascia: Fascia) -> None:
    ended = fascia("feed", "simulate", str(SAMPLES / "dft_p03_theatre.hl7"), "--json")
    (message,) = ended.json["messages"]
    assert [effect["noun"] for effect in message["effects"]] == ["UsageEvent"] * 3
    assert message["effects"][0]["content"]["lot"] == "A213B1"
    assert not any(secret in ended.out for secret in ("V-77", "900001", "TEST", "A-3001"))


def test_a_catalogue_says_first_how_much_of_it_would_be_taken_and_which_rows_would_stand_apart(
    fascia: Fascia, tmp_path: Path
) -> None:
    shown = fascia("feed", "simulate", str(X12 / "832_three_bad_rows.x12"))
    lines = shown.out.splitlines()
    at = lines.index("  3 entries, 3 rows that would be set apart:")
    assert lines[at + 1 : at + 4] == [
        "    row 3: CTP/17/CTP03 is not a number",
        "    row 4: LIN/18/LIN02: no number of the supplier's or ours",
        "    row 5: DTM/21/DTM02 is not a date CCYYMMDD",
    ]
    assert '"bad_rows"' not in shown.out and '"ALP-NEW-1"' in shown.out
    head, *rows = CATALOGUE.splitlines()
    file = tmp_path / "catalogue.csv"
    file.write_bytes(b"\n".join([head, *(rows[0].replace(b"ALP-1", b"ALP-%d" % n) for n in range(50))]) + b"\n")
    long = fascia("feed", "simulate", str(file))
    assert "  50 entries\n" in long.out and "and 30 entries more (--json shows all)" in long.out
    assert (
        len(fascia("feed", "simulate", str(file), "--json").json["messages"][0]["effects"][0]["content"]["entries"])
        == 50
    )


def test_a_csv_file_shows_its_bad_rows_and_what_the_others_would_do(fascia: Fascia, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.csv"
    file.write_bytes(CATALOGUE + b"ITM-1004,ALP-4,Cap,BX,100,twelve,\n")
    ended = fascia("feed", "simulate", str(file), "--json")
    (message,) = ended.json["messages"]
    assert (ended.code, message["kind"], message["outcome"]) == (0, "csv_catalogue", "read")
    assert [(problem["path"], problem["refuses"]) for problem in message["problems"]] == [("row 5 price", False)]
    assert [entry["item"] for entry in message["effects"][0]["content"]["entries"]][-1] == "ITM-1003"
    assert "noted: row 5 price: this is no number like 12.50" in fascia("feed", "simulate", str(file)).out


def test_columns_nobody_reads_are_named_as_the_door_names_them(fascia: Fascia, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.csv"
    titles, *rows = CATALOGUE.splitlines()
    file.write_bytes(b"\n".join([titles + b",Home town", *(row + b"," for row in rows)]))
    ended = fascia("feed", "simulate", str(file))
    assert ended.code == 0 and "  noted: columns nobody reads: home_town\n" in ended.out
    (message,) = fascia("feed", "simulate", str(file), "--json").json["messages"]
    assert [one["reason"] for one in message["problems"]] == ["columns nobody reads: home_town"]
    assert "nobody reads" not in FileResult(message="m-1", state="taken").said()
    assert message["problems"][0]["reason"] in FileResult(message="m-1", state="taken", unread=("home_town",)).said()


def test_fhir_is_shown_too_in_the_release_it_fits_or_the_one_named(fascia: Fascia) -> None:
    rows = {(row["dialect"], row["kind"]): row for row in fascia("feed", "list", "--json").json["items"]}
    assert (
        rows["fhir", "r5/SupplyRequest"]["feed"] == rows["fhir", "r4b/SupplyRequest"]["feed"] == "fhir_supply_request"
    )
    file = str(FHIR / "r5_SupplyDelivery.json")
    ended = fascia("feed", "simulate", file, "--json")
    (message,) = ended.json["messages"]
    assert (ended.code, message["kind"], message["outcome"]) == (0, "r5/SupplyDelivery", "read")
    other = fascia("feed", "simulate", file, "--release", "r4b")
    assert other.code == 1 and "SupplyDelivery.suppliedItem" in other.out


def test_what_is_refused_is_told_with_its_place_and_ends_as_a_failure(fascia: Fascia, tmp_path: Path) -> None:
    file = tmp_path / "order.hl7"
    file.write_bytes(order("ORC|CA|R-1", LINE))
    ended = fascia("feed", "simulate", str(file))
    assert ended.code == 1 and "ORC-1" in ended.out and "a person decides" in ended.out
    file.write_bytes(b"hello")
    assert fascia("feed", "simulate", str(file)).code == 2
    assert fascia("feed", "simulate", OMS, "--as-of", "soon").code == 2


def test_without_a_database_it_is_read_all_the_same_and_nothing_is_said_of_what_is_there(
    fascia: Fascia, house: FakeHouse
) -> None:
    house.failing = Unavailable("our own database does not answer")
    ended = fascia("feed", "simulate", M16, "--json")
    assert (ended.code, ended.json["messages"][0]["effects"][0]["would"]) == (0, None)
    assert "our own database does not answer" in ended.err


def test_differences_are_listed_for_people_and_programs(fascia: Fascia, house: FakeHouse) -> None:
    shown = fascia("register", "drift", "--facility", "NGH")
    assert shown.code == 0 and "19.1 USD" in shown.out and house.asked_for[-1] == ("NGH", "open")
    assert fascia("register", "drift", "--all", "--json").json["items"][0]["id"] == "drift-1"
    assert house.asked_for[-1] == ("", "")
    header, row = fascia("register", "drift", "--csv").out.splitlines()
    assert header.startswith("id,facility,kind,code,field,ours,theirs,since") and row.startswith("drift-1,NGH")


def test_a_difference_is_accepted_or_dismissed_with_a_reason(fascia: Fascia, house: FakeHouse) -> None:
    assert "accepted" in fascia("register", "drift", "accept", "drift-1").out
    assert fascia("register", "drift", "dismiss", "drift-1").code == 2
    assert fascia("register", "drift", "dismiss", "drift-1", "--reason", "old list").code == 0
    assert "would be" in fascia("register", "drift", "accept", "drift-1", "--dry-run").out
    assert house.handed == [("accept", "drift-1", ""), ("dismiss", "drift-1", "old list"), ("accept", "drift-1", "dry")]
    for wrong in (("forget", "drift-1"), ("accept",)):
        assert fascia("register", "drift", *wrong).code == 2


def test_what_the_erp_has_the_say_over_is_told_to_be_changed_there(fascia: Fascia, house: FakeHouse) -> None:
    house.failing = Rejected(
        "the ERP is the authority for item ITM-1001: change packagings.BX there", code="not-allowed"
    )
    ended = fascia("register", "drift", "accept", "drift-1")
    assert ended.code == 4 and "change packagings.BX there" in ended.err


def test_a_unit_and_a_currency_are_shown_also_where_they_are_the_usual_ones(fascia: Fascia, tmp_path: Path) -> None:
    file = tmp_path / "asked.csv"
    file.write_text(
        "number,item,quantity,unit,unit_price,currency,department,cost_centre,requester,deliver_to\n"
        "Q-1,ITM-1001,12,EA,0.50,USD,surgery,CC-4100,E-1001,NGH-OR\n"
    )
    (message,) = fascia("feed", "simulate", str(file), "--json").json["messages"]
    (line,) = message["effects"][0]["content"]["lines"]
    assert line["quantity"] == {"value": "12", "unit": "EA"}
    assert line["unit_price"] == {"amount": "0.50", "currency": "USD"} and "supplier" not in line
