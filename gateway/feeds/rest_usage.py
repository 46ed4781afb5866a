"""Reads what was used as a scanner's own system reports it (JSON by REST): a raw barcode or an item, one or many at a time."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from canonical.base import exact, in_words, read_strictly
from canonical.errors import Malformed
from canonical.senders import Mappings, Sender
from canonical.udi import Udi
from canonical.usage import UsageEvent
from formats import udi
from gateway.mapping import Tongue

MOST: Final = 200  # scans of one request
SHARED: Final = ("location", "used_at", "encounter", "service_line", "cost_centre", "procedure_code")
OWN: Final = ("barcode", "item", "lot", "serial", "expires", "voids_number")
LONGEST_NUMBER: Final = 80


class ScanIn(BaseModel):
    """One use as it was scanned: by ``barcode`` as the scanner gives it (GS1, HIBCC, ICCBBA), or by ``item``.

    ``amount``: how many ``unit``, in text or whole; without a unit, of the package whose barcode it is, else of the item's own.
    A ``void`` takes back the use that was sent under ``voids_number`` (its Idempotency-Key) and ``voids_sequence`` (its place there).
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["use", "void", "empty-bin"] = "use"
    barcode: str = Field(default="", max_length=256, examples=["(01)04012345000016(17)271231(10)LOT7(21)SER9"])
    item: str = Field(default="", max_length=80)
    description: str = Field(default="", max_length=2000)
    amount: Decimal = Field(default=Decimal(1), gt=0, allow_inf_nan=False, max_digits=15, decimal_places=6)
    unit: str = Field(default="", max_length=20)
    lot: str = Field(default="", max_length=40)
    serial: str = Field(default="", max_length=40)
    expires: date | None = None
    location: str = Field(default="", max_length=80)
    used_at: datetime | None = Field(default=None, description="with its zone; without one, when the request came")
    encounter: str = Field(
        default="",
        max_length=200,
        description="your number of the visit or procedure; kept as a keyed hash of it alone",
    )
    procedure_code: str = Field(default="", max_length=40)
    service_line: str = Field(default="", max_length=40)
    cost_centre: str = Field(default="", max_length=40)
    chargeable: bool | None = None
    wasted: bool = False
    voids_number: str = Field(default="", max_length=LONGEST_NUMBER)
    voids_sequence: int = Field(default=1, ge=0, le=999_999)

    @field_validator("amount", mode="before")
    @classmethod
    def _no_float(cls, value: object) -> object:
        return exact(value, "an amount")

    @model_validator(mode="after")
    def _with_zone(self) -> Self:
        if self.used_at is not None and self.used_at.tzinfo is None:
            raise ValueError("used_at needs its zone")
        return self


class UsageIn(ScanIn):
    """One use, or several ``scans``; what stands beside those (place, moment, visit, cost centre) counts for each that says none."""

    scans: tuple[ScanIn, ...] = Field(default=(), max_length=MOST)


def read(data: bytes, number: str, at: datetime, sender: Sender, mappings: Mappings) -> tuple[UsageEvent, ...]:
    """The uses of one request, numbered by their places; ``at`` is when it came.

    Raises:
        Malformed: it is not as agreed, a barcode cannot be read, or a value has no place in our language, with its path.
    """
    whole = read_strictly(UsageIn, data)
    if "scans" not in whole.model_fields_set:
        return (_event(whole, "", 1, number, at, Tongue(sender, mappings)),)
    if beside := [name for name in whole.model_fields_set if name not in (*SHARED, "scans")]:
        raise _wrong(sorted(beside)[0], "it stands in each of the scans, not beside them")
    if not whole.scans:
        raise _wrong("scans", "there is none")
    shared: dict[str, Any] = {name: getattr(whole, name) for name in SHARED if name in whole.model_fields_set}
    tongue = Tongue(sender, mappings)
    return tuple(
        _event(_with(one, shared), f"scans.{place}", place + 1, number, at, tongue)
        for place, one in enumerate(whole.scans)
    )


def scanned(barcode: str, path: str) -> Udi | None:
    """What a barcode says; None where there is none.

    Raises:
        Malformed: it cannot be read.
    """
    if not barcode:
        return None
    try:
        return udi.read(barcode)
    except Malformed as no:
        raise _wrong(path, no.message) from None


def _with(one: ScanIn, shared: dict[str, Any]) -> ScanIn:
    return one.model_copy(update={name: value for name, value in shared.items() if name not in one.model_fields_set})


def _event(one: ScanIn, at_path: str, sequence: int, number: str, at: datetime, tongue: Tongue) -> UsageEvent:
    def path(name: str) -> str:
        return f"{at_path}.{name}" if at_path else name

    sender = tongue.sender
    device = scanned(one.barcode, path("barcode"))
    said = {"lot": one.lot, "serial": one.serial, "expires": one.expires}
    for name, value in said.items():
        other = getattr(device, name) if device is not None else None
        if value and other and value != other:
            raise _wrong(path(name), "its barcode says otherwise")
        said[name] = value or other or value
    if one.kind != "void" and one.voids_number:
        raise _wrong(path("voids_number"), "only a void takes another back")
    try:
        return UsageEvent(
            facility=sender.facility,
            source=sender.source or sender.code,
            number=number,
            sequence=sequence,
            kind=one.kind,
            voids_number=one.voids_number,
            amount_stated=one.kind == "void" and "amount" in one.model_fields_set,
            voids_sequence=one.voids_sequence,
            location=tongue.ours("location", one.location) or sender.deliver_to or "",
            item=tongue.ours("item", one.item),
            description=one.description,
            device=device,
            amount=one.amount,
            unit=tongue.ours("unit", one.unit),
            used_at=one.used_at or at,
            encounter=f"visit|{sender.facility}|{one.encounter}"[:200] if one.encounter else "",
            procedure_code=one.procedure_code,
            service_line=one.service_line,
            cost_centre=tongue.ours("cost_centre", one.cost_centre) or None,
            chargeable=one.chargeable,
            wasted=one.wasted,
            **said,
        )
    except ValidationError as wrong:
        problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
        field = str(problem["loc"][0]) if problem["loc"] else ""
        raise _wrong(path(field) if field else at_path, in_words(problem["msg"])) from None


def _wrong(path: str, reason: str) -> Malformed:
    return Malformed(f"{path or 'document'}: {reason}", path=path, code="data-invalid")
