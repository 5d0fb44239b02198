"""`hub-ledger fsck`: the verifier's engine over the database, and every table held against the log.

Guarantees: one consistent snapshot is checked, also while the service runs. The log is verified by
the same engine that auditors run. Beside it, everything else that is stored must be what the log
says it is: columns beside an entry's bytes, stream heads, duplicates, the head row, every published
checkpoint with every signature it should carry, the guard, and sealed rows, which must open to
what their entries committed to or be gone for a reason that the log records.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import psycopg
from eventsourcing.persistence import PersistenceError
from rich.console import Console

from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.errors import ConfigurationError
from ledger.fsck.checkpoints import check_head, check_publications, known_to_guard
from ledger.fsck.reader import SnapshotReader
from ledger.fsck.sealed import SealedChecker
from ledger.fsck.tables import TableChecker
from ledger.store import open_store
from ledger.store.rows import Rows
from ledger.vault.keystore import KeyStore
from ledger.vault.wrapper import LocalKeyWrapper
from ledger_verifier.audit.engine import Options, Progress, verify_log
from ledger_verifier.audit.report.as_json import as_json
from ledger_verifier.audit.report.build import failed_report
from ledger_verifier.audit.report.model import Findings, Report, Verdict
from ledger_verifier.audit.report.terminal import print_report
from ledger_verifier.audit.trust import Trusted
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.policy import Policy

__all__ = ["check", "show"]

#: What SQLite and PostgreSQL raise when the file or the server is itself damaged.
_STORE_ERRORS = (PersistenceError, psycopg.Error)


def check(
    directory: DataDirectory, policy_file: Path | None = None, progress: Progress | None = None
) -> Report:
    """Check a ledger where it is stored. Raises ConfigurationError when it cannot be looked at."""
    policy, digest = _policy(directory, policy_file)
    store = open_store(directory.database)
    keys = KeyStore(
        open_database(directory.key_database), LocalKeyWrapper(directory.wrapping_key())
    )
    try:
        with store.snapshot() as rows:
            return _check(directory, rows, store.position_sql, keys, policy, digest, progress)
    except _STORE_ERRORS as error:
        reason = f"the event store cannot be read: {type(error).__name__}"
        return failed_report("database", policy, digest, reason)
    finally:
        keys.close()
        store.close()


def _policy(directory: DataDirectory, policy_file: Path | None) -> tuple[Policy, str]:
    path = policy_file or directory.path / "policy"
    try:
        raw = path.read_bytes()
        return Policy.parse(raw), sha256(raw).hexdigest()
    except (OSError, FormatError) as error:
        raise ConfigurationError(f"The policy file {path} cannot be used: {error}") from error


def _check(
    directory: DataDirectory,
    rows: Rows,
    position_sql: str,
    keys: KeyStore,
    policy: Policy,
    digest: str,
    progress: Progress | None,
) -> Report:
    findings = Findings()
    earlier: list[Trusted] = known_to_guard(directory, policy, findings)
    reader = SnapshotReader(rows, position_sql)
    sealed = SealedChecker(rows, directory.origin, keys, findings)
    tables = TableChecker(rows, reader, sealed, findings)
    report = verify_log(
        reader,
        policy,
        earlier=earlier,
        progress=progress,
        options=Options(subject="database", policy_sha256=digest, observer=tables),
    )
    check_head(reader.head, policy, findings)
    if report.checkpoint is not None:
        tables.check_totals()
        check_publications(rows, policy, report.checkpoint.size, findings)
    return _joined(report, findings)


def _joined(report: Report, findings: Findings) -> Report:
    """The engine's report with what the other checks found."""
    more, count = findings.settled()
    return replace(
        report,
        verdict=Verdict.FAILED if more else report.verdict,
        failures=report.failures + more,
        failure_count=report.failure_count + count,
        checked={**report.checked, **dict(sorted(findings.counts.items()))},
        shown=() if more else report.shown,
    )


def show(report: Report, *, as_json_object: bool, write: Callable[[bytes], object]) -> None:
    """Print a report: one JSON object, or text."""
    if as_json_object:
        write(as_json(report))
    else:
        print_report(report, Console())
