"""What a barcode on a device says: its unique device identifier, by the rules of the three agencies that issue them.

GS1 General Specifications (element strings, section 3; read by biip), HIBC Supplier Labeling Standard 2.6 (``+``), ISBT 128
Standard for medical products of human origin (``=`` and ``&``). FDA, "UDI formats by FDA-accredited issuing agency" (2017).
"""

from __future__ import annotations

from canonical.errors import Malformed
from canonical.udi import Udi
from formats import udi_gs1, udi_hibcc, udi_iccbba

LONGEST = 256  # characters; the longest of the agencies' own examples has 105

__all__ = ["LONGEST", "read"]


def read(raw: str) -> Udi:
    """The identifier in a barcode, as a scanner gives it or as it is printed beneath (GS1 with brackets, HIBCC with asterisks).

    Raises:
        Malformed: it is none of the three, a check digit or character is wrong, or it names something twice; ``path`` is
            ``udi``, and the text never repeats the barcode, since a serial number may lead to a patient.
    """
    code = raw.strip(" \r\n\t")
    if not code:
        raise Malformed("The barcode is empty", path="udi", code="data-invalid")
    if len(code) > LONGEST:
        raise Malformed(f"The barcode has {len(code)} characters: {LONGEST} at most", path="udi", code="data-invalid")
    bare = code[1:-1] if len(code) > 2 and code[0] == code[-1] == "*" else code  # Code 39 as it is printed
    if bare[0] == "+":
        return udi_hibcc.read(bare).changed(raw=code)
    if bare[0] in "=&":
        return udi_iccbba.read(bare).changed(raw=code)
    return udi_gs1.read(bare).changed(raw=code)
