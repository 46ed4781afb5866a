"""The unique device identifier: which device, and which one of them."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from canonical.base import Canonical, LotOrSerial


class Udi(Canonical):
    """What a barcode says of a device (21 CFR 801.40: the device identifier, and the production identifiers).

    ``agency``: who issues its numbers. ``device``: GS1 the GTIN in 14 digits, HIBCC labeller, product and unit of measure,
    ICCBBA the processor product identification code or, for a container, its maker's code. ``donation``: ISBT 128 donation
    identification number. ``expires``: the last day it may be used; a month alone is its last day. ``quantity``: how many are in
    the package, where it says so.
    """

    agency: str = Field(pattern="^(GS1|HIBCC|ICCBBA)$")
    device: str = Field(default="", max_length=40)
    lot: LotOrSerial = ""
    serial: LotOrSerial = ""
    expires: date | None = None
    made: date | None = None
    donation: str = Field(default="", max_length=20)
    quantity: int | None = Field(default=None, ge=1, le=99_999_999)
    raw: str = Field(default="", max_length=256)
