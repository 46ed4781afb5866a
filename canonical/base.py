"""The base of every noun: what money, a quantity and a case's name are, and how strictly each door reads.

Every model is frozen and tolerant of fields added by a later version of ours; :func:`read_strictly` is what doors use.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from canonical.errors import Malformed

SAFE = StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")
CODE = StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")

FacilityCode = Annotated[str, CODE]
DepartmentCode = Annotated[str, CODE]
LocationCode = Annotated[str, CODE]
SupplierCode = Annotated[str, CODE]
ItemCode = Annotated[str, CODE]
CostCentreCode = Annotated[str, CODE]
EmployeeId = Annotated[str, CODE]
ContractNumber = Annotated[str, CODE]
SourceSystem = Annotated[str, CODE]
LineId = Annotated[str, CODE]
RequisitionNumber = Annotated[str, SAFE]
OrderNumber = Annotated[str, CODE]
InvoiceNumber = Annotated[str, SAFE]
LotOrSerial = Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)]  # blanks around one name no other
Text = Annotated[str, StringConstraints(max_length=2000)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
UnitCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,3}$")]

MINOR_UNITS = {"JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3}  # ISO 4217; every other currency here has two


class Canonical(BaseModel):
    """One noun of the business. Frozen; unknown fields are passed over, since they may be a later version's."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    def changed(self, **fields: Any) -> Self:
        """A copy with these fields replaced, validated like any other."""
        return type(self).model_validate(self.model_dump(mode="python") | fields)


Model = TypeVar("Model", bound=BaseModel)


def maker(model: type[Model]) -> Callable[[dict[str, Any]], Model]:
    """Makes models of values that are ours and right: nothing is checked or changed, what is not given has its default.

    For what is made for every message: a tenth of the time of ``model_construct``. Only for models without private attributes
    and extra fields, whose defaults do not change.
    """
    defaults = {name: one.default for name, one in model.model_fields.items() if not one.is_required()}
    empty = dict.fromkeys(model.model_fields) | defaults  # in the order of the fields
    new, put = model.__new__, object.__setattr__

    def make(values: dict[str, Any]) -> Model:
        one = new(model)
        put(one, "__dict__", empty | values)
        put(one, "__pydantic_fields_set__", set(values))
        put(one, "__pydantic_extra__", None)
        put(one, "__pydantic_private__", None)
        return one

    return make


MOST_TOLD = 50  # of what is wrong with one document
BOM = b"\xef\xbb\xbf"  # UTF-8's byte order mark


def read_strictly(model: type[Model], data: bytes | str, *, allow_unknown: bool = False) -> Model:
    """Read JSON as a door does: an unknown or wrong field, one of another JSON type or one given twice is refused with its path.

    Dates are text (ISO 8601); decimals are text or integers. Nothing is taken for something else: ``"yes"`` is no boolean,
    ``1`` no text.

    Raises:
        Malformed: what is wrong, where (``path`` like ``lines.0.quantity.value``); never the value itself, which may be
            a person's name.
    """
    if data[:3] == BOM or data[:1] == "\ufeff":
        raise Malformed("document: the JSON begins with a byte order mark: send UTF-8 without one", code="data-invalid")
    try:
        found = model.model_validate_json(data, strict=True, extra="ignore" if allow_unknown else "forbid")
    except ValidationError as wrong:
        problems = wrong.errors(include_input=False, include_url=False, include_context=False)
        above = {one["loc"][:depth] for one in problems for depth in range(len(one["loc"]))}
        problems = [
            one for one in problems if one["loc"] not in above
        ]  # "too few lines" of lines none of which is right
        told = [(".".join(str(part) for part in one["loc"]), in_words(one["msg"])) for one in problems]
        (path, first), also = told[0], tuple(told[1:MOST_TOLD])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Malformed(f"{path or 'document'}: {first}{more}", path=path, code="data-invalid", also=also) from None
    if twice := given_twice(data):
        raise Malformed(f"{twice}: {TWICE}", path=twice, code="data-invalid")
    return found


def in_words(message: str) -> str:
    """What pydantic says of a fault, without its mark on what our own checks say, and for a pattern of ours what it lets through."""
    pattern = message.removeprefix("String should match pattern '").removesuffix("'")
    return f"it must be {_SPELT[pattern]}" if pattern in _SPELT else message.removeprefix("Value error, ")


_ONE_LINE = "one line of text, without tabs and other control characters"
_SPELT = {  # what a person can do something with, instead of a regular expression
    r"^[^\x00-\x1f\x7f]+$": _ONE_LINE,
    r"^[^\x00-\x1f\x7f]*$": _ONE_LINE,
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "letters, digits, '.', '_' and '-' alone, the first a letter or digit",
    r"^[0-9A-Za-z][0-9A-Za-z-]{7,39}$": "8 to 40 letters, digits and '-', the first a letter or digit",
    r"^[A-Z]{2}$": "two capital letters",
    r"^[A-Z]{3}$": "three capital letters",
    r"^[A-Z0-9]{2,3}$": "two or three capital letters or digits",
    r"^[0-9]*$": "digits alone",
    r"^[0-9A-Fa-f]{64}$": "64 hexadecimal digits",
}


TWICE = "this name is given twice in one object"  # I-JSON, RFC 7493 section 2.3: readers differ on which of them counts


