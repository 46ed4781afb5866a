"""An identity provider that does not answer at once: the reference server of the scim2 family, in a process of its own.

It stands before anybody is hired, and only for a facility of its own: a target that is loaded later concerns everybody who is known,
and what is measured then is how a thousand cases look for something that most of them do not want.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx

from bench.stand import Stand
from canonical.access import AccessTarget
from stack.part import Part

CODE, NAME = "scim2", "scim2-server"
GROUPS = ("staff", "clinical")
_TOKEN, _TOKEN_FILE = "the token of this measurement", "scim2_token"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


async def provided(stand: Stand, facility: str) -> AccessTarget:
    """Start it with the groups of the measured role; gives its row of the register. It forgets all accounts when it is stopped."""
    secrets, port = stand.stack.settings.home / "secrets", stand.stack.port(NAME)
    secrets.mkdir(exist_ok=True)
    (secrets / _TOKEN_FILE).write_text(_TOKEN, encoding="utf-8")
    argv = (str(Path(sys.executable).parent / NAME), "--port", str(port), "--bearer-token", _TOKEN)
    await stand.stack.add_part(Part(name=NAME, argv=argv))
    url = f"http://127.0.0.1:{port}"
    await _grouped(url)
    return AccessTarget(
        code=CODE,
        kind="identity",
        adapter="scim",
        facility=facility,
        url=url,
        token_file=_TOKEN_FILE,
        per_second=1000.0,
    )


async def _grouped(url: str) -> None:
    """Make its groups, once it answers."""
    headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/scim+json"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=20) as client, asyncio.timeout(60):
        for name in GROUPS:
            while True:
                try:
                    made = await client.post(f"{url}/Groups", json={"schemas": [_GROUP], "displayName": name})
                    assert made.is_success, made.text
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.2)
