"""Files of the register: one CSV file per kind of record, or JSON, with the columns the hospital's own people would expect.

Columns are named like the fields of the record; ``docs/register.md`` lists them. Numbers stay text until they are exact decimals.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from canonical.errors import Malformed
from store.authority import KINDS

Fields = dict[str, Any]

# The file's name (without its end) is the kind of record, in the plural or not.
FILES = {
    "facilities": "facility",
    "calendars": "calendar",
    "locations": "location",
    "cost_centres": "cost_centre",
    "departments": "department",
    "suppliers": "supplier",
    "items": "item",
    "packagings": "packaging",
    "supplier_items": "supplier_item",
    "contract_prices": "contract_price",
    "employees": "employee",
    "partners": "partner",
    "policies": "policy",
    "senders": "sender",
    "channels": "channel",
    "mappings": "mapping",
    "file_sources": "file_source",
    "stock_levels": "stock_level",
    "usage_policies": "usage_policy",
    "clinician_roles": "clinician_role",
    "clinician_policies": "clinician_policy",
    "verification_sources": "verification_source",
    "access_targets": "access_target",
}
_NESTED = {"packaging": "packagings", "supplier_item": "suppliers"}  # part of an item, a row each
ORDER = [*KINDS]
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")

LISTS = {
    *("roles", "cost_centres", "unverified_verbs"),
    *("applications", "facilities", "addresses", "certificates", "kinds", "devices"),
    *("after", "checks", "least", "clinical", "taxonomies", "warn_days", "approvers"),
}
BOOLEANS = {
    *("active", "bulk", "stocked_at_par", "capital", "preferred", "line_break", "allow_unknown"),
    *("clinical_role", "prescriber"),
    *("z_segments", "later_version", "tls", "enhanced", "chargeable"),
}
MONEY = {"budget", "actual", "price"}
TERMS = {"net_days", "discount_percent", "discount_days", "net_seconds", "discount_seconds"}
# Columns a file has for others (the ERP's own loading); the register takes no notice of them.
PASSED_OVER = {"supplier": {"bank_account", "street", "city", "state"}}


def kind_of(path: Path) -> str | None:
    """The kind of record a file holds, by its name; None when it is no file of the register."""
    if path.suffix not in (".csv", ".json"):
        return None
    return FILES.get(path.stem) or (path.stem if path.stem in (*KINDS, *_NESTED) else None)


def files(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder, in the order they are loaded: what others name comes first."""
    found = [(kind, path) for path in sorted(folder.iterdir()) if (kind := kind_of(path)) is not None]
    return sorted(found, key=lambda one: ORDER.index(target(one[0])))


def target(kind: str) -> str:
    """The kind of record a file's rows become part of."""
    return "item" if kind in _NESTED else kind


def read(path: Path, kind: str | None = None) -> tuple[str, list[tuple[int, Fields]]]:
    """The records of a file with the row each stands in, and the kind they are of.

    Raises:
        Malformed: the file is no CSV or JSON file of the register.
    """
    kind = kind or kind_of(path)
    if kind is None or target(kind) not in KINDS:
        raise Malformed(f"{path.name} is no file of the register (known: {', '.join(FILES)})", path=path.name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Malformed(f"{path.name} is not UTF-8 text", path=path.name) from None
    rows = _from_json(text, path.name) if path.suffix == ".json" else list(from_csv(text, kind, path.name))
    if kind == "mapping" and path.suffix == ".csv":
        return kind, tables(rows)
    return target(kind), grouped(rows, kind) if kind in _NESTED else rows


def _from_json(text: str, name: str) -> list[tuple[int, Fields]]:
    try:
        found = json.loads(text, parse_float=str)
    except ValueError as wrong:
        raise Malformed(f"{name} is not JSON: {wrong}", path=name) from None
    records = found if isinstance(found, list) else [found]
    if not all(isinstance(record, dict) for record in records):
        raise Malformed(f"{name} holds something else than records", path=name)
    return list(enumerate(records, start=1))


def from_csv(text: str, kind: str, name: str = "the file") -> Iterator[tuple[int, Fields]]:
    """The rows of a CSV file as fields of a record; the number is the row a spreadsheet shows.

    Raises:
        Malformed: no header row, a column twice, or a row longer than the header.
    """
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        if not any(header) or len(set(header)) != len(header):
            raise Malformed(f"{name} needs a header row with each column once", path=name)
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) > len(header):
                raise Malformed(
                    f"{name} row {reader.line_num} has more values than columns", path=f"row {reader.line_num}"
                )
            yield reader.line_num, fields(dict(zip(header, (value.strip() for value in values), strict=False)), kind)
    except csv.Error as wrong:
        raise Malformed(f"{name} row {reader.line_num} is not CSV: {wrong}", path=f"row {reader.line_num}") from None


