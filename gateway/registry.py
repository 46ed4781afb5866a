"""Which feed reads which kind of message, and whose messages are read by a feed of their own.

A row here, a file in ``gateway/feeds`` and a sample are all a new kind of message needs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from canonical.base import Canonical, in_words
from canonical.catalogue import MasterFile
from canonical.errors import Malformed
from canonical.invoicing import Invoice
from canonical.parties import Partner
from canonical.purchasing import FunctionalAcknowledgement, OrderAcknowledgement, ShipNotice
from canonical.senders import Mappings, Sender
from formats.fhir import Resource
from formats.hl7 import Message
from formats.x12 import Document, Interchange
from gateway.csv_rows import CsvFeed
from gateway.feeds import (
    csv_catalogue,
    csv_counts,
    csv_people,
    csv_requisitions,
    csv_usage,
    fhir_device_usage,
    fhir_supply_delivery,
    fhir_supply_request,
    fhir_transaction,
    hl7_dft_p03,
    hl7_inu_u05,
    hl7_mfn_m02,
    hl7_mfn_m05,
    hl7_mfn_m16,
    hl7_omn_o07,
    hl7_oms_o05,
    hl7_pmu_b01,
    hl7_pmu_b07,
    hl7_rds_o13,
    rest_counts,
    rest_people,
    rest_scim,
    rest_usage,
    x12_810,
    x12_832,
    x12_855,
    x12_856,
    x12_865,
    x12_997,
    x12_ta1,
)

Noun = OrderAcknowledgement | FunctionalAcknowledgement | ShipNotice | Invoice | MasterFile
Feed = Callable[[Document, str], tuple[Noun, ...]]

FEEDS: dict[tuple[str, str], Feed] = {
    ("x12", "855"): x12_855.read,
    ("x12", "856"): x12_856.read,
    ("x12", "810"): x12_810.read,
    ("x12", "865"): x12_865.read,
    ("x12", "997"): x12_997.read,
    ("x12", "832"): x12_832.read,
    ("x12", "TA1"): x12_ta1.read,
}

# The X12 documents we take in; any other is refused by its 997, so its sender does not wait for us.
X12_KINDS = frozenset(kind for dialect, kind in FEEDS if dialect == "x12" and kind != "TA1")

# A sender that breaks its standard gets a feed of its own: (dialect, kind, partner) -> feed.
OVERRIDES: dict[tuple[str, str, str], Feed] = {}

# What reads an HL7 message: its text, whose it is, and what that sender's own codes mean.
Hl7Feed = Callable[[Message, Sender, Mappings], tuple[Canonical, ...]]
HL7_FEEDS: dict[tuple[str, str], Hl7Feed] = {
    ("hl7", "OMS^O05"): hl7_oms_o05.read,
    ("hl7", "OMN^O07"): hl7_omn_o07.read,
    ("hl7", "MFN^M02"): hl7_mfn_m02.read,
    ("hl7", "MFN^M05"): hl7_mfn_m05.read,
    ("hl7", "MFN^M16"): hl7_mfn_m16.read,
    ("hl7", "DFT^P03"): hl7_dft_p03.read,
    ("hl7", "RDS^O13"): hl7_rds_o13.read,
    ("hl7", "RDS^O01"): hl7_rds_o13.read,
    ("hl7", "INU^U05"): hl7_inu_u05.read,
    ("hl7", "PMU^B01"): hl7_pmu_b01.read,
    ("hl7", "PMU^B02"): hl7_pmu_b01.read,
    ("hl7", "PMU^B03"): hl7_pmu_b01.read,
    ("hl7", "PMU^B04"): hl7_pmu_b01.read,
    ("hl7", "PMU^B05"): hl7_pmu_b01.read,
    ("hl7", "PMU^B06"): hl7_pmu_b01.read,
    ("hl7", "PMU^B07"): hl7_pmu_b07.read,
    ("hl7", "PMU^B08"): hl7_pmu_b07.read,
}
HL7_OVERRIDES: dict[tuple[str, str, str], Hl7Feed] = {}

# Which HL7 messages may end somebody's access now, and what looks whether one does: of these alone its door looks before keeping.
EndsAtOnce = Callable[[Message, Sender, Mappings], bool]
HL7_ENDINGS: dict[tuple[str, str], EndsAtOnce] = {
    ("hl7", "MFN^M02"): hl7_mfn_m02.ends_at_once,
    ("hl7", "PMU^B05"): hl7_pmu_b01.ends_at_once,
    ("hl7", "PMU^B06"): hl7_pmu_b01.ends_at_once,
}

# What reads a FHIR resource; its kind is the release and the type, as in its address.
FhirFeed = Callable[[Resource, Sender, Mappings], tuple[Canonical, ...]]
FHIR_FEEDS: dict[tuple[str, str], FhirFeed] = {
    ("fhir", "r4b/Bundle"): fhir_transaction.read,
    ("fhir", "r4b/DeviceUseStatement"): fhir_device_usage.read,
    ("fhir", "r4b/SupplyDelivery"): fhir_supply_delivery.read,
    ("fhir", "r4b/SupplyRequest"): fhir_supply_request.read,
    ("fhir", "r5/Bundle"): fhir_transaction.read,
    ("fhir", "r5/DeviceUsage"): fhir_device_usage.read,
    ("fhir", "r5/SupplyDelivery"): fhir_supply_delivery.read,
    ("fhir", "r5/SupplyRequest"): fhir_supply_request.read,
}
FHIR_OVERRIDES: dict[tuple[str, str, str], FhirFeed] = {}

# What reads a report that came by REST as JSON: its bytes, its sender's number of it, when it came, whose it is.
RestFeed = Callable[[bytes, str, datetime, Sender, Mappings], tuple[Canonical, ...]]
REST_FEEDS: dict[tuple[str, str], RestFeed] = {
    ("rest", "stock_count"): rest_counts.read,
    ("rest", "usage"): rest_usage.read,
    ("rest", "hr_event"): rest_people.read,
    ("rest", "scim_user"): rest_scim.read,
}
REST_OVERRIDES: dict[tuple[str, str, str], RestFeed] = {}

# What reads a CSV file, by what it is named at our doors. A sender whose files break it gets a feed of its own.
CSV_FEEDS: dict[tuple[str, str], CsvFeed] = {
    ("csv", "catalogue"): CsvFeed(
        "csv_catalogue", csv_catalogue.COLUMNS, csv_catalogue.REQUIRED, csv_catalogue.TOTAL, csv_catalogue.read
    ),
    ("csv", "requisitions"): CsvFeed(
        "csv_requisitions",
        csv_requisitions.COLUMNS,
        csv_requisitions.REQUIRED,
        csv_requisitions.TOTAL,
        csv_requisitions.read,
        group=csv_requisitions.GROUP,
    ),
    ("csv", "usage"): CsvFeed("csv_usage", csv_usage.COLUMNS, csv_usage.REQUIRED, csv_usage.TOTAL, csv_usage.read),
    ("csv", "people"): CsvFeed(
        "csv_people", csv_people.COLUMNS, csv_people.REQUIRED, csv_people.TOTAL, csv_people.read
    ),
    ("csv", "counts"): CsvFeed(
        "csv_counts",
        csv_counts.COLUMNS,
        csv_counts.REQUIRED,
        csv_counts.TOTAL,
        csv_counts.read,
        group=csv_counts.GROUP,
    ),
}
CSV_OVERRIDES: dict[tuple[str, str, str], CsvFeed] = {}
CSV_KINDS: dict[str, str] = {feed.kind: name for (_, name), feed in CSV_FEEDS.items()}
CSV_PARTS: dict[str, str] = {feed.parts_kind: name for (_, name), feed in CSV_FEEDS.items()}


def csv_feed(name: str, sender: str = "") -> CsvFeed | None:
    """The feed of a kind of CSV file (``catalogue``) from a sender, None where nobody reads it."""
    return CSV_OVERRIDES.get(("csv", name, sender)) or CSV_FEEDS.get(("csv", name))


def hl7_feed(kind: str, sender: str = "") -> Hl7Feed | None:
    """The feed for a kind of HL7 message (``OMS^O05``) from a sender, None where nobody reads it."""
    return HL7_OVERRIDES.get(("hl7", kind, sender)) or HL7_FEEDS.get(("hl7", kind))


def hl7_ends_at_once(kind: str, message: Message | None, sender: Sender, mappings: Callable[[], Mappings]) -> bool:
    """Whether a message that was cut says that somebody's access ends now. What cannot be read there says nothing: who reads
    the message tells what is wrong with it."""
    look = HL7_ENDINGS.get(("hl7", kind))
    if look is None or message is None:
        return False
    try:
        return look(message, sender, mappings())
    except Malformed:
        return False


def fhir_feed(kind: str, sender: str = "") -> FhirFeed | None:
    """The feed for a kind of FHIR resource (``r5/SupplyRequest``) from a sender, None where nobody reads it."""
    return FHIR_OVERRIDES.get(("fhir", kind, sender)) or FHIR_FEEDS.get(("fhir", kind))


def rest_feed(kind: str, sender: str = "") -> RestFeed | None:
    """The feed for a kind of report in JSON (``usage``) from a sender, None where nobody reads it."""
    return REST_OVERRIDES.get(("rest", kind, sender)) or REST_FEEDS.get(("rest", kind))


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
        raise _no_place(wrong) from None


def read_hl7(feed: Hl7Feed, message: Message, sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
    """What a checked message says, in our language.

    Raises:
        Malformed: a value in it has no place in our language; with its path.
    """
    try:
        return feed(message, sender, mappings)
    except ValidationError as wrong:
        raise _no_place(wrong) from None


def read_fhir(feed: FhirFeed, resource: Resource, sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
    """What a checked resource says, in our language.

    Raises:
        Malformed: a value in it has no place in our language; with its path.
    """
    try:
        return feed(resource, sender, mappings)
    except ValidationError as wrong:
        raise _no_place(wrong) from None


def read_rest(
    feed: RestFeed, data: bytes, number: str, at: datetime, sender: Sender, mappings: Mappings
) -> tuple[Canonical, ...]:
    """What a report says, in our language.

    Raises:
        Malformed: a value in it has no place in our language; with its path.
    """
    try:
        return feed(data, number, at, sender, mappings)
    except ValidationError as wrong:
        raise _no_place(wrong) from None


def _no_place(wrong: ValidationError) -> Malformed:
    problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
    path = ".".join(str(part) for part in (wrong.title, *problem["loc"]))
    return Malformed(f"{path}: {in_words(problem['msg'])}", path=path, code="data-invalid")


def read_x12_ta1(interchange: Interchange, partner: Partner) -> tuple[FunctionalAcknowledgement, ...]:
    """What the TA1 segments of an interchange say of our own interchanges."""
    found: list[FunctionalAcknowledgement] = []
    for segment in interchange.answers:
        feed = feed_for("x12", "TA1", partner.code) or x12_ta1.read
        nouns = feed(Document(segment), partner.supplier or partner.code)
        found += [noun for noun in nouns if isinstance(noun, FunctionalAcknowledgement)]
    return tuple(found)
