"""Says what routing kept messages once more would do today, message by message, and changes nothing.

Each is read as its sender is understood now and held against the cases there are: a new effect, done already, in conflict, or
still not to be read. Messages are looked at in the order given, so that the second of two alike is done by the first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog

from canonical.base import Canonical, content_hash, read_strictly
from canonical.catalogue import CatalogueEntry, MasterFile
from canonical.errors import Malformed, Rejected, Throttled, Unavailable
from canonical.hr_ports import HrRowsApart
from canonical.messages import Kept
from canonical.parties import Partner
from canonical.people import HrEvent
from canonical.purchasing import Requisition
from canonical.replays import CONFLICT, DONE, NEW, NOT_REPLAYED, UNREADABLE, Difference, Outcome, Preview, differences
from canonical.senders import Sender
from canonical.stock import StockCount
from canonical.usage import UsageEvent
from formats import x12
from gateway.acknowledgements import is_ours
from gateway.csv_parts import catalogue
from gateway.csv_reading import CsvFile
from gateway.files import X12
from gateway.intake import REQUISITION
from gateway.people import PersonHashes
from gateway.preview_files import Asked, FilePreview, Foretold, foretell
from gateway.preview_people import PEOPLE_FILE, PeopleEvents, event_name, hidden, masked
from gateway.preview_ports import Foresight, Held, Orders
from gateway.preview_uses import HeldUse, UseName, Uses, name_of
from gateway.reading import Reader
from gateway.registry import CSV_KINDS, CSV_PARTS, read_x12
from gateway.replay_rules import conflicts, refusal
from gateway.usage import Procedures

log = structlog.get_logger(__name__)


PartnerFor = Callable[[str], Awaitable[Partner | None]]
BadRows = Callable[[str], Awaitable[str | None]]
"""What a file source says of bad rows, where it says anything."""


async def _nothing_said(source: str) -> str | None:
    return None


@dataclass
class _Read:
    """A message as it is read today: what it says, or why nothing comes of it."""

    message: Kept
    nouns: tuple[Canonical, ...] = ()
    wrong: str = ""
    stays: str = ""
    nobody: bool = False
    facility: str = ""
    said: list[tuple[Outcome, str]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    sheet: tuple[CsvFile, Sender] | None = None
    file: FilePreview | None = None


class Previewer:
    """Previews messages. One of these is for one list: it remembers what those before would have begun."""

    def __init__(
        self,
        reader: Reader,
        foresight: Foresight,
        orders: Orders,
        partner: PartnerFor,
        routes: Callable[[str], bool],
        *,
        bad_rows: BadRows = _nothing_said,
        procedures: Procedures | None = None,
        hashes: PersonHashes | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reader = reader
        self._foresight = foresight
        self._orders = orders
        self._partner = partner
        self._routes = routes
        self._bad_rows = bad_rows
        self._clock = clock
        self._begun: dict[str, tuple[str, str]] = {}  # case -> hash and message, of those before in the list
        self._uses = Uses(procedures)
        self._people = PeopleEvents(hashes)

    async def preview(self, messages: Sequence[Kept]) -> list[Preview]:
        """What would become of each."""
        closed = set(await self._foresight.closed([one.case for one in messages if one.case]))
        read = [await self._read(one, closed) for one in messages]
        names = [noun.case_id for one in read for noun in one.nouns if isinstance(noun, Requisition)]
        held = await self._foresight.held(names) if names else {}
        used = [name_of(noun) for one in read for noun in one.nouns if isinstance(noun, UsageEvent)]
        uses = await self._foresight.uses(used) if used else {}
        for one in read:
            await self._judged(one, held, uses)
        return [_told(one) for one in read]

    async def correction(self, original: Kept, corrected: Kept) -> Preview:
        """What the corrected bytes of a message would become, and how that differs from what the original says."""
        (told,) = await self.preview([corrected])
        before = await self._read(original.model_copy(update={"state": "dead", "reason": ""}), set())
        after = await self._read(corrected, set())
        if original.kind in CSV_PARTS:  # which cell was mended is seen, also where the row could not be read before
            cells = await self._cells(original, corrected)
            return told.model_copy(update={"differences": (*cells, *told.differences)})
        if not before.nouns:
            return told
        return told.model_copy(update={"differences": _between(before.nouns, after.nouns)})

    # ---- reading --------------------------------------------------------------------------------------------------------

    async def _read(self, message: Kept, closed: set[str]) -> _Read:
        cases = [(message.case, message.case in closed)] if message.case else []
        in_stream = bool(message.stream)
        why = refusal(message, cases if not in_stream else [], readable=in_stream or self._routes(message.kind))
        if why is not None:
            return _Read(message, stays=why.message)
        try:
            if in_stream:
                return await self._hl7(message)
            if message.kind == REQUISITION:
                return _Read(message, (read_strictly(Requisition, message.data),))
            if message.kind == X12:
                return await self._x12(message)
            if message.kind in CSV_PARTS:
                return await self._rows(message)
            if message.kind in CSV_KINDS:
                return await self._file(message)
        except (Unavailable, Throttled):
            raise
        except (Malformed, Rejected) as wrong:
            return _Read(message, wrong=wrong.message)
        except Exception as bug:
            log.exception("message could not be previewed", message=message.id, kind=message.kind)
            return _Read(message, wrong=f"unexpected {type(bug).__name__} while reading")
        return _Read(message, said=[(NEW, "its door takes it once more; what is there already is found by its key")])

    async def _hl7(self, message: Kept) -> _Read:
        sender = await self._reader.sender(message.sender)
        if sender is None:
            return _Read(message, wrong="its sender is not in the register")
        if refused := self._reader.still_refused(message, sender):
            return _Read(message, stays=f"its sender heard no, and would today: {refused}")
        if is_ours(message.kind, sender):
            said = "it is credited to the message of ours that it names"
            return _Read(message, said=[(DONE if message.state == "routed" else NEW, said)])
        feed = self._reader.feed(message, sender)
        if feed is None:
            return _Read(message, nobody=True)
        nouns = await self._reader.read(feed, sender)
        return _Read(message, nouns, nobody=not nouns, facility=sender.facility)

    async def _rows(self, message: Kept) -> _Read:
        """Rows of a CSV file that were set apart."""
        sender = await self._reader.sender(message.sender)
        if sender is None:
            return _Read(message, wrong="its sender is not in the register")
        file = await self._reader.rows(message, sender)
        parts = list(file.parts())
        if faults := [fault for part in parts for fault in part.faults]:
            place = f"row {faults[0].row} {faults[0].column}".strip()
            return _Read(message, wrong=f"{place}: {faults[0].reason}")
        nouns = tuple(part.noun for part in parts if part.noun is not None)
        if entries := [one for one in nouns if isinstance(one, CatalogueEntry)]:
            nouns = (catalogue(file, sender, entries),)
        return _Read(message, nouns, facility=sender.facility)

    async def _file(self, message: Kept) -> _Read:
        """A CSV file; what its rows come to is judged in its turn."""
        sender = await self._reader.sender(message.sender)
        if sender is None:
            return _Read(message, wrong="its sender is not in the register")
        file = await self._reader.rows(message, sender)
        file.check()
        return _Read(message, sheet=(file, sender))

    async def _cells(self, was: Kept, now: Kept) -> list[Difference]:
        """Which cells of a row say otherwise."""
        sender = await self._reader.sender(was.sender)
        if sender is None:
            return []
        before, after = [
            {place: cell for part in file.parts() for place, cell in file.cells(part)}
            for file in [await self._reader.rows(one, sender) for one in (was, now)]
        ]
        pairs = [(place, before.get(place, ""), after.get(place, "")) for place in dict.fromkeys([*before, *after])]
        found = [Difference(path=place, was=old, now=new) for place, old, new in pairs if old != new]
        return [hidden(one) for one in found] if CSV_PARTS[was.kind] == PEOPLE_FILE else found

    async def _x12(self, message: Kept) -> _Read:
        """An interchange of a partner's: the documents in it, and which of them their cases have."""
        brought = await self._foresight.brought(message.id)
        if brought and all(brought.values()):
            return _Read(message, stays=f"{message.id} belongs to {', '.join(sorted(brought))}, which is closed")
        if brought:
            return _Read(message, said=[(DONE, f"{', '.join(sorted(brought))} has what it brought")])
        partner = await self._partner(message.partner)
        if partner is None:
            return _Read(message, wrong=f"partner {message.partner} has no row in the register")
        found = _Read(message)
        for interchange in x12.read(message.data)[:1]:
            for group in interchange.groups:
                for document in group.documents:
                    for noun in read_x12(interchange, document, partner):
                        await self._of_order(found, noun)
        if not found.said:
            found.said.append((DONE, "it settles what we sent, or nothing in it is for us"))
        return found

    async def _of_order(self, found: _Read, noun: Canonical) -> None:
        order, supplier = getattr(noun, "order", None) or "", getattr(noun, "supplier", "")
        if not supplier:
            return
        case = await self._orders.order_case(order, supplier) if order else None
        if case is None:
            found.said.append((DONE, f"no order {order or '(none named)'} to {supplier}: it stays on the list"))
        else:
            found.said.append((NEW, f"{case} would get it"))

    # ---- judging --------------------------------------------------------------------------------------------------------

    async def _judged(self, one: _Read, held: Mapping[str, Held], uses: Mapping[UseName, HeldUse]) -> None:
        try:
            for noun in one.nouns:
                await self._judge(one, noun, held, uses)
            if one.sheet is not None:
                file, sender = one.sheet
                terms = await self._bad_rows(one.message.channel) if one.message.channel else None
                refuse_all = (terms or sender.bad_rows) == "refuse all"
                today, judge = self._clock().date(), partial(self._foretold, one.message)
                one.file = await foretell(
                    file, one.message.id, sender, self._foresight, judge, today, refuse_all=refuse_all
                )
        except (Unavailable, Throttled):
            raise
        except Exception as bug:
            log.exception("message could not be previewed", message=one.message.id, kind=one.message.kind)
            one.wrong = f"unexpected {type(bug).__name__} while looking at it"

    async def _judge(
        self, one: _Read, noun: Canonical, held: Mapping[str, Held], uses: Mapping[UseName, HeldUse]
    ) -> None:
        if isinstance(noun, Requisition):
            await self._requisition(one, noun, held.get(noun.case_id))
        elif isinstance(noun, UsageEvent):
            outcome, detail, news = self._uses.judged(noun, uses.get(name_of(noun)), one.message)
            one.said.append((outcome, detail))
            one.differences += news
        elif isinstance(noun, HrEvent):
            name = event_name(noun)
            event = (await self._foresight.hr_events([name])).get(name)
            outcome, detail, news = self._people.judged(noun, event, one.message)
            one.said.append((outcome, detail))
            one.differences += news
        elif isinstance(noun, HrRowsApart):
            one.said.append((NEW, f"{len(noun.rows)} rows that cannot be read would be listed"))
        elif isinstance(noun, MasterFile):
            file = noun if noun.facility or not one.facility else noun.model_copy(update={"facility": one.facility})
            compared, news = await self._foresight.drifts(file, one.message.id, self._clock().date())
            one.differences += news
            detail = f"{len(news)} of {compared} things would be listed anew"
            one.said.append(
                (NEW, detail) if news else (DONE, f"{compared} things: the register's lists know all of it")
            )
        elif isinstance(noun, StockCount):
            one.said.append((NEW, f"{len(noun.lines)} lines would be held against the balance of {noun.location}"))
        else:
            one.said.append((NEW, f"a {type(noun).__name__}"))

    async def _foretold(self, message: Kept, nouns: Sequence[Asked]) -> list[Foretold]:
        held = await self._foresight.held([noun.case_id for noun in nouns if isinstance(noun, Requisition)])
        used = await self._foresight.uses([name_of(noun) for noun in nouns if isinstance(noun, UsageEvent)])
        found: list[Foretold] = []
        for noun in nouns:
            one = _Read(message)
            await self._judge(one, noun, held, used)
            found.append((*one.said[-1], one.differences))
        return found

    async def _requisition(self, one: _Read, noun: Requisition, held: Held | None) -> None:
        case, content = noun.case_id, content_hash(noun)
        before = self._begun.get(case)
        if held is not None and held.hash not in ("", content):
            one.differences += _of(noun, differences(await self._as_held(held, case), noun))
            where = f" ({held.state})" if held.state else ""
            one.said.append((CONFLICT, f"requisition {noun.number} is known with other content{where}"))
        elif before is not None:
            same = before[0] == content
            one.said.append((DONE if same else CONFLICT, f"message {before[1]}, before it in this list, asks for it"))
        elif held is not None and held.started and held.ended:
            one.said.append((CONFLICT, f"requisition {noun.number} has ended ({held.ended}): it needs a new number"))
        elif held is not None and held.started:
            one.said.append((DONE, f"its case has this content{f' ({held.state})' if held.state else ''}"))
        else:
            self._begun[case] = (content, one.message.id)
            one.differences += _of(noun, differences(None, noun))
            what = "its case is announced and" if held is not None else "a case"
            one.said.append((NEW, f"{what} would start: {len(noun.lines)} lines for {noun.department}"))

    async def _as_held(self, held: Held, case: str) -> Canonical | None:
        """What the message that began a case says, as it is read today; None where that is gone or not to be read."""
        first = (await self._foresight.kept([held.message])).get(held.message) if held.message else None
        if first is None:
            return None
        begun = await self._read(first.model_copy(update={"state": "dead", "reason": "", "case": ""}), set())
        return next((one for one in begun.nouns if getattr(one, "case_id", "") == case), None)


