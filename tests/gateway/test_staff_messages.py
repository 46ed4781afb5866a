"""Which messages tell of staff, and of whom, by whatever door they came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from canonical.messages import Kept
from canonical.people import HrEvent
from canonical.senders import Sender
from gateway import registry
from gateway.hl7_door import BATCH, BROKEN
from gateway.reading import Reader
from gateway.rest_people import ONE, SCIM
from gateway.staff_messages import STAFF, said_of_staff, tells_of_staff
from tests.build import NOW
from tests.gateway.hl7_batches import batch
from tests.gateway.hl7_house import WARD, order
from tests.gateway.people_house import HR, hospital, pmu
from tests.gateway.test_people_files import FILE, staff_file

EVERY = HR.changed(kinds=(*HR.kinds, "hr_event", "scim_user", "csv_people*"))


def kept(kind: str, data: bytes = b"", **about: Any) -> Kept:
    fields: Mapping[str, Any] = {"id": "M-1", "direction": "in", "door": "rest", "sender": "HR", "at": NOW}
    return Kept.model_validate({**fields, "kind": kind, "data": data, "control_number": "N-1", **about})


async def reader() -> Reader:
    at, _ = await hospital(EVERY)
    return Reader(at.directory)


def test_every_kind_that_is_read_as_a_word_about_staff_is_one_of_them() -> None:
    modules = {kind: feed.__module__ for (_, kind), feed in (*registry.HL7_FEEDS.items(), *registry.REST_FEEDS.items())}
    modules |= {feed.kind: feed.read.__module__ for feed in registry.CSV_FEEDS.values()}
    modules |= {feed.parts_kind: feed.read.__module__ for feed in registry.CSV_FEEDS.values()}
    words = ("hl7_pmu", "hl7_mfn_m02", "rest_people", "rest_scim", "csv_people")
    of_staff = {kind for kind, module in modules.items() if module.rpartition(".")[2].startswith(words)}
    assert of_staff == STAFF - {"PMU"} and len(of_staff) >= 13
    for kind in modules:
        assert tells_of_staff(kept(kind), EVERY) == (kind in of_staff), kind


@pytest.mark.parametrize("kind", ["r5/PractitionerRole", "r4b/Practitioner", "PMU^B09", "MFN^M02"])
def test_what_we_tell_directories_is_about_staff(kind: str) -> None:
    assert tells_of_staff(kept(kind, direction="out", sender=""), None)


@pytest.mark.parametrize("kind", [BATCH, BROKEN, "unknown"])
def test_what_was_never_cut_is_about_staff_where_its_sender_may_tell_of_them(kind: str) -> None:
    ward: Sender = WARD.changed(kinds=("OMS^O05",))
    assert tells_of_staff(kept(kind, door="mllp"), EVERY) and tells_of_staff(kept(kind, door="mllp"), None)
    assert not tells_of_staff(kept(kind, door="mllp"), ward) and not tells_of_staff(kept(kind, door="mailbox"), None)


@pytest.mark.parametrize(
    ("kind", "data", "door", "persons"),
    [
        ("PMU^B01", pmu("B01", "P-1"), "mllp", ["S-77"]),
        ("MFN^M02", staff_file(), "mllp", ["S-1", "S-2"]),
        (BATCH, batch(pmu("B01", "P-1"), order(app="HR"), pmu("B01", "P-2", key="S-78")), "mllp", ["S-77", "S-78"]),
        ("hr_event", json.dumps(ONE).encode(), "rest", ["E-2077"]),
        ("scim_user", json.dumps(SCIM).encode(), "rest", ["E-2077"]),
        ("csv_people", FILE, "files", ["E-1", "E-2"]),
    ],
)  # fmt: skip
async def test_a_message_says_whom_it_is_about_by_every_door(
    kind: str, data: bytes, door: str, persons: list[str]
) -> None:
    said = await said_of_staff(await reader(), kept(kind, data, door=door), EVERY)
    assert all(isinstance(one, HrEvent) for one in said) and [one.person for one in said] == persons


async def test_what_cannot_be_read_names_nobody_and_stops_nobody() -> None:
    at = await reader()
    for kind, data in (
        ("PMU^B01", b"MSH|"),
        ("hr_event", b"{"),
        ("csv_people", b"number\n"),
        (BATCH, b"BHS|^~\\&|\rBTS|9\r"),
    ):
        assert await said_of_staff(at, kept(kind, data), EVERY) == ()
    assert await said_of_staff(at, kept("PMU^B01", pmu("B01", "P-1"), sender="NOBODY"), None) == ()
    assert await said_of_staff(at, kept("MFN^M02", staff_file(), direction="out"), EVERY) == ()
