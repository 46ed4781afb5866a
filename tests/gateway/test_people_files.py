"""Files of HR events (CSV): each row once, in lots, bad ones apart with their column; and a staff file by HL7 for others' tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from canonical.errors import Malformed
from canonical.messages import Kept
from canonical.people import HrEvent, Licence
from canonical.ports import Unmatched
from canonical.senders import Mappings, Sender
from gateway.csv_files import CsvFiles
from gateway.csv_reading import CsvFile
from gateway.master_files import MasterFiles
from gateway.people import HrTaker
from gateway.registry import csv_feed
from tests.gateway.csv_house import NOW, House
from tests.gateway.hl7_house import head, text
from tests.gateway.people_house import CANARY, HASHES, Inbox

SENDER = Sender(code="HR", facility="NGH", dialect="file", source="payday", time_zone="America/Chicago")
TITLES = "number,person,kind,said_at,effective,family,given,role"
FILE = f"""{TITLES},national_id,emergency
C-1,E-1,hire,2026-11-02T08:00Z,2026-12-01,{CANARY},TEST,surgeon,078-05-1120,
C-2,E-2,terminate,2026-11-02T08:01Z,2026-11-30,,,,,yes
""".encode()


def staff_file() -> bytes:
    """An MFN^M02 of two rows."""
    role = "|" * 12 + "SURGEON"
    return text(
        head("F-1", "MFN^M02^MFN_M02", app="HR"),
        "MFI|STF||UPD|20261102081500||NE",
        "MFE|MAD|R-1|20261201|S-1|CE",
        f"STF|S-1||{CANARY}^TEST|||19840307|A{role}",
        "MFE|MUP|R-2|20261201|S-2|CE",
        f"STF|S-2||{CANARY}^TEST",
    )


def read(data: str, **tables: dict[str, str]) -> list[HrEvent | str]:
    """What each row says, or where it is wrong."""
    feed = csv_feed("people")
    assert feed is not None
    file = CsvFile(data.encode(), feed, SENDER, Mappings(tables))
    found: list[HrEvent | str] = []
    for part in file.parts():
        assert part.noun is None or isinstance(part.noun, HrEvent)
        found.append(part.noun or f"{part.faults[0].column}: {part.faults[0].reason}")
    return found


def one(titles: str, row: str, **tables: dict[str, str]) -> HrEvent:
    (found,) = read(f"{titles}\n{row}\n", **tables)
    assert isinstance(found, HrEvent), found
    return found


class Payday(House):
    """A hospital whose HR system sends files."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox = Inbox()
        drifts = MasterFiles(self.intake, self.drifts, lambda: NOW)
        taker = HrTaker(self.inbox, self.intake, HASHES)
        self.files = CsvFiles(self.intake, self, drifts, self.results, self, lambda: NOW, people=taker)

    async def file(self, data: bytes, name: str = "people.csv") -> Kept:
        return await self.taken(data, "people", name)


def test_a_row_says_who_it_is_what_they_are_to_do_and_what_they_hold() -> None:
    titles = f"{TITLES},licences,dea,department,fte,employment,practice_states,birth_date"
    row = "C-1,E-1,hire,2026-11-02T08:00,2026-12-01,MAPLE,TEST,SURG,IL 036 2027-07-31; WI 07,IL BM1,surgery,0.8,F,IL WI,1984-03-07"
    event = one(titles, row, role={"SURG": "surgeon"})
    assert (event.facility, event.source, event.number, event.person) == ("NGH", "payday", "C-1", "E-1")
    assert event.said_at == datetime(2026, 11, 2, 14, 0, tzinfo=UTC), "in the sender's zone"
    assert event.record.licences == (
        Licence(state="IL", number="036", expires=date(2027, 7, 31)),
        Licence(state="WI", number="07"),
    )
    assert (event.record.dea[0].number, event.record.birth_date) == ("BM1", date(1984, 3, 7))
    does = event.position
    assert (does.role, does.fte, does.employment, does.practice_states) == (
        "surgeon",
        Decimal("0.8"),
        "employed",
        ("IL", "WI"),
    )


