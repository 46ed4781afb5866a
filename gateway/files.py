"""The mailbox door: what a supplier leaves for us in X12 is kept whole, answered (997 or TA1) and brought to its case.

X12 004010. An interchange is the same one when both parties and ISA13 are the same: then the stored answer goes out again,
byte for byte. The same number with other bytes is a conflict for a person. What has no readable envelope cannot be
answered: it is kept as a dead letter and listed. Documents are recognised by their own numbers too (:func:`document_key`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog

from canonical.base import content_hash
from canonical.catalogue import MasterFile
from canonical.errors import Malformed, Rejected, Unavailable
from canonical.invoicing import Invoice
from canonical.mailboxes import Mailbox
from canonical.messages import LEFT_IN_MAILBOX, KeepResult, Kept, NewMessage
from canonical.parties import Partner
from canonical.ports import Journal, Numbering
from canonical.purchasing import FunctionalAcknowledgement, OrderAcknowledgement, ShipNotice
from canonical.steps import SupplierDocument
from formats import x12
from gateway.checking import Checks
from gateway.conflicts import LISTED, accepted, untold
from gateway.intake import Intake
from gateway.master_files import MasterFiles
from gateway.registry import X12_KINDS, Noun, read_x12, read_x12_ta1

DOOR = "mailbox"
X12 = "x12"
FILE = "x12_file"
LONGEST_REASON = 2000
OrdersNoun = OrderAcknowledgement | FunctionalAcknowledgement | ShipNotice | Invoice  # what an order's case takes

log = structlog.get_logger(__name__)


class AcknowledgedJournal(Journal, Protocol):
    """A journal that also notes which of our own messages a partner acknowledged."""

    async def acknowledged(self, partner: str, kind: str, number: str, *, by: str, reason: str = "") -> str | None:
        """Find what we sent under this number and note that message ``by`` answers it."""
        ...


class Partners(Protocol):
    """Who we exchange with."""

    async def partner(self, supplier: str) -> Partner | None: ...


class FilesDoor:
    """Takes in what waits in partners' mailboxes."""

    def __init__(
        self,
        intake: Intake,
        journal: AcknowledgedJournal,
        numbering: Numbering,
        partners: Partners,
        mailbox_for: Callable[[Partner], Mailbox],
        master_files: MasterFiles | None = None,
    ) -> None:
        self._intake = intake
        self._master_files = master_files
        self._journal = journal
        self._numbering = numbering
        self._partners = partners
        self._mailbox_for = mailbox_for
        self._checks = Checks()  # a file may have 20 MB: seconds in which this process would do nothing else
        intake.add_route(X12, self._route)

    async def accept(self, partner: Partner, name: str, data: bytes, trace: str = "") -> None:
        """Keep a file and everything in it; once this returns, the file may be moved out of the way.

        Raises:
            Unavailable: the journal or the mailbox is away: leave the file where it is.
        """
        about = {"partner": partner.code, "sender": partner.id, "trace": trace}
        try:
            interchanges = await self._checks.run(len(data), lambda: x12.read(data))
        except Malformed as broken:
            await self._dead(data, broken.message, partner, trace)
            return
        except Exception as bug:
            log.exception("file could not be read", partner=partner.code)
            await self._dead(data, f"unexpected {type(bug).__name__} while reading", partner, trace)
            return
        if len(interchanges) > 1:
            await self._keep_whole(data, len(interchanges), about)
        for interchange in interchanges:
            await self._interchange(interchange, data if len(interchanges) == 1 else interchange.raw, about)

    async def is_whole(self, data: bytes) -> bool:
        """Whether it can be read to its end; what cannot may still be on its way."""
        try:
            found = await self._checks.run(len(data), lambda: x12.read(data))
        except Exception:  # whatever it is, accepting it will say so
            return False
        return all(one.trailer is not None and (one.ended or one.trailer[2].strip() == one.control) for one in found)

    async def left(self, partner: Partner, name: str, size: int, reason: str) -> None:
        """List a file that stays in the mailbox, since it cannot be taken in: a person is told where; once for a file."""
        notice = f"{name} ({size} bytes)".encode()
        message = await self._whole(notice, X12, {"partner": partner.code, "sender": partner.id})
        if message.state == "dead":
            return
        said = f"{reason}: it is left in the mailbox of {partner.code}, its message says which file"
        log.error("file left in the mailbox", alert=True, partner=partner.code, size=size, reason=reason)
        await self._intake.listed(LEFT_IN_MAILBOX, message, said, number="file", facility=partner.facility or "")
        await self._journal.mark(message.id, "dead", reason=said)

    async def _dead(self, data: bytes, reason: str, partner: Partner, trace: str = "") -> None:
        message = await self._whole(data, X12, {"partner": partner.code, "sender": partner.id, "trace": trace})
        if message.state != "dead":
            await self._intake.dead(message, reason, facility=partner.facility or "")

    async def _whole(self, data: bytes, kind: str, about: dict[str, str]) -> Kept:
        key = f"file/{about['partner']}/{hashlib.sha256(data).hexdigest()}"
        return (await self._journal.keep(NewMessage(door=DOOR, kind=kind, data=data, key=key, **about))).message

    async def _keep_whole(self, data: bytes, parts: int, about: dict[str, str]) -> None:
        whole = await self._whole(data, FILE, about)
        await self._journal.mark(whole.id, "routed", reason=f"it holds {parts} interchanges, kept one by one")

    async def _interchange(self, interchange: x12.Interchange, data: bytes, about: dict[str, str]) -> None:
        result = await self._journal.keep(
            NewMessage(door=DOOR, kind=X12, data=data, control_number=interchange.control, key=interchange.key, **about)
        )
        message = await self._repeated(result, interchange) or result.message
        if message.answer:
            await self._answer_again(message)
        elif message.state in ("received", "validated"):
            await self._intake.route(message)

    async def _repeated(self, result: KeepResult, interchange: x12.Interchange) -> Kept | None:
        """The message this one repeats. What only differs in padding around the envelope is a repeat, not a conflict."""
        if result.outcome == "duplicate":
            return result.message
        if result.outcome == "conflict" and result.first is not None:
            first = await self._journal.read(result.first.id)
            if first is not None and interchange.digest in {one.digest for one in x12.read(first.data)}:
                await self._journal.mark(result.message.id, "refused", reason=f"repeats message {first.id}")
                return first
        return None

    async def _answer_again(self, message: Kept) -> None:
        answer = await self._journal.read(message.answer)
        if answer is None:
            raise Unavailable(
                f"the answer {message.answer} of message {message.id} is not in the journal", system="store"
            )
        partner = await self._partner(message)
        await self._put(partner, _file_name(answer.kind, answer.control_number), answer.data)
        log.info("duplicate interchange: its answer put again", message=message.id, partner=partner.code)

    async def _put(self, partner: Partner, name: str, data: bytes) -> None:
        """A mailbox that refuses us is no fault of the message we answer: it waits like one that is away."""
        try:
            await self._mailbox_for(partner).put(name, data)
        except Rejected as refused:
            raise Unavailable(f"the mailbox refuses us: {refused.message}", system="supplier") from refused

    async def _partner(self, message: Kept) -> Partner:
        partner = await self._partners.partner(message.partner)
        if partner is None:
            raise Unavailable(f"partner {message.partner} has no row in the register", system="store")
        return partner

    # ---- a kept interchange, now or from the sweep --------------------------------------------------------------------

    async def _route(self, message: Kept) -> None:
        whole = await self._journal.read(message.id)  # as it stands now: it may have been answered meanwhile
        if whole is None:
            raise Unavailable(f"message {message.id} is not in the journal", system="store")
        partner = await self._partner(whole)
        size, kind = len(whole.data), LISTED if untold(whole) else "interchange"
        interchange = (await self._checks.run(size, lambda: x12.read(whole.data)))[0]
        report = await self._checks.run(size, lambda: self._judge(interchange, partner, whole))
        if not whole.answer:
            await self._answer(whole, report, partner)
        refused = "; ".join(report.refused)[:LONGEST_REASON]
        if refused:
            number, facility = interchange.control, partner.facility or ""
            await self._intake.listed(kind, whole, refused, number=number, facility=facility)
        if report.status == "R" or (report.groups and not report.accepted):
            await self._journal.mark(whole.id, "refused", reason=refused)
            return
        await self._journal.mark(whole.id, "validated", reason=refused)
        cases, words = await self._documents(whole, interchange, report, partner)
        said = "; ".join(filter(None, (refused, *words)))[:LONGEST_REASON]
        await self._journal.mark(whole.id, "routed", reason=said, case=cases[0] if len(cases) == 1 else "")

    def _judge(self, interchange: x12.Interchange, partner: Partner, message: Kept) -> x12.EnvelopeReport:
        if untold(message):
            return x12.refuse(interchange, "025", message.reason)
        if interchange.sender != (partner.qualifier, partner.id):
            return x12.refuse(interchange, "006", "the sender is not this mailbox's partner")
        if interchange.receiver != (partner.our_qualifier, partner.our_id):
            return x12.refuse(interchange, "008", "the receiver is not us")
        versions = (partner.version,) if partner.version else ()
        return x12.check(
            interchange,
            versions=versions,
            kinds=X12_KINDS,
            usage=partner.usage,
            allow_unknown=partner.allow_unknown,
        )

    async def _answer(self, message: Kept, report: x12.EnvelopeReport, partner: Partner) -> None:
        """Put the 997 or TA1 this interchange is due into the partner's mailbox: kept first, then sent.

        Our correction of one that was answered is answered nothing: its partner sent no such thing.
        """
        corrects = await self._journal.read(message.version_of) if message.version_of else None
        if corrects is not None and corrects.answer:
            return
        part = f"answer/{message.id}" + ("/accepted" if accepted(message) else "")  # it had its TA1 before
        try:
            if not x12.acknowledge(report, x12.Envelope.to_partner(partner, 1, datetime.now(UTC))):
                return
            kind = "997" if report.status != "R" and report.groups else "TA1"
            numbers = await self._numbering.control_numbers(partner.code, part, case="", kind=kind)
            envelope = x12.Envelope.to_partner(partner, numbers.interchange, numbers.given_at, group=numbers.group)
            data = x12.acknowledge(report, envelope)
        except Malformed as broken:
            reason = f"it cannot be answered: {broken.message}"
            await self._intake.listed("unreadable", message, reason, facility=partner.facility or "")
            log.error("interchange cannot be answered", alert=True, message=message.id, partner=partner.code)
            return
        control = f"{numbers.interchange:09}"
        key = f"{message.id}/answer" + ("/accepted" if accepted(message) else "")
        new = NewMessage(direction="out", door=DOOR, data=data, partner=partner.code, kind=kind, control_number=control)
        kept = await self._journal.keep(new.model_copy(update={"key": key, "trace": message.trace}))
        await self._put(partner, _file_name(kind, control), kept.message.data)
        await self._journal.mark(kept.message.id, "sent")
        await self._journal.answered(message.id, kept.message.id)

    async def _documents(
        self, message: Kept, interchange: x12.Interchange, report: x12.EnvelopeReport, partner: Partner
    ) -> tuple[list[str], list[str]]:
        """Bring every accepted document to its case, and a catalogue to the list of what differs from the register.

        One that no feed can read is listed, the others go on. Gives the cases, and what is to be said of catalogues.
        """
        cases: dict[str, None] = {}
        words: list[str] = []
        facility = partner.facility or ""
        nouns: list[Noun] = [*read_x12_ta1(interchange, partner)]
        for group, document in report.accepted:
            place = f"{document.code} {document.control} of group {group.control}"
            try:
                nouns += read_x12(interchange, document, partner)
            except Malformed as unread:
                reason, about = f"{place}: {unread.message}", {"number": place, "facility": facility}
                await self._intake.listed("unreadable", message, reason, None, place, **about)
        for noun in nouns:
            if isinstance(noun, MasterFile):
                words.append(await self._catalogue(message, noun, facility))
                continue
            if await self._only_settles(noun, partner, message):
                continue
            if case := await self._intake.document(message, wrapped(noun, message.id), facility=facility):
                cases[case] = None
        return list(cases), words

    async def _catalogue(self, message: Kept, file: MasterFile, facility: str) -> str:
        if self._master_files is None:
            raise Unavailable("nothing here holds catalogues against the register", system="store")
        return await self._master_files.listed(message, file, facility=facility)

    async def _only_settles(self, noun: Noun, partner: Partner, message: Kept) -> bool:
        """A 997 or TA1 settles the message of ours that it answers; a good one of what is no case's (a 997) is all it is."""
        if not isinstance(noun, FunctionalAcknowledgement):
            return False
        reason = "" if noun.accepted else f"{noun.kind} says {noun.code}"
        ours = await self._journal.acknowledged(
            partner.code, noun.kind, noun.control_number, by=message.id, reason=reason
        )
        answered = await self._journal.read(ours) if ours else None
        return noun.accepted and answered is not None and not answered.case


