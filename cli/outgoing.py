"""Who hears of our events, as the commands keep it: terms in our own store, secrets in files, each deed noted with who did it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from canonical.cases import Actor
from canonical.errors import Rejected
from canonical.events import EVENTS
from cli.exits import Stop, not_found, wrong_usage
from cli.house import DeliveryFilter, SubscriberRequest
from cli.views import ActView, DeliveryView, SubscriberAdded, SubscriberRemoved, SubscriberRow
from store.acts import Act, StoredActs
from store.outbox import Subscriber
from store.subscriptions import STATES, StoredSubscriptions
from workers.settings import SECRETS
from workers.wiring import Wiring

PREFIX = "whsec_"


async def subscribers(wiring: Wiring, everyone: bool, limit: int) -> Sequence[SubscriberRow]:
    """Who listens, by name."""
    found = await StoredSubscriptions(wiring.database).subscribers(everyone=everyone)
    return [SubscriberRow.model_validate(one.model_dump()) for one in found[:limit]]


async def subscribe(
    wiring: Wiring, request: SubscriberRequest, secret: str, by: Actor, *, replace: bool, new_secret: bool
) -> SubscriberAdded:
    """Let somebody hear of events; see :meth:`cli.house.House.subscribe`.

    Raises:
        Stop: no such event or facility, or another secret than it has.
        Rejected: one of this name has other terms.
    """
    for pattern in request.types:
        if not any(fnmatchcase(event, pattern) for event in EVENTS):
            raise wrong_usage(f"no event is called {pattern}", f"the events are {', '.join(EVENTS)}")
    known = await wiring.facilities() if request.facilities else []
    for facility in request.facilities:
        if facility not in known:
            raise not_found("facility", facility, f"the register has {', '.join(known) or 'none'}")
    if request.sender:
        rows = {one.code: one for one in await wiring.register.senders()}
        if request.sender not in rows:
            raise not_found("sender", request.sender, f"the register has {', '.join(rows) or 'none'}")
        if request.form and rows[request.sender].dialect != "fhir":
            raise wrong_usage(
                f"{request.sender} does not ask by FHIR", f"it is a sender of {rows[request.sender].dialect}"
            )
    store = StoredSubscriptions(wiring.database)
    path = _secret_file(wiring, request.name)
    held = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    listens = any(one.name == request.name for one in await store.subscribers())
    if listens and held and secret not in ("", held) and not replace:
        raise Stop(
            f"{request.name} is a subscriber with another secret", code="conflict", hint="--replace gives it this one"
        )
    made = "" if secret or (listens and held and not new_secret) else PREFIX + secrets.token_urlsafe(32)
    signs_by = made or secret or held
    wanted = Subscriber(**request.model_dump(), secret_file=path.name)
    act = Act(verb="subscriber add", about=f"subscriber/{request.name}", actor=by, detail=_terms(request))
    outcome = await store.add(wanted, act, replace=replace)
    if signs_by != held:
        _write(path, signs_by)
        if outcome == "unchanged":
            await store.note(act.model_copy(update={"verb": "subscriber secret", "detail": "another secret"}))
            outcome = "changed"
    return SubscriberAdded(**request.model_dump(), outcome=outcome, secret=made)


async def unsubscribe(wiring: Wiring, name: str, by: Actor) -> SubscriberRemoved:
    """Let somebody hear of nothing more; the secret goes too."""
    act = Act(verb="subscriber remove", about=f"subscriber/{name}", actor=by)
    held, dropped = await StoredSubscriptions(wiring.database).remove(name, act)
    if held.secret_file == _secret_file(wiring, name).name:
        _secret_file(wiring, name).unlink(missing_ok=True)
    return SubscriberRemoved.model_validate({**held.model_dump(), "dropped": dropped})


async def deliveries(wiring: Wiring, which: DeliveryFilter, limit: int) -> Sequence[DeliveryView]:
    """Events on their way to subscribers, newest first."""
    if which.state and which.state not in STATES:
        raise wrong_usage(f"a delivery is never {which.state}", f"it is {', '.join(STATES)}")
    found = await StoredSubscriptions(wiring.database).deliveries(which.state, which.subscriber, limit)
    return [DeliveryView.model_validate(one.model_dump()) for one in found]


async def retry(
    wiring: Wiring, ids: Sequence[int], subscriber: str, why: str, by: Actor, *, dry_run: bool
) -> Sequence[DeliveryView]:
    """Try dead deliveries again; the outbox sends them in its next round."""
    store = StoredSubscriptions(wiring.database)
    if subscriber and subscriber not in [one.name for one in await store.subscribers()]:
        raise Rejected(f"there is no subscriber {subscriber}", code="not-found", system="store")
    act = Act(verb="outbox retry", about="", actor=by, reason=why)
    found = await store.retry(ids, act, subscriber=subscriber, dry_run=dry_run)
    return [DeliveryView.model_validate(one.model_dump()) for one in found]


async def acts(wiring: Wiring, about: str, limit: int) -> Sequence[ActView]:
    """What operators did, newest first."""
    found = await StoredActs(wiring.database).acts(about, limit)
    return [
        ActView(**one.model_dump(exclude={"actor"}), actor=one.actor.id, known_by=one.actor.known_by) for one in found
    ]


def _terms(request: SubscriberRequest) -> str:
    where = " ".join(request.facilities) or "every facility"
    rate = f", {request.per_second} a second" if request.per_second else ""
    whose = f", of what {request.sender} asked for" if request.sender else ""
    how = f", as {request.form}" if request.form else ""
    return f"{request.url}: {' '.join(request.types)} at {where}{whose}{how}{rate}"


def _secret_file(wiring: Wiring, name: str) -> Path:
    return wiring.settings.home / SECRETS / f"subscriber_{name}"


def _write(path: Path, secret: str) -> None:
    """Whole or not at all, and readable by us alone: a sender at work never reads half a secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        new.replace(path)
    except OSError as refused:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise Stop(
            f"the subscriber is kept, but its secret cannot be written to {path} ({refused.strerror})",
            code="failed",
            hint="give the command again with --new-secret where the outbox reads its secrets",
        ) from None
