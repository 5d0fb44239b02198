"""The staff map, held against the registrations that the log has.

Guarantees: every reference that is registered, and has not expired, has a row that opens under its
own log key, for this ledger and its organisation, to what was registered; a row that is missing
without an entry that explains it is a failure, and so is one under a key that was destroyed. A row
that no entry speaks of is told of and no failure: it is there before its entry, and stays where a
registration was cut short, or a restored log no longer has it. Nothing that is opened leaves this
module.
"""

from collections.abc import Mapping
from typing import Any, Final

from ledger.errors import LedgerError
from ledger.fsck.erasures import Since
from ledger.fsck.losses import Losses
from ledger.fsck.sealed import SealedChecker
from ledger.fsck.vault import KeyStoreError, StoredKey, StoredStaff, Vault
from ledger.store.records import ATTRIBUTION
from ledger.vault.staffmap import LOG, Whose, open_identity
from ledger_verifier.audit.report.model import Failure, Findings

REGISTERED: Final = "staff.registered"
_SOURCE: Final = "staff map"


class StaffChecker:
    """Learns which references the log registers, and holds the staff map against them. Memory is
    proportional to their number."""

    def __init__(self, origin: str, losses: Losses, findings: Findings) -> None:
        self._origin, self._losses, self._findings = origin, losses, findings
        self._registered: dict[str, tuple[int, str]] = {}
        self._unheld = 0

    def learn(self, position: int, entry: Mapping[str, Any]) -> None:
        """Take in an entry that the verifier accepted, if it registers a reference."""
        if entry["type"] == REGISTERED:
            reference = str(entry["stream"]["id"])
            self._registered.setdefault(reference, (position, str(entry["organisation"])))

    def check(self, vault: Vault, sealed: SealedChecker, since: Since) -> None:
        """After the last entry."""
        missing, unknown = set(self._registered), 0
        try:
            for page in vault.staff():
                keys = vault.find_all({row.key_id for row in page})
                for row in page:
                    missing.discard(row.reference)
                    self._findings.counts["staff references"] += 1
                    unknown += self._check_row(row, keys.get(row.key_id), sealed, since)
        except KeyStoreError as error:
            # What is wrong with the whole of the key store is reported by whoever reads its keys.
            if not self._findings.failed:
                self._findings.fail(Failure(str(error)), source=_SOURCE)
            return
        for reference in sorted(missing):
            position, _ = self._registered[reference]
            if self._losses.is_lost(position, ATTRIBUTION):
                self._findings.counts["lost"] += 1
            elif since.is_there(_stream(reference)):
                self._fail("the staff map lacks a reference and no entry explains it", position)
        if self._unheld:
            self._findings.not_assessed.append(
                f"whether {self._unheld} of the rows of the staff map say what was registered: the "
                "digests that they are held to are lost with a restore, as the log declares"
            )
        if unknown:
            rows = "1 row" if unknown == 1 else f"{unknown} rows"
            self._findings.not_assessed.append(
                f"{rows} of the staff map that no entry of the log speaks of: a registration that "
                "was cut short, which the hub's system sends again, or that came after this began"
            )

    def _check_row(
        self, row: StoredStaff, key: StoredKey | None, sealed: SealedChecker, since: Since
    ) -> bool:
        """Hold one row against its registration; whether it has none."""
        if row.key_id in sealed.erasures.keys:
            _, position = sealed.erasures.keys[row.key_id]
            self._fail("a row of the staff map is there whose key this destroyed", position)
            return False
        if row.reference not in self._registered:
            return True
        position, organisation = self._registered[row.reference]
        what = (_stream(row.reference), LOG)
        if key is None and since.destroyed(row.key_id, what[0]):
            # It has expired since this began.
            return False
        if key is None or key.key is None or (key.stream, key.key_class) != what:
            self._fail("the log key of its row in the staff map is missing, or another's", position)
            return False
        whose = Whose(self._origin, row.reference, organisation)
        try:
            _, digest = open_identity(key.key, whose, row.sealed)
        except LedgerError:
            self._fail("its row in the staff map does not open", position)
            return False
        if position not in sealed.identities:
            # Where that is explained by nothing, whoever checks sealed rows says so.
            self._unheld += self._losses.is_lost(position, ATTRIBUTION)
        elif sealed.identities[position] != digest:
            self._fail("its row in the staff map is not what was registered", position)
        return False

    def _fail(self, reason: str, position: int) -> None:
        self._findings.fail(Failure(reason, position=position), source=_SOURCE)


def _stream(reference: str) -> str:
    return f"access/{reference}"
