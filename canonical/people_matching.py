"""Whose an HR event is: certainly somebody's, perhaps somebody's (a person says), or somebody new's.

Compared are the number an HR system has for a person, the NPI, the national number's hash, and names with the birth date. Names are
compared folded: without case, accents, hyphens and blanks, and as they were before somebody changed them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal

from canonical.base import Canonical
from canonical.people import MAY_BE_URGENT, ONLY_ENDS, ClinicianRecord, HrEvent

FIRST: Final = frozenset({"hire"})  # what begins somebody; all else of a number nobody knows waits for it
IDENTIFIED: Final = frozenset({"hire", "update"})  # what is held against others too when its number is known
CLOCKS_DIFFER: Final = timedelta(days=1)  # said later than that after it came: a clock that is wrong
MOST_AHEAD: Final = timedelta(days=5 * 366)  # nobody is hired or transferred later than that: a slip of the hand
LONGEST_AGO: Final = date(1900, 1, 1)  # what is before is a system's word for a day it does not know
YOUNGEST: Final = timedelta(days=14 * 365)

_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "æ": "a", "œ": "o", "ŧ": "t"}
)
FINDINGS: Final = {
    "the clock of its HR system is ahead": "clock-ahead",
    ONLY_ENDS: "emergency-ends-nothing",
    "nobody who works today began before 1900": "day-before-1900",
    "more than five years ahead": "day-too-far-ahead",
    "that of a child": "birth-date-of-a-child",
    "before it starts": "ends-before-it-starts",
    "number is waits for a person": "number-undecided",
    "waits for a hire": "hire-missing",
}  # what an HR system is told of why its event waits for a person or a hire, by words of the reason we keep
_SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv", "md", "rn", "do"})
_SPELT: Final = (
    ("ae", "a"),
    ("oe", "o"),
    ("ue", "u"),
)  # ICAO 9303 part 3 section 6 writes umlauts so; others drop them


def folded(name: str) -> str:
    """A name as it is compared: ``MÜLLER-O'Brien Jr.``, ``Mueller O Brien`` and ``muller obrien`` are one."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold()).translate(_LETTERS)
    words = ["".join(sign for sign in word if sign.isalnum()) for word in plain.replace("-", " ").split()]
    words = [word for word in words if word]
    while len(words) > 1 and words[-1] in _SUFFIXES:
        words.pop()
    joined = "".join(words)
    for long, short in _SPELT:
        joined = joined.replace(long, short)
    return joined


def fits_given(one: str, other: str) -> bool:
    """Whether two folded given names may be one: equal, one an initial or beginning of the other, or not both known."""
    return one.startswith(other) or other.startswith(one)


class Marks(Canonical):
    """What is compared of somebody; names folded. ``families``: the family name and those before it."""

    families: frozenset[str] = frozenset()
    givens: frozenset[str] = frozenset()
    birth_date: date | None = None
    npi: str = ""
    national_hash: str = ""


class Candidate(Marks):
    """Somebody we know, by key, with every name that was ever said of them."""

    person: str


def both(one: Candidate, other: Marks) -> Candidate:
    """Somebody by what two say of them; a number the other does not say stays."""
    return Candidate(
        person=one.person,
        families=one.families | other.families,
        givens=one.givens | other.givens,
        birth_date=other.birth_date or one.birth_date,
        npi=other.npi or one.npi,
        national_hash=other.national_hash or one.national_hash,
    )


class Match(Canonical):
    """Whose an event is, and by which rule; ``candidates``: of a possible one, those it may be, surest first."""

    outcome: Literal["certain", "possible", "new"]
    person: str = ""
    candidates: tuple[str, ...] = ()
    rule: str = ""


def marks(record: ClinicianRecord) -> Marks:
    """What is compared of a record; ``national_id`` is the keyed hash by now."""
    return Marks(
        families=frozenset({folded(name.family) for name in record.names} - {""}),
        givens=frozenset({folded(name.given) for name in record.names} - {""}),
        birth_date=record.birth_date,
        npi=record.npi.strip(),
        national_hash=record.national_id,
    )


