"""Reads a department's request for one thing (FHIR SupplyRequest, R4B and R5): a requisition of one line.

hl7.org/fhir/R4B/supplyrequest.html and hl7.org/fhir/R5/supplyrequest.html. Nothing is read of whom it is for (deliverFor), why it is
asked (reason), nor of names: people and places count by identifier or by the id in their address.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from canonical.base import Quantity
from canonical.errors import Malformed
from canonical.purchasing import Requisition, RequisitionLine
from canonical.senders import Mappings, Sender
from formats.fhir import Resource, Tree
from gateway.mapping import CODE, Tongue

LITERAL = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[^/]+)?")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
STAFF = frozenset({"Practitioner", "PractitionerRole"})
ASKING_UNITS = frozenset({"Organization", "Location"})
BY_A_PERSON = ("cancelled", "suspended", "completed", "entered-in-error", "unknown")
LONGEST_NOTE = 2000
PATH = "SupplyRequest"


def read(resource: Resource, sender: Sender, mappings: Mappings) -> tuple[Requisition, ...]:
    """The requisition it asks for; none of a draft, which asks for nothing yet.

    Raises:
        Malformed: it is not active, has no identifier, repeats in time, or something in it cannot be read or mapped, with its place.
    """
    tongue = Tongue(sender, mappings)
    number = _number(resource)
    status = resource.text("status")
    if status == "draft":
        return ()
    if status != "active":
        _not_automatic(status, number, tongue)
    department, requester = _who(resource, tongue)
    made = Requisition(
        facility=sender.facility,
        source=sender.source or sender.code,
        number=number,
        department=_needed(department or sender.department, "department", "requester"),
        cost_centre=_needed(tongue.code("cost_centre", "", PATH) or sender.cost_centre, "cost centre", "requester"),
        requester=_needed(requester or sender.requester, "requester", "requester"),
        deliver_to=_needed(_place(resource, tongue) or sender.deliver_to, "place to deliver to", "deliverTo"),
        needed_by=_day(resource),
        emergency=tongue.urgent(_priority(resource, tongue), f"{PATH}.priority"),
        note=_note(resource),
        lines=(_line(resource, tongue),),
    )
    return (made,)


def _number(resource: Resource) -> str:
    known = resource.identifier
    if known is None:
        raise _malformed("an order needs its sender's own number: an identifier with a value", "identifier")
    return known.value


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
        id="1",
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
    return item, description


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


def _priority(resource: Resource, tongue: Tongue) -> str:
    code = resource.text("priority")
    return code if tongue.speaks("priority") else code.upper()


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
    note = "; ".join(said)
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


def _needed(code: str | None, what: str, path: str) -> str:
    if not code:
        raise _malformed(f"no {what} is named, and the sender's row has none", path)
    if not CODE.fullmatch(code):
        raise _malformed(f"this is no {what} of ours", path)
    return code


def _malformed(reason: str, path: str) -> Malformed:
    return Malformed(f"{PATH}.{path}: {reason}", path=f"{PATH}.{path}", code="data-invalid")
