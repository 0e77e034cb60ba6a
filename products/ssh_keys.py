"""Inspection of private keys for ssh."""

from __future__ import annotations

import base64
import binascii
import re

# Of the forms PKCS #8 and, before it, PEM with headers.
_ENCRYPTED = re.compile(r"BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED$", re.MULTILINE)
_OPENSSH = re.compile(
    r"-----BEGIN OPENSSH PRIVATE KEY-----(?P<text>[A-Za-z0-9+/=\s]+)-----END", re.MULTILINE
)
# The name of the cipher comes first, with its length before it; it is "none" without a passphrase.
# Reference: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
_MAGIC = b"openssh-key-v1\0"
_PLAIN = _MAGIC + (4).to_bytes(4, "big") + b"none"


def has_passphrase(key: str) -> bool:
    """Return whether a private key needs a passphrase; False for a text that is not a key."""
    if _ENCRYPTED.search(key):
        return True
    found = _OPENSSH.search(key)
    if found is None:
        return False
    try:
        data = base64.b64decode("".join(found["text"].split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return data.startswith(_MAGIC) and not data.startswith(_PLAIN)
