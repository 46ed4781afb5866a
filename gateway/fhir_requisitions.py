"""What a department's SupplyRequests (FHIR R4B and R5) say alike: which requisition they are, line by line.

hl7.org/fhir/R4B/supplyrequest.html and hl7.org/fhir/R5/supplyrequest.html. One by itself is a requisition of one line; those of one
group (``Resource.group``) in one transaction are the lines of one. Nothing is read of whom it is for (deliverFor), why it is
asked (reason), nor of names: people and places count by identifier or by the id in their address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TypeVar

from canonical.base import Quantity, case_id
from canonical.errors import Malformed
from canonical.purchasing import Requisition, RequisitionLine
from canonical.senders import Sender
from formats import fhir
from formats.fhir import Resource, Tree
from gateway.mapping import CODE, Tongue

LITERAL = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[^/]+)?")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
STAFF = frozenset({"Practitioner", "PractitionerRole"})
ASKING_UNITS = frozenset({"Organization", "Location"})
BY_A_PERSON = ("cancelled", "suspended", "completed", "entered-in-error", "unknown")
OF_STOCK = "central"  # supply-kind: what the store keeps is asked for by its code, as in an OMS^O05
LONGEST_NOTE = 2000
PATH = "SupplyRequest"
ONLY_LINE = "1"

T = TypeVar("T")
Part = tuple[str, Resource]  # where it stands, and the SupplyRequest


def number_of(resource: Resource) -> str:
    """The number of the requisition it is part of: its group's, else its own.

    Raises:
        Malformed: it has neither.
    """
    known = resource.group or resource.identifier
    if known is None:
        raise _malformed("an order needs its sender's own number: an identifier with a value", "identifier")
    return known.value


def line_of(resource: Resource) -> str:
    """Which line of its requisition it is: in a group it is known by its own identifier.

    Raises:
        Malformed: it has none that can name a line.
    """
    if resource.group is None:
        return ONLY_LINE
    own = resource.identifier
    if own is None or not CODE.fullmatch(own.value):
        raise _malformed("a line of a group needs an identifier of its own, a code of at most 40 signs", "identifier")
    return own.value


def case_of(resource: Resource, sender: Sender) -> str:
    """The case of the requisition it is part of.

    Raises:
        Malformed: it has no number.
    """
    return case_id("procure_to_pay", sender.facility, sender.source or sender.code, number_of(resource))


def groups(bundle: Resource) -> list[list[Part]]:
    """The SupplyRequests of a transaction that belong together, group by group; none of a batch: its entries stand alone."""
    found: dict[str, list[Part]] = {}
    if bundle.tree.get("type") == fhir.TRANSACTION:
        for number, entry in enumerate(bundle.objects("entry")):
            tree = entry.get("resource")
            one = (
                Resource(bundle.release, tree) if isinstance(tree, dict) and tree.get("resourceType") == PATH else None
            )
            if one is not None and (group := one.group) is not None:
                found.setdefault(group.value, []).append((f"{fhir.BUNDLE}.entry[{number}].resource", one))
    return list(found.values())


def requisition(parts: Sequence[Part], tongue: Tongue) -> tuple[Requisition, ...]:
    """The requisition whose lines these are; none where all are drafts, which ask for nothing yet.

    Raises:
        Malformed: one is not active, they disagree, or something cannot be read or mapped, with its place.
    """
    statuses = [_at(part, lambda one: _status(one, tongue)) for part in parts]
    if set(statuses) == {"draft"}:
        return ()
    if "draft" in statuses:
        raise _malformed("some lines of one requisition are drafts, others are not", "status")
    ids = [_at(part, line_of) for part in parts]
    if len(set(ids)) != len(ids):
        raise _malformed("two lines of one requisition have the same identifier", "identifier")
    asked = [_at(part, lambda one: _who(one, tongue)) for part in parts]
    places = [_at(part, lambda one: _place(one, tongue)) for part in parts]
    deliver_to = _needed(
        next(filter(None, places), None) or tongue.sender.deliver_to, "place to deliver to", "deliverTo"
    )
    lines = [_at(part, lambda one: _line(one, tongue)) for part in parts]
    notes = [_note(one) for _, one in parts]
    made = Requisition(
        facility=tongue.sender.facility,
        source=tongue.sender.source or tongue.sender.code,
        number=number_of(parts[0][1]),
        department=_one((one for one, _ in asked), tongue.sender.department, "department"),
        cost_centre=_needed(
            tongue.code("cost_centre", "", PATH) or tongue.sender.cost_centre, "cost centre", "requester"
        ),
        requester=_one((one for _, one in asked), tongue.sender.requester, "requester"),
        deliver_to=deliver_to,
        needed_by=min(filter(None, (_at(part, _day) for part in parts)), default=None),
        emergency=True in [_at(part, lambda one: _urgent(one, tongue)) for part in parts],  # each is looked up
        note=_fitted(
            "\n".join(f"line {name}: {note}" for name, note in zip(ids, notes, strict=True) if note)
            if parts[0][1].group
            else notes[0]
        ),
        lines=tuple(
            line.model_copy(update={"id": name, "deliver_to": to if to != deliver_to else None})
            for line, name, to in zip(lines, ids, places, strict=True)
        ),
    )
    return (made,)


def _at(part: Part, work: Callable[[Resource], T]) -> T:
    """What is wrong in an entry of a Bundle is said with the entry's place."""
    place, resource = part
    try:
        return work(resource)
    except Malformed as no:
        if place == PATH:
            raise
        told = place + no.path.removeprefix(PATH)
        raise Malformed(no.message.replace(no.path, told, 1), path=told, code=no.code) from None