def fields(row: Mapping[str, str], kind: str) -> Fields:
    """A row as fields of a record. An empty cell says nothing, except in a list, which it empties."""
    found: Fields = {}
    currency = row.get("currency") or "USD"
    for column, text in row.items():
        if column in PASSED_OVER.get(kind, ()):
            continue
        if column in LISTS:
            found[column] = _list(text)
        elif column == "packagings":
            found[column] = [_packaging(one) for one in _list(text)]
        elif text == "":
            continue
        elif column in MONEY:
            found[column] = {"amount": text, "currency": currency}
        elif kind == "supplier" and column in TERMS:
            found.setdefault("terms", {})[column] = text
        elif column == "calendar":
            found[column] = {"code": text}
        elif column == "hours":
            found[column] = [_hours(one) for one in _list(text)]
        elif column == "holidays":
            found[column] = _list(text)
        elif column != "currency" or kind in ("supplier", "facility", "policy"):
            found[column] = _truth(text) if column in BOOLEANS else text
    return found


def _truth(text: str) -> bool | str:
    """Yes or no; anything else is left for the record's own check to refuse."""
    return True if text.lower() in _YES else False if text.lower() in _NO else text


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _packaging(text: str) -> Fields:
    """``BX 100``: one box holds a hundred base units."""
    unit, _, base_units = text.partition(" ")
    return {"unit": unit, "base_units": base_units.strip()}


def _hours(text: str) -> Fields:
    """``0 08:00-17:00``: Monday from eight to five."""
    weekday, _, times = text.partition(" ")
    opens, _, closes = times.strip().partition("-")
    return {"weekday": weekday, "opens": opens, "closes": closes}


def grouped(rows: list[tuple[int, Fields]], kind: str) -> list[tuple[int, Fields]]:
    """Rows of packagings or supplier items as one record per item; an error names the item's first row."""
    items: dict[str, tuple[int, Fields]] = {}
    part = _NESTED[kind]
    for row, content in rows:
        code = content.pop("item", "")
        first, item = items.setdefault(code, (row, {"code": code, part: []}))
        item[part].append(content)
        items[code] = (first, item)
    return list(items.values())


def tables(rows: list[tuple[int, Fields]]) -> list[tuple[int, Fields]]:
    """Rows ``from`` -> ``to`` as one mapping per sender, table and day; an error names the mapping's first row.

    Raises:
        Malformed: a row without its codes, or one code twice in a mapping.
    """
    found: dict[tuple[str, ...], tuple[int, Fields]] = {}
    for row, content in rows:
        ours, theirs = content.pop("to", ""), content.pop("from", "")
        if not ours or not theirs:
            raise Malformed(f"row {row} says no code: a mapping has the columns from and to", path=f"row {row}")
        key = tuple(str(content.get(name, "")) for name in ("sender", "table", "valid_from"))
        _, mapping = found.setdefault(key, (row, content | {"rows": {}}))
        if mapping["rows"].setdefault(theirs, ours) != ours:
            raise Malformed(f"row {row} has a code of this mapping a second time", path=f"row {row}")
    return list(found.values())
