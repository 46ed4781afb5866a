"""Requisitions as departments' systems write them: right ones, and wrong in every way one field can be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from canonical.base import case_id
from canonical.purchasing import Requisition, RequisitionLine
from demo.stage import FACILITY
from demo.story_scene import LABORATORY, Ask, Department
from demo.story_scene import Requisition as RequisitionCase
from tests.journeys.conftest import Hospital

AT_PAR = Ask("ITM-1018", 5, "BX")  # on contract, at par and small: nobody is asked
TO_APPROVE = Ask("ITM-1022", 1, "BX")  # not kept at par: the department's manager is asked

Sheet = dict[str, Any]


def sheet(number: str, who: Department, *asks: Ask) -> Sheet:
    """A requisition as its department's system writes it."""
    return {
        "facility": FACILITY,
        "source": who.sender,
        "number": number,
        "department": who.code,
        "cost_centre": who.cost_centre,
        "requester": who.requester,
        "deliver_to": who.place,
        "lines": [
            {"id": str(at), "item": ask.item, "quantity": {"value": str(ask.quantity), "unit": ask.unit}}
            for at, ask in enumerate(asks, start=1)
        ],
    }


def case_of(hospital: Hospital, who: Department, number: str, source: str = "") -> RequisitionCase:
    """The case of a requisition, in a scene of its own."""
    source = source or who.sender
    scene = hospital.scene()
    name = case_id("procure_to_pay", FACILITY, source, number)
    asked = RequisitionCase(scene.doors, who.sender, f"/v1/requisitions/{source}/{number}", name, scene, who)
    scene.requisitions.append(asked)
    return asked


def right(number: str) -> Sheet:
    """One that fills every field in, all of them well."""
    found = sheet(number, LABORATORY, TO_APPROVE)
    found |= {"needed_by": "2027-03-01", "emergency": False, "note": "for the night shift"}
    line = {
        "description": "chemistry control",
        "supplier": "ALPINE",
        "supplier_item": "ALP-CTL-2",
        "unit_price": {"amount": "210.00", "currency": "USD"},
        "deliver_to": "NGH-LAB",
    }
    found["lines"][0] |= line
    return found


# -- wrong ones -----------------------------------------------------------------------------------------------------

Spoil = Callable[[Sheet], None]


@dataclass(frozen=True)
class Wrong:
    """One way to be wrong, and the path at which a door must say so (empty: the document as a whole)."""

    name: str
    path: str
    spoil: Spoil | None = None
    whole: bytes = b""

    def __str__(self) -> str:
        return self.name

    @property
    def no_json(self) -> bool:
        """Whether it cannot even be taken apart."""
        return self.spoil is None and self.name.startswith("no JSON")

    def data(self, number: str) -> bytes:
        """The bytes that are sent."""
        if self.spoil is None:
            return self.whole
        found = right(number)
        self.spoil(found)
        return json.dumps(found).encode()


def _put(*path: str | int, value: Any) -> Spoil:
    def spoil(found: Sheet) -> None:
        holder: Any = found
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = value

    return spoil


def _drop(*path: str | int) -> Spoil:
    def spoil(found: Sheet) -> None:
        holder: Any = found
        for part in path[:-1]:
            holder = holder[part]
        del holder[path[-1]]

    return spoil


def _same_line_twice(found: Sheet) -> None:
    found["lines"].append(found["lines"][0])


def _too_many_lines(found: Sheet) -> None:
    found["lines"] = [found["lines"][0] | {"id": str(at)} for at in range(501)]


def _asks_for_nothing(found: Sheet) -> None:
    for name in ("item", "description", "supplier_item"):
        del found["lines"][0][name]


def _each_field() -> Iterator[Wrong]:
    """Every field of the models in turn: of the wrong type; where it is needed, missing and empty too."""
    places: list[tuple[tuple[str | int, ...], Any]] = [((), Requisition), (("lines", 0), RequisitionLine)]
    for place, model in places:
        for name, field in model.model_fields.items():
            where = (*place, name)
            path = ".".join(map(str, where))
            another: Any = "five boxes" if name in ("lines", "quantity", "unit_price") else {"nested": [1]}
            yield Wrong(f"{path} of another type", path, _put(*where, value=another))
            if field.is_required():
                yield Wrong(f"{path} missing", path, _drop(*where))
                yield Wrong(f"{path} null", path, _put(*where, value=None))
        unknown = (*place, "colour")
        yield Wrong(f"{'.'.join(map(str, unknown))} unknown", ".".join(map(str, unknown)), _put(*unknown, value="red"))


