"""A notification as FHIR's subscriptions send it: what became of requests changed, and these are their Tasks.

R5: hl7.org/fhir/R5/subscriptions.html (Bundle of type subscription-notification); R4B: the Subscriptions R5 Backport IG (the same in
a Bundle of type history). It holds no more than who asked may read: the Tasks of its own requests, as they are when it is sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from formats import fhir
from formats.fhir import Release, Tree
from gateway.fhir_request import BASE, media_type
from gateway.fhir_tasks import TASK, Became, instant, task

__all__ = ["media_type", "notification", "release_named"]
TOPIC: Final = "urn:fascia:topic:request-changed"
_OURS: Final = uuid.UUID("6f0a9d3e-54d1-5c0e-8b57-9a2f0c6e1d20")  # so that a repeat of an event has the same name


def notification(
    release: Release,
    tasks: Sequence[Became],
    *,
    subscriber: str,
    event: str,
    number: int,
    at: datetime,
    address: str,
    sent: datetime,
) -> bytes:
    """The Bundle that tells a subscriber of an event, the ``number``-th it is told of; ``address`` is our door's.

    Moments are when it happened (``at``) and when it is told (``sent``).
    """
    base = f"{address.rstrip('/')}{BASE}/{release.name}"
    places = [f"{base}/{TASK}/{one.stored.id}" for one in tasks]
    happened: Tree = {"eventNumber": str(number), "timestamp": instant(at)}
    if places:
        happened["focus"] = {"reference": places[0]}
    if places[1:]:
        happened["additionalContext"] = [{"reference": place} for place in places[1:]]
    status: Tree = {
        "resourceType": "SubscriptionStatus",
        "status": "active",
        "type": "event-notification",
        "eventsSinceSubscriptionStart": str(number),
        "notificationEvent": [happened],
        "subscription": {"display": subscriber},
        "topic": TOPIC,
    }
    name = f"urn:uuid:{uuid.uuid5(_OURS, f'{subscriber}/{event}')}"
    entries = [_entry(release, name, status, "GET", "Subscription/$status")]
    entries += [
        _entry(release, place, task(one), "PUT", f"{TASK}/{one.stored.id}")
        for one, place in zip(tasks, places, strict=True)
    ]
    kind = "subscription-notification" if release == fhir.R5 else "history"
    return fhir.write({"resourceType": fhir.BUNDLE, "type": kind, "timestamp": instant(sent), "entry": entries})


def release_named(name: str) -> Release:
    """The release a subscriber's form names (``r5``)."""
    return fhir.RELEASES[name]


def _entry(release: Release, url: str, resource: Tree, method: str, asked: str) -> dict[str, Any]:
    """In R4B it stands in a history, where each entry says what made it."""
    entry: dict[str, Any] = {"fullUrl": url, "resource": resource}
    if release != fhir.R5:
        entry |= {"request": {"method": method, "url": asked}, "response": {"status": "200"}}
    return entry
