"""Fetching OIG's list: the whole of it, or a failure that leaves the one before in force."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import date

import pytest

from adapters.lookup import LookupAccess
from adapters.verification.leie import ExclusionFile
from canonical.errors import Malformed, Throttled, Unavailable
from demo.registries import Sources, served
from tests.formats.test_leie import file, row

TODAY = date(2026, 11, 20)
WHOLE = file(row(), row(LASTNAME="ROE"))


@pytest.fixture
async def sources() -> AsyncIterator[Sources]:
    yield Sources(leie=WHOLE)


async def fetched(sources: Sources) -> tuple[str, int]:
    async with served(sources) as base, LookupAccess("LEIE", f"{base}/leie", timeout=2.0).client() as client:
        file_hash, rows = await ExclusionFile(client, "LEIE", f"{base}/leie").fetch(TODAY)
        return file_hash, len(rows)


async def test_the_whole_file_is_fetched_with_its_hash(sources: Sources) -> None:
    assert await fetched(sources) == (hashlib.sha256(WHOLE).hexdigest(), 2)


async def test_a_file_that_stops_coming_before_its_end_is_no_file(sources: Sources) -> None:
    """It ends between two rows: only the length that was promised tells."""
    cut = file(row())
    sources.faults["leie"] = lambda: (200, {"Content-Length": str(len(WHOLE))}, cut)
    with pytest.raises(Unavailable, match="to the end"):
        await fetched(sources)


@pytest.mark.parametrize("sent", [b"", file(), WHOLE[:-9], b"<html>Scheduled maintenance</html>"])
async def test_an_empty_or_cut_file_is_refused(sources: Sources, sent: bytes) -> None:
    sources.leie = sent
    with pytest.raises(Malformed):
        await fetched(sources)


async def test_a_source_that_is_down_slow_or_throttles_says_so(sources: Sources) -> None:
    sources.faults["leie"] = lambda: (503, {}, b"")
    with pytest.raises(Unavailable):
        await fetched(sources)
    sources.faults["leie"] = lambda: (429, {"Retry-After": "9"}, b"")
    with pytest.raises(Throttled):
        await fetched(sources)
    sources.faults.clear()
    sources.slow = 4.0
    with pytest.raises(Unavailable):
        await fetched(sources)
