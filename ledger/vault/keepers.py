"""All keepers of wrapping keys that a data directory describes, as one wrapper.

Guarantees: a keeper's library is imported, and its service asked, only once something of it is
needed; what is wrapped says by which keeper, so that keys move from one to another while both are
described. A keeper that ledger.toml describes only since this process started is found when it is
first needed.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from ledger.config import DataDirectory
from ledger.errors import ConfigurationError, VaultUnavailable
from ledger.vault.settings import WrappingSettings, read_settings
from ledger.vault.wrapper import FILE, KeyFiles, KeyWrapper, WrappingKey

#: What each keeper's extra installs.
_EXTRAS: Final = {"vault": "hvac", "kms": "boto3", "pkcs11": "python-pkcs11"}


class Keepers:
    """The `KeyWrapper` of a data directory."""

    def __init__(self, path: Path, keys_path: Path) -> None:
        self._file, self._keys_path = path / "ledger.toml", keys_path
        self._settings = read_settings(self._file)
        self._lock = threading.Lock()
        self._known: dict[str, KeyWrapper] = {}

    def newest(self) -> WrappingKey:
        return self._keeper(self._settings.keeper).newest()

    def rotate(self, after: WrappingKey) -> WrappingKey:
        return self._keeper(self._settings.keeper).rotate(after)

    def wrap(self, under: WrappingKey, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        try:
            return self._keeper(under.keeper).wrap(under, keys)
        except ConfigurationError as error:
            raise VaultUnavailable(error.detail) from error

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        try:
            return self._keeper(under.keeper).unwrap(under, wrapped)
        except ConfigurationError as error:
            raise VaultUnavailable(error.detail) from error

    def _keeper(self, name: str) -> KeyWrapper:
        with self._lock:
            if name not in self._known:
                settings = self._settings
                if name != FILE and getattr(settings, name, None) is None:
                    settings = self._settings = replace(
                        read_settings(self._file), keeper=settings.keeper
                    )
                self._known[name] = _open(name, settings, self._keys_path)
            return self._known[name]


def _open(name: str, settings: WrappingSettings, keys_path: Path) -> KeyWrapper:
    try:
        if name == FILE:
            return KeyFiles(keys_path)
        if name == "vault" and settings.vault is not None:
            from ledger.vault.transit import TransitKeyWrapper  # only where it is configured

            return TransitKeyWrapper(settings.vault)
        if name == "kms" and settings.kms is not None:
            from ledger.vault.kms import KmsKeyWrapper

            return KmsKeyWrapper(settings.kms)
        if name == "pkcs11" and settings.pkcs11 is not None:
            from ledger.vault.hsm import Pkcs11KeyWrapper

            return Pkcs11KeyWrapper(settings.pkcs11)
    except ImportError as error:
        raise ConfigurationError(
            f"To keep the wrapping key there, {_EXTRAS[name]} must be installed: "
            f"pip install 'hub-ledger[{name}]'."
        ) from error
    raise ConfigurationError(
        f"Keys are wrapped by the keeper {name}, but ledger.toml has no table [wrapping.{name}]."
    )


def open_wrapper(directory: DataDirectory) -> KeyWrapper:
    """The wrapper of a data directory; raises ConfigurationError when its settings are wrong."""
    return Keepers(directory.path, directory.keys_path)
