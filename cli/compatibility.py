"""Whether a newer version of a published schema still serves everyone who relies on the older one.

Two sides rely on it: a running case reads today what it wrote months ago, and a partner reads and writes by the schema it
was given. So nothing may be removed, renamed, narrowed or newly required; what is added comes with a default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

# Limits, and whether a newer value may only grow or only shrink.
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxDigits", "decimalPlaces")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_FIXED = ("format", "const", "multipleOf", "uniqueItems")
_WORDS = ("title", "description", "examples")


@dataclass(frozen=True)
class Break:
    """One way in which the newer schema fails those who rely on the older: the field's path, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path or 'document'}: {self.reason}"


def breaks(old: Schema, new: Schema) -> tuple[Break, ...]:
    """Every way in which ``new`` fails a running case or a partner that relies on ``old``; none when it may replace it."""
    return tuple(_Comparison(old, new).whole())


def _without_words(node: Any, *, names: bool = False) -> Any:
    """The schema without its words; under ``properties`` and ``$defs`` the keys are names, which all count."""
    if isinstance(node, list):
        return [_without_words(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: _without_words(value, names=not names and key in ("properties", "$defs"))
        for key, value in node.items()
        if names or key not in _WORDS
    }


class _Comparison:
    """One walk over two documents at once; each pair of definitions is compared once, so recursion ends."""

    def __init__(self, old: Schema, new: Schema, seen: frozenset[tuple[str, str]] = frozenset()) -> None:
        self._old, self._new = old, new
        self._seen = set(seen)

    def whole(self) -> Iterator[Break]:
        yield from self._compare(self._old, self._new, "")

    def _compare(self, old: Schema, new: Schema, path: str) -> Iterator[Break]:
        pair = _references(old, new)
        if pair in self._seen:
            return
        if all(pair):
            self._seen.add(pair)
        olds, news = _choices(_resolved(self._old, old)), _choices(_resolved(self._new, new))
        if len(olds) == 1 and len(news) == 1:
            yield from self._one(olds[0], news[0], path)
            return
        for choice in olds:
            yield from self._still_taken(choice, news, path)

    def _still_taken(self, choice: Schema, news: list[Schema], path: str) -> Iterator[Break]:
        """One of the newer choices must take all that this older one took; else the nearest says why not."""
        old = _resolved(self._old, choice)
        nearest: list[Break] | None = None
        for candidate in news:
            new = _resolved(self._new, candidate)
            if not _same_kind(old, new):
                continue
            pair = _references(choice, candidate)
            if pair in self._seen:
                return
            seen = frozenset(self._seen | {pair}) if all(pair) else frozenset(self._seen)
            found = list(_Comparison(self._old, self._new, seen)._one(old, new, path))
            if not found:
                return
            if nearest is None or len(found) < len(nearest):
                nearest = found
        yield from nearest or [Break(path, f"{_kind(old)} is no longer taken")]

    def _one(self, old: Schema, new: Schema, path: str) -> Iterator[Break]:
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        if not _same_kind(old, new):
            yield Break(path, f"type changed from {_kind(old)} to {_kind(new)}")
            return
        yield from _limits(old, new, path)
        yield from self._properties(old, new, path)
        yield from self._items(old, new, path)

    def _properties(self, old: Schema, new: Schema, path: str) -> Iterator[Break]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed = set(new.get("required", ()))
        needed_before = set(old.get("required", ()))
        gone = [name for name in before if name not in after]
        for name in gone:
            yield Break(_join(path, name), _why_gone(before[name], {n: s for n, s in after.items() if n not in before}))
        for name, schema in after.items():
            if name not in before:
                if name in needed:
                    yield Break(_join(path, name), "added without a default, so what was written before cannot be read")
                continue
            yield from _defaults(before[name], schema, _join(path, name), name in needed and name not in needed_before)
            yield from self._compare(before[name], schema, _join(path, name))
        yield from self._extra(old, new, path)

    def _extra(self, old: Schema, new: Schema, path: str) -> Iterator[Break]:
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if after is False and before is not False:
            yield Break(path, "fields of a later version are no longer passed over")
        elif isinstance(after, Mapping):
            if isinstance(before, Mapping):
                yield from self._compare(before, after, _join(path, "*"))
            elif before is True and "properties" not in old and old.get("type") == "object":
                yield Break(_join(path, "*"), f"narrowed to {_kind(after)}")

    def _items(self, old: Schema, new: Schema, path: str) -> Iterator[Break]:
        before, after = old.get("items"), new.get("items")
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from self._compare(before, after, _join(path, "[]"))
        elif isinstance(after, Mapping) and before is None and "prefixItems" not in old:
            yield Break(_join(path, "[]"), f"narrowed to {_kind(after)}")
        firsts, seconds = old.get("prefixItems", ()), new.get("prefixItems", ())
        if len(firsts) != len(seconds):
            yield Break(path, f"had {len(firsts)} fixed places, has {len(seconds)}")
            return
        for place, (one, other) in enumerate(zip(firsts, seconds, strict=True)):
            yield from self._compare(one, other, _join(path, str(place)))


def _limits(old: Schema, new: Schema, path: str) -> Iterator[Break]:
    for word in _UPPER:
        if word in new and (word not in old or new[word] < old[word]):
            yield Break(path, f"narrowed: {word} was {old.get(word, 'free')}, is {new[word]}")
    for word in _LOWER:
        floor = 0 if word.startswith("min") and word != "minimum" else None  # no text is shorter than nothing
        if word in new and new[word] != floor and (word not in old or new[word] > old[word]):
            yield Break(path, f"narrowed: {word} was {old.get(word, 'free')}, is {new[word]}")
    for word in _FIXED:
        if word in new and new[word] != old.get(word):
            yield Break(path, f"narrowed: {word} was {old.get(word, 'free')}, is {new[word]}")
    if new.get("pattern") not in (None, old.get("pattern")):
        yield Break(path, f"pattern changed from {old.get('pattern', 'none')} to {new['pattern']}")
    if "enum" in new:
        lost = [value for value in old.get("enum", ()) if value not in new["enum"]]
        if "enum" not in old:
            yield Break(path, f"narrowed: any value was taken, now one of {new['enum']}")
        elif lost:
            yield Break(path, f"narrowed: {', '.join(map(str, lost))} no longer taken")


def _defaults(old: Schema, new: Schema, path: str, newly_required: bool) -> Iterator[Break]:
    if newly_required:
        dropped = "default dropped" if "default" in old else "newly required"
        yield Break(path, f"{dropped}: what was written before without it cannot be read")
    elif "default" in old and "default" not in new:
        yield Break(path, "default dropped: what was left out before has no meaning now")
    elif "default" in old and not _holds(new["default"], old["default"]):
        yield Break(
            path, f"default changed from {old['default']!r} to {new['default']!r}: what was left out means another"
        )


def _holds(new: Any, old: Any) -> bool:
    """Whether a default still says all it said; a field added inside it is told by that field's own default."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return all(key in new and _holds(new[key], value) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_holds(one, other) for one, other in zip(new, old, strict=True))
    return bool(new == old)


def _references(old: Schema, new: Schema) -> tuple[str, str]:
    return str(old.get("$ref", "")), str(new.get("$ref", ""))


def _why_gone(schema: Schema, added: Mapping[str, Schema]) -> str:
    """A field that went while one just like it came was renamed; say so, since that is what the author meant."""
    alike = [name for name, other in added.items() if _without_words(schema) == _without_words(other)]
    return f"removed (renamed to {alike[0]}?)" if len(alike) == 1 else "removed"


def _resolved(document: Schema, node: Schema) -> Schema:
    """The definition a ``$ref`` points to, with what stands beside it."""
    while "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        node = {**document["$defs"][name], **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _choices(node: Schema) -> list[Schema]:
    """What may stand here: the branches of ``anyOf``/``oneOf``, each ``type`` of a list of them, or the node alone."""
    for word in ("anyOf", "oneOf"):
        if word in node:
            return list(node[word])
    if isinstance(node.get("type"), list):
        return [{**node, "type": one} for one in node["type"]]
    return [node]


def _same_kind(old: Schema, new: Schema) -> bool:
    if "type" not in new:
        return "enum" not in new or "enum" in old
    return old.get("type") == new["type"] or (old.get("type") == "integer" and new["type"] == "number")


def _kind(node: Schema) -> str:
    return str(node.get("type") or ("one of a list" if "enum" in node else "anything"))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
