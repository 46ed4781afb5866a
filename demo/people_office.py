"""Who works with clinicians' cases: HR, the medical staff office and the credentials committee, by the doors a user has; and where a
clinician must be found outside: accounts, ERP, schedule, EHR.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from demo import accounts, ehr, scheduling
from demo.stage import FACILITY, Stage, fascia
from demo.story_doors import LOOK_EVERY, WITHIN, StoryError

BY_PEOPLE: Final = {  # what people verify of each role, and by which document
    "surgeon": (("education", "diploma"), ("reference", "letters")),
    "hospitalist": (("education", "diploma"), ("reference", "letters")),
    "nurse_practitioner": (("education", "diploma"),),
}
COMMAND_EVERY: Final = 3.0  # a command is a program: it costs a second of a processor
FRESH: Final = 1.5  # seconds for which a look outside serves all who wait
PATIENCE: Final = 3 * WITHIN  # with a list of words: each is a decision that its case answers
PARTLY: Final = 6
T = TypeVar("T")
Word = dict[str, Any]
Event = tuple[str, str]
"""Of HR: which system says it, and under which number."""


async def until(look: Callable[[], Awaitable[T | None]], what: str, every: float = LOOK_EVERY) -> T:
    """Wait until somebody shows it.

    Raises:
        StoryError: nobody does.
    """
    give_up = time.monotonic() + WITHIN
    while time.monotonic() < give_up:
        if found := await look():
            return found
        await asyncio.sleep(every)
    raise StoryError(f"nobody shows {what}")


@dataclass(frozen=True)
class Found:
    """Where somebody is found outside; True is on, False is there and off, None was never there."""

    account: bool | None
    schedule: bool | None
    ehr: bool | None
    payroll: bool | None
    groups: tuple[str, ...] = ()
    accounts: int = 0

    @property
    def sides(self) -> tuple[bool | None, ...]:
        """Account, schedule, EHR, payroll."""
        return self.account, self.schedule, self.ehr, self.payroll

    @property
    def everywhere(self) -> bool:
        """On in every system, once, with the groups of the privileged."""
        return all(self.sides) and self.clinical and self.accounts == 1

    @property
    def nowhere(self) -> bool:
        """On in none."""
        return not any(self.sides)

    @property
    def clinical(self) -> bool:
        """In a group that only the privileged have."""
        return "ehr-clinical" in self.groups

    def text(self) -> str:
        """In words."""
        word = {True: "on", False: "off", None: "never there"}
        names = ("account", "schedule", "EHR", "payroll")
        return ", ".join(f"{name} {word[on]}" for name, on in zip(names, self.sides, strict=True))


@dataclass
class Office:
    """The people who bring clinicians in, and out; and what they see outside."""

    stage: Stage
    name: str
    lists: int = 0
    _seen: dict[str, Found] = field(default_factory=dict)
    _seen_at: float = float("-inf")
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def say(self, who: str, words: Sequence[Word]) -> list[dict[str, Any]]:
        """Give many words at once (``fascia clinician say``), as somebody; what became of each.

        A list of which one was not answered is given again as it was.
        """
        self.lists += 1
        name = f"{self.name}-{self.lists}"
        path = self.stage.stack.home.folder("departments") / f"words-{name}.json"
        path.write_text(json.dumps(list(words), indent=1), encoding="utf-8")
        command = ("clinician", "say", "--from", str(path), "--id", name)
        give_up = time.monotonic() + PATIENCE
        while True:
            told = await fascia(self.stage, *command, who=who, ends=(0, 1, PARTLY))
            rows: list[dict[str, Any]] = told["items"]
            if all(row["code"] != "unavailable" for row in rows) or time.monotonic() > give_up:
                return rows

    async def said(self, who: str, words: Sequence[Word]) -> None:
        """The same; each must be taken.

        Raises:
            StoryError: one was not.
        """
        if refused := [row for row in await self.say(who, words) if not row["taken"]]:
            first = refused[0]
            raise StoryError(f"{len(refused)} words refused, {first['verb']} of {first['person']}: {first['message']}")

    async def known(self, events: Collection[Event]) -> dict[Event, str]:
        """The keys of the people HR told of, by the event's source and number, once they all have one."""

        async def all_known() -> dict[Event, str] | None:
            listed = await fascia(self.stage, "person", "events", "--all", "--limit", "5000")
            keys = {(row["source"], row["number"]): row["person"] for row in listed["items"] if row["person"]}
            return {event: keys[event] for event in events} if set(events) <= set(keys) else None

        return await until(all_known, f"who is meant by {len(events)} events", COMMAND_EVERY)

    async def known_as(self, number: str, source: str) -> str:
        """The key of whom an HR system that is asked calls by this number: it names its events itself, so they do not say whose."""
        others: set[str] = {""}

        async def look() -> str | None:
            told = ("person", "events", "--source", source, "--all", "--limit", "1000")
            for person in {row["person"] for row in (await fascia(self.stage, *told))["items"]} - others:
                shown = await fascia(self.stage, "person", "show", person)
                if (source, number) in {(held["source"], held["number"]) for held in shown["numbers"]}:
                    return str(person)
                others.add(person)
            return None

        return await until(look, f"whom {source} calls {number}", COMMAND_EVERY)

    async def headlines(self) -> dict[str, str]:
        """How every case stands, as the platform lists it."""
        command = ("clinician", "list", "--facility", FACILITY, "--all", "--limit", "1000")
        return {row["person"]: row["headline"] for row in (await fascia(self.stage, *command))["items"]}

    async def stand(self, wanted: Mapping[str, str]) -> None:
        """Wait until each of these people's cases stands so.

        Raises:
            StoryError: one does not.
        """
        stands: dict[str, str] = {}

        async def so() -> bool:
            stands.update(await self.headlines())
            return all(stands.get(person) == headline for person, headline in wanted.items())

        try:
            await until(so, "it", COMMAND_EVERY)
        except StoryError:
            other = [f"{key} {stands.get(key)} for {line}" for key, line in wanted.items() if stands.get(key) != line]
            raise StoryError(f"cases stand otherwise: {'; '.join(other)}") from None

    # -- outside ----------------------------------------------------------------------------------------------------

    async def outside(self, person: str) -> Found:
        """Where somebody (by our key) is found: in the accounts, the schedule, the EHR and the ERP, each asked itself."""
        async with self._looking:
            if time.monotonic() - self._seen_at > FRESH:
                self._seen = await found(self.stage)
                self._seen_at = time.monotonic()
        return self._seen.get(person, Found(None, None, None, None))

    async def until_found(self, people: Sequence[str], fits: Callable[[Found], bool], what: str) -> None:
        """Wait until all of them are found so.

        Raises:
            StoryError: one is not; with where it is found.
        """

        async def so() -> bool:
            return all([fits(await self.outside(person)) for person in people])

        try:
            await until(so, what)
        except StoryError:
            where = {person: await self.outside(person) for person in people}
            other = [f"{person}: {one.text()} {one.groups}" for person, one in where.items() if not fits(one)]
            raise StoryError(f"not {what}: {'; '.join(other)}") from None


async def found(stage: Stage) -> dict[str, Found]:
    """Everybody who is found outside, by our key."""
    payroll = await asyncio.to_thread(stage.erp.employed)
    held = accounts.accounts(stage.home)
    roster, directory = scheduling.records(stage.home), ehr.practitioners(stage.home)
    return {
        person: Found(
            account=_on(held, person, "active"),
            schedule=_on(roster, person, "eligible"),
            ehr=_on(directory, person, "active"),
            payroll=payroll.get(person),
            groups=tuple(held.get(person, {}).get("groups", ())),
            accounts=int(held.get(person, {}).get("count", 0)),
        )
        for person in {*payroll, *held, *roster, *directory}
    }


def _on(records: Mapping[str, Mapping[str, Any]], person: str, name: str) -> bool | None:
    return bool(records[person][name]) if person in records else None
