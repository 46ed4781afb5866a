"""What is wrong with an HL7 message and where, in the words an acknowledgement's ERR segment needs.

Codes are those of HL7 table 0357, severities those of table 0516, places those of the data type ERL. No text holds a value
of the message: it may be a patient's.
"""

from __future__ import annotations

from dataclasses import dataclass

from canonical.errors import Malformed

ACCEPTED = "0"
SEGMENT_SEQUENCE = "100"
FIELD_MISSING = "101"
DATA_TYPE = "102"
TABLE_VALUE = "103"
TOO_LONG = "104"
UNSUPPORTED_TYPE = "200"
UNSUPPORTED_EVENT = "201"
UNSUPPORTED_PROCESSING = "202"
UNSUPPORTED_VERSION = "203"
UNKNOWN_KEY = "204"
DUPLICATE_KEY = "205"
RECORD_LOCKED = "206"
INTERNAL_ERROR = "207"

CONDITIONS = {
    ACCEPTED: "Message accepted",
    SEGMENT_SEQUENCE: "Segment sequence error",
    FIELD_MISSING: "Required field missing",
    DATA_TYPE: "Data type error",
    TABLE_VALUE: "Table value not found",
    TOO_LONG: "Value too long",
    UNSUPPORTED_TYPE: "Unsupported message type",
    UNSUPPORTED_EVENT: "Unsupported event code",
    UNSUPPORTED_PROCESSING: "Unsupported processing id",
    UNSUPPORTED_VERSION: "Unsupported version id",
    UNKNOWN_KEY: "Unknown key identifier",
    DUPLICATE_KEY: "Duplicate key identifier",
    RECORD_LOCKED: "Application record locked",
    INTERNAL_ERROR: "Application internal error",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. Numbers count from 1; 0 means the place is no more exact than that.

    ``code`` is of table 0357, ``kind`` our own word for it (``field-missing``), ``severity`` E, W, I or F.
    """

    code: str
    kind: str
    text: str
    segment: str = ""
    sequence: int = 0
    field: int = 0
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0
    severity: str = "E"

    @property
    def path(self) -> str:
        """Where, as the accessors of a message write it: ``OBX(2)-5(1).1``."""
        if not self.field:
            return place(self.segment, self.sequence)
        return place(self.segment, self.sequence, self.field, self.repetition, self.component, self.subcomponent)

    @property
    def location(self) -> tuple[str, ...]:
        """The components of an ERL: segment, sequence, field, repetition, component, subcomponent."""
        numbers = (self.sequence, self.field, self.repetition, self.component, self.subcomponent)
        texts = [self.segment, *(str(number) if number else "" for number in numbers)]
        while texts and not texts[-1]:
            texts.pop()
        return tuple(texts)


class Unreadable(Malformed):
    """A message, or a value in one, that cannot be read; ``fault`` says it as an ERR segment does."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text, path=fault.path or "MSH", code=fault.kind)
        self.fault = fault


def place(
    segment: str, sequence: int = 1, field: int = 0, repetition: int = 1, component: int = 0, subcomponent: int = 0
) -> str:
    """A path such as ``PID-3(2).1``; what is the first of its kind is not numbered."""
    text = segment + (f"({sequence})" if sequence > 1 else "")
    if field:
        text += f"-{field}" + (f"({repetition})" if repetition > 1 else "")
    if field and component:
        text += f".{component}" + (f".{subcomponent}" if subcomponent else "")
    return text
