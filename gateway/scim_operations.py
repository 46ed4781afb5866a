"""What an HR system does to a SCIM user (RFC 7644 sections 3.5 and 3.6), as the user it says: put, patched or deleted.

An operation is kept in the form of a bulk request of one (section 3.7), since method and address say as much as the body; the body
stands in it as it came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from canonical.errors import Malformed
from canonical.people import HrKind

BULK: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
LISTS: Final = ("emails", "phoneNumbers")
# emails[type eq "work"].value: of several the one that counts; which one an HR system filters by makes no difference to us.
FILTERED: Final = re.compile(r"(\w+)(\[[^\]]*\])?(?:\.(\w+))?")
CORE: Final = frozenset(
    {
        *("schemas", "id", "externalId", "meta", "userName", "name", "displayName", "nickName", "profileUrl", "title"),
        *("userType", "preferredLanguage", "locale", "timezone", "active", "password", "emails", "phoneNumbers", "ims"),
        *("photos", "addresses", "groups", "entitlements", "roles", "x509Certificates"),
    }
)
"""The attributes of a user (RFC 7643 section 4.1). Any other is misspelt: passed over, its change would be lost unheard."""
NAME: Final = frozenset({"formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"})
MOST: Final = 100  # operations of one patch
_BODY, _CLOSED = b',"data":', b"}]}"
_OPENED: Final = f'{{"schemas":["{BULK}"],"Operations":[{{"method":'.encode()


def kept_form(method: str, person: str, body: bytes) -> bytes:
    """An operation as it is kept: method and address before the body, which is as it came, readable or not."""
    about = f"{json.dumps(method)},{json.dumps('path')}:{json.dumps(f'/Users/{person}')}".encode()
    return _OPENED + about + (_BODY + body if body else b"") + _CLOSED


def operation_of(data: bytes) -> tuple[dict[str, Any], HrKind | None] | None:
    """The user that a kept operation says, and what it is of an event where its method tells; None: it is a plain user.

    Raises:
        Malformed: what was sent is no such operation; with its path.
    """
    if not data.startswith(_OPENED):
        return None
    # Our own words first, the body apart from them: whatever stands in it changes neither method nor address.
    about, _, body = data.removesuffix(_CLOSED).partition(_BODY)
    try:
        (operation,) = json.loads(about + _CLOSED)["Operations"]
        said = json.loads(body) if body else None
    except (ValueError, RecursionError):
        raise Malformed("the body is no JSON", path="", code="data-invalid") from None
    person = str(operation["path"]).removeprefix("/Users/")
    if operation["method"] == "DELETE":
        return {"schemas": [USER], "externalId": person}, "delete"
    if not isinstance(said, dict):
        raise Malformed("a JSON object stands here", path="document", code="data-invalid")
    if operation["method"] == "PATCH":
        user, kind = _patched(said)
    else:
        user, kind = dict(said), None if said.get("active", True) is False else "update"
    named = [str(user[name]) for name in ("externalId", "id") if user.get(name)]
    if named and person not in named:
        raise Malformed("externalId: another person than the address names", path="externalId", code="data-invalid")
    return user | {"externalId": person}, kind


def _patched(said: Mapping[str, Any]) -> tuple[dict[str, Any], HrKind | None]:
    """What the values that were added or replaced come to, as a user that says nothing else."""
    if PATCH not in said.get("schemas", ()):
        raise Malformed(f"schemas: {PATCH} stands here", path="schemas", code="data-invalid")
    operations = said.get("Operations", said.get("operations"))
    if not isinstance(operations, list) or not 0 < len(operations) <= MOST:
        raise Malformed(f"Operations: 1 to {MOST} stand here", path="Operations", code="data-invalid")
    user: dict[str, Any] = {"schemas": [USER]}
    for number, one in enumerate(operations):
        place = f"Operations.{number}"
        if not isinstance(one, dict) or str(one.get("op", "")).lower() not in ("add", "replace", "remove"):
            raise Malformed(f"{place}.op: add, replace or remove", path=f"{place}.op", code="data-invalid")
        if str(one["op"]).lower() == "remove":
            detail = f"{place}.op: what HR has said is not unsaid: replace it, or say an event"
            raise Malformed(detail, path=f"{place}.op", code="mutability")
        path, value = one.get("path"), one.get("value")
        if path:
            _put(user, str(path), value, f"{place}.path")
        elif isinstance(value, dict):
            for name, part in value.items():
                _put(user, str(name), part, f"{place}.value", of_core=False)  # passed over as in a whole user
        else:
            raise Malformed(f"{place}.value: an object, or a path", path=f"{place}.value", code="data-invalid")
    active = user.get("active")
    return user, "activate" if active is True else None if active is False else "update"


def _put(user: dict[str, Any], path: str, value: Any, place: str, *, of_core: bool = True) -> None:
    """Let a value stand where its path points; not ``of_core``: in an extension.

    Raises:
        Malformed: it points nowhere we can read; the path is not repeated.
    """
    urn, _, rest = path.rpartition(":")
    if path.startswith("urn:") and path != USER:
        if isinstance(value, dict):  # the whole extension under its name
            user[path] = user.get(path, {}) | value
            return
        if urn != USER:
            _put(user.setdefault(urn, {}), rest, value, place, of_core=False)
            return
        path = rest
    found = FILTERED.fullmatch(path)
    if found is None:
        raise Malformed(f"{place}: no such path", path=place, code="invalid-path")
    name, _, part = found.groups()
    if of_core and (name not in CORE or (name == "name" and part is not None and part not in NAME)):
        raise Malformed(f"{place}: a user has no such attribute", path=place, code="invalid-path")
    if name == "active" and isinstance(value, str) and value.lower() in ("true", "false"):
        value = value.lower() == "true"  # so say some providers
    if name in LISTS:
        user[name] = value if isinstance(value, list) else [{"value": value, "primary": True}]
    elif part:
        held = user.get(name)
        user[name] = (held if isinstance(held, dict) else {}) | {part: value}
    elif isinstance(value, dict) and isinstance(user.get(name), dict):
        user[name] = user[name] | value
    else:
        user[name] = value
