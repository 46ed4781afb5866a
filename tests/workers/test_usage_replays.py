"""Replaying what was used: said beforehand, done once, and a code that was unknown mended by its table or by a correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from canonical.messages import Kept, NewMessage
from canonical.replays import CONFLICT, DONE, NEW, UNREADABLE, Preview, differences
from canonical.senders import Mapping as Codes
from canonical.usage import UsageEvent
from gateway.directory import Directory
from gateway.preview import Previewer
from gateway.preview_uses import HeldUse, UseName
from gateway.reading import Reader
from tests.gateway.csv_house import NOW
from tests.gateway.hl7_house import House
from tests.gateway.test_csv_uses import USES, Cabinets
from tests.gateway.test_usage_routed import sent
from tests.gateway.usage_house import CANARY, PROCEDURES, Inbox, charged, ft1, theatre
from tests.workers.test_replaying import Foresight, Jobs, nobody
from workers.loops.replay_jobs import ReplayJobs
from workers.replaying import Replayer


class UseForesight(Foresight):
    """What the cases and uses in memory say."""

    def __init__(self, at: House, inbox: Inbox) -> None:
        super().__init__(at)
        self._inbox = inbox

    async def uses(self, names: Sequence[UseName]) -> Mapping[UseName, HeldUse]:
        return await self._inbox.uses(names)


def previewer(at: House, inbox: Inbox) -> Previewer:
    foresight = UseForesight(at, inbox)
    return Previewer(at.routing().reader, foresight, at.cases, nobody, at.intake.routes, procedures=PROCEDURES)


async def told(at: House, inbox: Inbox, *controls: str) -> list[Preview]:
    return await previewer(at, inbox).preview([at.journal.kept(control) for control in controls])


async def replayed(at: House, inbox: Inbox, *messages: Kept) -> dict[str, str]:
    jobs = Jobs(at, messages)
    foresight, routing = UseForesight(at, inbox), at.routing()
    replayer = Replayer(
        *(jobs, foresight, at.journal, at.intake, routing), lambda: previewer(at, inbox), clock=lambda: NOW
    )
    await ReplayJobs(jobs, replayer, clock=lambda: jobs.now).once()
    return jobs.came_to(at)


async def table(at: House, **rows: str) -> None:
    items = {code.replace("_", "-"): item for code, item in rows.items()}
    at.register.tables = [Codes(sender="OR-SYS", table="item", rows=items)]
    await at.directory.refresh()


async def test_what_is_kept_is_done_already_and_what_is_not_would_be_kept_for_its_location() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1")))
    (kept,) = await told(at, inbox, "U-1")
    assert (kept.outcome, kept.detail) == (DONE, "use T-1 is kept (waiting)") and not kept.differences
    inbox.kept.clear()
    (new,) = await told(at, inbox, "U-1")
    assert (new.outcome, new.detail) == (NEW, "a use would be kept for NGH-OR: T-1")
    paths = {one.path for one in new.differences}
    assert "use T-1/1 item" in paths and not any("encounter" in path for path in paths)
    assert CANARY not in new.model_dump_json() and "V-1" not in new.model_dump_json()
    assert inbox.kept == {}, "a preview keeps nothing"


def test_an_encounter_is_no_difference_that_anybody_is_shown() -> None:
    about = {"facility": "NGH", "source": "s", "number": "1", "item": "A", "used_at": NOW}
    event = UsageEvent.model_validate(about | {"encounter": "visit|NGH|V-1"})
    assert "V-1" not in str(differences(None, event)) and differences(UsageEvent.model_validate(about), event) == ()


async def test_of_two_messages_with_one_number_the_second_would_conflict_with_the_first() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1")), charged("U-2", ft1("T-1", amount="5")))
    (refused,) = await told(at, inbox, "U-2")
    assert refused.outcome == CONFLICT
    assert [(one.path, one.was, one.now) for one in refused.differences] == [("use T-1/1 amount", "4", "5")]
    inbox.kept.clear()
    first, second = await told(at, inbox, "U-1", "U-2")
    assert (first.outcome, second.outcome) == (NEW, CONFLICT)


async def test_an_unknown_code_goes_on_once_the_senders_table_has_it_and_its_message_is_replayed() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1", item="NEW-9")))
    (held,) = inbox.kept.values()
    assert (held.state, held.event.item) == ("parked", "NEW-9") and at.journal.kept("U-1").state == "routed"
    await table(at, NEW_9="ITM-1002")
    (before,) = await told(at, inbox, "U-1")
    assert before.outcome == NEW and "judged anew" in before.detail
    assert [(one.path, one.was, one.now) for one in before.differences] == [("use T-1/1 item", "NEW-9", "ITM-1002")]
    assert await replayed(at, inbox, at.journal.kept("U-1")) == {"U-1": NEW}
    (held,) = inbox.kept.values()
    assert (held.state, held.event.item) == ("waiting", "ITM-1002")
    assert await replayed(at, inbox, at.journal.kept("U-1")) == {"U-1": DONE}


async def test_an_unknown_code_goes_on_once_its_message_is_corrected_and_replayed() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1", item="NEW-9"), ft1("T-2")))
    original = at.journal.kept("U-1")
    mended = original.data.replace(b"NEW-9", b"ITM-1002")
    about: dict[str, Any] = {"stream": original.stream, "version_of": original.id, "control_number": "U-1"}
    new = NewMessage(door="mllp", kind="DFT^P03", sender="OR-SYS", data=mended, key="correction/1").model_copy(
        update=about
    )
    correction = (await at.journal.keep(new)).message
    assert await replayed(at, inbox, correction) == {"U-1": NEW}
    held = {use.event.number: use for use in inbox.kept.values()}
    assert (held["T-1"].event.item, held["T-1"].state, held["T-1"].message) == ("ITM-1002", "waiting", correction.id)
    assert held["T-2"].message == original.id, "what was right stays as it was"


async def test_what_was_acted_on_is_never_replaced_by_a_correction() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1", item="ITM-1001")))
    await table(at, ITM_1001="ITM-1002")
    assert await replayed(at, inbox, at.journal.kept("U-1")) == {"U-1": CONFLICT}
    assert [event.item for event in inbox.events] == ["ITM-1001"]


async def test_a_charge_that_could_not_be_read_is_read_once_it_is_corrected() -> None:
    at, inbox = await theatre()
    await sent(at, charged("U-1", ft1("T-1", amount="")))
    (before,) = await told(at, inbox, "U-1")
    assert before.outcome == UNREADABLE and "FT1-10" in before.detail


async def test_a_file_of_uses_is_previewed_row_by_row() -> None:
    house = Cabinets()
    message = await house.file(USES)
    foresight = UseForesight(cast(Any, house), house.inbox)
    reader = Reader(Directory(house))

    async def preview(data: bytes) -> Preview:
        fresh = Previewer(reader, foresight, house.cases, nobody, house.intake.routes, procedures=PROCEDURES)
        (told,) = await fresh.preview([message.model_copy(update={"data": data})])
        return told

    assert (await preview(USES)).counts == {DONE: 2}
    changed = (
        USES.replace(b"C-1,ITM-1001,2", b"C-1,ITM-1001,3") + b"C-3,ITM-1,1,EA,2026-11-21\nC-4,ITM-1,x,EA,2026-11-21\n"
    )
    seen = await preview(changed)
    assert seen.counts == {CONFLICT: 1, DONE: 1, NEW: 1, UNREADABLE: 1} and seen.cases == ()
    assert sorted((row.row, row.outcome) for row in seen.rows) == [(2, CONFLICT), (4, NEW), (5, UNREADABLE)]
