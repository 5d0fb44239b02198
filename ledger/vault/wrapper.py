"""Key wrapping: stream keys rest only wrapped under a key that is kept elsewhere.

Guarantees: a wrapped key opens only under the wrapping key and key id it was made with, and
tampering with it is an error, never another key.
"""

import os
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import VaultUnavailable

_DOMAIN: Final = b"hub-ledger/wrapped-key@v1\0"


class KeyWrapper(Protocol):
    """Wraps and unwraps 256-bit keys. May block."""

    def wrap(self, key_id: str, key: bytes) -> bytes:
        """The key, encrypted and bound to its id."""

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """The key again; raises VaultUnavailable."""


class LocalKeyWrapper:
    """AES-256-GCM under a key file of the data directory."""

    def __init__(self, wrapping_key: bytes) -> None:
        self._aead = AESGCM(wrapping_key)

    def wrap(self, key_id: str, key: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, key, _DOMAIN + key_id.encode())

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        try:
            return self._aead.decrypt(wrapped[:12], wrapped[12:], _DOMAIN + key_id.encode())
        except (InvalidTag, ValueError) as error:
            raise VaultUnavailable(
                "A stored key does not open under the wrapping key in use."
            ) from error
