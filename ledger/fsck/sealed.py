"""Sealed rows: each opens to what its entry committed to, or an entry of the log says why not.

Guarantees: nothing that is opened leaves this module, but the codes of the systems that recipients'
entries came from, and digests of rows of the staff map. Missing rows that no erasure and no
declared loss explains, rows that an erasure covers, rows of nobody, rows that do not open under a
key of their own stream and class, rows that hold anything but the fields of their class, and salts
met before are failures. Memory is proportional to the number of streams.
"""

from collections.abc import Mapping
from typing import Any

from ledger.errors import VaultUnavailable
from ledger.fsck.erasures import Erasures, Since
from ledger.fsck.losses import Losses
from ledger.fsck.vault import KeyStoreError, StoredKey, Vault
from ledger.store.records import (
    ATTRIBUTION,
    ERASURE,
    EVENTS_TABLE,
    SUBJECT,
    ErasedPart,
    SealedRow,
)
from ledger.store.rows import Rows, chunks, id_text, select_sealed
from ledger.vault.keystore import NEXT
from ledger.vault.sealing import associated_data, open_sealed
from ledger_verifier.audit.report.model import MAX_FAILURES, Failure, Findings
from ledger_verifier.audit.unique import Duplicates
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.meaning.schemas import ATTRIBUTION as ATTRIBUTION_CLASS
from ledger_verifier.meaning.schemas import RESERVED_TYPES

#: The sealed field of a recipient's entry that says who submitted it.
TRUE_SOURCE = "true_source"
#: The sealed field of a staff reference's registration that its row in the staff map is held to.
IDENTITY = "identity_sha256"
_SALT_KEY = 0
#: Keys kept at hand.
_MAX_KNOWN = 10_000


