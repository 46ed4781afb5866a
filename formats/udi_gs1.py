"""A GS1 barcode: element strings, printed brackets, a Digital Link, or a bare trade item number.

GS1 General Specifications 3.2 (application identifiers) and 7.12 (the day 00 and the century of a date). biip cuts the element
strings; it lets a wrong check digit pass, so that is asked for here.
"""

from __future__ import annotations

from datetime import date

import biip
from biip.gs1_element_strings import GS1ElementString
from biip.gs1_messages import GS1Message
from biip.gtin import Gtin

from canonical.errors import Malformed
from canonical.udi import Udi

TRADE_ITEM, LOT, MADE, EXPIRES, EXPIRES_AT, SERIAL, COUNT = "01", "10", "11", "17", "7003", "21", "30"
CONTENT, CONTENT_COUNT = "02", "37"  # of a logistic unit: the trade items it contains, and how many
SHORTEST = 3  # characters: an application identifier and what it says
NAMES = {LOT: "lot", SERIAL: "serial number", MADE: "date of production", EXPIRES: "expiration date"}


def read(code: str) -> Udi:
    """The identifier in a barcode of GS1.

    Raises:
        Malformed: not GS1's, a wrong check digit or date, or one thing said twice in two ways.
    """
    bare = code[3:] if code[0] == "]" else code
    if bare.isdigit() and len(bare) in (8, 12, 13, 14):
        return Udi(agency="GS1", device=_trade_item(bare))
    if len(bare) < SHORTEST:  # biip 5.2.0 takes the symbology of "]" by position
        raise _wrong("its application identifiers cannot be read")
    message = _message(code)
    said: dict[str, GS1ElementString] = {}
    for element in message.element_strings:
        before = said.setdefault(element.ai.ai, element)
        if before.value != element.value:
            raise _wrong(f"its {NAMES.get(element.ai.ai, 'application identifier ' + element.ai.ai)} is given twice")
    item = said.get(TRADE_ITEM) or said.get(CONTENT)
    if item is None:
        raise _wrong("it names no trade item (application identifier 01)")
    if item.gtin is None:
        raise _wrong(CHECK_DIGIT)
    count = said.get(COUNT) or said.get(CONTENT_COUNT)
    return Udi(
        agency="GS1",
        device=item.gtin.as_gtin_14(),
        lot=_text(said, LOT),
        serial=_text(said, SERIAL),
        expires=_day(said, EXPIRES) or _day(said, EXPIRES_AT),
        made=_day(said, MADE),
        quantity=int(count.value) or None if count is not None else None,
    )


CHECK_DIGIT = "the check digit of its trade item number is wrong: it was misread or mistyped"


def _trade_item(digits: str) -> str:
    try:
        return Gtin.parse(digits).as_gtin_14()
    except biip.ParseError:
        raise _wrong(CHECK_DIGIT) from None


def _message(code: str) -> GS1Message:
    try:
        if code.startswith("("):
            return GS1Message.parse_hri(code)
        found = biip.parse(code)
    except biip.ParseError:
        raise _wrong("its application identifiers cannot be read") from None
    if found.gs1_digital_link_uri is not None:
        return GS1Message.from_element_strings(found.gs1_digital_link_uri.element_strings)
    if found.gs1_message is None:
        raise _wrong("its application identifiers cannot be read")
    return found.gs1_message


def _text(said: dict[str, GS1ElementString], name: str) -> str:
    return said[name].value if name in said else ""


def _day(said: dict[str, GS1ElementString], name: str) -> date | None:
    element = said.get(name)
    if element is None:
        return None
    if element.date is None:
        raise _wrong(f"its {NAMES.get(name, 'date')} is no date")
    return element.date


def _wrong(what: str) -> Malformed:
    return Malformed(f"Not a GS1 barcode we can read: {what}", path="udi", code="data-invalid")
