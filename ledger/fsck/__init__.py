"""`hub-ledger fsck`: the verifier's engine over the database, and every table held against the log.

Guarantees: one consistent snapshot is checked, also while the service runs. The log is verified by
the same engine that auditors run. Beside it, everything else that is stored must be what the log
says it is: columns beside an entry's bytes, stream heads, duplicates, the head row, every published
checkpoint with every signature it should carry, the guard, the signing keys, sealed rows, which
must open to exactly what their entries committed to, under salts used once, or be gone for a reason
that the log records, the key store, which must hold their keys and none that was destroyed, and
the staff map, which must say who was registered.
However the ledger is damaged, the answer is a report that says where.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from rich.console import Console

from ledger.config import DataDirectory
from ledger.database import Cursor, check_reachable, database_errors
from ledger.errors import ConfigurationError
from ledger.fsck.checkpoints import (
    check_head,
    check_publications,
    checkpoint_of,
    known_to_guard,
    read_guard,
)
from ledger.fsck.definitions import AMCHECK, EVENT_STORE, KEY_STORE, discordant, foreign
from ledger.fsck.erasures import Since, check_key_store
from ledger.fsck.expiries import ExpiryChecker
from ledger.fsck.losses import Losses
from ledger.fsck.reader import SnapshotReader
from ledger.fsck.sealed import SealedChecker
from ledger.fsck.shape import misshapen, unreadable
from ledger.fsck.signing import check_signing_keys
from ledger.fsck.staff import StaffChecker
from ledger.fsck.tables import TableChecker
from ledger.fsck.vault import KeyStoreError, Vault
from ledger.store import open_store
from ledger.store.rows import Rows, select_head
from ledger.vault.keepers import open_wrapper
from ledger_verifier.audit.engine import Options, Progress, verify_log
from ledger_verifier.audit.report.as_json import as_json
from ledger_verifier.audit.report.build import RECIPIENTS, build_report, failed_report
from ledger_verifier.audit.report.model import Failure, Findings, Report, Verdict
from ledger_verifier.audit.report.save import save_html
from ledger_verifier.audit.report.terminal import print_report
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.policy import Policy

__all__ = ["check", "check_rows", "save_html", "show"]

#: What this does not look at, or cannot show.
NOT_SHOWN: Final = (
    "whether the newest publications are all there, as far as the log has hardly gone on since: "
    "nothing in the ledger counts them (a checkpoint that an auditor keeps does)",
    "access tokens: who may do what is not in the log",
    "read models: they are made from the log, and hub-ledger rebuild makes them anew",
    "copies elsewhere, such as backups: whether an erased key or field is still in one",
)


def check(
    directory: DataDirectory, policy_file: Path | None = None, progress: Progress | None = None
) -> Report:
    """Check a ledger where it is stored; whatever is stored there does not make this raise.

    Raises ConfigurationError, or VaultUnavailable, when it cannot be looked at: for want of a
    policy or wrapping key, or because a database server lets nobody in.
    """
    policy, digest = _policy(directory, policy_file)
    open_wrapper(directory).newest()
    # What cannot be looked at has not failed.
    check_reachable(directory.database)
    check_reachable(directory.key_database)
    guard = read_guard(directory)
    try:
        with (
            closing(open_store(directory.database)) as store,
            store.snapshot() as rows,
        ):
            run = _Check(directory, rows, store.position_sql, policy, digest, guard)
            return _checked(run, progress)
    except database_errors() as error:
        reason = f"the event store cannot be read: {type(error).__name__}"
        return failed_report("database", policy, digest, reason)


def check_rows(
    directory: DataDirectory,
    rows: Rows,
    position_sql: str,
    policy: Policy,
    digest: str,
    progress: Progress | None = None,
    *,
    restoring: bool = False,
) -> Report:
    """Check a ledger as one transaction sees it, whose cursor `rows` is; what it has not committed
    counts. `position_sql` is the store's, `digest` that of the policy file. When it is `restoring`,
    what is noted as lost need not be declared by an entry yet."""
    guard = read_guard(directory)
    return _checked(
        _Check(directory, rows, position_sql, policy, digest, guard, restoring), progress
    )


def _policy(directory: DataDirectory, policy_file: Path | None) -> tuple[Policy, str]:
    path = policy_file or directory.path / "policy"
    try:
        raw = path.read_bytes()
        return Policy.parse(raw), sha256(raw).hexdigest()
    except (OSError, FormatError) as error:
        raise ConfigurationError(f"The policy file {path} cannot be used: {error}") from error


@dataclass(frozen=True, slots=True)
class _Check:
    """One run over one snapshot."""

    directory: DataDirectory
    rows: Rows
    position_sql: str
    policy: Policy
    digest: str
    #: The guard's checkpoint, as it was before these rows were looked at.
    guard: bytes | None
    #: Whether a restore is under way, after which the service declares what was lost.
    restoring: bool = False
    findings: Findings = field(default_factory=Findings)

    def run(self, progress: Progress | None) -> Report:
        directory, rows, findings = self.directory, self.rows, self.findings
        # Before anything is read: a view in a table's place may never end.
        for failure in foreign(rows, EVENT_STORE, sqlite=directory.embedded):
            findings.fail(failure, source="definitions")
        if findings.failed:
            return build_report("database", findings, self.policy, None, self.digest)
        for failure in misshapen(rows, self.position_sql, untyped=directory.embedded):
            findings.fail(failure, source="shape")
        if findings.failed:
            return build_report("database", findings, self.policy, None, self.digest)
        vault = Vault(directory.key_database, open_wrapper(directory))
        with closing(vault):
            return self._run(vault, progress)

    def _run(self, vault: Vault, progress: Progress | None) -> Report:
        directory, rows, findings = self.directory, self.rows, self.findings
        self._ask_vault(vault, partial(foreign, store=KEY_STORE, sqlite=vault.embedded))
        if findings.failed:
            return build_report("database", findings, self.policy, None, self.digest)
        head = select_head(rows)
        reader = SnapshotReader(
            rows, self.position_sql, head, checkpoint_of(rows, head, self.policy)
        )
        earlier = known_to_guard(self.guard, self.policy, head, findings)
        with closing(open_store(directory.database)) as store:
            size = 0 if head is None else head.size
            since = Since(store, size)
            log_keys = self.policy.log_keys(directory.origin)
            losses = Losses(rows, log_keys, size, findings)
            sealed = SealedChecker(
                rows,
                self.position_sql,
                directory.origin,
                vault,
                since,
                losses,
                findings,
                restoring=self.restoring,
            )
            staff = StaffChecker(directory.origin, losses, findings)
            expiries = ExpiryChecker(rows, log_keys, findings)
            with closing(sealed):
                tables = TableChecker(rows, reader, sealed, losses, staff, expiries, findings)
                options = Options(
                    subject="database", policy_sha256=self.digest, observer=tables, unique=True
                )
                report = verify_log(
                    reader, self.policy, earlier=earlier, progress=progress, options=options
                )
            check_head(head, self.policy, findings)
            if head is not None and report.checkpoint is not None:
                tables.check_totals()
                whole = all(failure.tile is None for failure in report.failures)
                check_publications(
                    rows, self.position_sql, self.policy, head, findings, whole=whole
                )
                for key_id, position in expiries.destroyed_keys().items():
                    sealed.erasures.keys.setdefault(key_id, (None, position))
                check_key_store(vault, sealed.erasures, head.size, since, findings)
                staff.check(vault, sealed, since)
        check_signing_keys(directory, self.policy, tables.log_keys, findings)
        if report.verdict is not Verdict.FAILED and not findings.failed:
            self._check_indexes(vault)
        return _joined(report, findings)

    def _check_indexes(self, vault: Vault) -> None:
        """What is read by an index, here and by the service, must be what the tables hold."""
        if self.directory.embedded:
            for failure in discordant(self.rows, EVENT_STORE):
                self.findings.fail(failure, source="indexes")
        if vault.embedded:
            self._ask_vault(vault, partial(discordant, store=KEY_STORE))
        if not (self.directory.embedded and vault.embedded):
            self.findings.not_assessed.append(AMCHECK)

    def _ask_vault(self, vault: Vault, question: Callable[[Cursor], Iterator[Failure]]) -> None:
        # One that cannot be read is reported when its keys are asked for.
        with suppress(KeyStoreError):
            for failure in vault.ask(question):
                self.findings.fail(failure, source="key store")


def _checked(check: _Check, progress: Progress | None) -> Report:
    """The report of a run, whatever comes of it."""
    rows, findings = check.rows, check.findings
    try:
        return check.run(progress)
    except database_errors() as error:
        untyped = check.directory.embedded
        failure = unreadable(rows, check.position_sql, error, None, untyped=untyped)
    except Exception as error:  # noqa: BLE001 - whatever is stored, the answer is a report
        # The name alone: a message may repeat what is stored.
        reason = f"the event store holds what cannot be made sense of: {type(error).__name__}"
        failure = Failure(reason)
    findings.fail(failure, source="stored")
    return build_report("database", findings, check.policy, None, check.digest)


def _joined(report: Report, findings: Findings) -> Report:
    """The engine's report with what the other checks found: what has a position comes first, and
    of that what the log itself shows."""
    more, count = findings.settled()
    # The engine cannot see into sealed fields; the table of ids was held against them.
    told = [line for line in report.not_assessed if not line.startswith(RECIPIENTS.split("{")[0])]
    return replace(
        report,
        verdict=Verdict.FAILED if more else report.verdict,
        failures=tuple(sorted(report.failures + more, key=_has_no_place)),
        failure_count=report.failure_count + count,
        checked={**report.checked, **dict(sorted(findings.counts.items()))},
        not_assessed=(*told, *findings.not_assessed, *NOT_SHOWN),
        shown=() if more else report.shown,
    )


def _has_no_place(failure: Failure) -> int:
    return (failure.position is None) + (failure.position is None and failure.tile is None)


def show(report: Report, *, as_json_object: bool, write: Callable[[bytes], object]) -> None:
    """Print a report: one JSON object, or text."""
    if as_json_object:
        write(as_json(report))
    else:
        print_report(report, Console())
