"""Recall notices as files: the FDA's device enforcement reports (openFDA), and our own JSON for a manufacturer's letter.

openFDA device enforcement: https://open.fda.gov/apis/device/enforcement/searchable-fields/ (one report, a list of them, or the
whole answer with its ``results``). Dates are YYYYMMDD, classes ``Class I``, what is recalled free text (:mod:`formats.recall_codes`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from pydantic import ValidationError

from canonical.base import BOM, read_strictly
from canonical.errors import Malformed
from canonical.recall import RecallNotice
from formats import recall_codes

CLASSES: Final = {"class i": "I", "class ii": "II", "class iii": "III", "not yet classified": "", "": ""}
STATUSES: Final = {"ongoing": "ongoing", "completed": "completed", "terminated": "terminated", "pending": "ongoing"}
MOST: Final = 100_000  # notices of one file; the whole of openFDA's device enforcement is half of it
LONGEST: Final = 2000


def read(data: bytes) -> list[RecallNotice]:
    """The notices of a file, in its order: openFDA's or our own.

    Raises:
        Malformed: truncated, no JSON, or a notice without what it needs, with the path of it (``results.3.recall_number``);
            nothing of such a file is taken.
    """
    document = _json(data)
    results, path = _results(document)
    if not results:
        raise Malformed("the file holds no notice", path=path or "document", code="data-invalid")
    if len(results) > MOST:
        raise Malformed(f"{len(results)} notices: {MOST} at most in one file", path=path, code="too-large")
    notices = [_notice(one, f"{path}.{place}" if path else "") for place, one in enumerate(results)]
    numbers: dict[str, RecallNotice] = {}
    for place, notice in enumerate(notices):
        if numbers.setdefault(notice.number, notice) != notice:
            where = f"{path}.{place}.recall_number"
            raise Malformed(f"{where}: number {notice.number} is given twice", path=where, code="data-invalid")
    _whole(document, len(results))
    return list(numbers.values())


def _json(data: bytes) -> Any:
    try:
        return json.loads(data.removeprefix(BOM).decode("utf-8"), parse_float=str)
    except UnicodeDecodeError as wrong:
        where = f"byte {wrong.start}"
        raise Malformed(f"{where}: the file is not UTF-8", path=where, code="parse") from None
    except json.JSONDecodeError as wrong:
        where = f"line {wrong.lineno} column {wrong.colno}"
        what = "the file ends in the middle" if wrong.pos >= len(wrong.doc.rstrip()) else "this is no JSON"
        raise Malformed(f"{where}: {what}", path=where, code="parse") from None
    except RecursionError:
        raise Malformed("document: too deep to be a notice", path="document", code="parse") from None


def _results(document: Any) -> tuple[Sequence[Any], str]:
    if isinstance(document, list):
        return document, "results"
    if not isinstance(document, dict):
        raise Malformed("document: neither a notice nor a list of them", path="document", code="data-invalid")
    if "results" not in document:
        if "error" in document:
            raise Malformed("error: openFDA refused the question this answers", path="error", code="data-invalid")
        return [document], ""
    results = document["results"]
    if not isinstance(results, list):
        raise Malformed("results: not a list", path="results", code="data-invalid")
    return results, "results"


def _whole(document: Any, found: int) -> None:
    """openFDA says how many it gives: fewer were cut off on the way."""
    meta = document.get("meta") if isinstance(document, dict) else None
    said = meta.get("results") if isinstance(meta, dict) else None
    if not isinstance(said, dict):
        return
    skip, limit, total = (said.get(name) for name in ("skip", "limit", "total"))
    if isinstance(skip, int) and isinstance(limit, int) and isinstance(total, int):
        expected = min(limit, max(total - skip, 0))
        if found < expected:
            why = f"results: {found} of the {expected} notices it says it has"
            raise Malformed(why, path="results", code="data-invalid")


def _notice(one: Any, path: str) -> RecallNotice:
    if not isinstance(one, dict):
        raise Malformed(f"{path or 'document'}: not a notice", path=path or "document", code="data-invalid")
    if "recall_number" in one:
        return _of_openfda(one, path)
    try:
        return read_strictly(RecallNotice, json.dumps(one))
    except Malformed as wrong:
        where = f"{path}.{wrong.path}".strip(".")
        raise Malformed(f"{path}.{wrong.message}".strip("."), path=where, code=wrong.code, also=wrong.also) from None


def _of_openfda(report: dict[str, Any], path: str) -> RecallNotice:
    codes_as_written = _text(report, "code_info", path)
    codes = recall_codes.read(codes_as_written)
    uncertain = list(codes.uncertain)
    if not codes.scopes and not uncertain:
        uncertain = ["the notice names no lots or serials"]
    values = {
        "number": _text(report, "recall_number", path, needed=True),
        "classification": _one_of(report, "classification", path, CLASSES),
        "status": _one_of(report, "status", path, STATUSES),
        "firm": _text(report, "recalling_firm", path)[:LONGEST],
        "product": _text(report, "product_description", path, needed=True)[:LONGEST],
        "reason": _text(report, "reason_for_recall", path)[:LONGEST],
        "initiated": _day(report, "recall_initiation_date", path),
        "event": _text(report, "event_id", path),
        "distribution": _text(report, "distribution_pattern", path)[:LONGEST],
        "source": "openfda",
        "codes": codes_as_written,
        "uncertain": tuple(uncertain),
        "scopes": tuple(codes.scopes),
    }
    try:
        return RecallNotice.model_validate(values)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        where = ".".join([path, *(str(part) for part in first["loc"])]).strip(".")
        raise Malformed(f"{where}: {first['msg']}", path=where, code="data-invalid") from None


def _text(report: dict[str, Any], name: str, path: str, *, needed: bool = False) -> str:
    where = f"{path}.{name}".strip(".")
    value = report.get(name, "")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise Malformed(f"{where}: not a text", path=where, code="data-invalid")
    if needed and not value.strip():
        raise Malformed(f"{where}: missing", path=where, code="data-missing")
    return value.strip()


def _one_of(report: dict[str, Any], name: str, path: str, known: dict[str, str]) -> str:
    said = _text(report, name, path)
    found = known.get(" ".join(said.lower().split()))
    if found is None:
        where = f"{path}.{name}".strip(".")
        raise Malformed(f"{where}: none of {', '.join(filter(None, known))}", path=where, code="unknown-code")
    return found


def _day(report: dict[str, Any], name: str, path: str) -> date | None:
    said = _text(report, name, path)
    if not said:
        return None
    try:
        if not re.fullmatch(r"[0-9]{8}", said):
            raise ValueError
        return date.fromisoformat(said)
    except ValueError:
        where = f"{path}.{name}".strip(".")
        raise Malformed(f"{where}: not a day written YYYYMMDD", path=where, code="data-invalid") from None
