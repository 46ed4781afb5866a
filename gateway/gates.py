"""The gates of a door by sender: of strangers, whom anybody can pretend to be, no more than a bound are kept."""

from __future__ import annotations

from typing import Final

from gateway.quota import Gate, PartyT

MOST_IDLE: Final = 10_000  # of gates nobody waits at and that are full again: as good as new ones


def forget_idle(gates: dict[str, Gate[PartyT]], most: int = MOST_IDLE) -> None:
    """Drop gates that are as new, where there are ``most`` or more; called before another one is put in."""
    if len(gates) < most:
        return
    for name in [name for name, gate in gates.items() if gate.idle]:
        gates.pop(name).close()
