"""What a long step says where every line stays, as in a log file: its first word, and then one every half minute."""

from __future__ import annotations

import time
from collections.abc import Callable

from stack.held import News

EVERY = 30.0  # seconds


class Pace:
    """Lets news through; of a step that says how far it is every second, only some. A terminal needs none of this."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._step = ""
        self._said = 0.0

    def lets(self, news: News) -> bool:
        """Whether to print it now."""
        if news.kind != "progress":
            return True
        now = self._clock()
        if news.step == self._step and now - self._said < EVERY:
            return False
        self._step, self._said = news.step, now
        return True
