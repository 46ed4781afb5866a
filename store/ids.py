"""Names for what we keep: a name given later sorts later, so lists read in the order things happened."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

_VERSION_7 = 7 << 76
_VARIANT = 2 << 62
_behind = timedelta(0)


def new_id(at: datetime | None = None) -> str:
    """A UUID of version 7 (RFC 9562): milliseconds, then the fraction below them, then chance."""
    moment = at or now()
    milliseconds, rest = divmod(_microseconds(moment), 1000)
    fraction = rest * 4096 // 1000
    return str(UUID(int=milliseconds << 80 | _VERSION_7 | fraction << 64 | _VARIANT | secrets.randbits(62)))


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


class IdsInOrder:
    """Ids of one process, each after the one before, also within a microsecond and when the clock is set back."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> tuple[str, datetime]:
        """An id and the moment it stands for."""
        at = now()
        moment = _microseconds(at)
        if moment <= self._last:
            moment = self._last + 1
            at = datetime.fromtimestamp(moment // 1_000_000, UTC).replace(microsecond=moment % 1_000_000)
        self._last = moment
        return new_id(at), at


def lowest_id(at: datetime) -> str:
    """Every id given at this millisecond or later is not below it, every earlier one is."""
    return str(UUID(int=_microseconds(at) // 1000 << 80))


def moment_of(identity: str) -> datetime:
    """The millisecond an id was given at."""
    return datetime.fromtimestamp((UUID(identity).int >> 80) / 1000, UTC)


def now() -> datetime:
    """The moment something was kept. Never used for a rule of the business: those take their date as an argument."""
    return datetime.now(UTC) + _behind


def set_right(by: timedelta) -> None:
    """Let :func:`now` differ from this machine's clock; see :mod:`store.clock`."""
    global _behind  # noqa: PLW0603 one process has one clock
    _behind = by


def behind() -> timedelta:
    """How far this machine's clock is behind what :func:`now` says."""
    return _behind
