"""A sender's codes go by its newest table that is in force on the day, and never by a guess."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.errors import Malformed
from canonical.senders import Mapping, Mappings
from gateway.mapping import Tongue, in_force
from tests.gateway.feeds.hl7_senders import WARD

TODAY = date(2026, 11, 21)


def table(rows: dict[str, str], since: date, *, sender: str = "WARD", name: str = "item") -> Mapping:
    return Mapping.model_validate({"sender": sender, "table": name, "rows": rows, "valid_from": since})


def test_the_newest_version_that_has_begun_holds_whole() -> None:
    tables = [
        table({"A": "OLD", "B": "KEPT-NOT"}, date(2026, 1, 1)),
        table({"A": "NEW"}, date(2026, 11, 1)),
        table({"A": "LATER"}, date(2026, 12, 1)),
        table({"A": "OTHERS"}, date(2026, 11, 2), sender="KITCHEN"),
    ]
    found = in_force(tables, "WARD", TODAY)
    assert (found.find("item", "A"), found.find("item", "B")) == ("NEW", None)
    assert in_force(tables, "WARD", date(2026, 6, 1)).find("item", "A") == "OLD"
    assert in_force(tables, "WARD", date(2026, 12, 1)).find("item", "A") == "LATER"
    assert "item" not in in_force(tables, "WARD", date(2025, 1, 1))


def test_a_sender_without_a_table_speaks_our_codes() -> None:
    ours = Tongue(WARD)
    assert (ours.code("item", " ITM-1001 ", "RQD-4"), ours.unit("BX", "RQD-6")) == ("ITM-1001", "BX")
    assert ours.code("item", "", "RQD-4") is None


def test_what_no_table_maps_is_refused_by_name_and_place() -> None:
    tongue = Tongue(WARD, Mappings({"location": {"4E": "NGH-W3"}}))
    assert tongue.code("location", "4E", "RQD-9") == "NGH-W3"
    with pytest.raises(Malformed, match=r"^RQD-9: no location for code 4W of sender WARD$") as wrong:
        tongue.code("location", "4W", "RQD-9")
    assert wrong.value.path == "RQD-9"


def test_an_empty_code_can_have_a_row_of_its_own() -> None:
    tongue = Tongue(WARD, Mappings({"unit": {"": "EA"}, "department": {"": "surgery"}}))
    assert (tongue.unit("", "RQD-6"), tongue.code("department", "", "ORC-17")) == ("EA", "surgery")


def test_what_can_be_no_code_of_ours_is_refused_without_its_control_characters() -> None:
    for table_name, rows in (("item", {}), ("item", {"GLV": "no code"})):
        tongue = Tongue(WARD, Mappings({table_name: rows} if rows else {}))
        with pytest.raises(Malformed) as wrong:
            tongue.code("item", "GLV" if rows else "a\x07b", "RQD-4")
        assert "\x07" not in wrong.value.message and "give sender WARD a table" in wrong.value.message
    with pytest.raises(Malformed):
        Tongue(WARD, Mappings({"unit": {"BX": "boxes"}})).unit("BX", "RQD-6")
