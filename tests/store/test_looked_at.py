"""Which targets anybody is to look at, without a server."""

from __future__ import annotations

from datetime import timedelta

from canonical.access import AccessTarget
from canonical.access_plan import TargetState
from store.access_rows import looked_at
from tests.build import NOW

GONE = AccessTarget(code="plan", kind="scheduling", adapter="rest", url="http://plan", active=False)
LATER = NOW + timedelta(minutes=1)


def off(**fields: object) -> TargetState:
    return TargetState.model_validate({"target": "plan", "state": "off"} | fields)


def test_one_out_of_use_that_was_seen_off_before_a_block_is_looked_at_no_more() -> None:
    assert not looked_at(GONE, off(written_at=NOW, off_at=NOW))
    assert not looked_at(GONE, off(written_at=NOW, off_at=NOW), since=LATER)
    assert not looked_at(GONE, None, since=NOW)


def test_what_the_case_of_access_took_away_after_a_block_is_seen_off_twice_like_all_else() -> None:
    assert looked_at(GONE, off(written_at=LATER), since=NOW)
    assert looked_at(GONE, off(off_at=LATER), since=NOW)


def test_where_something_may_stand_it_is_looked_at() -> None:
    assert looked_at(GONE, off(state="due"))
    assert looked_at(GONE, off(active=True))
    assert looked_at(GONE, off(asked_at=NOW)), "a grant may still be on its way"
    assert looked_at(GONE.model_copy(update={"active": True}), None)
