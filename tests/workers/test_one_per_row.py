"""A row of the register that changes again and again leaves no more than two mailboxes open."""

from __future__ import annotations

import asyncio

from workers.one_per_row import OnePerRow


class Box:
    """A thing that counts how often it is closed."""

    def __init__(self, row: str) -> None:
        self.row, self.closed = row, 0

    async def close(self) -> None:
        self.closed += 1


async def test_a_changed_row_is_another_thing_and_the_old_ones_are_closed_but_the_last() -> None:
    boxes: OnePerRow[Box] = OnePerRow()
    made = []
    for number in range(5):
        row = f"row {number}"
        box = boxes.get("ALPINE", row, lambda row=row: Box(row))  # type: ignore[misc]
        assert boxes.get("ALPINE", row, lambda: Box("never")) is box
        made.append(box)
    await asyncio.sleep(0)
    assert [one.closed for one in made] == [1, 1, 1, 0, 0] and len(boxes) == 2
    other = boxes.get("MEDLINE", "row 0", lambda: Box("row 0"))
    assert other is not made[0] and len(boxes) == 3
    await boxes.close()
    assert [one.closed for one in (*made, other)] == [1] * 6 and len(boxes) == 0
