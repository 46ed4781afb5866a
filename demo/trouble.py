"""How a peer of the demonstration is told to misbehave: lines in ``HOME/<peer>/trouble``, read at each call.

A line is a word, a number where the word takes one, whom it is about where it is not about everybody, and how often it is met where
that has an end: ``down``, ``slow 3``, ``late 30 <person key>``, ``lost <person key> times 1``. The first line that fits a call counts.
What was asked stands in ``HOME/<peer>/calls.jsonl``, by key.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

WORDS: Final[Mapping[str, str]] = {
    "down": "does nothing: 503, or nobody listens",
    "busy": "does nothing: 429, come back after so many seconds",
    "slow": "does it, and answers so many seconds later",
    "lost": "does it, and hangs up",
    "late": "carries a write out so many seconds later, and answers nothing",
    "twice": "does it, and answers twice",
    "conflict": "accounts: so many writes are answered 409, creates with uniqueness, and nothing is done",
    "stale": "accounts: so many writes with If-Match are answered 412, and nothing is done",
    "error": "EHR: says AE and does nothing",
    "refuse": "EHR: says AR and does nothing",
}
COUNTED: Final = frozenset({"conflict", "stale"})
NUMBERED: Final = frozenset({"busy", "slow", "late"}) | COUNTED


@dataclass(frozen=True)
class Trouble:
    """One line. ``number``: seconds; ``who``: empty where it is about everybody; ``times``: how often it is met, 0 without end."""

    word: str = ""
    number: float = 0.0
    who: str = ""
    times: int = 0

    @classmethod
    def read(cls, line: str) -> Trouble:
        """What a line says.

        Raises:
            ValueError: it is none of our words, or its number is none.
        """
        said, _, times = line.strip().partition(" times ")
        word, _, rest = said.partition(" ")
        if word not in WORDS:
            raise ValueError(f"no trouble is called {word!r}")
        if word not in NUMBERED:
            return cls(word, who=rest.strip(), times=int(times or 0))
        number, _, who = rest.strip().partition(" ")
        if word in COUNTED:
            return cls(word, who=who.strip(), times=int(number))
        return cls(word, float(number), who.strip(), int(times or 0))


def trouble_file(home: Path, peer: str) -> Path:
    """Where a test or a story says how a peer is to behave."""
    return home / peer / "trouble"


def behave(home: Path, peer: str, *lines: str) -> None:
    """Let a peer behave so from its next call on; no line: as it should.

    Raises:
        ValueError: a line nobody would understand.
    """
    for line in lines:
        Trouble.read(line)
    path = trouble_file(home, peer)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"trouble.{os.getpid()}")
    fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    fresh.replace(path)  # never read in halves


def troubles(home: Path, peer: str) -> list[Trouble]:
    """Every line that is there."""
    try:
        text = trouble_file(home, peer).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [Trouble.read(line) for line in text.splitlines() if line.strip()]


class Unruly:
    """The troubles of one peer, with how often each was met."""

    def __init__(self, home: Path, peer: str) -> None:
        self._home, self._peer, self._lock = home, peer, threading.Lock()
        self._met: Counter[Trouble] = Counter()

    def at(self, about: str) -> Trouble:
        """How a call about somebody is to go; ``about`` empty: a call about nobody, which only a line about everybody fits."""
        lines = troubles(self._home, self._peer)
        with self._lock:
            for gone in set(self._met) - set(lines):
                del self._met[gone]
            for one in lines:
                fits = not one.who or (about and one.who in about)
                if fits and not (one.times and self._met[one] >= one.times):
                    return one
        return Trouble()

    def meet(self, one: Trouble) -> None:
        """It was met once more."""
        if one.word:
            with self._lock:
                self._met[one] += 1


# -- what was asked ------------------------------------------------------------------------------------------------------


def calls_file(home: Path, peer: str) -> Path:
    """Where every call stands, a line of JSON each, as it came in."""
    return home / peer / "calls.jsonl"


def note(home: Path, peer: str, person: str, now: Trouble, **about: Any) -> None:
    """Write a call down; ``about`` holds codes alone."""
    row = {"at": time.time(), "person": person, **about} | ({"trouble": now.word} if now.word else {})
    with calls_file(home, peer).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def calls(home: Path, peer: str, person: str = "") -> list[dict[str, Any]]:
    """Every call (about one person), in the order they came in."""
    path = calls_file(home, peer)
    rows = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(row) for row in rows if row.endswith("}")]
    return [row for row in found if not person or row["person"] == person]


def met(home: Path, peer: str, person: str, word: str) -> int:
    """How many calls about a person met this trouble."""
    return sum(row.get("trouble") == word for row in calls(home, peer, person))
