"""What was lost with a store: what the log declares, and what a restore has noted.

Guarantees: a loss that no entry declares explains nothing unless the log's own key has signed the
note of it for a log of this very size; every other note is a failure, and so is a table of losses
that is not what the log declares, or a sealed row that is declared lost and is there.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger.log.restored import flaw
from ledger.store.lost import select_declared, select_undeclared
from ledger.store.rows import Rows
from ledger_verifier.audit.report.model import MAX_FAILURES, Failure, Findings
from ledger_verifier.formats.note import VerifierKey
from ledger_verifier.meaning.schemas import Lost, parse_lost

_SOURCE: Final = "sealed"


class Losses:
    """Learns what the log declares as lost, and knows what is noted by a restore beside it."""

    def __init__(
        self, rows: Rows, keys: Iterable[VerifierKey], size: int, findings: Findings
    ) -> None:
        """`keys` are the log's, `size` is how many entries it has."""
        self._rows, self._findings = rows, findings
        self._declared: list[tuple[int, Lost]] = []
        self._noted: list[Lost] = []
        for note in select_undeclared(rows):
            why = flaw(note, keys, size)
            if why is None:
                self._noted.append(note.lost)
            else:
                self._fail(
                    note.lost.first, f"a note that sealed fields from here on are lost: {why}"
                )

    def learn(self, position: int, data: Mapping[str, Any]) -> None:
        """Take in the data of a declared loss that the verifier accepted."""
        self._declared.append((position, parse_lost(data)))

    def is_declared(self, position: int, key_class: str) -> bool:
        """Whether an entry declares an entry's fields under the key of that class as lost."""
        return any(_covers(lost, position, key_class) for _, lost in self._declared)

    def is_noted(self, position: int, key_class: str) -> bool:
        """Whether they are noted so by a restore, and no entry declares it yet."""
        return any(_covers(lost, position, key_class) for lost in self._noted)

    def is_lost(self, position: int, key_class: str) -> bool:
        """Whether they are lost with a restore, be it declared or not."""
        return self.is_declared(position, key_class) or self.is_noted(position, key_class)

    def check(self) -> None:
        """After the last entry: the table of losses is what the log declares, and what is lost is
        not there."""
        for position, _ in set(select_declared(self._rows)) ^ set(self._declared):
            self._fail(position, "the table of losses is not what the log declares")
        for _, lost in self._declared:
            self._rows.execute(
                "SELECT position FROM sealed WHERE key_class = ? AND position >= ?"
                f" AND position <= ? ORDER BY position LIMIT {MAX_FAILURES}",
                (lost.key_class, lost.first, lost.last),
            )
            for row in self._rows.fetchall():
                self._fail(row[0], "its sealed fields are there, and are declared lost")

    def _fail(self, position: int, reason: str) -> None:
        self._findings.fail(Failure(reason, position=position), source=_SOURCE)


def _covers(lost: Lost, position: int, key_class: str) -> bool:
    return lost.first <= position <= lost.last and lost.key_class == key_class
