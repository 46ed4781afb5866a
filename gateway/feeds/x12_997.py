"""Reads a supplier's word on whether it could read what we sent (X12 997, 004010)."""

from __future__ import annotations

from canonical.purchasing import FunctionalAcknowledgement, SetAcknowledgement
from formats.x12 import Document
from formats.x12_sections import Section, required, split


def read(document: Document, supplier: str) -> tuple[FunctionalAcknowledgement, ...]:
    """What a 997 says of one group of ours; numbers without leading zeros, as we give them.

    Raises:
        Malformed: AK1 or AK9 is missing.
    """
    before, sets, after = split(document, "AK2", closes=("AK9",))
    ak1 = required(before, "AK1")
    ak9 = required(after if sets else before, "AK9")
    return (
        FunctionalAcknowledgement(
            supplier=supplier,
            kind="997",
            control_number=_plain(ak1[2]),
            code=ak9[1].strip(),
            functional_id=ak1[1].strip(),
            note=" ".join(code for code in ak9.elements[4:] if code),
            sets=tuple(_set(one) for one in sets),
        ),
    )


def _set(section: Section) -> SetAcknowledgement:
    ak5 = required(section, "AK5")
    errors: list[str] = []
    within = ""
    for one in section.rest:
        if one.name == "AK3":
            within = f"{one[1]} at {one[2]}"
            errors.append(f"{within}: segment error {one[4] or '8'}")
        elif one.name == "AK4":
            errors.append(f"{within}, element {one[1]}: error {one[3]}")
    errors += [f"document error {code}" for code in ak5.elements[1:] if code]
    return SetAcknowledgement(
        set_id=section.head[1].strip(),
        control_number=section.head[2].strip(),
        code=ak5[1].strip(),
        errors=tuple(errors),
    )


def _plain(number: str) -> str:
    number = number.strip()
    return number.lstrip("0") or number
