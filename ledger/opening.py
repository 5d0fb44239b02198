"""Opening sealed fields, and knowing why a field does not open.

Guarantees: before anything is opened, every recorded erasure is carried out, and no key destroyed
that the log does not name; a field that is gone
is either explained by an entry of the log (an erasure, or a declared loss) or is an alarm; what
opens is exactly what the entry committed to, digest by digest.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.catalogue import CATALOGUE
from ledger.database import database_errors
from ledger.errors import IntegrityAlarm, VaultUnavailable
from ledger.log.destroyed import proven
from ledger.store.base import Store
from ledger.store.lost import is_lost
from ledger.store.records import ATTRIBUTION, SUBJECT, DestroyedKey, ErasedPart, SealedRow
from ledger.vault.erasure import apply_erasures
from ledger.vault.keystore import NEXT, KeyStore
from ledger.vault.sealing import associated_data, open_sealed, seal
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.note import VerifierKey

_NOTHING: Final = ErasedPart()


@dataclass(frozen=True, slots=True)
class Opened:
    """What opened of one entry, and the key classes whose fields are gone: a recorded erasure
    removed them, or they are declared lost."""

    disclosures: tuple[Disclosure, ...]
    erased: frozenset[str]

    @property
    def values(self) -> dict[str, Any]:
        return {disclosure.name: disclosure.value for disclosure in self.disclosures}


class Opener:
    """Opens sealed fields of one ledger. Methods block; they may be called from any thread."""

    def __init__(
        self, origin: str, store: Store, keys: KeyStore, log_keys: Collection[VerifierKey]
    ) -> None:
        """`log_keys` are those that the log's own head is signed by."""
        self._origin, self._store, self._keys = origin, store, keys
        self._log_keys = log_keys

    def apply_erasures(self) -> list[str]:
        """Carry out every erasure that the log records and the key store has not yet applied;
        raises VaultUnavailable when the key store cannot, and IntegrityAlarm, with nothing
        destroyed, when the event store names a key that the log does not."""
        try:
            return apply_erasures(self._keys, self._destroyed)
        except database_errors() as error:
            raise VaultUnavailable("The key store does not answer. Try again later.") from error

    def _destroyed(self, start: int) -> list[DestroyedKey]:
        # Asked at every opening, and there is hardly ever any.
        if not self._store.destroyed_keys(start):
            return []
        # One moment of it all: an expiry may take away the entry of an erasure.
        with self._store.snapshot() as rows:
            return proven(rows, self._store.position_sql, self._log_keys, start)

    def open(self, position: int, entry: Mapping[str, Any]) -> Opened:
        """The sealed fields of a decoded entry; raises as `open_all` does."""
        return self.open_all({position: entry})[position]

    def open_all(self, decoded: Mapping[int, Mapping[str, Any]]) -> dict[int, Opened]:
        """The sealed fields of decoded entries, by position, each table being read once.

        Raises VaultUnavailable when the vault cannot answer, and IntegrityAlarm when fields are
        missing and no entry of the log says why.
        """
        self.apply_erasures()
        rows: dict[int, dict[str, SealedRow]] = {position: {} for position in decoded}
        for row in self._store.sealed(sorted(decoded)):
            rows[row.position][row.key_class] = row
        erased = self._store.erased(map(_stream_of, decoded.values()))
        for position, entry in decoded.items():
            if erased.get(_stream_of(entry), _NOTHING).covers(entry["stream"]["version"]):
                # The log says so, whatever is still stored.
                rows[position].pop(SUBJECT, None)
        keys = self._find_keys(row.key_id for held in rows.values() for row in held.values())
        return {
            position: self._open(position, entry, rows[position], keys)
            for position, entry in decoded.items()
        }

    def wrapped(self, key_ids: Iterable[str]) -> list[bytes]:
        """The keys of these ids that are there, as the key store keeps them; raises
        VaultUnavailable."""
        try:
            return self._keys.wrapped(key_ids)
        except database_errors() as error:
            raise VaultUnavailable("The key store does not answer. Try again later.") from error

    def check_erases(self, stream: str, key_ids: Collection[str]) -> None:
        """Make sure that nothing of what a stream seals about its person stays readable once these
        keys are destroyed, and nothing else becomes unreadable: they are its own subject keys, and
        all of them, less what erasures recorded before destroy. Raises IntegrityAlarm, and
        VaultUnavailable."""
        try:
            places = self._keys.places_of(stream, key_ids)
        except database_errors() as error:
            raise VaultUnavailable("The key store does not answer. Try again later.") from error
        own = {(stream, SUBJECT), (stream, NEXT)}
        # One that is not there may be there under another id.
        wrong = {key_id for key_id in key_ids if places.get(key_id) not in own}
        wrong |= {key_id for key_id, place in places.items() if place == (stream, SUBJECT)} - set(
            key_ids
        )
        if wrong:
            # There hardly ever is any: an erasure whose key could not be destroyed yet.
            wrong -= {key.key_id for key in self._store.destroyed_keys(0)}
        if wrong:
            raise IntegrityAlarm(
                "What this stream seals about the person is said to be under keys that the key "
                "store does not hold as its own for that: one of the two is an older copy, or has "
                "been altered. Nothing was recorded, and no key was destroyed. Run hub-ledger "
                "fsck."
            )

    def vacuum_keys(self) -> None:
        """Free the place of deleted keys, where the key store is a PostgreSQL database; raises
        VaultUnavailable."""
        try:
            self._keys.vacuum()
        except database_errors() as error:
            raise VaultUnavailable("The key store does not answer. Try again later.") from error

    def seals_subject(self, entry: Mapping[str, Any]) -> bool:
        """Whether entries of this type have fields under the subject key."""
        return SUBJECT in _sealed_key_classes(entry)

    def reseal(
        self,
        kept: Sequence[tuple[SealedRow, Mapping[str, Any]]],
        key_id: str,
        key: bytes,
    ) -> list[tuple[int, str, bytes]]:
        """What these rows of decoded entries seal, sealed anew under another key, by position;
        raises VaultUnavailable."""
        old = self._find_keys(row.key_id for row, _ in kept)
        resealed = []
        for row, entry in kept:
            disclosures = self._open_row(entry, row, old.get(row.key_id))
            if disclosures is None:
                raise VaultUnavailable("The key of what is to be kept is not in the key store.")
            resealed.append(
                (row.position, key_id, seal(key, self._bound_to(entry, row), disclosures))
            )
        return resealed

    def _bound_to(self, entry: Mapping[str, Any], row: SealedRow) -> bytes:
        return associated_data(
            self._origin, entry["source"], entry["id"], _stream_of(entry), row.key_class
        )

    def _find_keys(self, key_ids: Iterable[str]) -> dict[str, bytes]:
        try:
            return self._keys.keys(key_ids)
        except database_errors() as error:
            raise VaultUnavailable("The key store does not answer. Try again later.") from error

    def _open(
        self,
        position: int,
        entry: Mapping[str, Any],
        rows: Mapping[str, SealedRow],
        keys: Mapping[str, bytes],
    ) -> Opened:
        opened: list[Disclosure] = []
        erased: set[str] = set()
        for key_class in _sealed_key_classes(entry):
            row = rows.get(key_class)
            found = None if row is None else self._open_row(entry, row, keys.get(row.key_id))
            if found is None:
                self._explain(position, entry, key_class)
                erased.add(key_class)
            else:
                opened += found
        digests = set(entry["data"]["_sd"])
        found_digests = {disclosure.digest for disclosure in opened}
        if found_digests - digests or (not erased and found_digests != digests):
            raise IntegrityAlarm(
                f"Sealed fields of entry {position} are not the ones it committed to: run "
                "hub-ledger fsck."
            )
        return Opened(tuple(opened), frozenset(erased))

    def _open_row(
        self, entry: Mapping[str, Any], row: SealedRow, key: bytes | None
    ) -> list[Disclosure] | None:
        if key is None:
            return None
        return open_sealed(key, self._bound_to(entry, row), row.ciphertext)

    def _is_erased(self, entry: Mapping[str, Any]) -> bool:
        """Whether an erasure covers the subject fields of this entry, as the log is now."""
        stream, version = _stream_of(entry), int(entry["stream"]["version"])
        return self._store.erased([stream]).get(stream, _NOTHING).covers(version)

    def _explain(self, position: int, entry: Mapping[str, Any], key_class: str) -> None:
        """Find the entry of the log that says why, or raise."""
        if key_class == SUBJECT and self._is_erased(entry):
            return
        with self._store.read() as rows:
            if is_lost(rows, position, key_class):
                return
        raise VaultUnavailable(
            "Sealed fields are missing and no entry of the log says why: run hub-ledger fsck."
        )


def _stream_of(entry: Mapping[str, Any]) -> str:
    return f"{entry['stream']['kind']}/{entry['stream']['id']}"


def _sealed_key_classes(entry: Mapping[str, Any]) -> list[str]:
    """Key classes under which an entry of this type has sealed fields."""
    event_type = CATALOGUE.get(entry["type"], entry["schema"])
    if event_type is None:
        return []
    classes = set(event_type.sealed.values())
    return [SUBJECT] * bool(classes - {ATTRIBUTION}) + [ATTRIBUTION] * (ATTRIBUTION in classes)
