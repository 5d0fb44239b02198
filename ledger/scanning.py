"""Scanning: whether anything is left of what an erasure destroyed.

Guarantees: what is said to have been checked was, after the erasure: the keys it names are not in
the key store; no sealed row of what it covers is in the event store; opening is refused; the bytes
that were stored before are in no file of the data directory, or, on PostgreSQL, the tables were
vacuumed. Nothing that was found is ever passed on, but that something was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.database import database_errors
from ledger.errorlog import log_error
from ledger.errors import LedgerError
from ledger.opening import Opener
from ledger.searching import search, size_of
from ledger.store.base import Store
from ledger.store.records import SUBJECT, ErasedPart
from ledger_verifier.formats import entry as entries

#: Bytes of files times the number of things looked for, at most, in one scan: some seconds of one
#: processor. Beyond it files are not searched, and the record does not say that they were.
BUDGET: Final = 1 << 33


@dataclass(frozen=True, slots=True)
class Executed:
    """A recorded erasure: where it is, and what was stored of what it destroyed. Nothing is known
    of that once the service that recorded it has ended."""

    position: int
    secrets: tuple[bytes, ...] = ()


class Scan:
    """One look at a ledger, for one or more erasures. Methods block."""

    def __init__(self, path: Path, store: Store, opener: Opener, *, vacuums: bool) -> None:
        self._path, self._store, self._opener, self._vacuums = path, store, opener, vacuums

    def look(self, executed: Sequence[Executed]) -> dict[int, list[str]]:
        """By position of the erasure, what was checked of those of which nothing is left; raises
        VaultUnavailable."""
        if self._vacuums:
            # What is deleted in a table stays in its pages until then.
            self._store.scrub()
            self._opener.vacuum_keys()
        known = {one.position: secret for one in executed if (secret := one.secrets)}
        searched = self._search(known)
        clean: dict[int, list[str]] = {}
        for one in executed:
            checked = self._checked(one.position)
            if not checked or one.position in searched.found:
                continue
            if one.position in known and searched.done:
                checked.append("files-searched")
            if self._vacuums:
                checked.append("tables-vacuumed")
            clean[one.position] = checked
        return clean

    def _checked(self, position: int) -> list[str]:
        """As `_check`. What is wrong with one stream, whatever it is, holds up no other."""
        try:
            return self._check(position)
        except database_errors(LedgerError):
            raise
        except Exception as error:  # noqa: BLE001 - what is stored may be altered in any way
            log_error("an erasure could not be looked at", error)
            return []

    def _check(self, position: int) -> list[str]:
        """What of the key store and the tables was checked; nothing when something is left."""
        raw = self._store.entry(position)
        if raw is None:
            return []
        erasure = entries.decode(raw)
        data = erasure["data"]
        part = ErasedPart(data["through"], frozenset(data.get("versions") or ()))
        stream = f"{erasure['stream']['kind']}/{erasure['stream']['id']}"
        covered: dict[int, Mapping[str, Any]] = {
            one.position: entries.decode(one.raw)
            for one in self._store.stream(stream)
            if part.covers(one.version)
        }
        rows = self._store.sealed(sorted(covered))
        if self._opener.wrapped(data["key_ids"]) or any(r.key_class == SUBJECT for r in rows):
            return []
        try:
            opened = self._opener.open_all(covered)
        except LedgerError:
            # Something else is wrong with this stream. It holds up no other.
            return []
        if any(
            self._opener.seals_subject(entry) and SUBJECT not in opened[place].erased
            for place, entry in covered.items()
        ):
            return []
        return ["key-absent", "sealed-rows-absent", "opening-refused"]

    def _search(self, known: Mapping[int, tuple[bytes, ...]]) -> "_Searched":
        """Which erasures left something in a file, as far as the budget allows to look."""
        stretches = [(position, one) for position, secrets in known.items() for one in secrets]
        if not stretches or size_of(self._path) * len(stretches) > BUDGET:
            return _Searched(frozenset(), done=False)
        found = search(self._path, [one for _, one in stretches])
        return _Searched(frozenset(stretches[index][0] for index in found), done=True)


@dataclass(frozen=True, slots=True)
class _Searched:
    found: frozenset[int]
    done: bool