def _of(noun: Requisition, found: Sequence[Difference]) -> list[Difference]:
    return [one.model_copy(update={"path": f"requisition {noun.number} {one.path}"}) for one in found]


def _between(was: Sequence[Canonical], now: Sequence[Canonical]) -> tuple[Difference, ...]:
    """Noun by noun: requisitions by their numbers, others by their place."""
    before = {_named(one, place): one for place, one in enumerate(was)}
    after = {_named(one, place): one for place, one in enumerate(now)}
    found: list[Difference] = []
    for name in dict.fromkeys([*before, *after]):
        news = differences(before.get(name), after.get(name))
        event = after.get(name) or before.get(name)
        if isinstance(event, HrEvent):
            found += masked(event, news)
        else:
            found += [one.model_copy(update={"path": f"{name} {one.path}"}) for one in news]
    return tuple(found)


def _named(noun: Canonical, place: int) -> str:
    if isinstance(noun, Requisition):
        return f"requisition {noun.number}"
    if isinstance(noun, HrEvent):
        return f"HR event {noun.number}"
    return (
        f"use {noun.number}/{noun.sequence}" if isinstance(noun, UsageEvent) else f"{type(noun).__name__} {place + 1}"
    )


def _told(one: _Read) -> Preview:
    outcome, detail = _outcome(one)
    kept = one.message
    cases = [noun.case_id for noun in one.nouns if isinstance(noun, Requisition)]
    of_file = one.file if one.file is not None and not one.wrong else FilePreview()
    return Preview(
        message=kept.id,
        kind=kept.kind,
        sender=kept.sender or kept.partner,
        control_number=kept.number,
        state=kept.state,
        reason=kept.reason,
        owner=kept.owner,
        outcome=outcome,
        detail=detail,
        cases=tuple(dict.fromkeys(filter(None, [*cases, *of_file.cases, kept.case]))),
        differences=(*one.differences, *of_file.differences),
        counts=dict(of_file.counts),
        rows=tuple(of_file.rows),
    )


def _outcome(one: _Read) -> tuple[Outcome, str]:
    """The word for a message: anything new in it counts first, then what would conflict."""
    if one.stays:
        return (CONFLICT if conflicts(one.message) else NOT_REPLAYED), one.stays
    if one.wrong:
        return UNREADABLE, one.wrong
    if one.file is not None:
        return one.file.outcome, one.file.detail()
    if one.nobody:
        routed = one.message.state == "routed"
        return (DONE if routed else NEW), "kept; nothing in it is for us" + (
            "" if routed else ": its stream would go on"
        )
    for outcome in (NEW, CONFLICT, DONE):
        if any(found == outcome for found, _ in one.said):
            return outcome, "; ".join(detail for _, detail in one.said)
    return DONE, "nothing in it is for us"
