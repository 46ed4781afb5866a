"""Tells billing of what was used: each charge and each credit once, by the channel the facility's usage policy names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol

import structlog

from canonical.charges import OWNER, Charge
from canonical.errors import Malformed, Rejected, Throttled, Unavailable
from canonical.messages import Kept, NewMessage
from canonical.senders import Channel, Sender
from canonical.supply import Item
from canonical.usage import UsagePolicy
from gateway.charge_subjects import subject
from gateway.fhir_charges import charge_item
from gateway.hl7_charges import dft
from store.charges import TAKEN_BACK

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)
AT_ONCE: Final = 100
ROUNDS: Final = 50  # of one look; then the other loops have a turn

log = structlog.get_logger(__name__)


class Due(Protocol):
    """Charges that wait to be written."""

    async def due(self, at: datetime, limit: int = 50) -> Sequence[Charge]: ...
    async def write(self, charge: str, channel: str, message: NewMessage) -> str: ...
    async def needless(self, charge: str, reason: str, *, also: str = "") -> bool: ...
    async def dead(self, charge: str, reason: str) -> None: ...
    async def later(self, charge: str, reason: str, again_at: datetime) -> None: ...


class Messages(Protocol):
    """The journal, as far as it is read."""

    async def read(self, message: str) -> Kept | None: ...


class Terms(Protocol):
    """What is charged for what, by which way, and in whose letters a department writes."""

    async def senders(self) -> Sequence[Sender]: ...
    async def channels(self) -> Sequence[Channel]: ...
    async def item(self, facility: str, code: str) -> Item | None: ...
    async def usage_policy(self, facility: str, as_of: date) -> UsagePolicy: ...


class ChargeWriter:
    """One look writes what is due; what cannot be written now is tried again, what never can is shown to a person.

    A charge that was taken back before billing was told of it is told to nobody, nor is its credit. Reasons and logs name charges
    and items, never a patient.
    """

    def __init__(
        self,
        charges: Due,
        messages: Messages,
        register: Terms,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._charges = charges
        self._messages = messages
        self._register = register
        self._clock = clock

    async def once(self) -> None:
        """Write everything that is due."""
        desk: _Desk | None = None
        for _ in range(ROUNDS):
            due = await self._charges.due(self._clock(), AT_ONCE)
            if not due:
                return
            desk = desk or await _Desk.open(self._register)
            waiting: set[str] = set()
            for one in due:
                if one.event_id in waiting:
                    continue  # a credit waits for its charge
                if not await self._tell(one, desk):
                    waiting.add(one.event_id)
            if len(due) < AT_ONCE:
                return

    async def _tell(self, one: Charge, desk: _Desk) -> bool:
        about = {"charge": one.id, "item": one.item, "facility": one.facility}
        try:
            if await self._taken_back(one):
                return True
            channel = await desk.channel(one)
            if channel is None:
                return await self._charges.needless(one.id, "the facility's usage policy names no channel (bill_to)")
            await self._charges.write(one.id, channel.code, await self._message(one, channel, desk))
        except (Unavailable, Throttled) as away:
            log.warning("charge waits", problem=away.message, **about)
            return await self._later(one, away.message)
        except (Malformed, Rejected) as wrong:
            await self._charges.dead(one.id, wrong.message)
            log.error("charge cannot be written", alert=True, problem=wrong.message, owner=OWNER, **about)
        except Exception as bug:  # ours: the next version of our code writes it; meanwhile it keeps no other waiting
            # Its text may hold what was read: a patient's name has no place in a log.
            log.error("charge could not be written", alert=True, problem=type(bug).__name__, **about)
            return await self._later(one, f"unexpected {type(bug).__name__}")
        return True

    async def _taken_back(self, one: Charge) -> bool:
        """Whether billing is not to hear of it at all: it was taken back before it heard of it."""
        if one.kind == "charge":
            return bool(one.taken_back) and await self._charges.needless(one.id, TAKEN_BACK, also=one.taken_back)
        if one.charge_state == "written":
            return False
        if one.charge_state in ("due", "dead"):
            return await self._charges.needless(one.id, TAKEN_BACK, also=one.charge)
        return await self._charges.needless(one.id, "billing was told of no charge to take back")

    async def _message(self, one: Charge, channel: Channel, desk: _Desk) -> NewMessage:
        if not one.quantity:
            raise Malformed("it has no quantity", path="quantity", code="data-missing")
        item = await desk.item(one)
        kept = await self._messages.read(one.message)
        if kept is None:
            raise Rejected(f"the journal has no message {one.message}", code="data-missing", system="store")
        sender = desk.senders.get(kept.sender)
        whom = subject(one, kept, sender)
        if channel.kind == "fhir":
            return charge_item(one, item, whom, channel)
        return dft(one, item, whom, sender, channel)

    async def _later(self, one: Charge, why: str) -> bool:
        pause = min(FIRST_PAUSE * 2 ** min(one.attempts, 20), LONGEST_PAUSE)
        await self._charges.later(one.id, why, self._clock() + pause)
        return False


class _Desk:
    """The register as it stands for one look."""

    def __init__(self, register: Terms, senders: Sequence[Sender], channels: Sequence[Channel]) -> None:
        self._register = register
        self.senders = {one.code: one for one in senders}
        self._channels = {one.code: one for one in channels}
        self._items: dict[tuple[str, str], Item | None] = {}
        self._bill_to: dict[tuple[str, date], str] = {}

    @classmethod
    async def open(cls, register: Terms) -> _Desk:
        return cls(register, await register.senders(), await register.channels())

    async def channel(self, one: Charge) -> Channel | None:
        """The way to billing; None where the facility has none.

        Raises:
            Rejected: the channel that is named is unknown, or of a kind charges do not leave by.
        """
        code = one.channel
        if not code:
            key = one.facility, one.event.used_at.date()
            if key not in self._bill_to:
                self._bill_to[key] = (await self._register.usage_policy(*key)).bill_to
            code = self._bill_to[key]
        if not code:
            return None
        found = self._channels.get(code)
        if found is None or found.kind not in ("mllp", "fhir"):
            told = f"channel {code} is not in the register" if found is None else f"channel {code} sends no charges"
            raise Rejected(told, code="configuration", system="register")
        return found

    async def item(self, one: Charge) -> Item:
        """What was used.

        Raises:
            Rejected: it is not in the register any more.
        """
        key = one.facility, one.item
        if key not in self._items:
            self._items[key] = await self._register.item(*key)
        found = self._items[key]
        if found is None:
            raise Rejected(f"item {one.item} is not in the register", code="unknown-code", system="register")
        return found
