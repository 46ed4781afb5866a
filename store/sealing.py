"""Secrets we must be able to read again, sealed: what is in our database is of no use without the key of our doors.

AES-256-GCM under a key derived (HMAC-SHA256) from the key that seals decisions; bound to the name of what it belongs to, so no
sealed secret can stand in another's place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION: Final = "v1:"
NONCE: Final = 12  # bytes


def sealed(secret: bytes, name: str, key: bytes) -> str:
    """The secret as it may be stored, for the thing of this name."""
    nonce = secrets.token_bytes(NONCE)
    box = AESGCM(_derived(key)).encrypt(nonce, secret, name.encode())
    return VERSION + base64.b64encode(nonce + box).decode()


def unsealed(box: str, name: str, key: bytes) -> bytes | None:
    """The secret again; None where it was sealed by another key, for another thing, or was changed."""
    try:
        data = base64.b64decode(box.removeprefix(VERSION), validate=True)
        return AESGCM(_derived(key)).decrypt(data[:NONCE], data[NONCE:], name.encode())
    except (InvalidTag, binascii.Error, ValueError):
        return None


def _derived(key: bytes) -> bytes:
    return hmac.new(key, b"fascia: secrets of senders that sign", hashlib.sha256).digest()
