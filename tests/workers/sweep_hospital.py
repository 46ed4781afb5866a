"""The read model and Temporal as the sweep of the engine sees them: each question counted, each within its bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from canonical.ports import Unmatched
from canonical.steps import OrderEnded
from store.cases import EndedChild
from store.open_cases import ClaimPlace, OpenCase
from workers.loops.engine_runs import Page
from workers.loops.engine_sweep import EngineSweep

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


class Engine:
    """The read model's open cases, and how Temporal sees them: each question counted, each within its bound."""

    def __init__(self) -> None:
        self.now = NOW
        self.book: dict[str, OpenCase] = {}
        self.silent: dict[str, OpenCase] = {}
        self.numbered: dict[str, list[str]] = {}  # orders without a claim, by their requisition
        self.closed: set[str] = set()
        self.listed: set[str] = set()
        self.failing_: set[str] = set()
        self.ended: dict[str, datetime] = {}
        self.runs: dict[str, str] = {}
        self.next: dict[str, str] = {}
        self.told: list[str] = []
        self.unmatched: list[Unmatched] = []
        self.children: list[EndedChild] = []
        self.marks: dict[str, datetime] = {}
        self.questions: list[int] = []  # how many cases each question to Temporal could be about
        self.restart()

    def restart(self) -> None:
        self.sweep = EngineSweep(self, self, self, clock=lambda: self.now)

    def opened(self, case: str, *, run: str = "run-1", seconds: float = 60, stopped: str = "") -> None:
        changed = self.now - timedelta(seconds=seconds)
        self.book[case] = OpenCase(case=case, process="purchase_order", run=run, stopped=stopped, changed_at=changed)

    def hospital(self, count: int) -> list[str]:
        """Many cases, all running."""
        names = [f"purchase_order/NGH/{number:06}" for number in range(count)]
        for name in names:
            self.opened(name)
        self.listed.update(names)
        return names

    def terminated(self, *cases: str) -> None:
        for case in cases:
            self.listed.discard(case)
            self.runs[case] = "terminated"
            self.ended[case] = self.now

    # The read model.

    async def open_among(self, names: Sequence[str]) -> Sequence[OpenCase]:
        return [case for name in names if (case := self.book.get(name) or self.silent.get(name))]

    async def known_among(self, names: Sequence[str]) -> Sequence[str]:
        return [name for name in names if name in self.book or name in self.silent or name in self.closed]

    async def open_page(self, after: str, limit: int) -> Sequence[OpenCase]:
        return [self.book[name] for name in sorted(self.book) if name > after][:limit]

    async def not_begun(self, cases: Sequence[str]) -> Sequence[str]:
        return [order for case in cases for order in self.numbered.get(case, ())]

    async def stopped_page(self, after: str, limit: int) -> Sequence[OpenCase]:
        return [self.book[name] for name in sorted(self.book) if name > after and self.book[name].stopped][:limit]

    async def silent_page(self, after: ClaimPlace, limit: int) -> tuple[Sequence[OpenCase], ClaimPlace | None]:
        waiting = sorted((ClaimPlace(case.changed_at, case.case), case) for case in self.silent.values())
        found = [(place, case) for place, case in waiting if place > after][:limit]
        return [case for _, case in found], found[-1][0] if len(found) == limit else None

    async def mark_stopped(self, case: str, kind: str, *, owner: str, next_action: str) -> bool:
        shown = self.book.get(case) or self.silent.pop(case)
        self.book[case] = shown.model_copy(update={"stopped": kind})
        self.next[case] = f"{owner}: {next_action}"
        return True

    async def mark_running(self, case: str) -> None:
        self.book[case] = self.book[case].model_copy(update={"stopped": ""})

    async def ended_children_not_told(self, older_than: datetime) -> Sequence[EndedChild]:
        return [child for child in self.children if child.ended.case not in self.told]

    async def nobody_to_tell(self, older_than: datetime) -> int:
        return 0

    async def put_unmatched(self, document: Unmatched) -> None:
        self.unmatched.append(document)

    async def child_told(self, case: str) -> None:
        self.told.append(case)

    async def mark(self, name: str) -> datetime | None:
        return self.marks.get(name)

    async def set_mark(self, name: str, at: datetime) -> None:
        self.marks[name] = max(at, self.marks.get(name, at))

    # Temporal.

    async def look(self, cases: Sequence[str]) -> Mapping[str, bool]:
        self.questions.append(len(cases))
        return {case: case in self.failing_ for case in cases if case in self.listed}

    async def failing(self, after: bytes, limit: int) -> Page:
        return self._page(sorted(self.failing_), after, limit)

    async def ended_otherwise(self, since: datetime, until: datetime, after: bytes, limit: int) -> Page:
        return self._page(sorted(case for case, at in self.ended.items() if since <= at <= until), after, limit)

    def _page(self, cases: list[str], after: bytes, limit: int) -> Page:
        self.questions.append(limit)
        begin = int(after or b"0")
        more = begin + limit < len(cases)
        return Page(cases[begin : begin + limit], str(begin + limit).encode() if more else b"")

    async def status(self, case: str, run: str = "") -> str:
        self.questions.append(1)
        return self.runs.get(f"{case} {run}" if run else case, "missing")

    async def tell_ended(self, parent: str, ended: OrderEnded) -> bool:
        return parent in self.listed

    async def shown(self, case: str) -> str:
        await self.round()
        return self.book[case].stopped

    async def round(self, count: int = 1) -> None:
        for _ in range(count):
            self.questions.clear()
            await self.sweep.once()
            self.now += timedelta(seconds=20)

    def stopped(self, kind: str = "stopped outside") -> list[str]:
        return sorted(case.case for case in self.book.values() if case.stopped == kind)
