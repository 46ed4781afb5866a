"""The keys senders are known by at the REST door: only their hashes are kept, so a stolen copy of our database opens nothing."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import Field
from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Canonical, FacilityCode
from canonical.errors import Rejected
from store.database import at_once, transaction
from store.ids import now
from store.tables import api_keys

PREFIX = "fsc_"


class ApiKey(Canonical):
    """A sender's key without its secret. ``person`` is the employee behind it, where it may decide."""

    id: str
    sender: str
    facility: str
    person: str = ""
    scopes: tuple[str, ...] = ()
    per_minute: int = 60
    made_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class NewKey(Canonical):
    """A key to make. No scopes means all of them, 0 calls per minute as many as come."""

    sender: str = Field(min_length=1, max_length=80)
    facility: FacilityCode
    person: str = Field(default="", max_length=40)
    scopes: tuple[str, ...] = ()
    per_minute: int = Field(default=60, ge=0, le=1_000_000)
    expires_at: datetime | None = None


class Caller(Canonical):
    """Who calls, found by a secret."""

    key: str
    sender: str
    facility: str
    person: str = ""
    scopes: tuple[str, ...] = ()
    per_minute: int = 60


def _hash(secret: str) -> str:
    """256 bits of chance need no slow hash: nobody can try them all."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


_SHOWN = [column for column in api_keys.c if column.name != "hash"]


class StoredKeys:
    """Keys in our own database."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime] = now) -> None:
        self._engine = engine
        self._clock = clock

    async def add(self, new: NewKey) -> tuple[ApiKey, str]:
        """Make a key; the secret is in the answer and nowhere else."""
        (made,) = await self.add_all([new])
        return made

    async def add_all(self, new: Sequence[NewKey]) -> Sequence[tuple[ApiKey, str]]:
        """Make keys, all of them or none; each with its secret, which is nowhere else."""
        made = [(self._key(one), PREFIX + secrets.token_urlsafe(32)) for one in new]
        rows = [key.model_dump() | {"scopes": " ".join(key.scopes), "hash": _hash(secret)} for key, secret in made]
        async with transaction(self._engine) as connection:
            if rows:
                await connection.execute(insert(api_keys), rows)
        return made

    def _key(self, new: NewKey) -> ApiKey:
        values = new.model_dump(exclude={"scopes"})
        return ApiKey(id=f"key-{secrets.token_hex(6)}", made_at=self._clock(), scopes=new.scopes, **values)

    async def caller(self, secret: str) -> Caller | None:
        """Whose secret this is; None for one that is unknown, expired or revoked."""
        at = self._clock()
        asked = select(*_SHOWN).where(
            api_keys.c.hash == _hash(secret),
            api_keys.c.revoked_at.is_(None),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > at),
        )
        async with at_once(self._engine) as connection:
            row = (await connection.execute(asked)).mappings().one_or_none()
        if row is None:
            return None
        return Caller.model_validate({**row, "key": row["id"], "scopes": tuple(row["scopes"].split())})

    async def keys(self, limit: int = 100) -> Sequence[ApiKey]:
        """The keys, newest first."""
        asked = select(*_SHOWN).order_by(api_keys.c.made_at.desc(), api_keys.c.id).limit(limit)
        async with transaction(self._engine) as connection:
            return [_key(dict(row)) for row in (await connection.execute(asked)).mappings()]

    async def revoke(self, key: str) -> ApiKey:
        """From now on nobody is known by it (revoked again, it stays revoked since the first time).

        Raises:
            Rejected: no such key.
        """
        async with transaction(self._engine) as connection:
            await connection.execute(
                update(api_keys)
                .where(api_keys.c.id == key, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
            row = (await connection.execute(select(*_SHOWN).where(api_keys.c.id == key))).mappings().one_or_none()
        if row is None:
            raise Rejected(f"no key {key}", code="not-found", system="store")
        return _key(dict(row))


def _key(row: dict[str, object]) -> ApiKey:
    return ApiKey.model_validate(row | {"scopes": tuple(str(row["scopes"]).split())})