def _too_long() -> Iterator[Wrong]:
    most = {"facility": 40, "source": 40, "number": 80, "department": 40, "cost_centre": 40, "requester": 40}
    most |= {"deliver_to": 40, "note": 2000}
    of_line = {"id": 40, "item": 40, "description": 2000, "supplier": 40, "supplier_item": 48, "deliver_to": 40}
    for name, length in most.items():
        yield Wrong(f"{name} too long", name, _put(name, value="X" * (length + 1)))
    for name, length in of_line.items():
        yield Wrong(f"lines.0.{name} too long", f"lines.0.{name}", _put("lines", 0, name, value="X" * (length + 1)))


def _numbers() -> Iterator[Wrong]:
    quantity, price = ("lines", 0, "quantity"), ("lines", 0, "unit_price")
    counts = {"a float": 1.5, "NaN": float("nan"), "NaN in text": "NaN", "infinite": "Infinity", "no number": "many"}
    counts |= {"of too many digits": "1" * 40, "huge": "1e999999", "too fine": "0.0000001", "of another type": [1]}
    for name, value in counts.items():
        yield Wrong(f"a quantity {name}", "lines.0.quantity.value", _put(*quantity, "value", value=value))
    for name, value in {"negative": "-1", "nothing": "0"}.items():
        yield Wrong(f"a quantity {name}", "lines.0", _put(*quantity, "value", value=value))
    yield Wrong("a quantity missing", "lines.0.quantity.value", _drop(*quantity, "value"))
    yield Wrong("a unit in words", "lines.0.quantity.unit", _put(*quantity, "unit", value="boxes"))
    yield Wrong("lines.0.quantity.colour unknown", "lines.0.quantity.colour", _put(*quantity, "colour", value="red"))
    yield Wrong("a price a float", "lines.0.unit_price.amount", _put(*price, "amount", value=210.5))
    yield Wrong("a price NaN", "lines.0.unit_price.amount", _put(*price, "amount", value=float("nan")))
    yield Wrong("a price negative", "lines.0", _put(*price, "amount", value="-1"))
    yield Wrong("a currency in words", "lines.0.unit_price.currency", _put(*price, "currency", value="dollars"))


def _the_rest() -> Iterator[Wrong]:
    yield Wrong("no lines", "lines", _put("lines", value=[]))
    yield Wrong("too many lines", "lines", _too_many_lines)
    yield Wrong("one line id twice", "", _same_line_twice)
    yield Wrong("a line that is none", "lines.0", _put("lines", 0, value="gloves"))
    yield Wrong("a line that asks for nothing", "lines.0", _asks_for_nothing)
    yield Wrong("a number empty", "number", _put("number", value="  "))
    yield Wrong("a number with a line feed", "number", _put("number", value="R-1\nR-2"))
    yield Wrong("a facility no code", "facility", _put("facility", value="../NGH"))
    yield Wrong("a day that is none", "needed_by", _put("needed_by", value="2027-02-30"))
    yield Wrong("an emergency in words", "emergency", _put("emergency", value="perhaps"))
    whole = {"a list": b"[]", "null": b"null", "a text": b'"gloves, please"', "a number": b"42"}
    for name, data in whole.items():
        yield Wrong(f"not an object but {name}", "", whole=data)
    broken = {"nothing at all": b"", "cut off": b'{"facility": "NGH", "lines": [', "no text": b"\xff\xfe\x00{"}
    broken |= {"XML": b"<requisition/>", "nested without end": b'{"lines":' + b"[" * 5000}
    for name, data in broken.items():
        yield Wrong(f"no JSON: {name}", "", whole=data)


WRONGS: tuple[Wrong, ...] = (*_each_field(), *_too_long(), *_numbers(), *_the_rest())