class SealedChecker:
    """Checks the sealed rows of entries as they pass, in log order."""

    def __init__(
        self,
        rows: Rows,
        position_sql: str,
        origin: str,
        vault: Vault,
        since: Since,
        losses: Losses,
        findings: Findings,
        *,
        restoring: bool = False,
    ) -> None:
        self._losses, self._restoring = losses, restoring
        self._rows, self._position, self._origin = rows, position_sql, origin
        self._vault, self._since, self._findings = vault, since, findings
        self.erasures = Erasures()
        self._fields: dict[tuple[str, int], dict[str, frozenset[str]]] = {}
        self._missing: list[tuple[int, str, int, str]] = []
        #: The digest that each registration of a staff reference seals, by position.
        self.identities: dict[int, str] = {}
        self._known: dict[str, StoredKey | None] = {}
        self._current: dict[str, dict[str, str]] = {}
        self._salts = Duplicates()
        self._no_keys = False
        self._meanwhile = 0

    def close(self) -> None:
        """Drop what was kept aside."""
        self._salts.close()

    def current_keys(self, stream: str) -> tuple[str | None, str | None]:
        """Ids of the subject and the attribution key that a stream's fields are under now."""
        current = self._current.get(stream, {})
        return current.get(SUBJECT), current.get(ATTRIBUTION)

    def learn_type(self, registration: Mapping[str, Any]) -> None:
        """Take in the data of a registration that the verifier accepted."""
        fields: dict[str, set[str]] = {}
        for name, field_class in registration["sealed"].items():
            key_class = ATTRIBUTION if field_class == ATTRIBUTION_CLASS else SUBJECT
            fields.setdefault(key_class, set()).add(name)
        self._fields[(registration["type"], registration["schema"])] = {
            key_class: frozenset(names) for key_class, names in fields.items()
        }

    def learn_erasure(self, position: int, entry: Mapping[str, Any]) -> None:
        """Take in an entry that the verifier accepted, if it is an erasure."""
        problem = self.erasures.learn(position, entry)
        if problem is not None:
            self._fail(position, _stream_of(entry), problem)

    def check(self, entries: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
        """Check the rows of some entries, by position; returns the true sources that are sealed
        in them."""
        found: dict[int, dict[str, SealedRow]] = {}
        for row in select_sealed(self._rows, sorted(entries)):
            found.setdefault(row.position, {})[row.key_class] = row
        self._look_for({row.key_id for rows in found.values() for row in rows.values()})
        true_sources = {}
        for position, entry in entries.items():
            for disclosure in self._check_entry(position, entry, found.get(position, {})):
                if disclosure.name == TRUE_SOURCE:
                    true_sources[position] = str(disclosure.value)
                elif disclosure.name == IDENTITY:
                    self.identities[position] = str(disclosure.value)
        return true_sources

    def _check_entry(
        self, position: int, entry: Mapping[str, Any], rows: Mapping[str, SealedRow]
    ) -> list[Disclosure]:
        fields: Mapping[str, frozenset[str]] = {}
        if entry["type"] not in RESERVED_TYPES:
            fields = self._fields.get((entry["type"], entry["schema"]), {})
        stream = _stream_of(entry)
        for key_class in fields.keys() - rows.keys():
            self._missing.append((position, stream, entry["stream"]["version"], key_class))
        for key_class in rows.keys() - fields.keys():
            self._fail(position, stream, f"a sealed row of class {key_class} belongs to no field")
        opened: dict[str, list[Disclosure]] = {}
        current = self._current.setdefault(stream, {})
        for key_class in sorted(fields.keys() & rows.keys()):
            held = self._open(position, entry, stream, rows[key_class])
            if held is not None:
                opened[key_class] = held
            current[key_class] = rows[key_class].key_id
            self._findings.counts["sealed rows"] += 1
        if entry["type"] == ERASURE and entry["data"].get("versions") is None:
            current.pop(SUBJECT, None)
        self._check_held(position, entry, fields, opened)
        return [disclosure for held in opened.values() for disclosure in held]

    def _check_held(
        self,
        position: int,
        entry: Mapping[str, Any],
        fields: Mapping[str, frozenset[str]],
        opened: Mapping[str, list[Disclosure]],
    ) -> None:
        """What was opened must be exactly what the entry committed to, class by class."""
        stream, committed = _stream_of(entry), set(entry["data"]["_sd"])
        held = [disclosure for of_class in opened.values() for disclosure in of_class]
        digests = {disclosure.digest for disclosure in held}
        if digests - committed or (opened.keys() == fields.keys() and digests != committed):
            self._fail(position, stream, "its sealed fields are not those it committed to")
        else:
            for key_class, of_class in opened.items():
                if sorted(d.name for d in of_class) != sorted(fields[key_class]):
                    reason = f"a row holds not the {key_class} fields of its registration"
                    self._fail(position, stream, reason)
        for disclosure in held:
            self._salts.add(_SALT_KEY, disclosure.salt, position)

    def _open(
        self, position: int, entry: Mapping[str, Any], stream: str, row: SealedRow
    ) -> list[Disclosure] | None:
        """What a row opens to; None when it does not, and that has been dealt with."""
        key = self._key(position, stream, row)
        if key is None:
            return None
        bound_to = associated_data(
            self._origin, entry["source"], entry["id"], stream, row.key_class
        )
        try:
            return open_sealed(key, bound_to, row.ciphertext)
        except VaultUnavailable:
            self._fail(position, stream, f"its sealed {row.key_class} fields do not open")
            return None

    def _key(self, position: int, stream: str, row: SealedRow) -> bytes | None:
        """The key that a row is under, if it is one of this stream and class."""
        stored = self._known.get(row.key_id)
        if self._no_keys:
            return None
        what = f"the key of its {row.key_class} fields"
        if stored is None:
            # An erasure or expiry recorded after the snapshot was taken may have destroyed it.
            if self._since.destroyed(row.key_id, stream):
                self._meanwhile += 1
            else:
                self._fail(position, stream, f"{what} is missing")
            return None
        # Until the key before it is destroyed, what an erasure kept is under the stream's next key.
        key_class = SUBJECT if stored.key_class == NEXT else stored.key_class
        if (stored.stream, key_class) != (stream, row.key_class):
            reason = f"its sealed {row.key_class} fields do not open: they name a key that is kept "
            self._fail(position, stream, reason + "for another stream or class")
            return None
        if stored.key is None:
            self._fail(position, stream, f"{what} does not open under the wrapping key")
        return stored.key

    def _look_for(self, key_ids: set[str]) -> None:
        """Find keys of the key store, those of many entries together: whoever keeps their wrapping
        key may be far away. What is wrong with the whole of the key store is reported once, at the
        end; until then nothing is opened."""
        if len(self._known) + len(key_ids) > _MAX_KNOWN:
            self._known.clear()
        unknown = key_ids - self._known.keys()
        if unknown and not self._no_keys:
            try:
                self._known.update(self._vault.find_all(unknown))
            except KeyStoreError:
                self._no_keys = True

    def end(self) -> None:
        """After the last entry: hold what is missing, and what is there, against the erasures."""
        for position, stream, version, key_class in self._missing:
            part = self.erasures.parts.get(stream, ErasedPart())
            if key_class == SUBJECT and part.covers(version):
                self._findings.counts["erased"] += 1
            elif self._losses.is_declared(position, key_class):
                self._findings.counts["lost"] += 1
            else:
                self._judge_unexplained(position, stream, key_class)
        self._losses.check()
        for stream, part in self.erasures.parts.items():
            self._check_gone(stream, part)
        self._rows.execute(
            "SELECT s.position, s.key_id FROM sealed s JOIN destroyed_keys d ON s.key_id = d.key_id"
            f" ORDER BY s.position LIMIT {MAX_FAILURES}"
        )
        for position, key_id in self._rows.fetchall():
            # Where no erasure says so, it is the table that is wrong.
            if id_text(key_id) in self.erasures.keys:
                self._fail(position, None, "its sealed fields survived the erasure of their key")
        for _, first, later in self._salts.pairs():
            self._fail(later, None, f"a salt of the entry at position {first} is used here again")
        if self._meanwhile:
            self._findings.not_assessed.append(
                f"{self._meanwhile} sealed rows that were erased while this ran, as the log "
                "records by now"
            )

    def _judge_unexplained(self, position: int, stream: str, key_class: str) -> None:
        """A row is missing, and nothing in the log says why."""
        if not self._losses.is_noted(position, key_class):
            why = (
                "are missing and no erasure explains it"
                if key_class == SUBJECT
                else f"of class {key_class} are missing"
            )
            self._fail(position, stream, f"its sealed fields {why}")
        elif self._restoring:
            self._findings.counts["lost"] += 1
        else:
            reason = (
                "its sealed fields were lost with a restore, and no entry declares it yet: the "
                "service does when it starts"
            )
            self._fail(position, stream, reason)

    def _check_gone(self, stream: str, part: ErasedPart) -> None:
        """No subject row of what is erased of a stream is there, whatever key it names."""
        versions = sorted(part.versions)
        for some in [[], *chunks(versions)]:
            marks = ",".join("?" * len(some))
            which = f"originator_version IN ({marks})" if some else "originator_version <= ?"
            self._rows.execute(
                "SELECT position FROM sealed WHERE key_class = ? AND position IN"
                f" (SELECT {self._position} FROM {EVENTS_TABLE}"
                f" WHERE originator_id = ? AND {which})"
                f" ORDER BY position LIMIT {MAX_FAILURES}",
                (SUBJECT, stream, *(some or [part.through])),
            )
            for row in self._rows.fetchall():
                self._fail(
                    row[0], stream, "its sealed fields are there, and an erasure covers them"
                )

    def _fail(self, position: int, stream: str | None, reason: str) -> None:
        self._findings.fail(Failure(reason, position=position, stream=stream), source="sealed")


def _stream_of(entry: Mapping[str, Any]) -> str:
    return f"{entry['stream']['kind']}/{entry['stream']['id']}"
