"""The four ways a step can fail, in words every part of the platform shares.

Adapters and feeds raise these; ``workers.failures`` alone decides which of them Temporal repeats.
"""

from __future__ import annotations


class FasciaError(Exception):
    """A failure with a stable code and a text fit to show to a person.

    ``code`` is a short kebab-case word, for grouping; ``system`` names the outside system (``erp``, ``supplier``,
    ``store``), empty for our own. The text never holds a person's or patient's identity, nor a secret.
    """

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None, system: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.system = system


class Unavailable(FasciaError):
    """The other side did not answer, or the outcome is unknown: repeat under the same key."""

    code = "unavailable"


class Throttled(FasciaError):
    """The other side asks us to slow down: repeat after ``retry_after`` seconds."""

    code = "throttled"

    def __init__(self, message: str, *, retry_after: float = 1.0, code: str | None = None, system: str = "") -> None:
        super().__init__(message, code=code, system=system)
        self.retry_after = retry_after


class Rejected(FasciaError):
    """The other side understood and said no: repeating changes nothing, a person decides."""

    code = "rejected"


class Malformed(FasciaError):
    """What came in cannot be read. ``path`` says where (``lines.0.quantity``, ``ISA13``), for its sender; ``also``: what else is
    wrong, path and text."""

    code = "malformed"

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        code: str | None = None,
        system: str = "",
        also: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message, code=code, system=system)
        self.path = path
        self.also = also
