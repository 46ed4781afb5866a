"""Heavy work is done beside the loop, in a process that answers one thing after the other and never outlives its door."""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from canonical.errors import Unavailable
from formats import fhir
from formats.fhir import Exact, Issue
from gateway.beside import SMALL, Beside, serve
from gateway.fhir_faults import Refused
from tests.formats.fhir_files import changed, tree
from tests.gateway.fhir_house import House, bundle, entry, outcome

LARGE = SMALL + 1


@pytest.fixture
async def beside() -> AsyncIterator[Beside]:
    made = Beside(patience=120)
    yield made
    await made.close()


def refuse(text: str) -> None:
    raise Refused(422, [Issue("value", text, "here")], {"Retry-After": "1"})


def large(number: int, lines: int = 400, **changes: Any) -> bytes:
    """A SupplyRequest of that many parameters, about 70 bytes each."""
    one = {"code": {"text": "length"}, "valueQuantity": {"value": Exact("24.50"), "unit": "cm"}}
    return changed("r5_SupplyRequest", identifier=[{"value": f"B-{number}"}], parameter=[one] * lines, **changes)


async def test_what_is_small_is_done_here_and_what_is_large_elsewhere(beside: Beside) -> None:
    assert await beside.run(SMALL, os.getpid) == os.getpid()
    there = await beside.run(LARGE, os.getpid)
    assert there != os.getpid() and await beside.run(LARGE, os.getpid) == there


async def test_what_is_raised_there_is_raised_here(beside: Beside) -> None:
    with pytest.raises(Refused) as no:
        await beside.run(LARGE, refuse, "no")
    assert (no.value.status, no.value.issues[0].expression, no.value.headers) == (422, "here", {"Retry-After": "1"})
    with pytest.raises(fhir.Unreadable) as wrong:
        await beside.run(LARGE, fhir.parse, b"{")
    assert wrong.value.issues[0].code == "structure"


