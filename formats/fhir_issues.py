"""What is wrong with a FHIR resource or request, said by an OperationOutcome; no value that was sent is repeated in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from canonical.errors import Malformed


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing: ``code`` of FHIR's issue types, words for a person, and where (FHIRPath: ``SupplyRequest.quantity.value``)."""

    code: str
    text: str
    expression: str = ""
    severity: str = "error"

    def within(self, path: str) -> Issue:
        """The same, of an element that stands at ``path``: what began with its resource's own name begins with that."""
        _, _, rest = self.expression.partition(".")
        return replace(self, expression=f"{path}.{rest}" if rest else path)


class Unreadable(Malformed):
    """It cannot be read as what it should be; ``issues`` say why, the first of them stands for all."""

    def __init__(self, *issues: Issue) -> None:
        first = issues[0]
        super().__init__(first.text, path=first.expression, code="data-invalid")
        self.issues = issues

    def __reduce__(self) -> tuple[type[Unreadable], tuple[Issue, ...]]:
        return Unreadable, self.issues


def outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """The OperationOutcome of what is wrong, at most 50 issues long."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": one.severity, "code": one.code, "diagnostics": one.text}
            | ({"expression": [one.expression]} if one.expression else {})
            for one in issues[:50]
        ],
    }
