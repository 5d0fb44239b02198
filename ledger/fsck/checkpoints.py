"""Stored checkpoints: every publication, and what the guard remembers.

Guarantees: a publication passes only with every signature it should carry, none of them bad, and
the root that the tree had at its size.
"""

from ledger.config import DataDirectory
from ledger.errors import IntegrityAlarm
from ledger.log.guard import Guard
from ledger.log.tree import node_from_cells
from ledger.store.records import Head
from ledger.store.rows import Rows, select_cells
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.audit.trust import Trusted, accept, missing_log_keys
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import CompactRange
from ledger_verifier.formats.policy import Policy

_PAGE = 200


def known_to_guard(directory: DataDirectory, policy: Policy, findings: Findings) -> list[Trusted]:
    """The guard's checkpoint, which the log must be a continuation of."""
    try:
        guard = Guard(directory.guard_path)
    except (OSError, IntegrityAlarm):
        findings.fail(Failure("the guard cannot be read: this machine cannot say what it issued"))
        return []
    guard.close()
    try:
        return [accept(guard.checkpoint, policy, "the guard's checkpoint")]
    except FormatError as error:
        findings.fail(Failure(f"the guard's checkpoint: {error}"))
        return []


def check_head(head: Head | None, policy: Policy, findings: Findings) -> None:
    """The head row's own checkpoint must sign exactly the head row."""
    if head is None:
        return
    try:
        trusted = accept(head.checkpoint, policy, "the head's checkpoint")
    except FormatError as error:
        findings.fail(Failure(f"the head's checkpoint: {error}"))
        return
    if (trusted.size, trusted.root) != (head.size, head.root):
        findings.fail(Failure("the head row is not what its checkpoint signs"))


def check_publications(rows: Rows, policy: Policy, size: int, findings: Findings) -> None:
    """Check every published checkpoint of a log of this size."""
    after, last_size = 0, 0
    while True:
        rows.execute(
            "SELECT seq, size, checkpoint FROM publications WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, _PAGE),
        )
        page = rows.fetchall()
        for row in page:
            reason = _publication(rows, policy, size, row[1], bytes(row[2]))
            if reason is None and row[1] < last_size:
                reason = "is smaller than one before it"
            if reason is None and row[0] != after + 1:
                reason = "follows a gap: a publication is missing"
            if reason is not None:
                findings.fail(Failure(f"publication {row[0]}: {reason}"), source="publications")
            after, last_size = row[0], max(last_size, row[1])
            findings.counts["publications"] += 1
        if len(page) < _PAGE:
            break
    if after == 0:
        findings.fail(Failure("there is no published checkpoint"), source="publications")


def _publication(rows: Rows, policy: Policy, tree_size: int, size: int, raw: bytes) -> str | None:
    """What is wrong with one publication, if anything."""
    try:
        trusted = accept(raw, policy, "publication")
    except FormatError as error:
        return str(error)
    missing = missing_log_keys(trusted, policy)
    if missing:
        return f"lacks the log's {' and '.join(missing)} signature"
    if trusted.size != size:
        return "is stored under another size than it signs"
    if size > tree_size:
        return f"is of {size} entries, the log has {tree_size}"
    if _root(rows, size) != trusted.root:
        return f"has another root than the tree of {size} entries"
    return None


def _root(rows: Rows, size: int) -> bytes | None:
    hashes, start = [], 0
    try:
        while start < size:
            height = (size - start).bit_length() - 1
            hashes.append(
                node_from_cells(
                    lambda level, a, b: select_cells(rows, level, a, b), height, start >> height
                )
            )
            start += 1 << height
        return CompactRange(size, hashes).root()
    except FormatError:
        return None
