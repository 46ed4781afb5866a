"""How urgent a message is: by its sender, by its kind, and as the sender's row says."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from canonical.senders import Channel, Sender

WARD = Sender(code="WARD", facility="NGH", addresses=("10.0.0.0/8",))


def test_what_was_used_is_more_urgent_than_a_catalogue_from_whoever_they_come() -> None:
    usage = [
        WARD.priority_of(kind) for kind in ("DFT^P03", "RDS^O13", "RAS^O17", "r5/DeviceUsage", "r4b/SupplyDelivery")
    ]
    bulk = [WARD.changed(priority=0).priority_of(kind) for kind in ("MFN^M16", "MFN^M05")]
    assert max(usage) < min(bulk)
    assert max(usage) < WARD.priority_of("OMS^O05") < WARD.priority_of("MFN^M16")


def test_a_kind_nobody_ranked_is_as_urgent_as_its_sender() -> None:
    assert [WARD.changed(priority=n).priority_of("ADT^A08") for n in (0, 5, 9)] == [0, 5, 9]


def test_a_priority_stays_between_urgent_and_bulk() -> None:
    assert WARD.changed(priority=0).priority_of("DFT^P03") == 0
    assert WARD.changed(priority=9).priority_of("MFN^M16") == 9


def test_a_senders_row_may_say_otherwise_for_a_kind() -> None:
    own = WARD.changed(priorities={"MFN^M16": 1, "MFN^*": 8})
    assert [own.priority_of(kind) for kind in ("MFN^M16", "MFN^M05", "DFT^P03")] == [1, 8, 2]
    with pytest.raises(ValidationError):
        Sender.model_validate(WARD.model_dump() | {"priorities": {"MFN^*": 10}})


def test_a_name_in_a_certificate_without_tls_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs tls"):
        Channel(code="LAB", facility="NGH", server_name="lab.example")
