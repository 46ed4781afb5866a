"""What would become of a kept message if it were routed once more today, and what became of those that were: in words people use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, Field

from canonical.base import Canonical, Money, Quantity
from canonical.cases import Actor

NEW: Final = "new effect"
DONE: Final = "already done"
CONFLICT: Final = "would conflict"
UNREADABLE: Final = "still unreadable"
NOT_REPLAYED: Final = "not replayed"
Outcome = Literal["new effect", "already done", "would conflict", "still unreadable", "not replayed"]
OUTCOMES: Final[tuple[Outcome, ...]] = (NEW, DONE, CONFLICT, UNREADABLE, NOT_REPLAYED)


class Difference(Canonical):
    """One thing a message says otherwise than what was: empty ``was`` is new, empty ``now`` is gone."""

    path: str
    was: str = ""
    now: str = ""


class RowPreview(Canonical):
    """What would come of a row of a file, or of the rows that are one thing, by the first of them."""

    row: int
    outcome: Outcome
    detail: str = ""


class Preview(Canonical):
    """What routing a message once more would do today; nothing was changed to find out.

    ``state`` and ``reason`` are what it has now, ``outcome`` and ``detail`` what would come of it, ``cases`` whom it concerns.
    Of a file of rows, ``counts`` says how many rows come to what, and ``rows`` the first of those that are not done already.
    """

    message: str
    kind: str = ""
    sender: str = ""
    control_number: str = ""
    state: str = ""
    reason: str = ""
    owner: str = ""
    outcome: Outcome
    detail: str = ""
    cases: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    rows: tuple[RowPreview, ...] = ()


class ReplayItem(Canonical):
    """One message of a job: the state it had before, and what became of it. ``state``: waiting, done or cancelled."""

    job: str
    message: str
    position: int
    stream: str = ""
    state: str = "waiting"
    before: str = ""
    outcome: str = ""
    detail: str = ""
    case: str = ""
    attempts: int = 0
    changed_at: datetime | None = None


class ReplayJob(Canonical):
    """Messages that go through their routing once more: which, who asked and why, and how far it is.

    ``state``: waiting, running, done or cancelled. ``outcomes`` counts what is done, by what became of it.
    """

    id: str
    what: str = ""
    reason: str = ""
    actor: Actor
    state: str = "waiting"
    total: int = 0
    done: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    made_at: datetime
    began_at: datetime | None = None
    ended_at: datetime | None = None
    cancelled_by: str = ""
    cancelled_why: str = ""


def differences(was: Canonical | None, now: Canonical | None) -> tuple[Difference, ...]:
    """What differs between two nouns, by the paths of their values; without the first, all of the second is new."""
    before, after = (dict(_values(one, "")) if one is not None else {} for one in (was, now))
    paths = list(dict.fromkeys([*before, *after]))
    found = (Difference(path=path, was=before.get(path, ""), now=after.get(path, "")) for path in paths)
    return tuple(one for one in found if one.was != one.now)


def _values(value: object, path: str) -> Iterable[tuple[str, str]]:
    if value is None or value == "" or value is False:
        return
    if isinstance(value, Quantity | Money) or not isinstance(value, BaseModel | tuple | list | Mapping):
        yield path, str(value).lower() if isinstance(value, bool) else str(value)
        return
    if isinstance(value, BaseModel):
        fields = type(value).model_fields  # what is left out wherever it is written (an encounter) is not shown either
        parts: Iterable[tuple[str, object]] = (
            (name, getattr(value, name)) for name, one in fields.items() if not one.exclude
        )
    elif isinstance(value, Mapping):
        parts = ((str(name), one) for name, one in value.items())
    else:
        parts = ((_name(one, place), one) for place, one in enumerate(value, start=1))
    for name, one in parts:
        yield from _values(one, f"{path}.{name}" if path else name)


def _name(one: object, place: int) -> str:
    """A line by its own id, so that one more line changes no other's path."""
    return str(getattr(one, "id", "") or place)
