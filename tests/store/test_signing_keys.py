"""Senders that sign: their secrets are sealed in our store, two of them hold at once, and nobody is known by one at the other door."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Rejected
from store.keys import NewKey, StoredKeys
from store.sealing import sealed, unsealed

SEAL = b"the key of our doors"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


def signs(**fields: object) -> NewKey:
    return NewKey.model_validate({"sender": "or-planner", "facility": "NGH", "hmac": True, **fields})


def test_a_sealed_secret_opens_with_its_key_for_its_name_only() -> None:
    box = sealed(b"secret", "key-1", SEAL)
    assert unsealed(box, "key-1", SEAL) == b"secret" and box != sealed(b"secret", "key-1", SEAL)
    for wrong in ((box, "key-2", SEAL), (box, "key-1", b"other"), (box[:-4], "key-1", SEAL), ("v1:%", "key-1", SEAL)):
        assert unsealed(*wrong) is None
    assert b"secret" not in base64.b64decode(box.removeprefix("v1:"))


async def test_a_signing_key_gives_its_bytes_and_lies_sealed(engine: AsyncEngine) -> None:
    keys = StoredKeys(engine, lambda: NOW, seal_key=SEAL)
    made, shown = await keys.add(signs(scopes=("requisitions", "source:OR")))
    secret = base64.b64decode(shown.removeprefix("whsec_"))
    (found,) = await keys.signing("or-planner")
    assert (found.secret, found.caller.key, found.caller.scopes) == (secret, made.id, ("requisitions", "source:OR"))
    assert len(secret) == 32 and str(secret) not in repr(found) and made.hmac
    async with engine.connect() as connection:
        stored = str((await connection.execute(text("SELECT * FROM api_keys"))).mappings().all())
    assert shown not in stored and base64.b64encode(secret).decode() not in stored
    assert await keys.caller(shown) is None, "it is no key to be sent"
    assert [one.hmac for one in await keys.keys()] == [True]
    assert await StoredKeys(engine, lambda: NOW, seal_key=b"another").signing("or-planner") == []
    assert await keys.signing("nobody") == []


async def test_two_hold_at_once_and_revoked_or_expired_ones_no_more(engine: AsyncEngine) -> None:
    moment = [NOW]
    keys = StoredKeys(engine, lambda: moment[0], seal_key=SEAL)
    first, _ = await keys.add(signs())
    moment[0] += timedelta(seconds=1)
    second, _ = await keys.add(signs(expires_at=NOW + timedelta(days=1)))
    assert [one.caller.key for one in await keys.signing("or-planner")] == [second.id, first.id]
    with pytest.raises(Rejected, match="revoke one first"):
        await keys.add(signs())
    await keys.add(signs(facility="SGH"))
    await keys.revoke(first.id)
    assert first.id not in [one.caller.key for one in await keys.signing("or-planner")]
    third, _ = await keys.add(signs())
    moment[0] += timedelta(days=2)
    assert second.id not in [one.caller.key for one in await keys.signing("or-planner")]
    assert third.id in [one.caller.key for one in await keys.signing("or-planner")]


async def test_without_a_key_to_seal_with_none_is_made(engine: AsyncEngine) -> None:
    with pytest.raises(Rejected, match="no key to seal"):
        await StoredKeys(engine).add_all([signs(), NewKey(sender="s", facility="NGH")])
    assert await StoredKeys(engine).keys() == []
