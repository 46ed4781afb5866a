"""How a command ends: one number per kind of ending, the same for every command, for scripts to rely on."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from canonical.errors import FasciaError, Malformed, Rejected, Throttled, Unavailable


class Exit(IntEnum):
    """The exit codes of ``fascia``."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    CONFLICT = 5  # it changed meanwhile, or it is not in a state for this
    PARTLY = 6
    UNAVAILABLE = 7  # a server we need does not answer: safe to repeat
    INTERRUPTED = 130


_BY_CODE = {
    "not-found": Exit.NOT_FOUND,
    "not-allowed": Exit.NOT_ALLOWED,
    "changed": Exit.CONFLICT,
    "conflict": Exit.CONFLICT,
    "not-open": Exit.CONFLICT,
    "duplicate": Exit.CONFLICT,
    "usage": Exit.USAGE,
    "partly": Exit.PARTLY,
    "interrupted": Exit.INTERRUPTED,
}


def exit_for(problem: FasciaError) -> Exit:
    """The ending that belongs to a failure: by its code where it has one of ours, else by its kind."""
    if problem.code in _BY_CODE:
        return _BY_CODE[problem.code]
    if isinstance(problem, Unavailable | Throttled):
        return Exit.UNAVAILABLE
    if isinstance(problem, Malformed):
        return Exit.USAGE
    if isinstance(problem, Rejected):
        return Exit.CONFLICT
    return Exit.FAILED


class Stop(FasciaError):
    """A command cannot go on: a code for scripts, a sentence for people and, where there is one, what to do next."""

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, code=code)
        self.hint = hint


def not_found(what: str, name: str, hint: str = "") -> Stop:
    """There is nothing of that name."""
    return Stop(f"there is no {what} {name}", code="not-found", hint=hint)


def not_allowed(message: str, hint: str = "") -> Stop:
    """The one who asks may not."""
    return Stop(message, code="not-allowed", hint=hint)


def wrong_usage(message: str, hint: str = "") -> Stop:
    """The command was given what it cannot use."""
    return Stop(message, code="usage", hint=hint)


def one_of(given: str, known: Iterable[str], option: str) -> str:
    """The word as it was given, where it is one of these or none: a misspelt one would find nothing and look like an answer."""
    words = list(known)
    if given and given not in words:
        raise wrong_usage(f"{option} {given} is none of those there are", f"one of {', '.join(words)}")
    return given
