"""The usual way of an order through the whole house."""

from __future__ import annotations

import pytest

from demo.story_scene import PHARMACY, Ask
from tests.journeys.conftest import Hospital

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital


async def test_a_small_order_goes_from_the_department_to_the_bank(hospital: Hospital) -> None:
    scene = hospital.scene()
    asked = await scene.post(PHARMACY, Ask("ITM-1018", 5, "BX"))
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await asked.until("closed")
    await hospital.everything_once(scene)
