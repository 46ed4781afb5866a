"""HR events on their way into our store: a national number goes no further than the door, and a conflict is listed without a name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from canonical.errors import Unavailable
from canonical.messages import Kept
from canonical.people import HrEvent, HrKept
from canonical.senders import Sender
from gateway.people import HrTaker, PersonHashes
from gateway.routing import NotTaken
from tests.gateway.usage_house import theatre

SECRET, NUMBER, NAME = b"a secret of these tests", "078-05-1120", "Zzcanary"
HR = Sender(code="HR", facility="NGH", addresses=("10.3.0.0/16",), owner="HR integration")


class Inbox:
    """Keeps everything as new, but numbers in ``conflicts``."""

    def __init__(self, *conflicts: str) -> None:
        self.kept: list[HrEvent] = []
        self.conflicts = conflicts
        self.said: list[tuple[str, str, str]] = []

    async def keep(self, events: Sequence[HrEvent], message: str, sender: str, corrects: str = "") -> Sequence[HrKept]:
        self.kept += events
        self.said.append((message, sender, corrects))
        return [HrKept(id=one.number, outcome="conflict" if one.number in self.conflicts else "new") for one in events]


def hire(number: str, **fields: Any) -> HrEvent:
    record = {"name": {"family": NAME}, "national_id": NUMBER}
    about = {
        "facility": "NGH",
        "source": "hr",
        "number": number,
        "person": "P-1",
        "kind": "hire",
        "position": {"role": "rn"},
    }
    when = {"said_at": datetime(2026, 3, 1, tzinfo=UTC), "effective": date(2026, 3, 1)}
    return HrEvent.model_validate(about | when | {"record": record} | fields)


def message(**fields: Any) -> Kept:
    return Kept.model_construct(id="M-1", version_of="M-0", **fields)


async def test_a_national_number_is_kept_as_a_keyed_hash_the_same_however_it_is_written() -> None:
    at, _ = await theatre()
    inbox, hashes = Inbox(), PersonHashes(SECRET)
    assert await HrTaker(inbox, at.intake, hashes).take(message(), HR, [hire("1")]) == ""
    (kept,) = inbox.kept
    assert kept.record.national_id == hashes.of("078051120") != PersonHashes(b"another").of(NUMBER)
    assert "05" + "1120" not in kept.model_dump_json() and len(kept.record.national_id) == 64
    assert inbox.said == [("M-1", "HR", "M-0")]
    assert hashes.of("") == "" and NUMBER not in repr(hire("1"))


async def test_without_a_key_nothing_with_a_national_number_is_kept() -> None:
    at, _ = await theatre()
    inbox = Inbox()
    bare = HrTaker(inbox, at.intake, PersonHashes(b""))
    with pytest.raises(Unavailable):
        await bare.take(message(), HR, [hire("1")])
    assert inbox.kept == []
    await bare.take(message(), HR, [hire("2", record={"name": {"family": NAME}})])
    assert len(inbox.kept) == 1


async def test_a_number_with_other_content_is_refused_and_listed_without_who_it_is_about() -> None:
    at, _ = await theatre()
    inbox = Inbox("1")
    taker = HrTaker(inbox, at.intake, PersonHashes(SECRET))
    for _ in range(2):
        with pytest.raises(NotTaken) as refused:
            await taker.take(message(), HR, [hire("1"), hire("2")])
    assert refused.value.numbers == ["1"] and NAME not in str(refused.value.why)
    (row,) = at.cases.unmatched.values()
    assert (row.kind, row.number, row.supplier) == ("hr_event", "1", "HR") and "HR integration" in row.reason
    assert NAME not in row.model_dump_json()
