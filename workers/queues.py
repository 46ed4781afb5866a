"""The task queues our programs serve: the workers' own, one for each target of the register, and that of revocations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from canonical.access import AccessTarget
from workers.temporal import ERP, PROCESSES, SUPPLIER, VERIFICATION
from workflows.policies import REVOCATION_QUEUE, TARGET_QUEUE

ALWAYS: Final = (PROCESSES, ERP, SUPPLIER, VERIFICATION)  # by every worker
REVOKING: Final = (REVOCATION_QUEUE,)  # by the process of revocations alone


def queue_of(target: str) -> str:
    """The queue of one target, by its code: what is slow there fills no other."""
    return f"{TARGET_QUEUE}-{target}"


def usual(targets: Iterable[AccessTarget]) -> tuple[str, ...]:
    """Every queue of the workers, given the register's targets; also of one put out of use, where something is to be taken back."""
    return (*ALWAYS, *(queue_of(one.code) for one in targets))
