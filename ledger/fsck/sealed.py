"""Sealed rows: each opens to what its entry committed to, or an erasure in the log says why not.

Guarantees: nothing that is opened leaves this module. Missing rows that no erasure explains, rows
that survived their erasure, rows of nobody and rows that do not open are failures.
"""

from collections.abc import Mapping
from typing import Any

from ledger.errors import VaultUnavailable
from ledger.store.records import ATTRIBUTION, SUBJECT, SealedRow
from ledger.store.rows import Rows, select_sealed
from ledger.vault.keystore import KeyStore
from ledger.vault.sealing import associated_data, open_sealed
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.meaning.schemas import ATTRIBUTION as ATTRIBUTION_CLASS
from ledger_verifier.meaning.schemas import RESERVED_TYPES, SCHEMA_REGISTERED

ERASURE = "erasure.executed"


class SealedChecker:
    """Checks the sealed rows of entries as they pass, in log order."""

    def __init__(self, rows: Rows, origin: str, keys: KeyStore, findings: Findings) -> None:
        self._rows, self._origin, self._keys, self._findings = rows, origin, keys, findings
        self._classes: dict[tuple[str, int], frozenset[str]] = {}
        self._erased: dict[str, int] = {}
        self._missing: list[tuple[int, str, int]] = []
        self._known: dict[str, bytes | None] = {}

    def learn(self, entry: Mapping[str, Any]) -> None:
        """Take in what an entry says about sealed fields: a registration, or an erasure."""
        data = entry["data"]
        if entry["type"] == SCHEMA_REGISTERED:
            classes = set(data["sealed"].values())
            wanted = {ATTRIBUTION} if ATTRIBUTION_CLASS in classes else set()
            if classes - {ATTRIBUTION_CLASS}:
                wanted.add(SUBJECT)
            self._classes[(data["type"], data["schema"])] = frozenset(wanted)
        elif entry["type"] == ERASURE:
            stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
            self._erased[stream] = max(self._erased.get(stream, 0), data["through"])

    def check(self, entries: Mapping[int, Mapping[str, Any]]) -> None:
        """Check the rows of some entries, by position."""
        found: dict[int, dict[str, SealedRow]] = {}
        for row in select_sealed(self._rows, sorted(entries)):
            found.setdefault(row.position, {})[row.key_class] = row
        for position, entry in entries.items():
            self._check_entry(position, entry, found.get(position, {}))

    def _check_entry(
        self, position: int, entry: Mapping[str, Any], rows: Mapping[str, SealedRow]
    ) -> None:
        if entry["type"] in RESERVED_TYPES:
            wanted: frozenset[str] = frozenset()
        else:
            wanted = self._classes.get((entry["type"], entry["schema"]), frozenset())
        stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
        for key_class in wanted - rows.keys():
            if key_class == SUBJECT:
                self._missing.append((position, stream, entry["stream"]["version"]))
            else:
                self._fail(position, stream, f"its sealed {key_class} fields are missing")
        for key_class in rows.keys() - wanted:
            self._fail(position, stream, f"a sealed row of class {key_class} belongs to no field")
        opened: set[str] = set()
        for key_class in sorted(wanted & rows.keys()):
            digests = self._open(position, entry, stream, rows[key_class])
            opened |= digests
            self._findings.counts["sealed rows"] += 1
        if opened - set(entry["data"]["_sd"]):
            self._fail(position, stream, "its sealed fields are not those it committed to")

    def _open(
        self, position: int, entry: Mapping[str, Any], stream: str, row: SealedRow
    ) -> set[str]:
        """Digests of what a row opens to."""
        try:
            key = self._key(row.key_id)
            if key is None:
                self._fail(position, stream, f"the key of its {row.key_class} fields is missing")
                return set()
            bound_to = associated_data(
                self._origin, entry["source"], entry["id"], stream, row.key_class
            )
            return {d.digest for d in open_sealed(key, bound_to, row.ciphertext)}
        except VaultUnavailable:
            self._fail(position, stream, f"its sealed {row.key_class} fields do not open")
            return set()

    def _key(self, key_id: str) -> bytes | None:
        if key_id not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key_id] = self._keys.key(key_id)
        return self._known[key_id]

    def end(self) -> None:
        """After the last entry: hold what is missing against the erasures that were met."""
        for position, stream, version in self._missing:
            if self._erased.get(stream, 0) >= version:
                self._findings.counts["erased"] += 1
            else:
                self._fail(
                    position, stream, "its sealed fields are missing and no erasure explains it"
                )
        self._rows.execute(
            "SELECT s.position FROM sealed s JOIN destroyed_keys d ON s.key_id = d.key_id"
            " ORDER BY s.position LIMIT 50"
        )
        for row in self._rows.fetchall():
            self._fail(row[0], None, "its sealed fields survived the erasure of their key")

    def _fail(self, position: int, stream: str | None, reason: str) -> None:
        self._findings.fail(Failure(reason, position=position, stream=stream), source="sealed")