class Unheard(Exception):
    """One that cannot be told as it is."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(one)


def unheard() -> None:
    raise Unheard(1, 2)


async def test_a_failure_that_cannot_be_told_as_it_is_is_told_all_the_same(beside: Beside) -> None:
    with pytest.raises(RuntimeError, match="Unheard"):
        await beside.run(LARGE, unheard)
    with pytest.raises(TypeError):
        await beside.run(LARGE, threading.Lock)  # an answer that goes through no pipe
    assert await beside.run(LARGE, abs, -4) == 4


async def test_a_door_that_closes_waits_for_nothing_that_is_looked_at(beside: Beside) -> None:
    await beside.run(LARGE, os.getpid)
    waiting = asyncio.create_task(beside.run(LARGE, time.sleep, 600))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(60):
        await beside.close()
        with pytest.raises(Unavailable, match="closes"):
            await waiting
    with pytest.raises(Unavailable):
        await beside.run(LARGE, os.getpid)


async def test_the_loop_goes_on_meanwhile(beside: Beside) -> None:
    await beside.run(LARGE, os.getpid)
    turns, working = 0, asyncio.create_task(beside.run(LARGE, time.sleep, 2.0))
    while not working.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 5


async def test_a_process_that_was_killed_is_replaced(beside: Beside) -> None:
    there = await beside.run(LARGE, os.getpid)
    os.kill(there, signal.SIGKILL)
    assert await beside.run(LARGE, os.getpid) not in (there, os.getpid())
    with pytest.raises(Unavailable):
        await beside.run(LARGE, os._exit, 1)  # whatever ends it, ends it again
    assert await beside.run(LARGE, abs, -1) == 1


async def test_what_takes_too_long_is_given_up_and_the_next_is_answered_as_itself() -> None:
    hasty = Beside(patience=120)  # a process is not there at once on a busy machine
    await hasty.run(LARGE, os.getpid)
    hasty._patience = 1
    with pytest.raises(Unavailable):
        await hasty.run(LARGE, time.sleep, 600)
    hasty._patience = 120
    assert await hasty.run(LARGE, abs, -2) == 2
    await hasty.close()


async def test_who_is_cancelled_leaves_no_answer_to_the_next(beside: Beside) -> None:
    await beside.run(LARGE, os.getpid)
    waiting = asyncio.create_task(beside.run(LARGE, time.sleep, 0.5))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await beside.run(LARGE, abs, -3) == 3


def test_it_ends_with_the_pipe_to_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.beside"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as one:
        assert one.stdin is not None
        one.stdin.close()
        assert one.wait(120) == 0


def test_one_thing_after_the_other_is_answered() -> None:
    asked = b"".join(len(data).to_bytes(8) + data for data in (pickle.dumps((abs, (number,))) for number in (-1, -2)))
    answers = io.BytesIO()
    serve(io.BytesIO(asked + b"cut"), answers)
    told = answers.getvalue()
    assert pickle.loads(told[8 : 8 + int.from_bytes(told[:8])]) == (True, 1)
    assert told.endswith(pickle.dumps((True, 2)))


def test_a_number_crosses_with_its_letters() -> None:
    for letters in ("1.10", "1e2", "1E+2", "-0.0", "1234567890123456789012345678.10"):
        assert pickle.loads(pickle.dumps(Exact(letters))).text == letters


# ---- the FHIR door ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.door.close()
    await made.client.aclose()


async def test_a_large_resource_is_taken_and_shown_as_a_small_one_is(house: House) -> None:
    data = large(1)
    created = await house.post(data)
    assert created.status_code == 201, created.text
    place = created.headers["location"].partition("/_history")[0]
    assert (await house.get(place)).content == created.content
    sent, shown = fhir.parse(data), fhir.parse(created.content)
    assert fhir.same({**shown, "id": 0, "meta": 0}, {**sent, "id": 0, "meta": 0})
    assert created.text.count("24.50") == 400
    found = await house.ask("GET", "r5/SupplyRequest", params={"identifier": "B-1"})
    assert fhir.same(fhir.parse(found.content)["entry"][0]["resource"], shown)
    again = await house.post(fhir.write(dict(reversed(sent.items()))))
    assert (again.status_code, again.headers["location"]) == (201, created.headers["location"])
    outcome(await house.post(large(1, 401)), 409, "conflict")
    cancelled = fhir.write({**sent, "id": place.rpartition("/")[2], "status": "cancelled"})
    assert (await house.put(cancelled, place, 'W/"1"')).json()["status"] == "cancelled"
    outcome(await house.post(large(2, status="bogus")), 422, "code-invalid")
    outcome(await house.post(large(3)[:-1]), 400, "structure")


async def test_a_large_transaction_is_taken_beside_the_loop_too(house: House) -> None:
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    delivered = tree("r5_SupplyDelivery", basedOn=[{"reference": urn}])
    data = bundle(entry(large(1), fullUrl=urn), entry(delivered))
    told = (await house.post(data, "r5")).json()["entry"]
    request, delivery = [(await house.get(f"r5/{one['response']['location']}")).json() for one in told]
    assert delivery["basedOn"] == [{"reference": f"SupplyRequest/{request['id']}"}]
    bad = bundle(entry(large(2)), entry(large(3, status="bogus")))
    assert outcome(await house.post(bad, "r5"), 422)["expression"] == ["Bundle.entry[1].resource.status"]


async def test_small_resources_are_answered_while_large_ones_are_looked_at(house: House) -> None:
    await house.post(large(0, 200))  # the process is there
    heavy = [asyncio.create_task(house.post(large(number, 8000))) for number in (1, 2)]
    await asyncio.sleep(0.05)
    slowest, count = 0.0, 0
    while not all(one.done() for one in heavy):
        began = time.thread_time()  # of the loop: what else the machine does counts for nothing
        answer = await house.post(changed("r5_SupplyRequest", identifier=[{"value": f"S-{count}"}]))
        assert answer.status_code == 201
        slowest, count = max(slowest, time.thread_time() - began), count + 1
    assert {one.result().status_code for one in heavy} == {201}
    assert count > 10 and slowest < 0.7  # in the loop, a single one of them takes two seconds
