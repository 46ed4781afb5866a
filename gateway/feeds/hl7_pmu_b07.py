"""Reads what somebody was granted or is no longer (HL7 PMU^B07 and B08, v2.5 to 2.8 chapter 15.3.7, 15.3.8; CER 15.4.2).

Each CER is an event, and each privilege in PRA-7 where there is no CER. A licence, a registration or a board's certificate is granted
or revoked with an empty scope: it is of what is known of the person. What else the message says is held (PRA-5, PRA-6) is passed
over: it is not what was granted or revoked.
"""

from __future__ import annotations

from datetime import date

from canonical.errors import Malformed
from canonical.people import HrEvent, HrKind, PrivilegeScope
from canonical.senders import Mappings, Sender
from formats.hl7 import Message, Segment
from gateway import hl7_certificates as certificates
from gateway.hl7_certificates import Held
from gateway.hl7_people import Person, at, event_of, evn_of, happened, said_at, why
from gateway.mapping import Tongue


def read(message: Message, sender: Sender, mappings: Mappings) -> tuple[HrEvent, ...]:
    """The events of the message, numbered by their places after its own number (MSH-10).

    Raises:
        Malformed: something that cannot be read, with its path; nothing is granted or revoked.
    """
    about = _Occasion(message, Tongue(sender, mappings))
    cers = message.all("CER")
    found = [about.certificate(cer) for cer in cers]
    if not cers:
        found = [about.privilege(scope) for scope in certificates.privileges_of(message, about.tongue)]
    if not found:
        raise Malformed("CER is missing: what is granted or revoked?", path="CER", code="segment-missing")
    return tuple(found)


class _Occasion:
    """What holds for everything the message says."""

    def __init__(self, message: Message, tongue: Tongue) -> None:
        self.tongue = tongue
        self._person = Person.of(message, message, tongue)
        self._evn = evn_of(message)
        self._recorded = said_at(message, self._evn, 2, tongue)
        self._kind: HrKind = "grant" if message.header.event == "B07" else "revoke"
        self._control = message.header.control
        self._made = 0

    def certificate(self, cer: Segment) -> HrEvent:
        if certificates.sort_of(cer, self.tongue) == "privilege":
            scope, held = certificates.scope_of(cer, self.tongue), Held()
        else:
            scope, held = PrivilegeScope(), certificates.held_of([cer], self.tongue)
            if not held:
                path = at(cer, 20)
                raise Malformed(f"{path}: of which state is the licence?", path=path, code="field-missing")
        stated = certificates.begins_on(cer) if self._kind == "grant" else certificates.ended_on(cer)
        reason = cer.value(30, 1).strip() if self._kind == "revoke" else ""
        return self._event(scope, held, stated, reason)

    def privilege(self, scope: PrivilegeScope) -> HrEvent:
        return self._event(scope, Held(), scope.starts if self._kind == "grant" else None, "")

    def _event(self, scope: PrivilegeScope, held: Held, stated: date | None, reason: str) -> HrEvent:
        self._made += 1
        effective = stated or happened(self._evn) or self._recorded.date()
        said = reason or why(self._person, self._evn)
        number = f"{self._control}/{self._made}"
        return event_of(
            self._person, self._kind, number, self._recorded, effective, reason=said, scope=scope, held=held
        )