def wrapped(noun: OrdersNoun, message: str) -> SupplierDocument:
    """A noun as its order's case takes it, under the key that makes it the same document again."""
    key = document_key(noun, message)
    match noun:
        case OrderAcknowledgement():
            return SupplierDocument(message=message, key=key, acknowledgement=noun)
        case ShipNotice():
            return SupplierDocument(message=message, key=key, ship_notice=noun)
        case Invoice():
            return SupplierDocument(message=message, key=key, invoice=noun)
        case FunctionalAcknowledgement():
            return SupplierDocument(message=message, key=key, functional=noun)


def document_key(noun: OrdersNoun, message: str) -> str:
    """What makes a document the same one again, whatever interchange it came in: kind, supplier, number and content.

    An invoice keeps its message in the key: the same bill in another interchange must reach the match and be refused
    there as a duplicate, where finance sees it. So does an answer that may be given twice in the same words: one to a
    change without its sequence (BCA05), since it answers the change sent last, and a hold (BAK02 AH) of an order that
    was released in between.
    """
    digest = content_hash(noun)[:16]
    match noun:
        case OrderAcknowledgement():
            again = not noun.change_sequence.isdecimal() if noun.to_change else noun.code == "AH"
            kind = "865" if noun.to_change else "855"
            return f"{kind}/{noun.supplier}/{noun.order}/{digest}" + (f"/{message}" if again else "")
        case ShipNotice():
            return f"856/{noun.supplier}/{noun.number}/{digest}"
        case Invoice():
            return f"810/{noun.key}/{message}"
        case FunctionalAcknowledgement():
            return f"{noun.kind}/{noun.supplier}/{noun.functional_id}{noun.control_number}/{digest}"


def _file_name(kind: str, control: str) -> str:
    return f"{kind}_{control}.x12"
