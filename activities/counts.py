"""The step that holds our books of a location against the ERP's."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import activity

from canonical.base import FacilityCode
from canonical.errors import Malformed, Rejected
from canonical.stock import Recorded, RoundKey
from canonical.stock_ports import ErpCounts, StockErp


class CountActivities:
    """What lies there stays in our own store: keys come and go."""

    def __init__(self, counts: ErpCounts, erp_for: Callable[[FacilityCode], StockErp]) -> None:
        self._counts = counts
        self._erp_for = erp_for

    @activity.defn
    async def count_in_erp(self, key: RoundKey) -> Recorded:
        """Bring our books of a location to what the ERP's say; what is to be brought since.

        Where the ERP says no, the location goes on with the books it has.
        """
        try:
            on_hand = await self._erp_for(key.facility).on_hand(key.facility, key.location, key.as_of)
        except (Rejected, Malformed) as no:
            await self._counts.skipped(key, no.message)
            return Recorded(round=key.round)
        return await self._counts.compared(key, on_hand)
