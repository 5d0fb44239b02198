"""Openings: how many streams' sealed fields one person or token has opened within a day.

Guarantees: a stream counts from before its fields are opened, through restarts, and once however
often it is opened; nothing older than a day counts, or is kept once the next is noted. A stream is
noted as a digest: nothing here holds the id of one that expires meanwhile. Who opens those of many
people gives a reason, which their consultations hold from then on. The log is where readings are
recorded for good; this only counts them, for this machine's readers.
"""

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from ledger.access import Credential
from ledger.database import Database

DAY_SECONDS: Final = 86_400.0


class Openings:
    """The table of openings in one database. Methods block."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def create(self) -> None:
        """Create what is missing."""
        with self._database.transaction() as rows:
            rows.execute(
                "CREATE TABLE IF NOT EXISTS openings (reader TEXT NOT NULL, stream TEXT NOT NULL,"
                " opened_at BIGINT NOT NULL, PRIMARY KEY (reader, stream))"
            )

    def note(self, credential: Credential, actor: str | None, stream: str) -> int:
        """Note that a stream's fields are opened. It counts for the person, whatever the token, and
        for the token, whoever it names: a reference is a claim, and one can be made up for every
        stream. Returns of how many streams the one or the other has within a day, with this one,
        whichever is more."""
        readers, now = sorted({credential.public_id, actor or credential.public_id}), self._clock()
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM openings WHERE opened_at <= ?", (int(now - DAY_SECONDS),))
            counts = []
            for reader in readers:
                rows.execute(
                    "INSERT INTO openings (reader, stream, opened_at) VALUES (?, ?, ?)"
                    " ON CONFLICT (reader, stream) DO UPDATE SET opened_at = excluded.opened_at",
                    (reader, sha256(f"{reader} {stream}".encode()).hexdigest(), int(now)),
                )
                rows.execute("SELECT COUNT(*) FROM openings WHERE reader = ?", (reader,))
                row = rows.fetchone()
                counts.append(0 if row is None else int(row[0]))
        return max(counts)
