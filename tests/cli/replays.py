"""Replays and corrections in memory, for the commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from canonical.replays import DONE, NEW, UNREADABLE, Difference, Outcome, Preview, RowPreview
from cli.house import MessageFilter
from cli.replay_views import Accepted, Corrected, ParkedRow, ReplayedRow, ReplayRow, ReplayView, Skipped
from cli.views import Replayed

if TYPE_CHECKING:
    from tests.cli.house import FakeHouse

CASE = "procure_to_pay/NGH/ward-desk/REQ-1"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROW = ReplayRow(
    replay="r-1", what='{"state":"dead"}', state="running", total=3, done=2, outcomes={DONE: 1, NEW: 1}, actor="mito",
    known_by="os_user", reason="mended", made_at=NOON,
)  # fmt: skip


def foretold(name: str = "m-1", outcome: Outcome = NEW) -> Preview:
    return Preview(
        message=name, kind="OMS^O05", sender="WARD", control_number="W-1", state="dead", reason="unknown-code", outcome=outcome,
        detail="a case would start", cases=(CASE,),
        differences=(Difference(path="requisition REQ-1 lines.1.item", was="X-9", now="ITM-1001"),),
    )  # fmt: skip


STILL_UNREADABLE = "m-13"


class FakeReplays:
    """What is asked is noted by the house."""

    def __init__(self, house: FakeHouse) -> None:
        self._house = house

    async def preview(self, message: str) -> Preview:
        self._house.fail()
        told = foretold(message)
        if message != "f-1":
            return told
        rows = (RowPreview(row=3, outcome=UNREADABLE, detail="row 3 price: no number"), RowPreview(row=5, outcome=NEW))
        return told.model_copy(update={"counts": {NEW: 1, UNREADABLE: 1, DONE: 4}, "rows": rows})

    async def preview_all(self, which: MessageFilter, limit: int) -> Sequence[Preview]:
        self._house.asked_for.append(which)
        return [foretold("m-1"), foretold("m-2", DONE), foretold("m-3", UNREADABLE)][:limit]

    async def one(self, message: str, why: str, dry_run: bool) -> Replayed:
        self._house.fail()
        self._house.handed.append((message, "", "dry" if dry_run else why))
        state = "dead" if dry_run or message == STILL_UNREADABLE else "routed"
        return Replayed(id=message, kind="x12", before="dead", state=state, case=CASE, outcome=NEW, dry_run=dry_run)

    async def begin(self, which: MessageFilter, why: str, at_most: int | None = None) -> ReplayRow:
        self._house.asked_for.append(which)
        self._house.handed.append(("", f"at most {at_most}" if at_most else "", why))
        return ROW

    async def correct(self, message: str, data: bytes, why: str, dry_run: bool) -> Corrected:
        self._house.handed.append((message, data.decode(), "dry" if dry_run else why))
        told = foretold("" if dry_run else "m-9")
        done = {} if dry_run else {"message": "m-9", "state": "routed", "case": CASE}
        return Corrected(original=message, preview=told, outcome=NEW, dry_run=dry_run, **done)

    async def accept(self, message: str, why: str, dry_run: bool) -> Accepted:
        self._house.handed.append((message, "", "dry" if dry_run else why))
        state = "refused" if dry_run else "received"
        return Accepted(message=message, first="m-0", preview=foretold(message), state=state, dry_run=dry_run)

    async def skip(self, message: str, why: str, dry_run: bool) -> Skipped:
        self._house.handed.append((message, "", "dry" if dry_run else why))
        return Skipped(message=message, stream_goes_on=True, dry_run=dry_run)

    async def parked(self) -> Sequence[ParkedRow]:
        return [ParkedRow(stream="hl7/WARD/order/REQ-1", message="m-1", reason="unknown-code", behind=2, at=NOON)]

    async def rows(self, limit: int) -> Sequence[ReplayRow]:
        return [ROW][:limit]

    async def show(self, replay: str, outcome: str, limit: int) -> ReplayView | None:
        if replay != "r-1":
            return None
        self._house.asked_for.append(outcome)
        items = (ReplayedRow(message="m-1", before="dead", state="done", outcome=NEW, case=CASE),)
        return ReplayView(**ROW.model_dump(), items=items)

    async def cancel(self, replay: str, why: str) -> ReplayRow:
        self._house.handed.append((replay, "", why))
        return ROW.changed(state="cancelled")
