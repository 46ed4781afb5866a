"""Which feed reads which kind of message, and whose messages are read by a feed of their own.

A row here, a file in ``gateway/feeds`` and a sample are all a new kind of message needs.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from canonical.errors import Malformed
from canonical.invoicing import Invoice
from canonical.parties import Partner
from canonical.purchasing import FunctionalAcknowledgement, OrderAcknowledgement, ShipNotice
from formats.x12 import Document, Interchange
from gateway.feeds import x12_810, x12_855, x12_856, x12_865, x12_997, x12_ta1

Noun = OrderAcknowledgement | FunctionalAcknowledgement | ShipNotice | Invoice
Feed = Callable[[Document, str], tuple[Noun, ...]]

FEEDS: dict[tuple[str, str], Feed] = {
    ("x12", "855"): x12_855.read,
    ("x12", "856"): x12_856.read,
    ("x12", "810"): x12_810.read,
    ("x12", "865"): x12_865.read,
    ("x12", "997"): x12_997.read,
    ("x12", "TA1"): x12_ta1.read,
}

# The X12 documents we take in; any other is refused by its 997, so its sender does not wait for us.
X12_KINDS = frozenset(kind for dialect, kind in FEEDS if dialect == "x12" and kind != "TA1")

# A sender that breaks its standard gets a feed of its own: (dialect, kind, partner) -> feed.
OVERRIDES: dict[tuple[str, str, str], Feed] = {}


def feed_for(dialect: str, kind: str, partner: str = "") -> Feed | None:
    """The feed for a kind of message from a partner, None where nobody reads it."""
    return OVERRIDES.get((dialect, kind, partner)) or FEEDS.get((dialect, kind))


def read_x12(interchange: Interchange, document: Document, partner: Partner) -> tuple[Noun, ...]:
    """What an accepted document says, in our language.

    Raises:
        Malformed: nobody reads this kind, or a value in it has no place in our language; with its path.
    """
    kind = document.code or document.header.name
    feed = feed_for("x12", kind, partner.code)
    if feed is None:
        raise Malformed(f"Nobody reads a {kind} here", path="ST01", code="unknown-code")
    try:
        return feed(document, partner.supplier or partner.code)
    except ValidationError as wrong:
        problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
        path = ".".join(str(part) for part in (wrong.title, *problem["loc"]))
        raise Malformed(f"{path}: {problem['msg']}", path=path, code="data-invalid") from None


def read_x12_ta1(interchange: Interchange, partner: Partner) -> tuple[FunctionalAcknowledgement, ...]:
    """What the TA1 segments of an interchange say of our own interchanges."""
    found: list[FunctionalAcknowledgement] = []
    for segment in interchange.answers:
        feed = feed_for("x12", "TA1", partner.code) or x12_ta1.read
        nouns = feed(Document(segment), partner.supplier or partner.code)
        found += [noun for noun in nouns if isinstance(noun, FunctionalAcknowledgement)]
    return tuple(found)
