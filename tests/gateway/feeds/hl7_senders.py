"""A ward's system as the register knows it, and small orders it sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical.senders import Mappings, Sender
from formats import hl7
from gateway.registry import hl7_feed, read_hl7
from tests.formats.hl7_files import message

WARD = Sender(
    code="WARD",
    facility="NGH",
    applications=("WARD",),
    addresses=("10.1.0.0/16",),
    source="ward-desk",
    department="surgery",
    cost_centre="CC-4100",
    deliver_to="NGH-W3",
    requester="E-1001",
    reply_channel="WARD-REPLIES",
)
LINE = "RQD|1|||ITM-1001^Gloves^NGH|4|BX^Box^L"


def order(*segments: str) -> bytes:
    """An OMS^O05 of these segments."""
    return message(*segments)


def nouns(data: bytes, tables: Mapping[str, dict[str, str]] | None = None, *, sender: Sender = WARD) -> tuple[Any, ...]:
    """What a message says, read as its sender's tables have it."""
    cut = hl7.read(data)
    feed = hl7_feed(f"{cut.header.type}^{cut.header.event}", sender.code)
    assert feed is not None
    return read_hl7(feed, cut, sender, Mappings(tables or {}))
