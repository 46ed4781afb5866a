"""Which changes of a published schema break those who rely on it, and which do not."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, StringConstraints, create_model

from cli.compatibility import breaks
from cli.published import schema_of

Code = Annotated[str, StringConstraints(max_length=40, pattern="^[A-Z]+$")]


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class FewerColours(StrEnum):
    RED = "red"


class MoreColours(StrEnum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Line(BaseModel):
    item: str
    count: int = 1


class LineWithLot(BaseModel):
    item: str
    count: int = 1
    lot: str = ""


class LineNeedsLot(BaseModel):
    item: str
    count: int = 1
    lot: str


class Tree(BaseModel):
    name: str = ""
    below: Tree | None = None
    beside: tuple[Tree, ...] = ()


class TreeWithHeight(BaseModel):
    name: str = ""
    height: int = 0
    below: TreeWithHeight | None = None
    beside: tuple[TreeWithHeight, ...] = ()


class TreeNumbered(BaseModel):
    name: int = 0
    below: TreeNumbered | None = None
    beside: tuple[TreeNumbered, ...] = ()


def _model(**fields: Any) -> dict[str, Any]:
    return schema_of(create_model("Thing", **fields))


def _breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [str(one) for one in breaks(_model(**old), _model(**new))]


BROKEN = [
    ("removed", {"a": (str, "")}, {"b": (int, 0)}, "a: removed"),
    ("renamed", {"a": (str, "")}, {"b": (str, "")}, "a: removed (renamed to b?)"),
    ("type changed", {"a": (str, "")}, {"a": (int, 0)}, "a: type changed from string to integer"),
    ("made a list", {"a": (str, "x")}, {"a": (tuple[str, ...], "x")}, "a: type changed from string to array"),
    ("null no longer taken", {"a": (str | None, None)}, {"a": (str, None)}, "a: null is no longer taken"),
    ("a choice is gone", {"a": (str | int, 0)}, {"a": (int, 0)}, "a: string is no longer taken"),
    ("enum narrowed", {"a": (Colour, "red")}, {"a": (FewerColours, "red")}, "a: narrowed: blue no longer taken"),
    ("text became an enum", {"a": (str, "red")}, {"a": (Colour, "red")}, "a: narrowed: any value was taken"),
    ("pattern set", {"a": (str, "X")}, {"a": (Code, "X")}, "a: pattern changed from none to ^[A-Z]+$"),
    (
        "text shorter",
        {"a": (str, Field("", max_length=80))},
        {"a": (str, Field("", max_length=40))},
        "a: narrowed: maxLength was 80, is 40",
    ),
    ("least higher", {"a": (int, Field(1, ge=0))}, {"a": (int, Field(1, ge=1))}, "a: narrowed: minimum was 0, is 1"),
    ("least set", {"a": (int, 1)}, {"a": (int, Field(1, ge=0))}, "a: narrowed: minimum was free, is 0"),
    (
        "fewer places",
        {"a": (Decimal, Field(Decimal(0), decimal_places=6))},
        {"a": (Decimal, Field(Decimal(0), decimal_places=2))},
        "a: narrowed: decimalPlaces was 6, is 2",
    ),
    ("text became a date", {"a": (str, "")}, {"a": (date, "")}, "a: narrowed: format was free, is date"),
    ("newly required", {}, {"a": (str, ...)}, "a: added without a default"),
    ("default dropped", {"a": (str, "")}, {"a": (str, ...)}, "a: default dropped"),
    ("default changed", {"a": (int, 30)}, {"a": (int, 60)}, "a: default changed from 30 to 60"),
    (
        "deep within a list",
        {"lines": (tuple[Line, ...], ())},
        {"lines": (tuple[LineNeedsLot, ...], ())},
        "lines.[].lot: added without a default",
    ),
    (
        "deep within a choice",
        {"line": (Line | None, None)},
        {"line": (LineNeedsLot | None, None)},
        "line.lot: added without a default",
    ),
    (
        "in the values of a table",
        {"data": (dict[str, str], {})},
        {"data": (dict[str, int], {})},
        "data.*: type changed from string to integer",
    ),
    ("a pair became three", {"p": (tuple[int, int], (1, 2))}, {"p": (tuple[int, int, int], (1, 2))}, "p: had 2 fixed"),
    ("within itself", {"t": (Tree, ...)}, {"t": (TreeNumbered, ...)}, "t.name: type changed"),
]

HARMLESS = [
    ("nothing", {"a": (str, ...)}, {"a": (str, ...)}),
    ("added with a default", {"a": (str, ...)}, {"a": (str, ...), "b": (str, "")}),
    ("no longer required", {"a": (str, ...)}, {"a": (str, "")}),
    ("null also taken", {"a": (str, "")}, {"a": (str | None, "")}),
    ("another choice", {"a": (str, "")}, {"a": (str | int, "")}),
    ("enum widened", {"a": (Colour, "red")}, {"a": (MoreColours, "red")}),
    ("pattern lifted", {"a": (Code, "X")}, {"a": (Annotated[str, StringConstraints(max_length=40)], "X")}),
    ("limit lifted", {"a": (int, Field(1, ge=1, le=5))}, {"a": (int, Field(1, ge=0))}),
    ("whole number became any number", {"a": (int, 0)}, {"a": (float, 0)}),
    ("added deep within", {"lines": (tuple[Line, ...], ())}, {"lines": (tuple[LineWithLot, ...], ())}),
    ("added deep within a choice", {"line": (Line | None, None)}, {"line": (LineWithLot | None, None)}),
    ("added within itself", {"t": (Tree, ...)}, {"t": (TreeWithHeight, ...)}),
    ("added within a default", {"l": (Line, Line(item="x"))}, {"l": (LineWithLot, LineWithLot(item="x"))}),
    ("described", {"a": (str, Field("", description="what"))}, {"a": (str, Field("", description="what else"))}),
]


@pytest.mark.parametrize(("old", "new", "said"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_break_is_named_with_its_path_and_reason(old: dict[str, Any], new: dict[str, Any], said: str) -> None:
    found = _breaks(old, new)
    assert any(one.startswith(said) for one in found), found


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in HARMLESS], ids=[case[0] for case in HARMLESS])
def test_what_breaks_nobody_is_let_through(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert _breaks(old, new) == []


def test_every_break_is_told_not_only_the_first() -> None:
    assert len(_breaks({"a": (str, ""), "b": (str, "")}, {"c": (int, 0), "d": (int, ...)})) == 3


def test_a_field_may_have_the_name_of_a_word_of_the_schema() -> None:
    assert _breaks({"title": (str, ""), "b": (int, 0)}, {"b": (int, 0)}) == ["title: removed"]
    assert _breaks({"description": (str, "")}, {"description": (int, 0)}) != []
