"""The keys that seal credentials: outside the database, the first seals and all of them open.

A sealed text is ``v1.<key id>.<base64 of nonce and ciphertext>`` of AES-256-GCM. Its associated
data is what it belongs to, so a text that was copied to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from products.errors import PlatformError

_VERSION = "v1"
_KEY_BYTES = 32
# Reference: NIST SP 800-38D, 8.2.2: 96 random bits are enough for 2^32 seals with one key.
_NONCE_BYTES = 12
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeysError(PlatformError):
    """CONVEYOR_KEYS is not what it should be; no part of a key is in the sentence."""

    code = "credential.keys"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"CONVEYOR_KEYS cannot be used: {what}. Write pairs id:key separated by commas, newest "
            "first. A key is 32 random bytes in base64: run openssl rand -base64 32."
        )


class UnsealError(PlatformError):
    """A sealed text cannot be opened; ``what`` says why, as a part of a sentence."""

    code = "credential.unreadable"

    def __init__(self, what: str) -> None:
        super().__init__(f"A sealed value cannot be opened: {what}.")
        self.what = what


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by id; ``newest`` is the id of the one that seals."""

    newest: str
    keys: dict[str, bytes] = field(repr=False)

    def seal(self, text: str, *, belongs_to: str) -> str:
        """Return the sealed form of ``text``, which opens only as belonging to the same thing."""
        nonce = os.urandom(_NONCE_BYTES)
        associated = _associated(belongs_to, self.newest)
        sealed = AESGCM(self.keys[self.newest]).encrypt(nonce, text.encode(), associated)
        return f"{_VERSION}.{self.newest}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str, *, belongs_to: str) -> str:
        """Return the text that was sealed; raises UnsealError."""
        key_id = key_id_of(sealed)
        key = self.keys.get(key_id)
        if key is None:
            raise UnsealError(
                f"it was sealed with the key {key_id or 'of no name'}, which CONVEYOR_KEYS lacks"
            )
        try:
            data = base64.b64decode(sealed.split(".")[2], altchars=b"-_", validate=True)
            opened = AESGCM(key).decrypt(
                data[:_NONCE_BYTES], data[_NONCE_BYTES:], _associated(belongs_to, key_id)
            )
        except (InvalidTag, ValueError, IndexError) as error:
            raise UnsealError(
                f"its text is damaged, belongs to something else, or {key_id} is another key now"
            ) from error
        return opened.decode()


def _associated(belongs_to: str, key_id: str) -> bytes:
    return f"{_VERSION}|{key_id}|{belongs_to}".encode()


def key_id_of(sealed: str) -> str:
    """Return the id of the key that a text was sealed with; empty for a text that is damaged."""
    version, _, rest = sealed.partition(".")
    return rest.partition(".")[0] if version == _VERSION else ""


def key_ring() -> KeyRing:
    """Return the keys of the setting CONVEYOR_KEYS; raises KeysError."""
    keys: dict[str, bytes] = {}
    pairs = [pair.strip() for pair in str(settings.CONVEYOR_KEYS).split(",") if pair.strip()]
    for number, pair in enumerate(pairs, 1):
        key_id, colon, text = pair.partition(":")
        if not colon or not _KEY_ID.fullmatch(key_id):
            raise KeysError(f"pair {number} has no id of letters, digits, '-' and '_' before a ':'")
        if key_id in keys:
            raise KeysError(f"the id {key_id} stands there twice")
        keys[key_id] = _key(key_id, text)
    if not keys:
        raise KeysError("it holds no key")
    return KeyRing(next(iter(keys)), keys)


def _key(key_id: str, text: str) -> bytes:
    standard = text.strip().replace("-", "+").replace("_", "/")
    padded = standard.rstrip("=") + "=" * (-len(standard.rstrip("=")) % 4)
    try:
        key = base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeysError(f"the key {key_id} is not base64") from error
    if len(key) != _KEY_BYTES:
        raise KeysError(f"the key {key_id} has {len(key)} bytes instead of {_KEY_BYTES}")
    return key
