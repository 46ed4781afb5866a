"""Tells a department that an order of its cannot be taken: ORS^O06 to an OMS^O05, ORN^O08 to an OMN^O07, with ORC-1 UA and why.

HL7 v2.5.1 chapter 4.5.1.1 (table 0119: UA, unable to accept order/service), 2.15.5 (ERR), 2.15.10 (NTE). The message was accepted at
its door, so its sender would else wait for a reply that never comes. Written from the message alone: the same refusal is the same
bytes under the same MSH-10. Nothing of a patient is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import structlog

from canonical.errors import Malformed, Rejected
from canonical.messages import KeepResult, Kept, NewMessage
from canonical.senders import Channel, Sender
from formats.hl7 import Fault, Part, Segment, error_segment, read, segment
from formats.hl7_faults import DUPLICATE_KEY, TABLE_VALUE
from formats.hl7_message import path
from formats.hl7_write import Field
from gateway.hl7_replies import ANSWERS, DOOR, components, control_of, detail, reply_header, wire

LONGEST_REASON = 500

log = structlog.get_logger(__name__)


class Channels(Protocol):
    """The register, as far as channels go."""

    async def channels(self) -> Sequence[Channel]: ...


class Outgoing(Protocol):
    """Keeps a message of ours and queues it for its channel; the same key again is the same message."""

    async def put(self, channel: str, message: NewMessage) -> KeepResult: ...


class Refusals:
    """Says no to who asked, by the sender's reply channel."""

    def __init__(self, register: Channels, outgoing: Outgoing) -> None:
        self._register = register
        self._outgoing = outgoing

    async def tell(self, message: Kept, sender: Sender, fault: Fault, numbers: Sequence[str] = ()) -> str:
        """Tell the sender of an order that it cannot be taken, once for a reason; gives the reply, empty where nobody hears one.

        ``numbers``: the requisitions in it this is about; none: all of them.

        Raises:
            Unavailable: our database is away: say it again later.
        """
        if message.kind not in ANSWERS or not sender.reply_channel:
            return ""
        channel = {one.code: one for one in await self._register.channels()}.get(sender.reply_channel)
        if channel is None or not channel.active:
            return ""
        try:
            kept = await self._outgoing.put(channel.code, unable(message, fault, sender, channel, numbers))
        except (Malformed, Rejected) as never:  # it is a dead letter in any case: a person sees to it
            log.error("refusal cannot be told", alert=True, message=message.id, problem=never.message)
            return ""
        return kept.message.id


def unable(asked: Kept, fault: Fault, sender: Sender, channel: Channel, numbers: Sequence[str] = ()) -> NewMessage:
    """The reply to an order that cannot be taken: AE, the fault, and every order of it with ORC-1 UA.

    Raises:
        Malformed: it cannot even be cut into segments.
    """
    message = read(asked.data, default=sender.character_set or "UTF-8")
    kind = ANSWERS[asked.kind]
    why = fault.text[:LONGEST_REASON]
    key = f"refusal/{asked.id}/{hashlib.sha256(f'{why} {numbers}'.encode()).hexdigest()[:16]}"
    control = control_of(key)
    texts = [reply_header(message.header, kind, channel, control, asked.at)]
    texts.append(segment("MSA", ["AE", message.header.control]))
    texts.append(error_segment(fault, message.header.version))
    texts.append(segment("NTE", ["1", "", why]))
    for part in message.groups("ORC"):
        orc = part.all("ORC")[0]
        if not numbers or {orc.value(4, 1).strip(), orc.value(2, 1).strip()} & set(numbers):
            texts += _refused(part, orc, asked, why)
    return NewMessage(
        direction="out",
        door=DOOR,
        data=wire(texts, message.header, sender),
        partner=sender.code,
        sender=sender.code,
        kind="^".join(kind[:2]),
        control_number=control,
        key=key,
        channel=channel.code,
    )


def fault_of(wrong: Exception, code: str, text: str) -> Fault:
    """What was wrong, as an ERR says it: with its place where the reader knew it."""
    if isinstance(found := getattr(wrong, "fault", None), Fault):
        return found
    known = getattr(wrong, "code", "")
    code = {"conflict": DUPLICATE_KEY, "ended": DUPLICATE_KEY, "unknown-code": TABLE_VALUE}.get(known, code)
    try:
        at = path(getattr(wrong, "path", ""))
    except ValueError:
        return Fault(code, known or "internal", text)
    return Fault(code, known or "internal", text, at.segment, at.sequence or 1, at.field, 0, at.component)


def _refused(part: Part, orc: Segment, asked: Kept, why: str) -> list[str]:
    fields: dict[int, Field] = {
        1: "UA",
        2: components(orc, 2),
        4: components(orc, 4),
        5: "CA",
        9: asked.at,
        16: ("", why),
    }
    texts: list[str] = []
    for rqd in part.all("RQD"):
        texts += [segment("ORC", fields), detail(rqd)]
    return texts or [segment("ORC", fields)]
