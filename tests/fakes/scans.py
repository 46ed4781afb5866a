"""What our store would say to scanners, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from canonical.scans import Scan, ScanFacts, UseStanding


class FakeStock:
    """``known`` is what it says of every scan; ``asked`` what it was asked; ``standings`` by number."""

    def __init__(self) -> None:
        self.known: ScanFacts | None = None
        self.asked: list[Scan] = []
        self.standings: dict[tuple[str, str, str], list[UseStanding]] = {}

    async def facts(self, scan: Scan) -> ScanFacts:
        self.asked.append(scan)
        return self.known or ScanFacts(today=scan.at.date(), expires=scan.expires)

    async def uses(self, facility: str, source: str, number: str) -> Sequence[UseStanding]:
        return self.standings.get((facility, source, number), [])
