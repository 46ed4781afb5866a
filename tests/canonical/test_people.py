"""What is said of people as a door reads it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from canonical.base import read_strictly
from canonical.errors import Malformed
from canonical.people import Position


def test_parts_of_a_full_position_come_as_text_or_whole() -> None:
    assert read_strictly(Position, b'{"fte": "0.5"}').fte == Decimal("0.5")
    assert read_strictly(Position, b'{"fte": 1}').fte == 1
    assert read_strictly(Position, b'{"fte": null}').fte is None


@pytest.mark.parametrize("said", ["0.5", '"-1"', '"2.001"', '"half"', "true"])
def test_what_is_no_part_of_a_position_is_refused_with_its_field(said: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_strictly(Position, f'{{"fte": {said}}}')
    assert refused.value.path == "fte"
