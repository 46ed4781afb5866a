"""Confirming a supplier's changed bank details, and letting the payments go on that wait for it."""

from __future__ import annotations

from canonical.errors import Rejected, Unavailable
from cli import reading
from cli.exits import not_allowed, not_found
from cli.views import BankConfirmed
from store.ids import now
from workers.wiring import Wiring

MAY_CONFIRM = "finance"


async def confirm(wiring: Wiring, code: str, fingerprint: str, login: str, *, dry_run: bool) -> BankConfirmed:
    """Write who confirmed which fingerprint when, then tell the cases that wait; said again, they are told again.

    Raises:
        Rejected: no such supplier, no bank details, others than said, or no person who may confirm them.
        Unavailable: it is confirmed, and not every case could be told.
    """
    person = await reading.employee(wiring, "", login)
    if person is None or MAY_CONFIRM not in person.roles:
        raise not_allowed(
            f"bank details are confirmed by an active employee of the role {MAY_CONFIRM}, which the login {login} is not"
        )
    held = await wiring.register.supplier(code)
    if held is None:
        raise not_found("supplier", code, "see `fascia register show supplier`")
    if not held.bank_fingerprint:
        raise Rejected(f"the register has no bank details of {code}", code="not-open")
    waiting = await wiring.queries.waiting_for_bank(code)
    fingerprint = fingerprint or held.bank_fingerprint
    if dry_run:
        return BankConfirmed(supplier=code, fingerprint=fingerprint, told=tuple(waiting), dry_run=True)
    confirmed = await wiring.register.confirm_bank(code, fingerprint, person, now())
    told: list[str] = []
    not_running: list[str] = []
    for case in waiting:
        try:
            (told if await wiring.engine.look_again(case) else not_running).append(case)
        except Unavailable as away:
            raise Unavailable(
                f"confirmed, but {case} could not be told ({away.message}); safe to repeat", system=away.system
            ) from away
    return BankConfirmed(
        supplier=code,
        fingerprint=fingerprint,
        confirmed_by=confirmed.bank_confirmed_by,
        confirmed_at=confirmed.bank_confirmed_at,
        told=tuple(told),
        not_running=tuple(not_running),
    )
