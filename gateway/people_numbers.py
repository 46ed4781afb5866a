"""What an HR system mistyped in the numbers of a clinician is told to it: which field and by which rule, and nothing of anybody.

Told are numbers that carry a check digit. A licence's number has no rule that all boards share: its board says whether there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from canonical.check_digits import DEA_RULE, NPI_RULE, is_npi, mistyped_dea
from canonical.errors import Malformed
from canonical.people import HrEvent
from formats.hl7 import Part, place

GIVES: Final = frozenset({"hire", "activate", "grant", "return"})
"""What a wrong number holds up. All else may take something away, an update too: it may say an end, or another place. That is taken,
and the number is told of at its check."""
PRACTITIONER_IDS, STAFF_IDS, SERIAL = 6, 2, 2  # PRA-6, STF-2, CER-2


def wrong_number(event: HrEvent) -> Iterator[tuple[str, str, str]]:
    """Of each number that can be none: its field (``npi``, ``dea.0.number``), the number, and the rule it breaks."""
    if event.kind not in GIVES:
        return
    record = event.record
    if (npi := record.npi.strip()) and not is_npi(npi):
        yield "npi", npi, NPI_RULE
    for number, one in enumerate(record.dea):
        if mistyped_dea(one.number.strip()):
            yield f"dea.{number}.number", one.number, DEA_RULE


def numbered(event: HrEvent, where: Callable[[str, str], str]) -> HrEvent:
    """The same event, where its numbers can be ones. ``where`` gives the place of a field and number in what was sent.

    Raises:
        Malformed: the first that can be none, with its place; the number is not repeated.
    """
    for field, number, rule in wrong_number(event):
        path = where(field, number)
        raise Malformed(f"{path}: {rule}", path=path, code="data-invalid")
    return event


def place_in(part: Part, number: str) -> str:
    """Where a number stands in a person's segments: ``PRA-6(2).1``, ``STF-2.1``, ``CER-2``."""
    fields = (("PRA", PRACTITIONER_IDS, 1), ("STF", STAFF_IDS, 1), ("CER", SERIAL, 0))
    for name, field, component in fields:
        for segment in part.all(name):
            for repetition in range(1, len(segment.repetitions(field)) + 1):
                if segment.value(field, 1, 1, repetition=repetition).strip() == number:
                    return place(name, segment.sequence, field, repetition, component)
    return "PRA-6"
