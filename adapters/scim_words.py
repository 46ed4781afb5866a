"""The words of SCIM (RFC 7643, RFC 7644): what an account says of a person, and the operations that make it say so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

from canonical.access import Wanted

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
NAMES_TRIED: Final = 50  # user names, when those before are taken
CLEARED: Final = frozenset(
    {"name.middleName", "title", *(f"{ENTERPRISE}:{one}" for one in ("department", "costCenter", "organization"))}
)
"""What is taken out of an account where a person has none any more; of any other, what we do not know is not said."""

Body = Mapping[str, Any]


def attributes(wanted: Wanted) -> dict[str, str]:
    """What an account says of a person, by SCIM path; what we do not know is not said, or empty where it is to be cleared.

    Of several facilities it is the first that employs.
    """
    name, held = wanted.record.name, sorted(wanted.held, key=lambda one: (not one.employed, one.facility))
    position = held[0].position if held else None
    said = {
        "name.familyName": name.family,
        "name.givenName": name.given,
        "name.middleName": name.middle,
        "displayName": " ".join(part for part in (name.given, name.family) if part),
        "title": position.title if position else "",
        f"{ENTERPRISE}:department": (position.department or "") if position else "",
        f"{ENTERPRISE}:costCenter": (position.cost_centre or "") if position else "",
        f"{ENTERPRISE}:organization": ",".join(one.facility for one in held),
    }
    return {path: value for path, value in said.items() if value or path in CLEARED}


def nested(said: Mapping[str, str]) -> dict[str, Any]:
    """The same as a resource has it; what is empty is not there."""
    body: dict[str, Any] = {}
    for path, value in said.items():
        if not value:
            continue
        outer, inner = _parts(path)
        if inner:
            body.setdefault(outer, {})[inner] = value
        else:
            body[outer] = value
    return body


def _parts(path: str) -> tuple[str, str]:
    """``name.familyName`` and ``urn:...:User:department`` in their two parts; a plain attribute has one."""
    if path.startswith(f"{ENTERPRISE}:"):
        return ENTERPRISE, path.removeprefix(f"{ENTERPRISE}:")
    outer, _, inner = path.partition(".")
    return outer, inner


def differs(user: Body, said: Mapping[str, str]) -> dict[str, str]:
    """What of it a user does not say."""
    return {path: value for path, value in said.items() if (_at(user, path) or "") != value}


def _at(user: Body, path: str) -> Any:
    outer, inner = _parts(path)
    found = user.get(outer)
    return found.get(inner) if inner and isinstance(found, dict) else (None if inner else found)


def named_right(user: Body, wanted: Wanted) -> bool:
    """Whether the person's name stands in it."""
    names = {path: value for path, value in attributes(wanted).items() if path.startswith("name.")}
    return not differs(user, names)


def operation(path: str, value: Any) -> dict[str, Any]:
    """What is empty is removed. ``op`` in small letters, truth as JSON has it: some take no other spelling (RFC 7644 3.5.2)."""
    if value == "":
        return {"op": "remove", "path": path}
    return {"op": "replace", "path": path, "value": value}


def is_one(found: Any) -> bool:
    """Whether it is a resource: it has an id."""
    return isinstance(found, dict) and isinstance(found.get("id"), str)


def has_member(group: Body, user: str) -> bool:
    """Whether a user is among a group's members."""
    members = group.get("members")
    return isinstance(members, list) and any(isinstance(one, dict) and one.get("value") == user for one in members)


def groups_said(user: Body) -> list[tuple[str, str]]:
    """The groups a user says it is in itself (id, name); none where it says none, or one that has no name."""
    groups = user.get("groups")
    if not isinstance(groups, list) or not all(isinstance(one, dict) for one in groups):
        return []
    own = [one for one in groups if str(one.get("type", "direct")).lower() != "indirect"]
    named = [(str(one.get("value") or ""), str(one.get("display") or "")) for one in own]
    return named if all(identity and name for identity, name in named) else []


def meta(user: Body) -> Body:
    """``meta`` of a resource; empty where it has none."""
    found = user.get("meta")
    return found if isinstance(found, dict) else {}


def user_names(wanted: Wanted) -> Iterable[str]:
    """User names to try, the same each time: first letter and family name, then with numbers; where there is no name, of the key."""
    name = wanted.record.name
    plain = _plain(name.given)[:1] + _plain(name.family)
    base = plain[:20] or f"u{_plain(wanted.person)[-12:]}"
    yield base
    yield from (f"{base}{number}" for number in range(2, NAMES_TRIED + 1))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", folded)
