"""API keys: known by their secret until they end or are revoked; the secret itself is kept nowhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Rejected
from store.keys import NewKey, StoredKeys
from tests.store.build import NOW

LATER = NOW + timedelta(hours=1)


async def test_a_key_is_known_by_its_secret_until_it_ends(engine: AsyncEngine) -> None:
    moment = NOW
    keys = StoredKeys(engine, lambda: moment)
    new = NewKey(sender="surgery-desk", facility="NGH", person="E-1", scopes=("requisitions", "lookups"), per_minute=5)
    key, secret = await keys.add(new)
    ends, short = await keys.add(NewKey(sender="other", facility="NGH", expires_at=LATER))
    caller = await keys.caller(secret)
    assert caller is not None
    assert (caller.key, caller.sender, caller.facility, caller.person) == (key.id, "surgery-desk", "NGH", "E-1")
    assert (caller.scopes, caller.per_minute) == (("requisitions", "lookups"), 5)
    for wrong in ("", secret[:-1], secret + "x", "\x00", "\ud800"):
        assert await keys.caller(wrong) is None
    moment = LATER
    assert await keys.caller(short) is None
    revoked = await keys.revoke(key.id)
    assert revoked.revoked_at == LATER and await keys.caller(secret) is None
    moment = LATER + timedelta(days=1)
    assert await keys.revoke(key.id) == revoked
    with pytest.raises(Rejected):
        await keys.revoke("nothing")
    assert {one.id for one in await keys.keys()} == {key.id, ends.id}


async def test_no_secret_is_kept(engine: AsyncEngine) -> None:
    _, secret = await StoredKeys(engine).add(NewKey(sender="s", facility="NGH"))
    async with engine.connect() as connection:
        rows = str((await connection.exec_driver_sql("select * from api_keys")).all())
    assert secret not in rows and len(secret) > 40
