"""A ward orders by a code nobody knows: the way back from its dead letters by our own commands, on a real database and Temporal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.hl7_door import Hl7Door
from gateway.mllp_peer import Peer
from store.replays import StoredReplays
from tests.cli.on_the_stack.conftest import Fascia, until
from tests.gateway.hl7_house import order
from workers.loops.replay_jobs import ReplayJobs
from workers.loops.router import Router
from workers.wiring import Wiring

pytestmark = pytest.mark.server

BEGUN = ("pending approval", "ordered")

SENDER = {
    "code": "WARD", "facility": "NGH", "addresses": ["10.2.0.0/16"], "applications": ["WARDSYS"], "source": "ward-desk",
    "department": "surgery", "cost_centre": "CC-4100", "deliver_to": "OR-1", "requester": "E-REQ",
    "owner": "Ward integration",
}  # fmt: skip
KNOWN = "sender,table,valid_from,from,to\nWARD,item,2020-01-01,ITM-1,ITM-1002\n"


async def load(fascia: Fascia, file: Path, text: str) -> None:
    file.write_text(text)
    loaded = await fascia("register", "load", str(file), "--source", "hospital", "--json")
    assert loaded.code == 0, loaded.out + loaded.err


async def sent(wiring: Wiring, *messages: bytes) -> None:
    await wiring.directory.refresh()
    door = Hl7Door(wiring.journal, wiring.directory, wiring.cases, secret=b"secret")
    for message in messages:
        (answer,) = await door.take(message, Peer("10.2.0.7", 4000))
        assert b"MSA|AA" in answer, answer
    await route(wiring)


async def route(wiring: Wiring) -> None:
    await wiring.directory.refresh()
    await Router(wiring.journal, wiring.routing(), 0, 1).once()


def unknown(control: str, number: str) -> bytes:
    return order(control, number).replace(b"ITM-1^Glove", b"NEW-9^Glove")


async def test_dead_letters_are_previewed_replayed_corrected_and_passed_over(
    fascia: Fascia,
    hospital: None,
    outside: object,
    wiring: Wiring,
    tmp_path: Path,
) -> None:
    await load(fascia, tmp_path / "senders.json", json.dumps([SENDER]))
    await load(fascia, tmp_path / "mappings.csv", KNOWN)
    await sent(wiring, *(unknown(f"W-{n}", f"REQ-{n}") for n in range(4)))
    which = ("--state", "dead", "--sender", "WARD")
    listed = (await fascia("journal", "list", *which, "--owner", "Ward integration", "--json")).json["items"]
    assert [one["control_number"] for one in listed] == ["W-3", "W-2", "W-1", "W-0"]
    ids = {one["control_number"]: one["id"] for one in listed}
    blind = await fascia("journal", "replay", *which, "--preview", "--json")
    assert {one["outcome"] for one in blind.json["items"]} == {"still unreadable"}

    # one is corrected by hand
    file = tmp_path / "mended.hl7"
    file.write_bytes(order("W-0", "REQ-0"))
    correct = ("journal", "correct", ids["W-0"], "--file", str(file))
    seen = await fascia(*correct, "--preview")
    assert seen.code == 0 and "would be: new effect" in seen.out and "+ requisition REQ-0" in seen.out
    done = await fascia(*correct, "--reason", "they meant ITM-1", "--json")
    assert done.code == 0 and (done.json["state"], done.json["outcome"]) == ("routed", "new effect"), done.out
    await until(fascia, "REQ-0", *BEGUN)
    original = (await fascia("journal", "show", ids["W-0"], "--json")).json
    assert original["state"] == "corrected" and original["corrections"] == [done.json["message"]]

    # one is passed over, and what is behind it goes on
    await sent(wiring, order("W-9", "REQ-3"))
    assert len((await fascia("journal", "parked", "--json")).json["items"]) == 3
    assert (await fascia("journal", "skip", ids["W-3"], "--reason", "by phone")).code == 0
    await route(wiring)
    await until(fascia, "REQ-3", *BEGUN)

    # the others are replayed once the table knows the code
    await load(fascia, tmp_path / "mappings.csv", KNOWN + "WARD,item,2020-01-01,NEW-9,ITM-1002\n")
    told = await fascia("journal", "replay", *which, "--preview", "--json")
    assert [one["outcome"] for one in told.json["items"]] == ["new effect"] * 2
    now = await fascia("journal", "replay", ids["W-1"], "--reason", "the table is mended", "--json")
    assert (now.code, now.json["state"], now.json["outcome"]) == (0, "routed", "new effect"), now.out
    begun = await fascia("journal", "replay", *which, "--reason", "the table is mended", "--json")
    assert begun.code == 0 and begun.json["total"] == 1, begun.out
    await wiring.directory.refresh()
    await ReplayJobs(StoredReplays(wiring.database), wiring.replayer()).once()
    shown = (await fascia("replay", "show", begun.json["replay"], "--json")).json
    assert (shown["state"], shown["outcomes"]) == ("done", {"new effect": 1})
    for number in ("REQ-1", "REQ-2"):
        await until(fascia, number, *BEGUN)
    assert (await fascia("journal", "parked", "--json")).json["items"] == []
    again = await fascia("journal", "replay", "--sender", "WARD", "--preview", "--json")
    outcomes = {one["control_number"]: one["outcome"] for one in again.json["items"] if one["state"] == "routed"}
    assert set(outcomes.values()) == {"already done"} and {"W-1", "W-2"} <= set(outcomes)
    cancelled = await fascia("replay", "cancel", begun.json["replay"], "--reason", "too late")
    assert cancelled.code == 5 and "done already" in cancelled.err
