"""Fetches OIG's exclusion list: the whole file of the month, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Final

import httpx

from adapters import http
from canonical.errors import Malformed, Unavailable
from canonical.exclusions import Listed
from formats import leie

READ: Final = {"leie": leie.read}  # SAM and state lists: another reader of their file, the same rows


class ExclusionFile:
    """A list by the address of its file. ``form``: in which format it is published."""

    def __init__(self, client: httpx.AsyncClient, code: str, url: str, form: str = "leie") -> None:
        self._client, self._code, self._url, self._form = client, code, url, form

    async def fetch(self, as_of: date) -> tuple[str, Sequence[Listed]]:
        """The hash (SHA-256) of the file and its rows.

        Raises:
            Unavailable: it does not answer, or the file stopped coming before its end (it said how long it is).
            Malformed: (list-empty, list-truncated, data-invalid) it is no full edition.
        """
        data = await self._data()
        return hashlib.sha256(data).hexdigest(), READ[self._form](data, as_of)

    async def _data(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            async with self._client.stream("GET", self._url) as response:
                http.check(response, system=self._code, repeat=False)
                async for part in response.aiter_bytes():
                    size += len(part)
                    if size > leie.MOST_BYTES:
                        raise Malformed(f"the file has more than {leie.MOST_BYTES} bytes", code="too-large")
                    parts.append(part)
        except httpx.RequestError as lost:
            raise Unavailable(
                f"{self._code} did not send its list to the end ({type(lost).__name__})", system=self._code
            ) from None
        return b"".join(parts)