def _status(resource: Resource, tongue: Tongue) -> str:
    """As it is sent: ``active``, or ``draft``."""
    if (unknown := fhir.modifiers(resource)) is not None:  # whatever its door was told to tolerate
        raise Malformed(f"{unknown}: it changes what the rest means, and is not understood here", path=unknown)
    number, status = number_of(resource), resource.text("status")
    if status not in ("active", "draft"):
        _not_automatic(status, number, tongue)
    return status


def _not_automatic(status: str, number: str, tongue: Tongue) -> None:
    if status not in BY_A_PERSON:
        raise _malformed("it does not say that it is active: is it asked?", "status")
    source = tongue.sender.source or tongue.sender.code
    reason = f"{PATH}.status: {status} concerns requisition {number[:80]} of {source}: a person decides it on its case"
    raise Malformed(reason, path=f"{PATH}.status", code="not-automatic")


def _line(resource: Resource, tongue: Tongue) -> RequisitionLine:
    item, description = _item(resource, tongue)
    suppliers = {code for one in resource.objects("supplier") if (code := _named(one)[1])}
    return RequisitionLine(
        id=ONLY_LINE,
        item=item,
        description=description,
        quantity=_quantity(resource, tongue),
        supplier=suppliers.pop() if len(suppliers) == 1 else None,  # of several suggested, a buyer chooses
    )


def _item(resource: Resource, tongue: Tongue) -> tuple[str | None, str]:
    """Our code and the description. Of several codings the first the sender's table knows, without a table the first."""
    path = "item.concept" if resource.value("item") is not None else "itemCodeableConcept"
    concept = resource.value("item", "concept") or resource.value("itemCodeableConcept")
    if concept is None:
        return _referred(resource, tongue)
    codings = [one for one in concept.get("coding", []) if one.get("code")]
    chosen = next((one for one in codings if tongue.knows("item", one["code"])), codings[0] if codings else {})
    description = str(concept.get("text") or chosen.get("display") or "")[:2000]
    item = tongue.code("item", chosen["code"], f"{PATH}.{path}") if chosen else None
    if item is None and not description:
        raise _malformed("no code and no words name the item", path)
    if item is None and _kind(resource) == OF_STOCK:
        raise _malformed("stock is asked for by its code", path)
    return item, description


def _kind(resource: Resource) -> str:
    codings = resource.objects("category", "coding")
    return next((str(one["code"]) for one in codings if "code" in one), "")


def _referred(resource: Resource, tongue: Tongue) -> tuple[str | None, str]:
    """An item that is pointed at: by its identifier, or by an address the sender's table has a row for; addresses are not ours."""
    path = "item.reference" if resource.value("item") is not None else "itemReference"
    reference = resource.value("item", "reference") or resource.value("itemReference") or {}
    _, code, by_identifier = _referent(reference)
    if not by_identifier and not (code and tongue.knows("item", code)):
        raise _malformed("the item is pointed at by an address: give its code or identifier", path)
    return tongue.code("item", code, f"{PATH}.{path}"), ""


def _quantity(resource: Resource, tongue: Tongue) -> Quantity:
    """Exactly as it was written, in its unit's code, else in its unit; a unit is never guessed."""
    sent = resource.value("quantity")
    amount = resource.value("quantity", "value")
    if not isinstance(amount, int | Decimal):
        raise _malformed("how much?", "quantity.value")
    if "comparator" in sent:
        raise _malformed("more or less than a number is no number to order", "quantity.comparator")
    path = "quantity.code" if "code" in sent else "quantity.unit"
    unit = tongue.unit(str(sent.get("code") or sent.get("unit") or ""), f"{PATH}.{path}")
    if unit is None:
        raise _malformed(f"in which unit? Give sender {tongue.sender.code} one for no unit", path)
    if amount <= 0:
        raise _malformed("more than nothing is asked for", "quantity.value")
    return Quantity(value=Decimal(amount), unit=unit)


