"""The staff map as the key store keeps it: who each staff reference stands for, encrypted.

Guarantees: a reference has one row, and the first one stays; a row opens only under the log key it
names, as what it was made for: this ledger, that reference, that organisation. A row goes in the
transaction that destroys its key. There is no column to search by.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.database import Cursor
from ledger.errors import IntegrityAlarm
from ledger.vault.sealing import open_sealed, seal, staff_data
from ledger_verifier.formats.disclosure import Disclosure

TABLE: Final = "staff_map"
#: The class of a key that seals a row of the staff map, and nothing else.
LOG: Final = "log"
_NAME: Final = "identity"


@dataclass(frozen=True, slots=True)
class StaffRow:
    """What is stored of one reference: the id of its log key, and nonce and ciphertext."""

    key_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Whose:
    """What a row is bound to."""

    origin: str
    reference: str
    organisation: str

    @property
    def bound_to(self) -> bytes:
        return staff_data(self.origin, self.reference, self.organisation)


def create(rows: Cursor, blob: str) -> None:
    """Create the table."""
    rows.execute(
        f"CREATE TABLE {TABLE} (reference TEXT PRIMARY KEY, key_id TEXT NOT NULL,"
        f" sealed {blob} NOT NULL)"
    )
    rows.execute(f"CREATE INDEX staff_map_key ON {TABLE} (key_id)")


def keep(rows: Cursor, reference: str, row: StaffRow) -> None:
    """Store a row, unless the reference has one."""
    rows.execute(
        f"INSERT INTO {TABLE} (reference, key_id, sealed) VALUES (?, ?, ?)"
        " ON CONFLICT (reference) DO NOTHING",
        (reference, row.key_id, row.sealed),
    )


def find(rows: Cursor, reference: str) -> StaffRow | None:
    """The row of a reference, if it has one."""
    rows.execute(f"SELECT key_id, sealed FROM {TABLE} WHERE reference = ?", (reference,))
    row = rows.fetchone()
    return None if row is None else StaffRow(str(row[0]), bytes(row[1]))


def delete_under(rows: Cursor, key_id: str) -> None:
    """Delete what is under a key that is being destroyed."""
    rows.execute(f"DELETE FROM {TABLE} WHERE key_id = ?", (key_id,))


def seal_identity(key: bytes, whose: Whose, identity: Mapping[str, str]) -> bytes:
    """Nonce and ciphertext of an identity, under a fresh salt."""
    return seal(key, whose.bound_to, [Disclosure.make(_NAME, dict(identity))])


def open_identity(key: bytes, whose: Whose, sealed: bytes) -> tuple[dict[str, str], str]:
    """The identity that a row seals, and the SHA-256 of the salted text, in hexadecimal, which the
    entry of its registration has. Raises VaultUnavailable when it does not open under that key as
    what it is said to be, and IntegrityAlarm when what opens is no identity."""
    found = open_sealed(key, whose.bound_to, sealed)
    if len(found) != 1 or found[0].name != _NAME or type(found[0].value) is not dict:
        raise IntegrityAlarm("A row of the staff map holds no identity: run hub-ledger fsck.")
    digest = hashlib.sha256(found[0].text.encode("ascii")).hexdigest()
    return dict(found[0].value), digest
