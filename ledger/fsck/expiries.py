"""What the store keeps of streams that expired, held against what the log says of them.

Guarantees: the stored spans are those that the log's own entries name, no more and no fewer; every
entry of them has one tombstone; nothing that is sealed is left of them; the ids of their keys are
those that the entry which says so commits to, or those that a restore, which could not know them
all, has signed for with the log's key. Tombstones cannot be held against the streams and ids they
are of: these are gone.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from ledger.log.restored import is_known_expiry
from ledger.store.expiry import (
    count_blank_tombstones,
    expiry_state,
    select_gone,
    select_restored,
)
from ledger.store.rows import Rows, chunks
from ledger_verifier.audit.report.model import MAX_FAILURES, Failure, Findings
from ledger_verifier.formats.note import VerifierKey
from ledger_verifier.meaning.expiry import Span, keys_sha256, spans_of

_SOURCE: Final = "expiry"


class ExpiryChecker:
    """Learns what the log says has expired, in log order, and holds the store against it."""

    def __init__(self, rows: Rows, log_keys: Collection[VerifierKey], findings: Findings) -> None:
        self._rows, self._log_keys, self._findings = rows, log_keys, findings
        self._through = 0
        self._spans = 0
        #: The digest of the keys that each entry destroyed, by its position.
        self._keys: dict[int, str] = {}
        #: How many entries have expired, as the log says.
        self.entries = 0

    def destroyed_keys(self) -> dict[str, int]:
        """Ids of the keys of expired streams, each with the position of the entry that says so."""
        gone = select_gone(self._rows)
        return {key_id: position for position, key_ids in gone.items() for key_id in key_ids}

    def explains(self, first: int, end: int) -> bool:
        """Whether the store says that every entry from `first` to before `end` has expired."""
        while first < end:
            self._rows.execute(
                "SELECT last FROM expired WHERE first <= ? ORDER BY first DESC LIMIT 1", (first,)
            )
            row = self._rows.fetchone()
            if row is None or int(row[0]) < first:
                return False
            first = int(row[0]) + 1
        return True

    def learn(self, position: int, data: Mapping[str, Any]) -> None:
        """Take in the data of an accepted `stream.expired`, and look its spans up."""
        spans = spans_of(data)
        self._through = position + 1
        self._keys[position] = data["keys_sha256"]
        self._spans += len(spans)
        self.entries += sum(last - first + 1 for first, last in spans)
        stored: set[tuple[int, int, int]] = set()
        for chunk in chunks([first for first, _ in spans]):
            marks = ",".join("?" * len(chunk))
            self._rows.execute(
                f"SELECT first, last, position FROM expired WHERE first IN ({marks})", list(chunk)
            )
            stored.update((row[0], row[1], row[2]) for row in self._rows.fetchall())
        if stored != {(first, last, position) for first, last in spans}:
            self._fail("the table of what has expired is not what this entry says", position)
        self._check_gone(spans)

    def check(self) -> None:
        """After the last entry."""
        through, _ = expiry_state(self._rows)
        if through != self._through:
            self._fail("the store does not know what has expired last")
        self._rows.execute("SELECT COUNT(*) FROM expired")
        if self._rows.fetchone()[0] != self._spans:
            self._fail("the table of what has expired is not what the log says")
        self._rows.execute("SELECT COUNT(*) - COUNT(hub), COUNT(hub) FROM tombstones")
        ids, streams = self._rows.fetchone()
        blank = count_blank_tombstones(self._rows)
        if ids != self.entries:
            self._fail(f"there are {ids} tombstones of entries where {self.entries} have expired")
        if (streams and not ids) or (ids > blank and not streams):
            self._fail("there are tombstones of streams and none of entries, or the reverse")
        self._findings.counts["expired streams"] += streams
        if blank:
            self._findings.not_assessed.append(
                f"whether {blank} of the entries that have expired would be known again: their ids "
                "are lost with a restore"
            )
        self._check_keys()

    def _check_keys(self) -> None:
        """The ids that stand with each entry are those it commits to, or those that a restore has
        signed for."""
        gone, restored = select_gone(self._rows), select_restored(self._rows)
        unknown = 0
        for position in sorted(gone.keys() - self._keys.keys()):
            self._fail("a key is named as destroyed by an expiry that there is not", position)
        found = {position: keys_sha256(gone.get(position, ())) for position in self._keys}
        partly = {at: digest for at, digest in found.items() if digest != self._keys[at]}
        for position in sorted(restored.keys() - partly.keys()):
            self._fail("a note that not all keys of this are known, and nothing is amiss", position)
        for position, digest in partly.items():
            if is_known_expiry(self._log_keys, position, digest, restored.get(position)):
                unknown += 1
            else:
                self._fail("the keys named as destroyed by this entry are not its own", position)
        if unknown:
            self._findings.not_assessed.append(
                f"whether every key that went with {unknown} of the entries that say what has "
                "expired would be told of if it came back: a restore could not know them all"
            )

    def _check_gone(self, spans: list[Span]) -> None:
        for first, last in spans:
            self._rows.execute(
                "SELECT position FROM sealed WHERE position >= ? AND position <= ?"
                f" ORDER BY position LIMIT {MAX_FAILURES}",
                (first, last),
            )
            for row in self._rows.fetchall():
                self._fail("its sealed fields are there, and it has expired", row[0])

    def _fail(self, reason: str, position: int | None = None) -> None:
        self._findings.fail(Failure(reason, position), source=_SOURCE)
