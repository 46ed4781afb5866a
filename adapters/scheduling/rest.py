"""Tells a scheduling system who may be put on its schedule: one record for each person, by our key, over REST.

``PUT {url}/eligibility/{person}`` with ``If-Match`` makes or changes it, ``GET`` reads it; the record says whether somebody may be
scheduled, at which facilities, for what and until when. A repeat of a PUT changes nothing. A name goes along, since people plan with
names; it is never read back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from adapters import http
from canonical.access import AccessTarget, Held, TargetSeen, Wanted
from canonical.errors import Unavailable

SYSTEM: Final = "scheduling"
TRIES: Final = 3  # of a change that another one crossed


class RestScheduling:
    """One scheduling system."""

    def __init__(self, client: httpx.AsyncClient, target: AccessTarget, token: Path | None = None) -> None:
        self._client, self._target, self._token = client, target, token

    async def look(self, wanted: Wanted) -> TargetSeen:
        """What stands there.

        Raises:
            Unavailable: no answer. Throttled: it asks us to slow down. Rejected: it does not let us in.
        """
        tag, record = await self._read(wanted.person)
        return _seen(tag, record, wanted)

    async def write(self, wanted: Wanted) -> TargetSeen:
        """Make it so, and read what stands there afterwards.

        Raises:
            Unavailable: no answer, or others change it all the time. Throttled: it asks us to slow down. Rejected: it says no.
        """
        for _ in range(TRIES):
            tag, record = await self._read(wanted.person)
            if record is None and not wanted.active:
                return _seen(tag, record, wanted)
            if record is not None and _plain(record) == _plain(_record(wanted)):
                return _seen(tag, record, wanted)
            match = {"If-None-Match": "*"} if record is None else {"If-Match": tag} if tag else {}
            request = self._request("PUT", wanted.person, match, json=_record(wanted))
            if (await self._send(request, also=httpx.codes.PRECONDITION_FAILED)).is_success:
                tag, record = await self._read(wanted.person)
                return _seen(tag, record, wanted)
        raise Unavailable("scheduling changed under our hands", code="crossed", system=SYSTEM)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _read(self, person: str) -> tuple[str, dict[str, Any] | None]:
        response = await self._send(self._request("GET", person, {}), also=httpx.codes.NOT_FOUND)
        if response.status_code == httpx.codes.NOT_FOUND:
            return "", None
        found = http.said(response)
        if not isinstance(found, dict) or found.get("externalId") != person:
            raise Unavailable("scheduling answered no record of the one asked for", code="no-answer", system=SYSTEM)
        tag = response.headers.get("ETag", "")
        return tag if http.TAG.fullmatch(tag) else "", found

    async def _send(self, request: httpx.Request, *, also: int) -> httpx.Response:
        response = await http.whole(self._client, request, system=SYSTEM)
        if response.status_code != also:
            http.check(response, system=SYSTEM, repeat=False)  # its words may repeat the name we sent
        return response

    def _request(self, method: str, person: str, headers: dict[str, str], **body: Any) -> httpx.Request:
        url = f"{self._target.url.rstrip('/')}/eligibility/{quote(person, safe='')}"
        return self._client.build_request(method, url, headers=headers | self._authorised(), **body)

    def _authorised(self) -> dict[str, str]:
        return http.bearer(self._token, system=self._target.code) if self._token is not None else {}


def _record(wanted: Wanted) -> dict[str, Any]:
    eligible = [one for one in wanted.held if one.eligible] if wanted.active else []
    name = wanted.record.name
    return {
        "externalId": wanted.person,
        "eligible": bool(eligible),
        "displayName": ", ".join(part for part in (name.family, name.given) if part) if eligible else "",
        "assignments": [_assignment(one) for one in eligible],
    }


def _assignment(held: Held) -> dict[str, Any]:
    return {
        "facility": held.facility,
        "department": held.position.department or "",
        "role": held.position.role,
        "from": held.starts.isoformat() if held.starts else None,
        "until": held.ends.isoformat() if held.ends else None,
        "privileges": [
            {"site": one.site, "service": one.service, "procedures": one.procedures} for one in held.privileges
        ],
    }


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """What we have a say in; a record may hold more."""
    return {name: record.get(name) for name in ("externalId", "eligible", "displayName", "assignments")}


def _seen(tag: str, record: dict[str, Any] | None, wanted: Wanted) -> TargetSeen:
    if record is None:
        return TargetSeen(present=False, as_wanted=not wanted.active)
    return TargetSeen(
        present=True,
        active=bool(record.get("eligible")),
        version=tag,
        reference=str(record.get("externalId", ""))[:200],
        as_wanted=_plain(record) == _plain(_record(wanted)),
    )