def _who(resource: Resource, tongue: Tongue) -> tuple[str | None, str | None]:
    """The department and the person who asks: an organization or a place is a department; only staff are people to us."""
    kind, code = _named(resource.value("requester"))
    unit = code if kind in ASKING_UNITS else ""
    department = tongue.code("department", unit, f"{PATH}.requester")
    return department, code if kind in STAFF and CODE.fullmatch(code) else None


def _place(resource: Resource, tongue: Tongue) -> str | None:
    return tongue.code("location", _named(resource.value("deliverTo"))[1], f"{PATH}.deliverTo")


def _named(reference: Tree | None) -> tuple[str, str]:
    """Of which type it is and its code; empty where it is not said. A display is a name, and not read."""
    kind, code, _ = _referent(reference or {})
    return kind, code


def _referent(reference: Tree) -> tuple[str, str, bool]:
    literal = LITERAL.fullmatch(str(reference.get("reference", "")))
    kind = literal[1] if literal else str(reference.get("type", ""))
    identifier = reference.get("identifier", {})
    if value := str(identifier.get("value", "")).strip():
        return kind, value, True
    return kind, literal[2] if literal else "", False


def _urgent(resource: Resource, tongue: Tongue) -> bool:
    code = resource.text("priority")
    return tongue.urgent(code if tongue.speaks("priority") else code.upper(), f"{PATH}.priority")


def _day(resource: Resource) -> date | None:
    """The day it is needed by: of a period its end. What repeats is not one order."""
    if (timing := resource.value("occurrenceTiming")) is not None:
        events = timing.get("event", [])
        if "repeat" in timing or "code" in timing or len(events) != 1:
            raise Malformed(
                f"{PATH}.occurrenceTiming: it repeats: a person decides it",
                path=f"{PATH}.occurrenceTiming",
                code="not-automatic",
            )
        return _date(events[0], "occurrenceTiming.event")
    if (period := resource.value("occurrencePeriod")) is not None:
        name = "end" if "end" in period else "start"
        return _date(period.get(name), f"occurrencePeriod.{name}")
    return _date(resource.value("occurrenceDateTime"), "occurrenceDateTime")


def _date(said: object, path: str) -> date | None:
    if said is None:
        return None
    if not isinstance(said, str) or not DAY.match(said):
        raise _malformed("which day?", path)
    return date.fromisoformat(said[:10])


def _note(resource: Resource) -> str:
    """What else it says of the item (parameter): a size, a colour, in words for the buyer."""
    said = []
    for one in resource.objects("parameter"):
        what = _words(one.get("code"))
        value = (
            one.get("valueCodeableConcept"),
            one.get("valueQuantity"),
            one.get("valueRange"),
            one.get("valueBoolean"),
        )
        said.append(f"{what or 'parameter'}: {next((_shown(each) for each in value if each is not None), '?')}")
    return "; ".join(said)


def _fitted(note: str) -> str:
    return note if len(note) <= LONGEST_NOTE else f"{note[: LONGEST_NOTE - 30]} [more in the message]"


def _words(concept: Tree | None) -> str:
    codings = (concept or {}).get("coding", [])
    first = codings[0] if codings else {}
    return str((concept or {}).get("text") or first.get("display") or first.get("code") or "")


def _shown(value: Tree | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "low" in value or "high" in value:
        return f"{_shown(value.get('low', {}))} to {_shown(value.get('high', {}))}"
    if "value" in value:
        number = value["value"]
        unit = value.get("unit") or value.get("code") or ""
        return f"{value.get('comparator', '')}{getattr(number, 'text', number)} {unit}".strip()
    return _words(value)


def _one(found: Iterable[str | None], default: str | None, what: str) -> str:
    """The one value of all lines: a requisition has one department and one requester."""
    said = list(dict.fromkeys(filter(None, found)))
    if len(said) > 1:
        raise _malformed(f"one requisition names {len(said)} {what}s", "requester")
    return _needed(said[0] if said else default, what, "requester")


def _needed(code: str | None, what: str, path: str) -> str:
    if not code:
        raise _malformed(f"no {what} is named, and the sender's row has none", path)
    if not CODE.fullmatch(code):
        raise _malformed(f"this is no {what} of ours", path)
    return code


def _malformed(reason: str, path: str) -> Malformed:
    return Malformed(f"{PATH}.{path}: {reason}", path=f"{PATH}.{path}", code="data-invalid")
