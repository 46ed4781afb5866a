"""``fascia clinician say``: many words at once, as an office has them after a day of post, or a committee after a meeting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import typer
from pydantic import Field, RootModel, ValidationError
from rich.console import RenderableType

from canonical.base import Canonical, in_words, read_strictly
from canonical.cases import Answer
from canonical.credentials import Privilege
from canonical.errors import FasciaError, Malformed, Unavailable
from canonical.onboarding import PersonWord
from canonical.people import PersonKey
from cli.clinician import app
from cli.clinician_views import Clinicians, WordRow
from cli.command import command
from cli.exits import Exit, wrong_usage
from cli.house import open_house
from cli.output import Output, table

MOST = 1000  # words of one file
AT_ONCE = 6  # people whose words are given side by side
TRIES, AGAIN_AFTER = 5, 1.0  # how often a word that is not answered is given, and seconds between
WAITS = ("requested", "seconded")


class Said(Canonical):
    """One word of a file: whose case it is for, and what it says; the other fields are those of the word itself.

    Where a word is about a privilege and names none, it is the only one of the person that can be meant.
    """

    person: PersonKey
    facility: str = ""
    word: dict[str, Any]


class Words(RootModel[tuple[dict[str, Any], ...]]):
    """A file of words."""

    root: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=MOST)


@command(app, "say")
async def say(
    out: Output,
    file: Annotated[
        Path, typer.Option("--from", exists=True, help="A JSON list: person, verb, and what the verb needs.")
    ],
    named: Annotated[
        str, typer.Option("--id", help="The list's own name, to give it again safely.", show_default="a new one")
    ] = "",
) -> None:
    """Give many words at once, each as its own command would; those of one person in their order. What is refused stops no other.

    A word that names no privilege is about the only one of the person it can be about. Ends with 6 where some were refused.
    """
    words = _read(file, named or uuid4().hex)
    async with open_house() as house:
        rows = await _given(house.clinicians, words)
    out.rows(WordRow, rows, lambda: [_listed(rows)])
    refused = [row for row in rows if not row.taken]
    if refused:
        raise typer.Exit(Exit.PARTLY if len(refused) < len(rows) else Exit.FAILED)


def _read(file: Path, named: str) -> list[Said]:
    """The words, each under a name of its own.

    Raises:
        Stop: one of them can be no word; with its place.
    """
    try:
        rows = read_strictly(Words, file.read_bytes()).root
    except Malformed as wrong:
        raise wrong_usage(f"{file}: {wrong.message}") from None
    found = []
    for place, row in enumerate(rows):
        about = {name: row.get(name, "") for name in ("person", "facility")}
        word = {name: value for name, value in row.items() if name not in about}
        word.setdefault("id", f"{named}/{place + 1}")
        try:
            said = Said.model_validate(about | {"word": word})
            PersonWord.model_validate({"privilege": "the only one"} | word, extra="forbid")
        except ValidationError as wrong:
            problem = wrong.errors()[0]
            where = ".".join(str(part) for part in (place, *problem["loc"]))
            raise wrong_usage(f"{file}: {where}: {in_words(problem['msg'])}") from None
        found.append(said)
    return found


async def _given(clinicians: Clinicians, words: Sequence[Said]) -> list[WordRow]:
    """What became of each, in the order of the file."""
    by_person: dict[str, list[int]] = {}
    for place, one in enumerate(words):
        by_person.setdefault(one.person, []).append(place)
    rows: dict[int, WordRow] = {}
    slots = asyncio.Semaphore(AT_ONCE)

    async def of_one(places: Sequence[int]) -> None:
        async with slots:
            for place in places:
                rows[place] = await _one(clinicians, words[place])

    await asyncio.gather(*(of_one(places) for places in by_person.values()))
    return [rows[place] for place in range(len(words))]


async def _one(clinicians: Clinicians, said: Said) -> WordRow:
    about: dict[str, Any] = {"person": said.person, "facility": said.facility, "verb": str(said.word.get("verb", ""))}
    try:
        about["facility"] = site = await clinicians.facility_of(said.person, said.facility)
        word = await _whole(clinicians, site, said)
        answer = await _answered(clinicians, site, said.person, word)
    except FasciaError as refused:
        return WordRow(**about, taken=False, message=refused.message, code=refused.code)
    return WordRow(**about, privilege=word.privilege, taken=answer.taken, message=answer.message)


async def _answered(clinicians: Clinicians, site: str, person: str, word: PersonWord) -> Answer:
    """What the case answers; where it does not, the word is given again under its own name, which is one word.

    Raises:
        Rejected: the case refuses it.
        Unavailable: no answer, however often.
    """
    for _ in range(TRIES - 1):
        try:
            return await clinicians.say(site, person, word)
        except Unavailable:
            await asyncio.sleep(AGAIN_AFTER)
    return await clinicians.say(site, person, word)


async def _whole(clinicians: Clinicians, site: str, said: Said) -> PersonWord:
    """The word with the privilege it is about.

    Raises:
        Stop: none can be meant, or more than one.
    """
    verb = said.word["verb"]
    if verb not in _MEANT or said.word.get("privilege"):
        return PersonWord.model_validate(said.word)
    view = await clinicians.show(site, said.person)
    held = [one for one in (view.privileges if view else ()) if not one.temporary or verb == "revoke"]
    meant = [one.id for one in held if _MEANT[verb](one)]
    if not meant and verb != "revoke":
        meant = [one.id for one in held]  # a list that is given again finds decided what it decided
    if len(meant) != 1:
        raise wrong_usage(f"{len(meant)} privileges of {said.person} can be meant: name one")
    return PersonWord.model_validate(said.word | {"privilege": meant[0]})


def _waits(one: Privilege) -> bool:
    return one.state in WAITS


_MEANT: Final[Mapping[str, Callable[[Privilege], bool]]] = {
    "approve": _waits,
    "reject": _waits,
    "temporary": _waits,
    "revoke": lambda one: one.state == "granted",
    "noticed": lambda one: one.decided_at is not None and one.noticed_at is None,
}


def _listed(rows: Sequence[WordRow]) -> RenderableType:
    shown = table("person", "facility", "verb", "outcome", "what was said")
    for row in rows:
        shown.add_row(row.person, row.facility, row.verb, "taken" if row.taken else "REFUSED", row.message)
    return shown
