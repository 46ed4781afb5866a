"""A sender's own list of what it sent and what it heard: what a receiver says it has is counted against this, never against itself."""

from __future__ import annotations

import csv
import hashlib
import io
from array import array
from collections import Counter
from pathlib import Path
from typing import Final

from canonical.base import Canonical
from cli.synthetic.traffic import Letter

COLUMNS: Final = (
    *("number", "control", "kind", "connection", "try", "sent", "answer", "ms", "sha256"),
    *("fault", "problem"),
)
NOT_NUMBERED: Final = 0  # of an answer that names no message of ours


class Summary(Canonical):
    """What came of it: ``sent`` counts every try, ``unanswered`` the messages that have no answer in the end. Milliseconds
    are from a message's write to its answer, ``late_`` ones from when it was to be sent."""

    sent: int
    answered: int
    answers: dict[str, int]
    unanswered: int
    problems: dict[str, int]
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    late_p99_ms: float


class Ledger:
    """Writes a row for each time a message was sent, when it is answered or given up; ``path`` None keeps the figures only.

    Times are seconds since the beginning, on the sender's clock.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("w", newline="", encoding="utf-8") if path else None
        self._buffer = io.StringIO()
        self._rows = csv.writer(self._buffer, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._took = array("d")
        self._late = array("d")
        self._answers: Counter[str] = Counter()
        self._problems: Counter[str] = Counter()
        self._unanswered = self._sent = 0
        self._first = self._last = 0.0

    def answered(
        self, letter: Letter, tries: int, sent: float, due: float, now: float, code: str, problem: str = ""
    ) -> None:
        """This message has its answer."""
        if not self._sent:
            self._first = sent
        self._sent += 1
        self._last = now
        self._took.append((now - sent) * 1000)
        self._late.append((now - min(due, sent)) * 1000)
        self._answers[code] += 1
        if problem:
            self._problems[problem] += 1
        self._row(letter, tries, sent, code, f"{(now - sent) * 1000:.2f}", problem)

    def unanswered(self, letter: Letter, tries: int, sent: float, problem: str, *, again: bool = False) -> None:
        """This message was sent, as far as we know, and no answer came; ``again``: it will be sent again."""
        self._sent += 1
        self._unanswered += not again
        self._problems[problem] += 1
        self._row(letter, tries, sent, "", "", problem)

    def stray(self, control: str, connection: int, now: float, code: str) -> None:
        """An answer that belongs to no message that waits for one."""
        problem = "answers nothing that waits"
        self._problems[problem] += 1
        self._rows.writerow((NOT_NUMBERED, control, "", connection, "", f"{now:.3f}", code, "", "", "", problem))

    def _row(self, letter: Letter, tries: int, sent: float, code: str, took: str, problem: str) -> None:
        digest = hashlib.sha256(letter.data).hexdigest() if self._file else ""
        row = (letter.number, letter.control, letter.kind, letter.connection, tries, f"{sent:.3f}", code, took, digest)
        self._rows.writerow((*row, letter.fault, problem))
        if self._buffer.tell() > 2**16:
            self.flush()

    def flush(self) -> None:
        """Write down what is not written yet."""
        if self._file:
            self._file.write(self._buffer.getvalue())
            self._file.flush()
        self._buffer.seek(0)
        self._buffer.truncate()

    def close(self) -> Summary:
        """Write the rest, and sum up."""
        self.flush()
        if self._file:
            self._file.close()
        took, late = sorted(self._took), sorted(self._late)
        seconds = max(self._last - self._first, 0.0)
        return Summary(
            sent=self._sent,
            answered=len(took),
            answers=dict(sorted(self._answers.items())),
            unanswered=self._unanswered,
            problems=dict(sorted(self._problems.items())),
            seconds=round(seconds, 3),
            rate=round(len(took) / seconds, 1) if seconds else 0.0,
            p50_ms=_part(took, 0.5),
            p99_ms=_part(took, 0.99),
            longest_ms=_part(took, 1.0),
            late_p99_ms=_part(late, 0.99),
        )


def _part(ordered: list[float], part: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 2) if ordered else 0.0