def given_twice(data: bytes | str) -> str:
    """Where JSON that a model has read names something twice in one object, at any depth (``lines.0.item``); else empty."""
    doubled = False

    def members(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
        nonlocal doubled
        read: dict[Any, Any] = dict(pairs)
        if len(read) == len(pairs):
            return read
        doubled = True
        names = [name for name, _ in pairs]
        return {_GIVEN_TWICE: next(name for name in names if names.count(name) > 1)}

    read = json.loads(data, object_pairs_hook=members, parse_int=str, parse_float=str)
    return ".".join(_way_to_doubled(read) or ()) if doubled else ""


_GIVEN_TWICE = object()


def _way_to_doubled(node: Any) -> tuple[str, ...] | None:
    """The way to the first object that names something twice, with that name; None where there is none below."""
    if isinstance(node, dict) and _GIVEN_TWICE in node:
        return (node[_GIVEN_TWICE],)
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in below:
        if (way := _way_to_doubled(child)) is not None:
            return (str(name), *way)
    return None


def content_hash(model: BaseModel, *, without: frozenset[str] = frozenset()) -> str:
    """SHA-256 over the content in a fixed form: defaults left out, keys sorted, decimals without trailing zeros.

    So that the same business content has one hash whatever door, spelling of numbers or time it came by.
    """
    data = model.model_dump(mode="python", exclude_defaults=True, exclude=set(without))
    return hashlib.sha256(json.dumps(_plain(data), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


WRITTEN = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\s*")


def exact(value: Any, what: str) -> Any:
    """A decimal as it was written, in text or as an integer; what is neither is left for the model to refuse."""
    if isinstance(value, float | bool):
        raise ValueError(f"{what} is a decimal in text or an integer, never a float")
    if not isinstance(value, str | int):
        return value
    if isinstance(value, str) and not WRITTEN.fullmatch(value):  # Decimal takes 1_0 for ten, and digits of every script
        raise ValueError(f"{what} is a decimal in text or an integer")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{what} is a decimal in text or an integer") from None


class Money(Canonical):
    """An exact amount with its ISO 4217 currency. Never a float."""

    amount: Decimal = Field(allow_inf_nan=False, max_digits=18, decimal_places=6)
    currency: Currency = "USD"

    @field_validator("amount", mode="before")
    @classmethod
    def _no_float(cls, value: Any) -> Any:
        return exact(value, "an amount")

    def _same(self, other: Money) -> None:
        if other.currency != self.currency:
            raise ValueError(f"{other.currency} cannot be added to {self.currency}")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return _money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return _money(self.amount - other.amount, self.currency)

    def times(self, factor: Decimal | int) -> Money:
        """This amount times a number, not rounded."""
        return _money(_fits(self.amount * factor), self.currency)

    def rounded(self) -> Money:
        """Rounded half up to the currency's minor unit."""
        step = Decimal(1).scaleb(-MINOR_UNITS.get(self.currency, 2))
        return Money(amount=self.amount.quantize(step, rounding=ROUND_HALF_UP), currency=self.currency)

    def plain(self) -> Self:
        """The same amount as people write it: no zeros behind the minor unit, ``58.800000`` is ``58.80``."""
        amount, minor = _fits(self.amount), MINOR_UNITS.get(self.currency, 2)
        short = int(amount.as_tuple().exponent) > -minor
        return self.changed(amount=amount.quantize(Decimal(1).scaleb(-minor)) if short else amount)

    def __str__(self) -> str:
        return f"{self.rounded().amount} {self.currency}"


def _fits(amount: Decimal) -> Decimal:
    """Six places at most, trailing zeros off, and never an exponent: partners read ``1000``, not ``1E+3``."""
    with localcontext(prec=60):
        return Decimal(format(amount.quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP).normalize(), "f")) + 0


def _money(amount: Decimal, currency: str) -> Money:
    try:
        return Money(amount=amount, currency=currency)
    except ValidationError:
        raise Malformed("an amount is larger than can be counted", path="amount", code="data-invalid") from None


def zero(currency: str = "USD") -> Money:
    """No money, of a currency."""
    return Money(amount=Decimal(0), currency=currency)


def total(amounts: list[Money], currency: str) -> Money:
    """The sum of amounts of one currency."""
    result = zero(currency)
    for amount in amounts:
        result = result + amount
    return result


class Quantity(Canonical):
    """How much, in which unit (X12 data element 355 codes: EA, BX, CA, CT, PK, DZ)."""

    value: Decimal = Field(allow_inf_nan=False, max_digits=15, decimal_places=6)
    unit: UnitCode = "EA"

    @field_validator("value", mode="before")
    @classmethod
    def _no_float(cls, value: Any) -> Any:
        return exact(value, "a quantity")

    def __str__(self) -> str:
        return f"{self.value.normalize():f} {self.unit}"


def case_id(process: str, *parts: str) -> str:
    """A case's one name: ``<process>/<scope>/<key>...``, each part percent-encoded (RFC 3986, nothing left safe)."""
    return "/".join([process, *(quote(part, safe="") for part in parts)])


def case_parts(name: str) -> tuple[str, ...]:
    """The parts of a case's name, decoded: the way back from :func:`case_id`."""
    return tuple(unquote(part) for part in name.split("/"))
