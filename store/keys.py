"""The keys senders are known by at the REST door: only their hashes are kept, so a stolen copy of our database opens nothing.

The secret of a sender that signs its requests is verified with, so it is kept itself: sealed by the key of our doors.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from pydantic import ConfigDict, Field
from sqlalchemy import ColumnElement, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical, FacilityCode
from canonical.errors import Rejected
from store.acts import Act, note_in
from store.database import at_once, transaction
from store.ids import now
from store.sealing import sealed, unsealed
from store.tables import api_keys

PREFIX = "fsc_"

log = structlog.get_logger(__name__)


class ApiKey(Canonical):
    """A sender's key without its secret. ``person`` is the employee behind it, where it may decide; ``hmac``: it signs."""

    id: str
    sender: str
    facility: str
    person: str = ""
    scopes: tuple[str, ...] = ()
    per_minute: int = 60
    made_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    hmac: bool = False


class NewKey(Canonical):
    """A key to make. No scopes means all of them, 0 calls per minute as many as come."""

    sender: str = Field(min_length=1, max_length=80)
    facility: FacilityCode
    person: str = Field(default="", max_length=40)
    scopes: tuple[str, ...] = ()
    per_minute: int = Field(default=60, ge=0, le=1_000_000)
    expires_at: datetime | None = None
    hmac: bool = False


class Caller(Canonical):
    """Who calls, found by a secret."""

    key: str
    sender: str
    facility: str
    person: str = ""
    scopes: tuple[str, ...] = ()
    per_minute: int = 60


class SigningKey(Canonical):
    """Who signs, and by which secret."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    caller: Caller
    secret: bytes = Field(repr=False)


def _hash(secret: str) -> str:
    """256 bits of chance need no slow hash: nobody can try them all."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


SIGNS = "whsec_"  # how Standard Webhooks has a secret: this and its bytes in base64
MOST_SIGNING = 2  # keys of a sender at a facility that hold at once: the old one and the new
_SHOWN = [*(one for one in api_keys.c if one.name not in ("hash", "sealed")), (api_keys.c.sealed != "").label("hmac")]


