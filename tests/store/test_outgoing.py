"""Subscribers and what they did not take, as operators keep them: nothing is lost, nothing doubled, and each deed is noted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor, BusinessEvent
from canonical.errors import Rejected
from canonical.parties import Facility
from cli import outgoing
from cli.exits import Stop
from cli.house import DeliveryFilter, SubscriberRequest
from cli.views import SubscriberAdded
from store.cases import StoredCases
from store.outbox import StoredOutbox
from tests.gateway.fhir_house import WARD
from tests.store.build import NOW, SEAL_KEY, change, put
from workers.settings import Settings
from workers.wiring import Wiring

ME = Actor(id="mito", known_by="os_user")
URL = "https://stock.test/hook"
FUTURE = NOW + timedelta(days=36500)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def cases(engine: AsyncEngine) -> StoredCases:
    return StoredCases(engine, SEAL_KEY)


@pytest.fixture
def wiring(engine: AsyncEngine, tmp_path: Path) -> Wiring:
    """The platform on this database, without Temporal."""
    return Wiring(Settings(home=tmp_path), engine, cast(Any, None))


def secret(wiring: Wiring, name: str = "stock") -> str:
    return (wiring.settings.home / "secrets" / f"subscriber_{name}").read_text().strip()


async def add(
    wiring: Wiring, given: str = "", *, replace: bool = False, new: bool = False, **terms: Any
) -> SubscriberAdded:
    request = SubscriberRequest.model_validate({"name": "stock", "url": URL, **terms})
    return await outgoing.subscribe(wiring, request, given, ME, replace=replace, new_secret=new)


async def deeds(wiring: Wiring, about: str = "") -> list[tuple[str, str, str]]:
    return [(one.verb, one.about, one.actor) for one in await outgoing.acts(wiring, about, 100)]


def event(number: int, kind: str = "order.issued.v1", facility: str = "NGH") -> BusinessEvent:
    return BusinessEvent(type=kind, key=f"k{number}", case="c", facility=facility, occurred_at=NOW)


async def test_a_subscriber_added_twice_is_one_with_one_secret_in_a_file_only_we_read(wiring: Wiring) -> None:
    first, again = await add(wiring), await add(wiring)
    assert (first.outcome, again.outcome, again.secret) == ("added", "unchanged", "")
    assert secret(wiring) == first.secret
    file = wiring.settings.home / "secrets" / "subscriber_stock"
    assert file.stat().st_mode & 0o777 == 0o600 and [one.name for one in file.parent.iterdir()] == [file.name]
    assert [one.name for one in await outgoing.subscribers(wiring, False, 10)] == ["stock"]
    assert await deeds(wiring) == [("subscriber add", "subscriber/stock", "mito")]


async def test_other_terms_or_another_secret_need_to_be_meant(wiring: Wiring) -> None:
    first = await add(wiring)
    with pytest.raises(Rejected, match="other terms") as refused:
        await add(wiring, types=("order.*",))
    assert refused.value.code == "conflict"
    with pytest.raises(Stop, match="another secret"):
        await add(wiring, "a secret of their own")
    assert secret(wiring) == first.secret
    changed = await add(wiring, types=("order.*",), replace=True)
    assert (changed.outcome, changed.secret, secret(wiring)) == ("changed", "", first.secret), "it keeps its secret"
    own = await add(wiring, "a secret of their own", types=("order.*",), replace=True)
    assert (own.outcome, own.secret, secret(wiring)) == ("changed", "", "a secret of their own")
    rolled = await add(wiring, types=("order.*",), new=True)
    assert rolled.outcome == "changed" and rolled.secret == secret(wiring) != "a secret of their own"
    verbs = [verb for verb, *_ in await deeds(wiring, "subscriber/stock")]
    assert verbs == ["subscriber secret", "subscriber secret", "subscriber add", "subscriber add"]
    told = " ".join(one.detail for one in await outgoing.acts(wiring, "", 100))
    assert "secret of their own" not in told and rolled.secret not in told


async def test_an_event_or_a_facility_nobody_knows_is_refused(wiring: Wiring, engine: AsyncEngine) -> None:
    with pytest.raises(Stop, match="no event is called"):
        await add(wiring, types=("ordr.*",))
    await put(engine, "facility", "", "NGH", Facility(code="NGH"))
    with pytest.raises(Stop, match="SGH") as refused:
        await add(wiring, facilities=("NGH", "SGH"))
    assert refused.value.code == "not-found"
    assert await outgoing.subscribers(wiring, True, 10) == [] and await deeds(wiring) == []


async def test_only_a_sender_we_know_is_told_of_its_own_and_by_fhir_only_who_asks_by_it(
    wiring: Wiring, engine: AsyncEngine
) -> None:
    desk = WARD.changed(code="DESK", dialect="rest")
    for sender in (WARD, desk):
        await put(engine, "sender", "", sender.code, sender)
    with pytest.raises(Stop, match="no sender NOBODY") as refused:
        await add(wiring, sender="NOBODY", form="fhir/r5")
    assert refused.value.code == "not-found"
    with pytest.raises(Stop, match="does not ask by FHIR"):
        await add(wiring, sender="DESK", form="fhir/r5")
    added = await add(wiring, sender="WARD", form="fhir/r5")
    assert (added.outcome, added.sender, added.form) == ("added", "WARD", "fhir/r5")
    (row,) = await outgoing.subscribers(wiring, True, 10)
    assert (row.sender, row.form) == ("WARD", "fhir/r5")
    assert await StoredOutbox(engine).subscribers() != []


async def test_a_subscriber_of_one_facility_hears_of_no_other(
    wiring: Wiring, cases: StoredCases, engine: AsyncEngine
) -> None:
    await put(engine, "facility", "", "NGH", Facility(code="NGH"))
    await add(wiring, facilities=("NGH",), types=("order.*", "receipt.*"))
    told = (event(1), event(2, facility="SGH"), event(3, "invoice.held.v1"), event(4, "receipt.posted.v1"))
    await cases.record(change("c", events=told))
    assert [one.event.key for one in await StoredOutbox(engine).claim(FUTURE, FUTURE + MINUTE)] == ["k1", "k4"]


async def given_up(engine: AsyncEngine, cases: StoredCases, *numbers: int) -> list[int]:
    """Events whose deliveries were given up."""
    outbox = StoredOutbox(engine)
    await cases.record(change("c", events=tuple(event(number) for number in numbers)))
    taken = await outbox.claim(FUTURE, FUTURE + MINUTE)
    for one in taken:
        await outbox.failed(one.id, "HTTP 500", FUTURE, None)
    return [one.id for one in taken]


async def test_what_was_given_up_is_sent_again_from_the_beginning_and_asking_twice_changes_nothing(
    wiring: Wiring, cases: StoredCases, engine: AsyncEngine
) -> None:
    await add(wiring)
    ids = await given_up(engine, cases, 1, 2)
    dead = await outgoing.deliveries(wiring, DeliveryFilter(state="dead"), 10)
    assert [(one.event, one.error, one.attempts) for one in dead] == [("k2", "HTTP 500", 1), ("k1", "HTTP 500", 1)]
    tried = await outgoing.retry(wiring, ids[:1], "", "", ME, dry_run=True)
    assert [one.state for one in tried] == ["dead"] and len(
        await outgoing.deliveries(wiring, DeliveryFilter(state="dead"), 10)
    ) == 2

    both = await asyncio.gather(
        *(outgoing.retry(wiring, ids[:1], "", "it is back", ME, dry_run=False) for _ in range(2))
    )
    assert [one.state for one in (both[0][0], both[1][0])] == ["waiting", "waiting"]
    outbox = StoredOutbox(engine)
    (again,) = await outbox.claim(FUTURE, FUTURE + MINUTE)
    assert (again.event.key, again.attempts) == ("k1", 1)
    await outbox.delivered(again.id, FUTURE)
    (noted,) = await outgoing.acts(wiring, f"delivery/{ids[0]}", 10)
    assert (noted.verb, noted.reason, noted.actor) == ("outbox retry", "it is back", "mito")
    assert "k1 to stock" in noted.detail and "HTTP 500" in noted.detail

    with pytest.raises(Rejected, match="it is delivered"):
        await outgoing.retry(wiring, ids, "", "", ME, dry_run=False)
    with pytest.raises(Rejected, match="no delivery 999"):
        await outgoing.retry(wiring, [ids[1], 999], "", "", ME, dry_run=False)
    assert [one.id for one in await outgoing.deliveries(wiring, DeliveryFilter(state="dead"), 10)] == ids[1:], (
        "all or none"
    )
    assert [one.id for one in await outgoing.retry(wiring, [], "stock", "", ME, dry_run=False)] == ids[1:]
    with pytest.raises(Rejected, match="no subscriber stok"):
        await outgoing.retry(wiring, [], "stok", "", ME, dry_run=False)


async def test_a_removed_subscriber_hears_nothing_more_and_nothing_is_sent_to_it_again(
    wiring: Wiring, cases: StoredCases, engine: AsyncEngine
) -> None:
    first = await add(wiring)
    ids = await given_up(engine, cases, 1)
    await cases.record(change("c", 2, events=(event(2),)))
    gone, again = await outgoing.unsubscribe(wiring, "stock", ME), await outgoing.unsubscribe(wiring, "stock", ME)
    assert (gone.active, gone.dropped, again.dropped) == (False, 1, 0)
    assert not (wiring.settings.home / "secrets" / "subscriber_stock").exists()
    assert [one.state for one in await outgoing.deliveries(wiring, DeliveryFilter(), 10)] == ["dropped", "dead"]
    with pytest.raises(Rejected, match="was removed"):
        await outgoing.retry(wiring, ids, "", "", ME, dry_run=False)
    assert await outgoing.retry(wiring, [], "", "", ME, dry_run=False) == []
    assert [verb for verb, *_ in await deeds(wiring)] == ["subscriber remove", "subscriber add"]
    with pytest.raises(Rejected, match="no subscriber nobody"):
        await outgoing.unsubscribe(wiring, "nobody", ME)

    back = await add(wiring)
    assert back.outcome == "added" and back.secret == secret(wiring) != first.secret
    assert await StoredOutbox(engine).claim(FUTURE, FUTURE + MINUTE) == [], "what was dropped stays so"