def match(said: Marks, by_number: str, known: Iterable[Candidate], *, identified: bool = True) -> Match:
    """Whose this is.

    ``by_number``: whose number it is as its HR system counts, empty where nobody has been met by it; ``known``: everybody who shares
    a mark with it. ``identified`` False: the event says nothing of who somebody is (a termination), its number is enough.
    A changed name under a known number, NPI or national number is the same person; numbers that contradict each other are for a
    person to look at, since one HR system gives a number anew and another mistypes one.
    """
    everybody = list({one.person: one for one in known}.values())
    holder = next((one for one in everybody if one.person == by_number), None)
    if by_number and not identified:
        return Match(outcome="certain", person=by_number, rule="number")
    others = [one for one in everybody if one.person != by_number]
    numbered = [one for one in others if _shares_a_number(said, one)]
    if by_number:
        if numbered:
            return _possible("numbers-contradict", [by_number, *(one.person for one in numbered)])
        if holder is not None and _is_another(said, holder):
            return _possible("number-given-anew", [by_number])
        return Match(outcome="certain", person=by_number, rule="number")
    if len(numbered) == 1 and not _contradicts(said, numbered[0]):
        rule = "npi" if said.npi and said.npi == numbered[0].npi else "national-number"
        return Match(outcome="certain", person=numbered[0].person, rule=rule)
    if numbered:
        return _possible("numbers-contradict", [one.person for one in numbered])
    alike = sorted((how, one.person) for one in others if (how := _alike(said, one)) is not None)
    if alike:
        return _possible(
            ("name-and-birth-date", "name", "birth-date-and-given-name")[alike[0][0]], [p for _, p in alike]
        )
    return Match(outcome="new", rule="nobody-alike")


def _possible(rule: str, candidates: Sequence[str]) -> Match:
    return Match(outcome="possible", candidates=tuple(dict.fromkeys(candidates)), rule=rule)


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _shares_a_number(said: Marks, one: Marks) -> bool:
    same_npi = said.npi != "" and said.npi == one.npi
    return same_npi or (said.national_hash != "" and said.national_hash == one.national_hash)


def _contradicts(said: Marks, one: Marks) -> bool:
    """One number says it is this person and another says it is not; or all but the number is another's."""
    numbers = _differ(said.npi, one.npi) or _differ(said.national_hash, one.national_hash)
    return numbers or (_other_birth(said, one) and _other_names(said, one))


def _is_another(said: Marks, one: Marks) -> bool:
    """Nothing but the HR system's number is the same: the number was given to somebody else."""
    numbers = _differ(said.npi, one.npi) or _differ(said.national_hash, one.national_hash)
    return (numbers and _other_birth(said, one)) or (_other_birth(said, one) and _other_names(said, one))


def _other_birth(said: Marks, one: Marks) -> bool:
    return None not in (said.birth_date, one.birth_date) and said.birth_date != one.birth_date


def _other_names(said: Marks, one: Marks) -> bool:
    families = bool(said.families and one.families) and not said.families & one.families
    return families and not _given(said, one)


def _given(said: Marks, one: Marks) -> bool:
    return any(fits_given(mine, theirs) for mine in said.givens for theirs in one.givens)


def _alike(said: Marks, one: Marks) -> int | None:
    """How much somebody is like another without a number in common, 0 the most; None: they are two.

    The same family name and birth date: also with another given name, since Bill is William (and twins are rarer). Both names and no
    birth date on one side. The same given name and birth date: who changed the family name.
    """
    if _differ(said.npi, one.npi) or _differ(said.national_hash, one.national_hash):
        return None
    same_family = bool(said.families & one.families)
    same_birth = said.birth_date is not None and said.birth_date == one.birth_date
    if same_family and same_birth:
        return 0
    if same_family and _given(said, one) and None in (said.birth_date, one.birth_date):
        return 1
    return 2 if same_birth and bool(said.givens & one.givens) else None


def wrong_with(event: HrEvent, received: datetime) -> str:
    """Why nobody should act on an event before a person has looked, in words without a name; empty where nothing is.

    It is kept and listed; a corrected message takes its place, or a person dismisses it. ``received``: when it came.
    """
    if event.said_at - received > CLOCKS_DIFFER:
        came = f"it came {received.isoformat(timespec='minutes')}"
        return f"said_at {event.said_at.isoformat(timespec='minutes')} and {came}: the clock of its HR system is ahead"
    if event.emergency and event.kind not in MAY_BE_URGENT:
        return f"an emergency that is a {event.kind}: {ONLY_ENDS}"
    said, birth = event.said_at.date(), event.record.birth_date
    starts, ends = event.position.starts, event.position.ends
    begins = {"effective": event.effective, "the position's start": starts}
    begins |= {"the scope's start": event.scope.starts} if event.scope is not None else {}
    for what, day in begins.items():
        if day is not None and day < LONGEST_AGO:
            return f"{what} {day.isoformat()}: nobody who works today began before 1900"
        if day is not None and day - said > MOST_AHEAD:
            return f"{what} {day.isoformat()}: more than five years ahead"
    if birth is not None and birth > max(said, event.effective) - YOUNGEST:
        return "the birth date is that of a child"
    if starts is not None and ends is not None and ends < starts:
        return f"the position ends {ends.isoformat()}, before it starts"
    return ""


def finding(state: str, reason: str) -> str:
    """Why an event waits, as a code its sender may know: of one that is possibly somebody the rule, never whose; else empty."""
    if state not in ("parked", "waiting", "possible"):
        return ""
    if state == "possible" and " " not in reason:
        return reason
    return next((code for words, code in FINDINGS.items() if words in reason), "to-be-looked-at")
