"""Wrapped keys as they are stored: a reference to the wrapping key, and what its keeper made.

Guarantees: no transaction is open while a keeper is asked; many keys are asked for together; a key
opens only under the wrapping key that stands before it.
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from uuid import uuid4

from ledger.database import Database
from ledger.errors import VaultUnavailable
from ledger.vault import registry
from ledger.vault.registry import Registered
from ledger.vault.wrapper import KEY_BYTES, KeyWrapper, WrappedKeyRefused


class Wrapping:
    """Wraps and unwraps stored keys of one key store."""

    def __init__(self, database: Database, wrapper: KeyWrapper) -> None:
        self._database, self.wrapper = database, wrapper
        self._known: dict[bytes, Registered] = {}

    def registered(self) -> list[Registered]:
        """Every wrapping key of this key store, the newest last; raises VaultUnavailable."""
        with self._database.transaction() as rows:
            found = registry.select_all(rows)
        self._known = {one.prefix: one for one in found}
        return found

    def check(self, one: Registered) -> None:
        """Try a wrapping key on a key made for the purpose; raises VaultUnavailable."""
        key_id, key = str(uuid4()), os.urandom(KEY_BYTES)
        wrapped = self.wrap(one, {key_id: key})
        if not secrets.compare_digest(self.unwrap(wrapped)[key_id], key):
            raise VaultUnavailable("The wrapping key does not give back what it wrapped.")

    def wrap(self, under: Registered, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        """Keys by their ids, as they are stored; raises VaultUnavailable."""
        self._known[under.prefix] = under
        wrapped = self.wrapper.wrap(under.key, keys)
        return {key_id: under.prefix + raw for key_id, raw in wrapped.items()}

    def unwrap(self, stored: Mapping[str, bytes]) -> dict[str, bytes]:
        """The keys again, all of them; raises WrappedKeyRefused or VaultUnavailable."""
        groups: dict[bytes, dict[str, bytes]] = {}
        for key_id, raw in stored.items():
            prefix, wrapped = registry.split(raw)
            groups.setdefault(prefix, {})[key_id] = wrapped
        if groups.keys() - self._known.keys():
            self.registered()
        keys: dict[str, bytes] = {}
        for prefix, group in groups.items():
            under = self._known.get(prefix)
            if under is None:
                raise WrappedKeyRefused
            keys |= self.wrapper.unwrap(under.key, group)
        return keys

    def unwrap_what_opens(self, stored: Mapping[str, bytes]) -> dict[str, bytes]:
        """The keys that open, without those that are refused; raises VaultUnavailable when the
        keeper cannot be asked."""
        try:
            return self.unwrap(stored)
        except WrappedKeyRefused:
            keys: dict[str, bytes] = {}
            for key_id, raw in stored.items():
                with suppress(WrappedKeyRefused):
                    keys |= self.unwrap({key_id: raw})
            return keys
