"""A bad row of a file is corrected as a message of its own, looked at first, and waits for nobody once it is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.errors import FasciaError, Malformed
from canonical.messages import Kept, NewMessage
from canonical.ports import Unmatched
from canonical.replays import CONFLICT, NEW, UNREADABLE
from canonical.senders import Mapping
from cli.again import OurReplays
from cli.house import MessageFilter
from store.authority import HOSPITAL
from store.case_tables import unmatched
from store.replays import StoredReplays
from tests.gateway.csv_house import REQUISITIONS
from tests.store.build import NOW
from tests.store.test_files_taken import BAD, House, source
from workers.loops.replay_jobs import ReplayJobs
from workers.settings import Settings
from workers.wiring import Wiring

ME = Actor(id="mito", known_by="os_user")


class Desk(House):
    """A watched folder, and the person who looks after its dead letters."""

    def __init__(self, engine: AsyncEngine, place: Path) -> None:
        super().__init__(engine, place)
        self.wiring = Wiring(Settings(home=place / "home"), engine, cast(Any, None))
        self.wiring.__dict__["engine"] = self.temporal
        self.replays = OurReplays(self.wiring, ME)

    async def rows(self, kind: str = "csv_catalogue") -> list[Kept]:
        which = MessageFilter(kind=f"{kind}_rows")
        listed = sorted(await self.wiring.queries.kept(which_of(which), limit=50), key=lambda one: one.id)
        return [one for one in listed if not one.version_of]

    async def listed(self) -> dict[str, tuple[str, str]]:
        """What the list a person works says: the state of each entry, and who decided it."""
        asked = select(unmatched.c.number, unmatched.c.state, unmatched.c.decided_by).order_by(unmatched.c.id)
        async with self.wiring.database.begin() as connection:
            return {row.number: (row.state, row.decided_by) for row in await connection.execute(asked)}


def which_of(which: MessageFilter) -> Any:
    from store.query_models import MessageQuery

    return MessageQuery(**which.model_dump()).model_copy(update={"direction": "in"})


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> Desk:
    desk = Desk(engine, tmp_path)
    await desk.knows(source(tmp_path))
    (tmp_path / "catalogue.csv").write_bytes(BAD)
    await desk.watch.once()
    return desk


async def test_a_corrected_row_is_held_against_the_register_and_is_on_no_list_any_more(desk: Desk) -> None:
    row = (await desk.rows())[0]
    good = row.data.replace(b"eighteen", b"19.75")
    looked = await desk.replays.correct(row.id, good, "", True)
    assert looked.outcome == NEW and looked.dry_run
    cells = [(one.path, one.was, one.now) for one in looked.preview.differences]
    assert cells[0] == ("row 2 price", "eighteen", "19.75") and len(cells) > 1, "and what the register would list"
    assert (await desk.listed())["row 4"] == ("open", "") and len(await desk.rows()) == 3
    done = await desk.replays.correct(row.id, good, "they meant 19.75; called them", False)
    assert (done.state, done.outcome) == ("routed", NEW)
    assert (await desk.listed())["row 4"] == ("set_aside", "mito")
    after = await desk.journal.read(row.id)
    assert after is not None and (after.state, after.data) == ("corrected", row.data), "the original stays"
    new = await desk.journal.read(done.message)
    assert new is not None and (new.version_of, new.data, new.channel) == (row.id, good, "IN")
    assert "19.75" in {one.theirs.split()[0] for one in await desk.drift.rows("NGH")}
    with pytest.raises(FasciaError, match="corrected"):
        await desk.replays.correct(row.id, good, "again", False)


async def test_a_correction_is_of_the_one_row_under_the_same_names_and_says_where_it_is_not(desk: Desk) -> None:
    row = (await desk.rows())[0]
    title, line = row.data.splitlines(keepends=True)
    for wrong, path in (
        (row.data, "file"),
        (line, "row 1"),
        (title.replace(b"price", b"cost") + line, "row 1"),
        (title, "file"),
        (title + line + line, "file"),
        (title + b"only,two\r\n", "row 2"),
        (b"\xff\xfe\x00", "file"),
    ):
        with pytest.raises(Malformed) as refused:
            await desk.replays.correct(row.id, wrong, "a try", False)
        assert refused.value.path == path, refused.value
    assert len(await desk.rows()) == 3 and (await desk.listed())["row 4"] == ("open", "")


async def test_a_correction_that_is_no_better_is_a_dead_letter_itself_and_corrected_in_turn(desk: Desk) -> None:
    row = (await desk.rows())[0]
    worse = await desk.replays.correct(row.id, row.data.replace(b"eighteen", b"about 20"), "a try", False)
    assert (worse.outcome, worse.state) == (UNREADABLE, "dead") and (await desk.listed())["row 4"] == ("open", "")
    better = await desk.replays.correct(worse.message, row.data.replace(b"eighteen", b"18.80"), "called them", False)
    assert better.state == "routed" and (await desk.listed())["row 4"] == ("set_aside", "mito")


async def test_a_whole_file_and_a_requisition_are_not_corrected_here_with_what_to_do_instead(desk: Desk) -> None:
    page = await desk.wiring.queries.kept(which_of(MessageFilter(kind="csv_catalogue")), limit=5)
    await desk.journal.mark(page[0].id, "refused", reason="a try")
    with pytest.raises(FasciaError) as refused:
        await desk.replays.correct(page[0].id, b"x", "a try", False)
    assert "one by one" in str(getattr(refused.value, "hint", ""))


async def test_a_row_that_is_skipped_is_on_no_list_any_more(desk: Desk) -> None:
    row = (await desk.rows())[0]
    assert not (await desk.replays.skip(row.id, "they gave it up", False)).stream_goes_on
    assert (await desk.listed())["row 4"] == ("set_aside", "mito")


async def test_a_row_replayed_by_a_job_is_closed_in_the_name_of_who_asked(desk: Desk, tmp_path: Path) -> None:
    await desk.knows(source(tmp_path, sender="WARD-FILES", feed="requisitions", code="ASK", path=str(tmp_path / "ask")))
    table = Mapping(sender="WARD-FILES", table="item", rows={"ITM-1001": "ITM-1", "ITM-1003": "ITM-3"})
    await desk.register.load("mapping", [table], HOSPITAL)
    (tmp_path / "ask").mkdir()
    (tmp_path / "ask" / "asked.csv").write_bytes(REQUISITIONS)
    await desk.watch.once()
    (row,) = await desk.rows("csv_requisitions")
    assert row.owner == "" and (await desk.listed())["row 3"] == ("open", "")
    mended = table.changed(rows={**table.rows, "ITM-1002": "ITM-2"})
    await desk.register.load("mapping", [mended], HOSPITAL)
    job = await desk.replays.begin(MessageFilter(kind="csv_requisitions_rows"), "the table is mended")
    await ReplayJobs(StoredReplays(desk.wiring.database), desk.wiring.replayer()).once()
    shown = await desk.replays.show(job.replay, "", 10)
    assert shown is not None and shown.outcomes == {NEW: 1}
    assert (await desk.listed())["row 3"] == ("set_aside", "mito")
    assert (await desk.states("csv_requisitions_rows")) == ["routed"]


async def test_while_temporal_is_away_a_replayed_row_is_closed_by_the_sweep_that_brings_it(
    desk: Desk, tmp_path: Path
) -> None:
    await desk.knows(source(tmp_path, sender="WARD-FILES", feed="requisitions", code="ASK", path=str(tmp_path / "ask")))
    (tmp_path / "ask").mkdir()
    (tmp_path / "ask" / "asked.csv").write_bytes(REQUISITIONS.replace(b"ITM-1002,1", b"ITM-1002,one"))
    await desk.watch.once()
    (row,) = await desk.rows("csv_requisitions")
    good = row.data.replace(b",one,", b",1,")
    desk.temporal.away = True
    done = await desk.replays.correct(row.id, good, "they meant one", False)
    assert done.state == "validated" and (await desk.listed())["row 3"] == ("open", "")
    desk.temporal.away = False
    kept = await desk.journal.read(done.message)
    assert kept is not None and await desk.wiring.corridor().route(kept)
    assert (await desk.listed())["row 3"] == ("set_aside", "fascia")
    assert [case.rpartition("/")[2] for case, _ in desk.temporal.started] == ["R-1", "R-2"]


async def test_a_corrected_requisition_whose_number_is_known_otherwise_is_a_conflict_and_starts_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    await desk.knows(source(tmp_path, sender="WARD-FILES", feed="requisitions", code="ASK", path=str(tmp_path / "ask")))
    (tmp_path / "ask").mkdir()
    (tmp_path / "ask" / "asked.csv").write_bytes(REQUISITIONS.replace(b"ITM-1002,1", b"ITM-1002,one"))
    await desk.watch.once()
    (row,) = await desk.rows("csv_requisitions")
    known = row.data.replace(b"R-2,", b"R-1,").replace(b",one,", b",1,")
    looked = await desk.replays.correct(row.id, known, "", True)
    assert looked.outcome == CONFLICT
    done = await desk.replays.correct(row.id, known, "a slip", False)
    assert done.state == "refused" and len(desk.temporal.started) == 1
    good = await desk.replays.correct(done.message, row.data.replace(b",one,", b",1,"), "now right", False)
    assert good.state == "routed" and (await desk.listed())["row 3"] == ("set_aside", "mito")


async def test_a_bad_row_of_another_dialects_file_stays_listed_when_that_file_is_routed_again(desk: Desk) -> None:
    kept = await desk.journal.keep(NewMessage(door="mailbox", data=b"ISA", partner="ALPINE", kind="x12"))
    for kind in ("catalogue_row", "unreadable"):
        row = Unmatched(
            id=f"{kind}-x", kind=kind, number=f"LIN of {kind}", reason="bad", message=kept.message.id, at=NOW
        )
        await desk.cases.put_unmatched(row)
    await desk.cases.settle_unmatched([kept.message.id], "routed")
    listed = await desk.listed()
    assert listed["LIN of catalogue_row"] == ("open", "") and listed["LIN of unreadable"] == ("set_aside", "fascia")
