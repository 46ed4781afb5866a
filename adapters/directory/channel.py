"""Tells directories (the EHR and whoever else must know who works where) of clinicians, by a channel of ours.

What is told is queued behind all else of its channel, in order, and counts as seen when the other side has said yes (AA). The same
wish is told once; another is told after it, under the next number.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from canonical.access import AccessTarget, TargetSeen, Wanted
from canonical.directory import DirectoryLog, Said
from canonical.errors import Rejected
from canonical.messages import NewMessage
from canonical.senders import Channel
from formats.fhir import RELEASES
from formats.fhir_staff import ROLE, practitioner_role
from formats.hl7_staff import EVENTS, Deed, mfn_m02, pmu

SYSTEM: Final = "directory"
NOT_TAKEN: Final = "not-taken"  # the directory refused what it was told


class ChannelDirectory:
    """One directory. ``form``: how it is told, ``mfn``, ``pmu`` or ``fhir``."""

    def __init__(
        self,
        target: AccessTarget,
        log: DirectoryLog,
        form: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._target, self._log, self._form, self._clock = target, log, form, clock

    async def look(self, wanted: Wanted) -> TargetSeen:
        """What it was told last, and whether it has said yes to it."""
        return await self._seen(await self._log.last(self._target.code, wanted.person), wanted)

    async def write(self, wanted: Wanted) -> TargetSeen:
        """Queue what is new.

        Raises:
            Rejected: its channel is not in the register, or does not speak this way.
            Unavailable: something else was told meanwhile: look again.
        """
        last = await self._log.last(self._target.code, wanted.person)
        nothing_to_end = not wanted.active and last.number == 0
        refused = last.number > 0 and await self._log.delivery(last) == "refused"
        if nothing_to_end or (last.hash == wanted.hash and not refused):
            return await self._seen(last, wanted)
        channel = await self._channel()
        number = last.number + 1
        if refused and not await self._log.taken(channel.code, self._controls(wanted, last)):
            last = Said()  # it has taken none of our words about them: they are somebody new there
        places = tuple(sorted({one.facility for one in wanted.held}))
        said = Said(number=number, hash=wanted.hash, active=wanted.active, places=places)
        told = self._told(wanted, last, number, channel)
        kept = await self._log.say(self._target.code, wanted.person, channel.code, told, said)
        return await self._seen(kept, wanted)

    async def _channel(self) -> Channel:
        channel = await self._log.channel(self._target.channel)
        if channel is None or not channel.active:
            told = (
                f"target {self._target.code} names channel {self._target.channel or '(none)'}, which nobody has set up"
            )
            raise Rejected(told, code="configuration", system=SYSTEM)
        if (channel.kind == "fhir") != (self._form == "fhir"):
            told = f"target {self._target.code} is told by {self._form}, its channel {channel.code} is of kind {channel.kind}"
            raise Rejected(told, code="configuration", system=SYSTEM)
        return channel

    async def _seen(self, said: Said, wanted: Wanted) -> TargetSeen:
        if said.number == 0:
            return TargetSeen(present=False, as_wanted=not wanted.active)
        became = await self._log.delivery(said)
        return TargetSeen(
            present=True,
            active=said.active or became != "taken",  # what has not arrived may still say the opposite there
            version=str(said.number),
            reference=said.messages[0] if said.messages else "",
            as_wanted=said.hash == wanted.hash and became == "taken",
            finding=NOT_TAKEN if became == "refused" else "",
        )

    def _told(self, wanted: Wanted, last: Said, number: int, channel: Channel) -> list[NewMessage]:
        if self._form != "fhir":
            return [self._hl7(wanted, _deed(wanted, last), number, channel)]
        held = {one.facility: one for one in wanted.held}
        places = sorted({*held, *last.places})
        release = RELEASES[channel.release].kind(ROLE)
        return [
            self._message(wanted, number, at, release, practitioner_role(wanted, place, held.get(place)), channel)
            for at, place in enumerate(places, start=1)
        ]

    def _hl7(self, wanted: Wanted, deed: Deed, number: int, channel: Channel) -> NewMessage:
        control = _control(self._key(wanted, number, 1))
        write = pmu if self._form == "pmu" else mfn_m02
        kind = f"PMU^{EVENTS[deed]}" if self._form == "pmu" else "MFN^M02"
        return self._message(wanted, number, 1, kind, write(wanted, deed, channel, control, self._clock()), channel)

    def _controls(self, wanted: Wanted, last: Said) -> list[str]:
        """The control ids of all it was told of somebody."""
        return [_control(self._key(wanted, number, 1)) for number in range(1, last.number + 1)]

    def _key(self, wanted: Wanted, number: int, part: int) -> str:
        return f"people/{self._target.code}/{wanted.person}/{number}/{part}"

    def _message(self, wanted: Wanted, number: int, part: int, kind: str, data: bytes, channel: Channel) -> NewMessage:
        key = self._key(wanted, number, part)
        return NewMessage(
            direction="out",
            door=channel.kind,
            data=data,
            partner=channel.code,
            kind=kind,
            control_number=_control(key),
            key=key,
            channel=channel.code,
        )


def _deed(wanted: Wanted, last: Said) -> Deed:
    """What it is to them: from what they heard last to what is so now."""
    if last.number == 0:
        return "add"
    if not wanted.active:
        return "deactivate" if wanted.exists else "terminate"
    return "update" if last.active else "activate"


def _control(key: str) -> str:
    """MSH-10: 20 characters, the same for the same message."""
    return "P" + base64.b32encode(hashlib.sha256(key.encode()).digest()).decode()[:19]
