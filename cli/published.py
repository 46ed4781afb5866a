"""Which nouns and events we publish a schema of, under which version, and what has become of each since the last export.

A change that would break a running case or a partner is not exported under the same version: the noun's row gets the next
version, and the older file stays for those who still rely on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

import canonical
from canonical import (
    access,
    calendar,
    cases,
    catalogue,
    credentials,
    folders,
    invoicing,
    onboarding,
    parties,
    people,
    purchasing,
    senders,
    stock,
    supply,
    usage,
)
from canonical.events import EVENTS
from canonical.recall import RecallNotice, RecallWord
from cli.compatibility import Break, breaks

FOLDER = Path(canonical.__file__).parent / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"

NOUNS: tuple[tuple[str, int, type[BaseModel]], ...] = (
    ("requisition", 1, purchasing.Requisition),
    ("purchase_order", 1, purchasing.PurchaseOrder),
    ("order_change", 1, purchasing.OrderChange),
    ("order_acknowledgement", 1, purchasing.OrderAcknowledgement),
    ("functional_acknowledgement", 1, purchasing.FunctionalAcknowledgement),
    ("ship_notice", 1, purchasing.ShipNotice),
    ("receipt", 1, purchasing.Receipt),
    ("invoice", 1, invoicing.Invoice),
    ("invoice_posting", 1, invoicing.InvoicePosting),
    ("payment_order", 1, invoicing.PaymentOrder),
    ("payment", 1, invoicing.Payment),
    ("goods_return", 1, purchasing.GoodsReturn),
    ("remittance", 1, invoicing.Remittance),
    ("item", 1, supply.Item),
    ("contract_price", 1, supply.ContractPrice),
    ("facility", 2, parties.Facility),
    ("department", 1, parties.Department),
    ("location", 1, parties.Location),
    ("cost_centre", 1, parties.CostCentre),
    ("employee", 1, parties.Employee),
    ("supplier", 1, parties.Supplier),
    ("partner", 1, parties.Partner),
    ("policy", 1, parties.Policy),
    ("business_calendar", 1, calendar.BusinessCalendar),
    ("sender", 1, senders.Sender),
    ("channel", 1, senders.Channel),
    ("file_source", 1, folders.FileSource),
    ("mapping", 1, senders.Mapping),
    ("master_file", 1, catalogue.MasterFile),
    ("usage_event", 1, usage.UsageEvent),
    ("usage_policy", 1, usage.UsagePolicy),
    ("stock_level", 1, stock.StockLevel),
    ("stock_count", 1, stock.StockCount),
    ("recall_notice", 1, RecallNotice),
    ("recall_word", 1, RecallWord),
    ("hr_event", 1, people.HrEvent),
    ("person_word", 1, onboarding.PersonWord),
    ("clinician_role", 1, credentials.ClinicianRole),
    ("clinician_policy", 1, credentials.ClinicianPolicy),
    ("verification_source", 1, credentials.VerificationSource),
    ("access_target", 1, access.AccessTarget),
    ("decision", 1, cases.Decision),
    ("answer", 1, cases.Answer),
    ("case_change", 1, cases.CaseChange),
    ("case_status", 1, cases.CaseStatus),
    ("business_event", 1, cases.BusinessEvent),
)


class ExactNumbers(GenerateJsonSchema):
    """Decimals as we read them: in text, or a whole number; never a binary fraction."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        limits = {
            word: int(schema[key])  # type: ignore[literal-required]
            for word, key in (
                ("minimum", "ge"),
                ("exclusiveMinimum", "gt"),
                ("maximum", "le"),
                ("exclusiveMaximum", "lt"),
            )
            if key in schema
        }
        exact = {
            word: schema[key]  # type: ignore[literal-required]
            for word, key in (("maxDigits", "max_digits"), ("decimalPlaces", "decimal_places"))
            if key in schema
        }
        return {"anyOf": [{"type": "integer", **limits}, {"type": "string", "format": "decimal", **limits, **exact}]}


@dataclass(frozen=True)
class Published:
    """One schema we publish: its name (``purchase_order``, ``order.issued``), version and content as of now."""

    name: str
    version: int
    content: dict[str, Any]

    @property
    def file(self) -> str:
        return f"{self.name}.v{self.version}.json"

    def text(self) -> str:
        """The bytes of its file: the same content is the same text."""
        return json.dumps(self.content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model as its readers see it: what may be left out, and what it then means."""
    return model.model_json_schema(mode="validation", schema_generator=ExactNumbers)


def published() -> tuple[Published, ...]:
    """Every noun and event of today's code."""
    rows = [(name, version, model) for name, version, model in NOUNS]
    for event, data in EVENTS.items():
        name, _, version = event.rpartition(".v")
        rows.append((name, int(version), data))
    return tuple(
        Published(name, version, {"$schema": DRAFT, "$id": f"urn:fascia:{name}:v{version}", **schema_of(model)})
        for name, version, model in rows
    )


@dataclass(frozen=True)
class Finding:
    """What became of one schema since it was committed: ``same``, ``new``, ``grown``, ``broken`` or ``gone``."""

    file: str
    state: str
    breaks: tuple[Break, ...] = ()


def compare(folder: Path, schemas: Iterable[Published]) -> tuple[Finding, ...]:
    """Today's schemas against the committed ones. A committed one nobody publishes any more is ``gone``: also a break."""
    schemas = tuple(schemas)
    findings = [_found(folder / one.file, one) for one in schemas]
    names = {one.name: one.version for one in schemas}
    for path in sorted(folder.glob("*.json")):
        name, _, version = path.stem.rpartition(".v")
        if names.get(name, -1) < int(version):
            findings.append(Finding(path.name, "gone", (Break("", "no longer published"),)))
    return tuple(findings)


def _found(path: Path, now: Published) -> Finding:
    if not path.is_file():
        return Finding(now.file, "new")
    text = path.read_text(encoding="utf-8")
    if text == now.text():
        return Finding(now.file, "same")
    broken = breaks(json.loads(text), now.content)
    return Finding(now.file, "broken" if broken else "grown", broken)
