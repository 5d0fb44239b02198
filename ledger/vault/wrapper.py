"""Key wrapping: stream keys rest only wrapped under a key that is kept elsewhere.

Guarantees: a wrapped key opens only under the wrapping key, its version and the key id it was made
with; what was tampered with, or stands in another key's row, is refused, never another key. No
error holds a key, a token, a PIN, or what a keeper answered.

A *keeper* is where wrapping keys are kept: files beside the signing keys, HashiCorp Vault, AWS
KMS, or a PKCS#11 device. Keepers may block; those that are elsewhere answer within the time that
their settings allow, or raise.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.config import (
    read_wrapping_key,
    wrapping_key_file,
    wrapping_key_versions,
    write_private,
)
from ledger.errors import ConfigurationError, VaultUnavailable

#: What a wrapped key is bound to, before its id.
DOMAIN: Final = b"hub-ledger/wrapped-key@v1\x00"
KEY_BYTES: Final = 32
FILE: Final = "file"
_NONCE_BYTES: Final = 12


class WrappedKeyRefused(VaultUnavailable):
    """A wrapped key is not what its keeper wrapped under that key and id."""

    def __init__(self) -> None:
        super().__init__("A stored key does not open under the wrapping key that it names.")


@dataclass(frozen=True, slots=True)
class WrappingKey:
    """A key that wraps others: which keeper has it, its name there, and its version."""

    keeper: str
    name: str
    version: int


class KeyWrapper(Protocol):
    """Wraps and unwraps 256-bit keys. Methods may block and be called from any thread."""

    def newest(self) -> WrappingKey:
        """The newest wrapping key there is; raises ConfigurationError when there is none, and
        VaultUnavailable when its keeper does not answer."""

    def rotate(self, after: WrappingKey) -> WrappingKey:
        """A wrapping key to replace this one: a newer one that is there already (a rotation that
        was cut short made it, or an administrator), else one made now. Raises as `newest`."""

    def wrap(self, under: WrappingKey, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        """Keys by their ids, each encrypted and bound to its id; raises VaultUnavailable."""

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        """The keys again, all of them; raises WrappedKeyRefused when any is not what was wrapped,
        and VaultUnavailable when the wrapping key or its keeper is gone."""


def bound_to(key_id: str) -> bytes:
    """What a wrapped key is bound to: a domain string and its id."""
    return DOMAIN + key_id.encode()


class LocalKeyWrapper:
    """AES-256-GCM under one key given as bytes: version 1 of the key files."""

    def __init__(self, wrapping_key: bytes) -> None:
        self._keys = {1: wrapping_key}

    def newest(self) -> WrappingKey:
        return _file_key(1)

    def rotate(self, after: WrappingKey) -> WrappingKey:
        raise ConfigurationError("This wrapping key was given by itself and cannot be replaced.")

    def wrap(self, under: WrappingKey, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        aead = AESGCM(self._key(under))
        wrapped = {}
        for key_id, key in keys.items():
            nonce = os.urandom(_NONCE_BYTES)
            wrapped[key_id] = nonce + aead.encrypt(nonce, key, bound_to(key_id))
        return wrapped

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        aead = AESGCM(self._key(under))
        try:
            return {
                key_id: aead.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound_to(key_id))
                for key_id, raw in wrapped.items()
            }
        except (InvalidTag, ValueError) as error:
            raise WrappedKeyRefused from error

    def _key(self, under: WrappingKey) -> bytes:
        key = self._keys.get(under.version) if under == _file_key(under.version) else None
        if key is None:
            raise VaultUnavailable(
                f"Version {under.version} of the wrapping key is not among this machine's key "
                "files. Put it back into keys/."
            )
        return key


class KeyFiles(LocalKeyWrapper):
    """AES-256-GCM under the key files of a data directory: `wrapping.key` is version 1,
    `wrapping-2.key` version 2, and so on. Each is read once, when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys = {}

    def newest(self) -> WrappingKey:
        newest = _file_key(max(wrapping_key_versions(self._folder), default=1))
        self._read(newest.version)
        return newest

    def rotate(self, after: WrappingKey) -> WrappingKey:
        if after.keeper != FILE:
            return self.newest() if wrapping_key_versions(self._folder) else self.prepare(0)
        if not wrapping_key_file(self._folder, after.version + 1).exists():
            return self.prepare(after.version)
        key = _file_key(after.version + 1)
        self._read(key.version)
        return key

    def prepare(self, after: int) -> WrappingKey:
        """Make the version that follows `after`; raises FileExistsError when it is there."""
        key = _file_key(after + 1)
        path = wrapping_key_file(self._folder, key.version)
        write_private(path, os.urandom(KEY_BYTES).hex().encode() + b"\n")
        return key

    def _key(self, under: WrappingKey) -> bytes:
        path = wrapping_key_file(self._folder, under.version)
        if under == _file_key(under.version) and path.exists():
            try:
                self._read(under.version)
            except ConfigurationError as error:
                raise VaultUnavailable(error.detail) from error
        return super()._key(under)

    def _read(self, version: int) -> None:
        if version not in self._keys:
            self._keys[version] = read_wrapping_key(wrapping_key_file(self._folder, version))


def _file_key(version: int) -> WrappingKey:
    return WrappingKey(FILE, "wrapping", version)
