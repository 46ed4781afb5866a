"""The gateway's whole path: a department orders by HL7 over MLLP, and its own listener hears what became of it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from canonical.base import case_id
from demo.stage import FACILITY
from demo.story_scene import BUYER, PHARMACY, SURGERY, Requisition
from tests.journeys.conftest import Hospital, sent_once
from tests.journeys.department import System, a_system, at, segments
from tests.journeys.terminal import fascia
from tests.journeys.together import side_by_side, under_way
from tests.journeys.uses import until

__all__ = ["under_way"]  # a fixture: it is asked for by name
pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital

GLOVES = {"GLV/M": "ITM-1001", "ORSYR5": "ITM-1018", "GZ44": "ITM-1003"}


def a_number() -> str:
    return f"H-{uuid.uuid4().hex[:8]}"


def control(text: str) -> str:
    return at(segments(text, "MSH")[0], 9)


def said(answer: str) -> tuple[str, str]:
    """MSA-1 and MSA-2 of an answer."""
    (msa,) = segments(answer, "MSA")
    return msa[1], msa[2]


def followed(hospital: Hospital, system: System, number: str) -> Requisition:
    """The case of an order the system sent, in a scene of its own."""
    scene, source = hospital.scene(), f"{system.code.lower()}-desk"
    name, path = case_id("procure_to_pay", FACILITY, source, number), f"/v1/requisitions/{source}/{number}"
    asked = Requisition(scene.doors, BUYER, path, name, scene, system.who)
    scene.requisitions.append(asked)
    return asked


async def orders_kept(hospital: Hospital, system: System) -> list[dict[str, Any]]:
    """The orders the system sent, as the journal has them."""
    asked = ("--direction", "in", "--sender", system.code, "--kind", "OMS^O05", "--json")
    found: list[dict[str, Any]] = (await fascia(hospital, "journal", "list", *asked)).json["items"]
    return found


@side_by_side
async def test_a_department_orders_over_mllp_and_hears_the_orders_number_and_what_becomes_of_its_lines(
    hospital: Hospital,
) -> None:
    async with a_system(hospital, PHARMACY, GLOVES) as system:
        number = a_number()
        message = system.order(number, ("ORSYR5", 5, "BX"), ("GZ44", 2, "BX"))
        (answer,) = await system.send(message)
        assert said(answer) == ("AA", control(message))
        asked = followed(hospital, system, number)
        (order,) = await asked.ordered()

        heard = await system.hears(control(message), lambda text: "|ORS^O06^ORS_O06|" in text)
        assert said(heard) == ("AA", control(message))
        orcs, rqds = segments(heard, "ORC"), segments(heard, "RQD")
        assert [(at(orc, 1), at(orc, 2), at(orc, 3)) for orc in orcs] == [
            ("OK", f"{number}^{system.code}", f"{order.number}^FASCIA")
        ] * 2
        assert [(at(rqd, 1), at(rqd, 2).split("^")[0], at(rqd, 5)) for rqd in rqds] == [
            ("1", "ORSYR5", "5"),
            ("2", "GZ44", "2"),
        ]
        await order.delivered_and_paid()
        await asked.until("closed")
        last = await system.hears(control(message), lambda text: "|CM|" in text)
        assert [(at(orc, 1), at(orc, 3), at(orc, 5)) for orc in segments(last, "ORC")] == [
            ("SC", f"{order.number}^FASCIA", "CM")
        ] * 2
        assert len({control(text) for text in system.heard}) == len(system.heard), "a reply came twice"
        await hospital.everything_once(asked.scene)


@side_by_side
async def test_a_message_sent_again_is_answered_the_same_and_ordered_once(hospital: Hospital) -> None:
    async with a_system(hospital, PHARMACY, GLOVES) as system:
        number = a_number()
        message = system.order(number, ("ORSYR5", 4, "BX"), rest="|||AL|NE")
        (first,) = await system.send(message)
        assert said(first) == ("CA", control(message))
        asked = followed(hospital, system, number)
        same = await asyncio.gather(*(system.send(message) for _ in range(4)))
        (order,) = await asked.ordered()
        same.append(await system.send(message))
        assert same == [[first]] * 5
        other = system.order(number, ("ORSYR5", 9, "BX"), control=control(message), rest="|||AL|NE")
        assert said((await system.send(other))[0]) == ("CR", control(message))
        await order.at_supplier("our order", sent_once)
        rows: list[dict[str, Any]] = []

        async def kept() -> bool:
            rows[:] = await orders_kept(hospital, system)
            return sorted(row["state"] for row in rows) == ["refused", "routed"]

        await until(kept, lambda: f"one routed and one refused: {rows}")
        await hospital.everything_once(asked.scene)
        assert [order.number] == [one.number for one in await asked.orders()]


@side_by_side
async def test_a_code_nobody_knows_parks_its_own_order_and_no_other_goes_without(hospital: Hospital) -> None:
    async with a_system(hospital, SURGERY, GLOVES) as system:
        bad, good = a_number(), a_number()
        wrong = system.order(bad, ("GLV-XXL", 2, "BX"))
        behind = system.order(bad, ("GLV/M", 2, "BX"))
        right = system.order(good, ("GLV/M", 3, "BX"))
        answers = [said((await system.send(text))[0]) for text in (wrong, behind, right)]
        assert answers == [("AA", control(text)) for text in (wrong, behind, right)]

        asked = followed(hospital, system, good)
        (order,) = await asked.ordered()
        await system.hears(control(right), lambda text: f"|{order.number}^FASCIA" in text)
        states: dict[str, dict[str, Any]] = {}
        listed: list[dict[str, Any]] = []

        async def told_apart() -> bool:
            states.update({row["control_number"]: row for row in await orders_kept(hospital, system)})
            unmatched = await fascia(hospital, "unmatched", "list", "--json")
            listed[:] = [one for one in unmatched.json["items"] if one["message"] == states[control(wrong)]["id"]]
            found = {name: states[control(text)]["state"] for name, text in (("wrong", wrong), ("right", right))}
            return found == {"wrong": "dead", "right": "routed"} and bool(listed)

        await until(told_apart, lambda: f"one dead and listed, another routed: {states} {listed}")
        assert "RQD-2: no item for code GLV-XXL" in states[control(wrong)]["reason"]
        assert states[control(behind)]["state"] == "received", "it waits behind the one that could not be read"
        (row,) = listed
        assert row["supplier"] == system.code and "[owner: ward integration]" in row["reason"]
        assert await followed(hospital, system, bad).view() is None
        assert not any(at(orc, 3) for text in system.replies(control(wrong)) for orc in segments(text, "ORC"))
        await hospital.everything_once(asked.scene)
