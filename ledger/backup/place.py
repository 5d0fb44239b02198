"""Putting what was restored in its place: whole, or not at all.

Guarantees: files are made in a folder beside their place; once all of them are there and durable
that folder gets the name that says so, and from then on the only way is to the end, however often
it is interrupted: nothing is served meanwhile. A file in the way is moved aside, never deleted. The
event store comes last.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from ledger.config import RESTORE_READY, make_owner_only, sync_directory, write_private
from ledger.errors import ConfigurationError

PARTIAL: Final = "restore.partial"
#: What the files are from: held against what a restore that is run again is asked for.
_SOURCE: Final = "source"
_KEYS: Final = "keys.sqlite"
#: Names in the folder, and places in the data directory, in the order of moving.
_PLACES: Final = (
    (_KEYS, "keys/keys.sqlite"),
    ("policy", "policy"),
    ("ledger.toml", "ledger.toml"),
    ("ledger.sqlite", "ledger.sqlite"),
)
#: SQLite's files beside a database.
_BESIDE: Final = ("", "-wal", "-shm")


class Staging:
    """The folder in which a data directory is restored. `source` says from what."""

    def __init__(self, data: Path, source: str) -> None:
        self._data, self.source = data, source

    @property
    def path(self) -> Path:
        return self._data / PARTIAL

    @property
    def is_ready(self) -> bool:
        """Whether an interrupted restore has everything but put it in place. Raises
        ConfigurationError when that was from something else."""
        ready = self._data / RESTORE_READY
        if not ready.exists():
            return False
        if (ready / _SOURCE).read_text() != self.source:
            raise ConfigurationError(
                f"A restore from another backup, key store or tail was interrupted in {ready} when "
                "everything was ready. Run that one again, or move the folder away."
            )
        return True

    def begin(self, *, committed: bool) -> bool:
        """An empty folder; what an interrupted restore left half made is deleted. Where its event
        store is committed, in a database of its own, a key store that it had finished is kept;
        returns whether there is one."""
        source = self.path / _SOURCE
        kept = committed and source.exists() and source.read_text() == self.source
        for path in self.path.glob("*"):
            if not (kept and path.name.startswith(_KEYS)):
                path.unlink()
        make_owner_only(self.path)
        return kept

    def discard(self) -> None:
        """The restore is refused, or cannot go on: what an old backup holds of the erased and
        expired is not left lying about."""
        shutil.rmtree(self.path, ignore_errors=True)

    def keys_done(self) -> None:
        """The key store is finished, whether it is in the folder or elsewhere."""
        if (self.path / _KEYS).exists():
            _sync(self.path / _KEYS)
        (self.path / _SOURCE).unlink(missing_ok=True)
        write_private(self.path / _SOURCE, self.source.encode())

    def ready(self) -> None:
        """Everything is in the folder."""
        for path in self.path.iterdir():
            _sync(path)
        sync_directory(self.path)
        self.path.rename(self._data / RESTORE_READY)
        sync_directory(self._data)

    def finish(self) -> list[Path]:
        """Put everything in its place, or the rest of it; returns what was moved aside."""
        ready = self._data / RESTORE_READY
        make_owner_only(self._data / "keys")
        aside: list[Path] = []
        if (ready / "ledger.sqlite").exists():
            # Never the old event store beside the new key store.
            aside += self._make_room("ledger.sqlite")
            # They may be ahead of what was restored; they are made anew from the log.
            self._forget("projections.sqlite")
        for name, place in _PLACES:
            if (ready / name).exists():
                aside += self._make_room(place)
                (ready / name).rename(self._data / place)
                sync_directory((self._data / place).parent)
        shutil.rmtree(ready)
        sync_directory(self._data)
        return aside

    def _make_room(self, place: str) -> list[Path]:
        target = self._data / place
        # What SQLite left beside a database that is gone would be taken for the new one's.
        there = [path for suffix in _BESIDE if (path := _beside(target, suffix)).exists()]
        if not there:
            return []
        number = 1
        while (folder := self._data / f"replaced-{number}" / place).exists():
            number += 1
        make_owner_only(folder.parent)
        make_owner_only(self._data / f"replaced-{number}")
        for path in reversed(there):
            path.rename(folder.with_name(path.name))
        sync_directory(folder.parent)
        sync_directory(target.parent)
        return [folder]

    def _forget(self, name: str) -> None:
        for suffix in _BESIDE:
            _beside(self._data / name, suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
