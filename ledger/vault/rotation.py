"""Replacing the wrapping key while the ledger is served.

Guarantees: from the moment the new wrapping key stands in the key store, every process wraps new
keys under it; keys under the old one are wrapped anew in bounded batches, and each is proved to
open before it takes the place of the old. A key that is destroyed meanwhile stays destroyed. When
this is killed, at whatever point, it goes on where it was; the old wrapping key is needed until
`run` has returned, and by backups of the key store that are older.

The service records the rotation in the log: see `ledger.rotations`.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

from ledger.database import Cursor, Database, SqliteDatabase
from ledger.errors import ConfigurationError, IntegrityAlarm, VaultUnavailable
from ledger.vault import registry
from ledger.vault.registry import Registered
from ledger.vault.wrapped import Wrapping
from ledger.vault.wrapper import KeyWrapper, WrappingKey

#: Keys wrapped anew together.
BATCH: Final = 128


class Rotation:
    """Rotates the wrapping key of one key store. Methods block."""

    def __init__(self, database: Database, wrapper: KeyWrapper, batch: int = BATCH) -> None:
        self._database, self._batch = database, batch
        self._wrapping = Wrapping(database, wrapper)

    def prepare(self) -> WrappingKey:
        """Make the wrapping key that the next rotation goes to, or find the one that is there, and
        use it for nothing yet. Raises as `begin`."""
        newest = self._wrapping.registered()[-1]
        key = self._wrapping.wrapper.rotate(newest.key)
        if key == newest.key:
            raise ConfigurationError("There is no newer wrapping key to rotate to.")
        self._try_out(key)
        return key

    def begin(self) -> tuple[Registered, bool]:
        """The new wrapping key, in use from here on, and whether a rotation that was cut short goes
        on. Raises ConfigurationError when there is nothing newer to rotate to, and VaultUnavailable
        when a keeper cannot be asked; nothing has changed then."""
        newest = self._wrapping.registered()[-1]
        if newest.completed is None:
            return newest, True
        # A crash after this leaves a wrapping key that nothing is under: the next attempt takes it.
        key = self.prepare()
        with self._database.transaction() as rows:
            if not registry.hold(rows, newest, self._database.dialect, to_replace=True):
                raise ConfigurationError("Another rotation has just begun. Run this again.")
            return registry.add(rows, newest, key, _now()), False

    def _try_out(self, key: WrappingKey) -> None:
        probe = {"00000000-0000-4000-8000-000000000000": secrets.token_bytes(32)}
        wrapper = self._wrapping.wrapper
        if wrapper.unwrap(key, wrapper.wrap(key, probe)) != probe:
            raise VaultUnavailable("The new wrapping key does not give back what it wrapped.")

    def run(self, newest: Registered, progress: Callable[[int, int], None]) -> int:
        """Wrap every key under the newest wrapping key; how many this call did. `progress` is told
        how many are done, and how many there were to do.

        Raises VaultUnavailable when a keeper stops answering (run it again), and IntegrityAlarm
        when keys are left that do not open under the key they name.
        """
        done, todo = 0, self._left(newest)

        def count(more: int) -> None:
            nonlocal done
            done += more
            progress(done, todo)

        while True:
            moved, refused = self._pass(newest, count)
            with self._database.transaction() as rows:
                # No key can be inserted under an earlier one: `begin` saw to that.
                left = self._count(rows, newest)
                if not left:
                    registry.complete(rows, newest, _now())
            if not left:
                break
            if refused and not moved:
                raise IntegrityAlarm(
                    f"{left} stored keys do not open under the wrapping key that they name, and "
                    "were left as they are. Keep the old wrapping key, and run hub-ledger fsck."
                )
        if isinstance(self._database, SqliteDatabase):
            # What was wrapped under the old key is in the write-ahead log until then.
            self._database.truncate_log()
        return done

    def _pass(self, newest: Registered, progress: Callable[[int], None]) -> tuple[int, int]:
        """Go through the key store once: how many keys were wrapped anew, which `progress` is told
        batch by batch, and how many do not open."""
        moved, refused, after = 0, 0, ""
        while True:
            stored = self._page(newest, after)
            if not stored:
                return moved, refused
            after = max(stored)
            wrapped = self._wrap_anew(newest, stored)
            # A crash here, or between batches, leaves keys under both: each says which.
            with self._database.transaction() as rows:
                rows.executemany(
                    "UPDATE stream_keys SET wrapped = ? WHERE key_id = ? AND wrapped = ?",
                    [(wrapped[key_id], key_id, stored[key_id]) for key_id in sorted(wrapped)],
                )
            moved, refused = moved + len(wrapped), refused + len(stored) - len(wrapped)
            progress(len(wrapped))

    def _page(self, newest: Registered, after: str) -> dict[str, bytes]:
        with self._database.transaction() as rows:
            rows.execute(
                "SELECT key_id, wrapped FROM stream_keys WHERE key_id > ?"
                f" AND substr(wrapped, 1, {registry.REF_BYTES}) <> ?"
                f" ORDER BY key_id LIMIT {self._batch}",
                (after, newest.prefix),
            )
            return {key_id: bytes(raw) for key_id, raw in rows.fetchall()}

    def _wrap_anew(self, newest: Registered, stored: Mapping[str, bytes]) -> dict[str, bytes]:
        keys = self._wrapping.unwrap_what_opens(stored)
        wrapped = self._wrapping.wrap(newest, keys)
        if self._wrapping.unwrap(wrapped) != keys:
            raise VaultUnavailable("The new wrapping key does not give back what it wrapped.")
        return wrapped

    def _left(self, newest: Registered) -> int:
        with self._database.transaction() as rows:
            return self._count(rows, newest)

    @staticmethod
    def _count(rows: Cursor, newest: Registered) -> int:
        rows.execute(
            f"SELECT COUNT(*) FROM stream_keys WHERE substr(wrapped, 1, {registry.REF_BYTES}) <> ?",
            (newest.prefix,),
        )
        row = rows.fetchone()
        return 0 if row is None else int(row[0])


def _now() -> int:
    return int(1000 * time.time())
