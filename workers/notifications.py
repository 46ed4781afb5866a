"""Puts an event into the words its subscriber asked for: our own JSON, or a FHIR notification with the Tasks of its requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from canonical.errors import Rejected
from gateway.directory import Directory
from gateway.fhir_notifications import media_type, notification, release_named
from gateway.fhir_tasks import Tasks
from store.fulfilment import StoredFulfilment
from store.outbox import Delivery

JSON = "application/json"
FHIR = "fhir/"  # how a subscriber's form begins that wants FHIR; the release follows


class Notifier:
    """Writes what a subscriber is sent. ``address`` is where our FHIR door is, as others reach it."""

    def __init__(
        self,
        directory: Directory,
        tasks: Tasks,
        fulfilment: StoredFulfilment,
        address: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._tasks = tasks
        self._fulfilment = fulfilment
        self._address = address
        self._clock = clock

    async def __call__(self, delivery: Delivery) -> tuple[bytes, str]:
        """The body and its media type.

        Raises:
            Rejected: its sender or its request is not known any more.
        """
        form, event = delivery.subscriber.form, delivery.event
        if not form.startswith(FHIR):
            return event.model_dump_json().encode(), JSON
        release = release_named(form.removeprefix(FHIR))
        sender = self._directory.sender(delivery.subscriber.sender)
        if sender is None:
            await self._directory.refresh()
            sender = self._directory.sender(delivery.subscriber.sender)
        message = await self._fulfilment.asked_by(event.case)
        if sender is None or not message:
            raise Rejected("its sender or its request is not known", code="not-found", system="door")
        tasks = await self._tasks.about(sender, release, message)
        body = notification(
            release,
            tasks,
            subscriber=delivery.subscriber.name,
            event=event.key,
            number=await self._fulfilment.number(delivery.subscriber.name, delivery.id),
            at=event.occurred_at,
            address=self._address,
            sent=self._clock(),
        )
        return body, media_type(release)
