"""What our doors vouch for when they give a case a document: a seal no one can make who only reaches Temporal.

The seal is over the JSON as it is sent and not over our reading of it: a worker of an earlier version, which passes over a
field added since, still finds it whole.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from canonical.steps import SupplierDocument


def sealed_document(document: SupplierDocument, case: str, key: bytes) -> SupplierDocument:
    """The same document with our seal on it, for this case and no other."""
    seal = _seal(json.loads(document.model_dump_json(exclude={"seal"})), case, key)
    return document.model_copy(update={"seal": seal})


def document_seal_is_valid(data: bytes, case: str, key: bytes) -> bool:
    """Whether one of us sealed exactly this document (``data``: the JSON as it was sent) for exactly this case."""
    try:
        content = json.loads(data)
    except ValueError:
        return False
    given = content.pop("seal", "") if isinstance(content, dict) else ""
    if not isinstance(given, str) or not given:
        return False
    return hmac.compare_digest(given.encode("utf-8", "replace"), _seal(content, case, key).encode())


def _seal(content: dict[str, Any], case: str, key: bytes) -> str:
    """HMAC-SHA256 over the case, the document's key and the hash of its content."""
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
    what = ["document", case, content.get("key"), hashlib.sha256(plain.encode()).hexdigest()]
    return hmac.new(key, json.dumps(what, separators=(",", ":")).encode(), hashlib.sha256).hexdigest()
