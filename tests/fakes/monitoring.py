"""Everybody who is looked at once a month, in memory: the ports of monitoring, for tests that need no database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime

from canonical.access import AccessTarget
from canonical.credentials import ClinicianPolicy, ClinicianRole, VerificationSource
from canonical.errors import FasciaError
from canonical.monitoring import (
    BatchHeld,
    LicenceAnswer,
    LicenceDue,
    ListsRefreshed,
    MonitoringBatch,
    MonitoringStart,
)
from canonical.people import ClinicianRecord, Licence


class FakeEverybody:
    """People by key, each with a licence of Illinois. ``edition``: of the list; ``before_batch`` is called before each."""

    def __init__(self, many: int = 0) -> None:
        self.people = [f"person-{number:06d}" for number in range(many)]
        self.edition = 1
        self.held: dict[str, int] = {}  # person: the edition they were held against last
        self.asked: dict[str, datetime] = {}
        self.answers: dict[str, LicenceAnswer] = {}
        self.runs: list[MonitoringStart] = []
        self.batches = 0
        self.before_batch: Callable[[int], None] = lambda _: None
        self.fetch: FasciaError | ListsRefreshed = ListsRefreshed()
        self.fetches = 0

    async def hold(self, batch: MonitoringBatch, sources: Sequence[str]) -> BatchHeld:
        self.batches += 1
        self.before_batch(self.batches)
        lists = f"LEIE:{self.edition}"
        if batch.lists and batch.lists != lists:
            return BatchHeld(after=batch.after, lists=lists)
        chosen = [person for person in self.people if person > batch.after][: batch.many]
        differing = sum(self.held.get(person) != self.edition for person in chosen)
        self.held.update(dict.fromkeys(chosen, self.edition))
        after = chosen[-1] if len(chosen) == batch.many else ""
        return BatchHeld(after=after, many=len(chosen), differing=differing, lists=lists)

    async def licences(self, batch: MonitoringBatch, states: Sequence[str] | None) -> Sequence[LicenceDue]:
        due = [person for person in self.people if self.asked.get(person) != batch.as_of]
        due = [person for person in due if f"{person}/IL" > batch.after][: batch.many]
        return [LicenceDue(person=person, state="IL", record=self.record(person)) for person in due]

    async def keep(self, answers: Sequence[LicenceAnswer], as_of: datetime) -> int:
        for answer in answers:
            self.asked[answer.person], self.answers[answer.person] = as_of, answer
        return len(answers)

    async def note(self, run: MonitoringStart) -> None:
        self.runs.append(run)

    async def refresh(self, as_of: datetime) -> ListsRefreshed:
        self.fetches += 1
        if isinstance(self.fetch, FasciaError):
            raise self.fetch
        return self.fetch

    @staticmethod
    def record(person: str) -> ClinicianRecord:
        return ClinicianRecord(licences=(Licence(state="IL", number=person),))


class FakeClinicianRegister:
    """The register's rows about clinicians, in memory."""

    def __init__(self, *sources: VerificationSource) -> None:
        self.sources = list(sources)

    async def clinician_policy(self, facility: str, as_of: date) -> ClinicianPolicy:
        return ClinicianPolicy(facility=facility)

    async def clinician_role(self, code: str, as_of: date) -> ClinicianRole | None:
        return None

    async def access_targets(self, as_of: date) -> Sequence[AccessTarget]:
        return []

    async def verification_sources(self, as_of: date) -> Sequence[VerificationSource]:
        return self.sources
