"""Tells a department what became of its order: ORS^O06 to an OMS^O05, ORN^O08 to an OMN^O07, with order numbers and line states.

HL7 v2.5.1 chapter 4.11.2 and 4.12.2, order control table 0119: OK and the order's number (ORC-3) once it is ordered, SC when a
line's state changes, UA when it is refused. The reply holds the department's own lines as it wrote them, and nothing of a patient.
It is written from a business event alone: the same event is the same bytes under the same MSH-10.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from canonical.cases import BusinessEvent
from canonical.errors import Malformed
from canonical.messages import NewMessage
from canonical.senders import Channel, Sender
from formats.hl7 import Header, Part, Segment, header_segment, read, segment, write
from formats.hl7_text import DEFAULT_SET, WIDE, codec_of
from formats.hl7_write import Field
from gateway.hl7_requisitions import line_ids, orders_of

DOOR = "mllp"
US = "FASCIA"  # who gives ORC-3 its number
ANSWERS = {"OMS^O05": ("ORS", "O06", "ORS_O06"), "OMN^O07": ("ORN", "O08", "ORN_O08")}
REFUSED = "requisition.refused.v1"
ORDERED = "ordered"
# HL7 table 0038, by our word for where a line is; whatever else is under way is IP.
STATES = {
    "cancelled": "CA",
    "refused": "CA",
    "rejected": "CA",
    "duplicate": "CA",
    "closed": "CM",
    "paid": "CM",
    "received": "CM",
    "settled": "CM",
}


def reply(
    asked: bytes, event: BusinessEvent, orders: Mapping[str, str], sender: Sender, channel: Channel
) -> NewMessage:
    """The reply to the message ``asked`` that an event is due; ``orders``: the order of each line, by its id.

    Raises:
        Malformed: the message is no order, or holds no requisition of the event's number.
    """
    message = read(asked, default=sender.character_set or "UTF-8")
    kind = f"{message.header.type}^{message.header.event}"
    if kind not in ANSWERS:
        raise Malformed(f"MSH-9: a {kind[:20]} is not replied to with lines", path="MSH-9", code="unknown-code")
    number = event.data.get("number", "")
    lines = orders_of(message).get(number)
    if lines is None:
        raise Malformed(f"ORC-2: the message holds no requisition {number[:80]}", path="ORC-2", code="data-invalid")
    control = control_of(event.key)
    texts = [reply_header(message.header, ANSWERS[kind], channel, control, event.occurred_at)]
    texts.append(segment("MSA", ["AA", message.header.control]))
    states = _states(event)
    about = event.data.get("orders", "").split()
    for name, (part, rqd) in zip(line_ids(number, lines), lines, strict=True):
        order = orders.get(name) or (about[0] if len(about) == 1 else "")
        if about and order and order not in about:
            continue  # the event is of another order
        texts += _line(part, rqd, order, event, states.get(name, ""))
    return NewMessage(
        direction="out",
        door=DOOR,
        data=wire(texts, message.header, sender),
        partner=sender.code,
        sender=sender.code,
        kind="^".join(ANSWERS[kind][:2]),
        control_number=control,
        key=f"reply/{event.key}",
        case=event.case,
        channel=channel.code,
    )


def control_of(key: str) -> str:
    """MSH-10 of the reply to an event: 20 characters, the same for the same event."""
    return "R" + base64.b32encode(hashlib.sha256(key.encode()).digest()).decode()[:19]


def reply_header(asked: Header, kind: tuple[str, ...], channel: Channel, control: str, at: datetime) -> str:
    """MSH: from us to who asked, unless the channel's row names both otherwise; in the version and set they write."""
    (to, at_site), (we, our_site) = asked.sender, asked.receiver
    fields: dict[int, Field] = {
        3: channel.sending_application or we,
        4: channel.sending_facility or our_site,
        5: channel.receiving_application or to,
        6: channel.receiving_facility or at_site,
        7: at,
        9: kind,
        10: control,
        11: asked.processing or "P",
        12: asked.version,
    }
    head, charset = header_segment(fields), charset_of(asked)
    return f"{head}{'|' * 6}{charset}" if charset else head


def charset_of(asked: Header) -> str:
    """MSH-18 of a reply: as they wrote it, but of the sets with two or four bytes a character, whose bytes may be those that end a
    frame: to them we write UTF-8 (MLLP release 1, chapter 2: such a set must not be sent)."""
    return DEFAULT_SET if codec_of(asked.charset or DEFAULT_SET).startswith(WIDE) else asked.charset


def wire(texts: Sequence[str], asked: Header, sender: Sender) -> bytes:
    """The reply's bytes, in the set its header names, or else in the one this sender writes without naming it.

    Their own words fit their set; what does not fit it in ours (a person's reason) becomes ``?``: less than all is heard, not nothing.
    """
    charset, default = charset_of(asked), sender.character_set or DEFAULT_SET
    codec = codec_of(charset or default) or "utf-8"
    return write([text.encode(codec, "replace").decode(codec) for text in texts], charset=charset, default=default)


def _states(event: BusinessEvent) -> dict[str, str]:
    """Where each line is: the event's ``1:ordered 2:in_delivery``."""
    pairs = (one.partition(":") for one in event.data.get("lines", "").split())
    return {name: state.replace("_", " ") for name, _, state in pairs if state}


def _line(part: Part, rqd: Segment, order: str, event: BusinessEvent, state: str) -> list[str]:
    orc = part.all("ORC")[0]
    state = state or event.data.get("state", "")
    fields: dict[int, Field] = {
        2: components(orc, 2),
        3: (order, US) if order else None,
        4: components(orc, 4),
        9: event.occurred_at,
    }
    if event.type == REFUSED:
        fields |= {1: "UA", 5: "CA", 16: ("", event.data.get("reason", "") or "refused")}
    else:
        fields |= {1: "OK" if state == ORDERED else "SC", 5: STATES.get(state, "IP"), 25: ("", state)}
    return [segment("ORC", fields), detail(rqd)]


def detail(rqd: Segment) -> str:
    """A line of theirs as they asked for it: RQD with what names it and how much of it."""
    return segment("RQD", {number: components(rqd, number) for number in (1, 2, 3, 4, 5, 6, 10)})


def components(one: Segment, field: int) -> Field:
    """A field as they wrote it, in our marks; the first repetition."""
    raw = one.raw(field)
    if not raw:
        return None
    count = raw.count(one.marks.component) + 1 if one.marks.component else 1
    return tuple(one.value(field, number) for number in range(1, count + 1))
