"""A message as the journal's rows hold it, and as everyone else sees it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import RowMapping

from canonical.base import maker
from canonical.messages import APART, Kept, NewMessage
from store.ids import IdsInOrder, new_id
from store.packing import pack, unpack
from store.tables import fit, messages

LONGEST_KEY: Final = 500
SLOTS: Final = 256  # of streams; a router takes the slots of its shard (store/shards.py)
GONE: Final = "its bytes were deleted when their time was over"
KEPT: Final = [column for column in messages.c if column.name not in ("conflicts_with", "slot", "parked")]

_ids = IdsInOrder()


def short_key(key: str) -> str:
    """A key an index can hold: one that is too long keeps its beginning and a hash of all of it."""
    data = key.encode("utf-8", "replace")
    return key if len(data) <= LONGEST_KEY else f"{key[:100]}#{hashlib.sha256(data).hexdigest()}"


def slot_of(stream: str) -> int:
    """The slot of a stream, the same in every process and for ever."""
    return zlib.crc32(stream.encode("utf-8", "replace")) % SLOTS


def first_state(direction: str) -> str:
    """What comes in starts as received, what goes out as validated (we made it)."""
    return "received" if direction == "in" else "validated"


def conflict_with(first: str) -> str:
    """Why a message is kept apart."""
    return f"{APART}{first} has this number with other content"


def row_of(message: NewMessage) -> dict[str, Any]:
    """A new message as a row: with its id and moment, which come after those of every row made here before."""
    identity, at = (new_id(message.at), message.at) if message.at is not None else _ids.next()
    packing, payload = pack(message.data)
    stream = short_key(fit(message.stream))
    return {
        "id": identity,
        "at": at,
        "direction": message.direction,
        "door": fit(message.door),
        "partner": fit(message.partner),
        "sender": fit(message.sender),
        "kind": fit(message.kind),
        "control_number": fit(message.control_number),
        "case": fit(message.case),
        "trace": fit(message.trace),
        "stream": stream,
        "channel": fit(message.channel),
        "key": fit(short_key(message.key)),
        "hash": hashlib.sha256(message.data).hexdigest(),
        "size": len(message.data),
        "state": "refused" if message.refused else first_state(message.direction),
        "reason": fit(message.refused),
        "conflicts_with": "",
        "priority": message.priority,
        "occurred": message.occurred,
        "version_of": message.version_of,
        "replay_of": message.replay_of,
        "note": fit(message.note),
        "slot": slot_of(stream),
        "packing": packing,
        "payload": payload,
        "until": at + message.remember if message.remember is not None else None,
    }


def kept(row: RowMapping | Mapping[str, Any]) -> Kept:
    """A row as a message, with the bytes that came."""
    values = dict(zip(_READ, _read(row), strict=True))
    values["data"] = unpack(row["packing"], row["payload"])
    return _make(values)


def kept_rows(rows: Iterable[Sequence[Any]]) -> list[Kept]:
    """Rows of the columns of :data:`KEPT`, in their order, as messages: what :func:`kept` makes of each, for many."""
    found = []
    for row in rows:
        values = dict(zip(_COLUMNS, row, strict=True))
        values["data"] = unpack(values.pop("packing"), values.pop("payload"))
        found.append(_make(values))
    return found


def kept_new(row: Mapping[str, Any], data: bytes) -> Kept:
    """A row that was just written as a message: nothing has to be read back."""
    values = dict(zip(_NEW, _written(row), strict=True))
    values["data"] = data
    return _make(values)


def without_bytes(direction: str, key: str, first: Mapping[str, Any]) -> Kept:
    """What is left of a message whose key is remembered longer than its bytes."""
    identity, at = str(first["message"]), first["at"]
    return Kept(
        id=identity, direction=direction, door="", key=key, hash=first["hash"], at=at, state="routed", reason=GONE
    )


_FIELDS: Final = frozenset(Kept.model_fields) - {"data"}
_READ: Final = tuple(column.name for column in KEPT if column.name in _FIELDS)
_COLUMNS: Final = tuple(column.name for column in KEPT)
_NEW: Final = tuple(name for name in _READ if name not in ("duplicate_of", "answer", "owner"))  # as a new row has them
_read, _written = itemgetter(*_READ), itemgetter(*_NEW)
_make: Final = maker(Kept)  # our own rows: checked when they were written