def test_a_grant_says_of_what_and_a_row_without_a_number_has_the_same_name_each_time() -> None:
    titles = "person,kind,said_at,effective,privilege,site,privilege_ends"
    row = "E-1,grant,2026-11-02T08:00Z,2026-12-01,ENDO,NGH-OR,2028-12-31"
    event, again = (one(titles, row, privilege={"ENDO": "medicine/endoscopy"}) for _ in range(2))
    assert event.scope is not None and str(event.scope) == "NGH-OR / medicine / endoscopy"
    assert event.number == again.number and event.scope.ends == date(2028, 12, 31)
    assert one(titles, row.replace("12-01", "12-02"), privilege={}).number != event.number


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("C-1,E-1,hired,2026-11-02T08:00Z,2026-12-01,MAPLE,TEST,nurse", "kind"),
        ("C-1,,hire,2026-11-02T08:00Z,2026-12-01,MAPLE,TEST,nurse", "person"),
        ("C-1,E-1,hire,11/02/2026,2026-12-01,MAPLE,TEST,nurse", "said_at"),
        ("C-1,E-1,hire,2026-11-02T08:00Z,12/01/2026,MAPLE,TEST,nurse", "effective"),
        ("C-1,E-1,hire,2026-11-02T08:00Z,2026-12-01,,TEST,nurse", "family"),
        ("C-1,E-1,hire,2026-11-02T08:00Z,2026-12-01,MAPLE,TEST,", "role"),
        ("C-1,E-1,grant,2026-11-02T08:00Z,2026-12-01,MAPLE,TEST,nurse", "privilege"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_column(row: str, column: str) -> None:
    (wrong,) = read(f"{TITLES}\n{row}\n")
    assert isinstance(wrong, str) and wrong.startswith(f"{column}: ") and "MAPLE" not in wrong


def test_a_number_whose_check_digit_is_wrong_is_refused_with_its_column_and_rule() -> None:
    for column, value, rule in (
        (
            "npi",
            "1234567890",
            "this is no NPI: ten digits, the first 1 or 2, and the last the check digit (Luhn over 80840",
        ),
        ("dea", "IL BM1234563; IL BM1234565", "this is no DEA number: its last digit is the check digit"),
    ):
        row = f"C-1,E-1,{{}},2026-11-02T08:00Z,2026-12-01,MAPLE,TEST,nurse,{value}"
        (told,) = read(f"{TITLES},{column}\n{row.format('hire')}\n")
        assert isinstance(told, str) and told.startswith(f"{column}: {rule}")
        assert "MAPLE" not in told and "12345" not in told
        for kind in ("update", "terminate"):
            assert one(f"{TITLES},{column}", row.format(kind)).kind == kind


async def test_a_wrong_npi_is_told_in_the_files_result_and_the_other_rows_are_taken() -> None:
    house, wrong = Payday(), b"C-3,E-3,hire,2026-11-02T08:02Z,2026-12-01,OAK,TEST,surgeon,,,1234567890"
    titles, *rows = FILE.splitlines()
    message = await house.file(b"\n".join([titles + b",npi", *(row + b"," for row in rows), wrong]))
    assert message.state == "routed" and sorted(event.number for event in house.inbox.events) == ["C-1", "C-2"]
    (line,) = [one for one in house.result if one.startswith("4,")]
    assert "refused" in line and "npi" in line and "Luhn over 80840" in line
    assert "OAK" not in "".join(house.result) and "1234567890" not in "".join(house.result)


def test_where_a_column_is_misspelt_the_row_says_which_was_probably_meant() -> None:
    for wrong, column in (("famly", "family"), ("Rolle", "role")):
        row = "C-1,E-1,hire,2026-11-02T08:00Z,2026-12-01,MAPLE,TEST,nurse"
        (told,) = read(f"{TITLES.replace(column, wrong)}\n{row}\n")
        assert told == f"{column}: nothing stands here: there is no such column, is {wrong.lower()} meant?"
    with pytest.raises(Malformed) as refused:
        read(f"{TITLES.replace('person', 'persn')}\n")
    assert refused.value.message == "row 1: it has no column person (is persn meant?)"
    (told,) = read(f"{TITLES},xyzzy\nC-1,E-1,hire,2026-11-02T08:00Z,2026-12-01,,TEST,nurse,\n")
    assert told == "family: nothing stands here", "what is spelt like nothing is not guessed"


async def test_columns_nobody_reads_are_named_in_the_files_result() -> None:
    house = Payday()
    titles, *rows = FILE.replace(b"given", b"givn").splitlines()
    message = await house.file(b"\n".join([titles + b",Home town", *(row + b"," for row in rows)]))
    assert message.state == "routed" and "columns nobody reads: givn, home_town" in message.reason
    assert "columns nobody reads: givn, home_town" in house.result[1]
    silent = Payday()
    assert "nobody reads" not in (await silent.file(FILE)).reason


def test_an_emergency_that_ends_nothing_is_refused_with_its_column() -> None:
    (wrong,) = read(f"{TITLES},emergency\nC-1,E-1,hire,2026-11-02T08:00Z,2026-12-01,MAPLE,TEST,nurse,yes\n")
    assert isinstance(wrong, str) and wrong.startswith("emergency: ") and "this is a hire" in wrong


def test_what_is_held_is_refused_where_it_does_not_say_of_which_state_or_until_when() -> None:
    for cell in ("036123", "IL", "IL 036 soon"):
        (wrong,) = read(f"{TITLES},licences\nC-1,E-1,hire,2026-11-02T08:00Z,2026-12-01,MAPLE,TEST,nurse,{cell}\n")
        assert isinstance(wrong, str) and wrong.startswith("licences: ")


async def test_each_row_is_kept_once_and_only_who_leaves_in_an_emergency_is_one() -> None:
    house = Payday()
    message = await house.file(FILE)
    assert message.state == "routed" and [(one.number, one.emergency) for one in house.inbox.events] == [
        ("C-2", True),
        ("C-1", False),
    ]
    await house.intake.route(message)
    assert len(house.inbox.kept) == 2


async def test_a_row_known_otherwise_is_refused_and_a_bad_one_stands_apart_until_it_is_mended() -> None:
    house = Payday()
    await house.file(FILE)
    await house.file(
        FILE.replace(b"2026-12-01", b"2026-12-05").replace(b"C-2", b"C-3").replace(b"2026-11-30", b"soon"), "again.csv"
    )
    assert [one.number for one in house.inbox.events] == ["C-2", "C-1"]
    assert {row.kind for row in house.cases.unmatched.values()} == {"hr_event", "hr_row"}
    assert not any(CANARY in row.model_dump_json() for row in house.cases.unmatched.values())
    (apart,) = house.of_kind("csv_people_rows")
    mended = apart.model_copy(update={"data": apart.data.replace(b"soon", b"2026-11-30"), "state": "received"})
    house.journal.messages[apart.id] = mended
    assert await house.intake.route(mended)
    assert [one.number for one in house.inbox.events] == ["C-2", "C-1", "C-3"]


async def test_a_large_file_is_kept_in_lots_of_one_transaction_each() -> None:
    house = Payday()
    rows = [f"N-{number},E-{number},update,2026-11-21T08:00Z,2026-11-21,,,".encode() for number in range(450)]
    await house.file(b"\n".join([TITLES.encode(), *rows]))
    assert [len(call) for call in house.inbox.calls] == [20] * 22 + [10]


async def test_rows_that_end_access_at_once_are_kept_before_all_others_and_before_bad_ones_are_listed() -> None:
    house = Payday()
    rows = [f"N-{number},E-{number},update,2026-11-21T08:00Z,2026-11-21,,,," for number in range(45)]
    rows += [
        "B-1,E-98,update,2026-11-21T08:00Z,soon,,,,",
        "X-1,E-99,terminate,2026-11-21T08:00Z,2026-11-30,,,,yes",
        "Y-1,E-97,terminate,2026-11-21T08:00Z,2026-11-30,,,,",
    ]
    listed: list[int] = []
    put = house.cases.put_unmatched

    async def noted(document: Unmatched) -> None:
        listed.append(len(house.inbox.calls))
        await put(document)

    house.cases.put_unmatched = noted  # type: ignore[method-assign]
    message = await house.file("\n".join([f"{TITLES},emergency", *rows]).encode())
    assert house.inbox.calls[0] == ["X-1"] and listed[0] == 1
    assert [len(call) for call in house.inbox.calls] == [1, 20, 20, 6]
    assert all("X-1" not in call for call in house.inbox.calls[1:])
    assert message.state == "routed" and "47 of 48" in message.reason, message.reason


async def test_an_end_at_once_that_is_known_otherwise_is_refused_with_its_row() -> None:
    house = Payday()
    await house.file(FILE)
    again = await house.file(FILE.replace(b"2026-11-30", b"2026-12-24"), "again.csv")
    assert "1 of 2" in again.reason, again.reason
    assert {row.kind for row in house.cases.unmatched.values()} == {"hr_event"}