class StoredKeys:
    """Keys in our own database."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime] = now, *, seal_key: bytes = b"") -> None:
        self._engine = engine
        self._clock = clock
        self._seal_key = seal_key

    async def add(self, new: NewKey) -> tuple[ApiKey, str]:
        """Make a key; the secret is in the answer and nowhere else."""
        (made,) = await self.add_all([new])
        return made

    async def add_all(self, new: Sequence[NewKey], act: Act | None = None) -> Sequence[tuple[ApiKey, str]]:
        """Make keys, all of them or none; each with its secret, which is nowhere else that anybody could read it.

        ``act``: whose deed it is; what it says of a key is all but the secret.

        Raises:
            Rejected: a sender that signs has two keys already, or there is nothing to seal their secrets with.
        """
        made = [(self._key(one), *self._secret(one)) for one in new]
        rows = [self._row(key, shown, secret) for key, shown, secret in made]
        async with transaction(self._engine) as connection:
            for key, _, _ in made:
                if key.hmac:
                    await self._room_for(connection, key)
                await connection.execute(insert(api_keys), [row for row in rows if row["id"] == key.id])
                await note_in(connection, *_deed(act, key))
        return [(key, shown) for key, shown, _ in made]

    def _secret(self, new: NewKey) -> tuple[str, bytes]:
        """A secret as its sender is given it, and the bytes it signs with."""
        if not new.hmac:
            return PREFIX + secrets.token_urlsafe(32), b""
        if not self._seal_key:
            raise Rejected("there is no key to seal the secret with", code="configuration", system="store")
        secret = secrets.token_bytes(32)
        return SIGNS + base64.b64encode(secret).decode(), secret

    def _row(self, key: ApiKey, shown: str, secret: bytes) -> dict[str, object]:
        row = key.model_dump(exclude={"hmac"}) | {"scopes": " ".join(key.scopes)}
        if not key.hmac:
            return row | {"hash": _hash(shown), "sealed": ""}
        return row | {"hash": f"signs/{key.id}", "sealed": sealed(secret, key.id, self._seal_key)}

    async def _room_for(self, connection: AsyncConnection, key: ApiKey) -> None:
        locked = func.pg_advisory_xact_lock(func.hashtextextended(f"fascia/signing/{key.sender}", 0))
        await connection.execute(select(locked))
        held = select(func.count()).where(
            self._holds(), api_keys.c.sender == key.sender, api_keys.c.facility == key.facility, api_keys.c.sealed != ""
        )
        if (await connection.scalar(held) or 0) >= MOST_SIGNING:
            reason = f"{key.sender} has {MOST_SIGNING} keys it signs by: revoke one first (`fascia key list`)"
            raise Rejected(reason, code="conflict", system="store")

    def _holds(self) -> ColumnElement[bool]:
        at = self._clock()
        return api_keys.c.revoked_at.is_(None) & or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > at)

    async def signing(self, sender: str) -> Sequence[SigningKey]:
        """The keys a sender signs by that hold now, the newest first; one that this seal key did not seal is left out."""
        asked = (
            select(*_SHOWN, api_keys.c.sealed)
            .where(self._holds(), api_keys.c.sender == sender, api_keys.c.sealed != "")
            .order_by(api_keys.c.made_at.desc(), api_keys.c.id)
            .limit(10)
        )
        async with at_once(self._engine) as connection:
            rows = (await connection.execute(asked)).mappings().all()
        found = []
        for row in rows:
            secret = unsealed(row["sealed"], row["id"], self._seal_key)
            if secret is None:
                log.error("a signing key cannot be unsealed: make a new one", alert=True, key=row["id"])
                continue
            caller = Caller.model_validate({**row, "key": row["id"], "scopes": tuple(row["scopes"].split())})
            found.append(SigningKey(caller=caller, secret=secret))
        return found

    def _key(self, new: NewKey) -> ApiKey:
        values = new.model_dump(exclude={"scopes"})
        return ApiKey(id=f"key-{secrets.token_hex(6)}", made_at=self._clock(), scopes=new.scopes, **values)

    async def caller(self, secret: str) -> Caller | None:
        """Whose secret this is; None for one that is unknown, expired or revoked."""
        asked = select(*_SHOWN).where(api_keys.c.hash == _hash(secret), self._holds())
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

    async def key(self, name: str) -> ApiKey | None:
        """One key, whether it still holds or not; None where there is none of that id."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(*_SHOWN).where(api_keys.c.id == name))).mappings().one_or_none()
        return _key(dict(row)) if row is not None else None

    async def revoke(self, key: str, act: Act | None = None) -> ApiKey:
        """From now on nobody is known by it (revoked again, it stays revoked since the first time, and is no other deed).

        Raises:
            Rejected: no such key.
        """
        async with transaction(self._engine) as connection:
            ended = update(api_keys).where(api_keys.c.id == key, api_keys.c.revoked_at.is_(None))
            news = (await connection.execute(ended.values(revoked_at=self._clock()))).rowcount
            row = (await connection.execute(select(*_SHOWN).where(api_keys.c.id == key))).mappings().one_or_none()
            if row is None:
                raise Rejected(f"no key {key}", code="not-found", system="store")
            found = _key(dict(row))
            if news:
                await note_in(connection, *_deed(act, found))
        return found


def _deed(act: Act | None, key: ApiKey) -> tuple[Act, ...]:
    """What is told of a deed done to a key: whose it is and what for, never what it is."""
    if act is None:
        return ()
    ends = key.expires_at.isoformat() if key.expires_at else ""
    facts = {"person": key.person, "may": " ".join(key.scopes), "signs": "yes" if key.hmac else "", "ends": ends}
    facts |= {"a minute": str(key.per_minute)}
    told = ", ".join(f"{name} {value}" for name, value in facts.items() if value)
    detail = f"for {key.sender} at {key.facility}: {told}"
    return (act.model_copy(update={"about": f"key/{key.id}", "detail": detail}),)


def _key(row: dict[str, object]) -> ApiKey:
    return ApiKey.model_validate(row | {"scopes": tuple(str(row["scopes"]).split())})
