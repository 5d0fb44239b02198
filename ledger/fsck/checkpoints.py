"""Stored checkpoints: every publication, and what the guard remembers.

Guarantees: a publication passes only with every signature it should carry, none of them bad, the
time that its signature states, which is not before that of the one before it nor before its last
entry was recorded, and the root that the tree had at its size. Entries that the log long went on
from are published. A guard that remembers more than the event store holds is a failure: this
machine signed what is no longer there.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ledger.config import DataDirectory
from ledger.errors import IntegrityAlarm
from ledger.log.clock import seconds_of
from ledger.log.guard import remembered
from ledger.log.tree import node_from_cells
from ledger.store.records import EVENTS_TABLE, Head
from ledger.store.rows import Rows, key_column, select_cells
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.audit.trust import Trusted, accept, missing_log_keys, signed_log_keys
from ledger_verifier.formats.entry import decode, is_instant
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import CompactRange
from ledger_verifier.formats.policy import Policy

_PAGE = 200
#: What is recorded is published within a minute; a service that died just then publishes when it
#: starts again. Long enough for that, and for nothing else.
MAX_UNPUBLISHED_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Published:
    """A publication's number, and the size and time that it is stored under."""

    seq: int
    size: int
    at: str


def read_guard(directory: DataDirectory) -> bytes | None:
    """The guard's checkpoint; None when it cannot be read. A service that runs takes it forward, so
    it is read before the log of which it should be a beginning."""
    try:
        return remembered(directory.guard_path)
    except (OSError, IntegrityAlarm):
        return None


def known_to_guard(
    raw: bytes | None, policy: Policy, head: Head | None, findings: Findings
) -> list[Trusted]:
    """The guard's checkpoint, which the log must be a continuation of."""
    if raw is None:
        findings.fail(Failure("the guard cannot be read: this machine cannot say what it issued"))
        return []
    try:
        known = accept(raw, policy, "the guard's checkpoint")
    except FormatError as error:
        findings.fail(Failure(f"the guard's checkpoint: {error}"))
        return []
    if head is not None and known.size > head.size:
        reason = (
            f"the event store ends here, and the guard's checkpoint has {known.size} entries: "
            "its tail is cut off, or it is an old copy"
        )
        findings.fail(Failure(reason, position=head.size))
        return []
    return [known]


def checkpoint_of(rows: Rows, head: Head | None, policy: Policy) -> bytes:
    """The checkpoint to verify the log under: the newest publication when it is good and covers
    everything that is committed, and so carries every signature there is; else the head's own."""
    if head is None:
        return b""
    rows.execute("SELECT size, checkpoint FROM publications ORDER BY seq DESC LIMIT 1")
    newest = rows.fetchone()
    if newest is not None and newest[0] == head.size:
        try:
            known = accept(bytes(newest[1]), policy, "publication")
        except FormatError:
            return head.checkpoint
        if (known.size, known.root) == (head.size, head.root):
            return known.raw
    return head.checkpoint


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


def check_publications(
    rows: Rows, position_sql: str, policy: Policy, head: Head, findings: Findings, *, whole: bool
) -> None:
    """Check every published checkpoint of the log with this head; `whole` unless cells of the tree
    are damaged, which are then no measure for what was published."""
    if not whole:
        findings.not_assessed.append(
            "whether the publications are of this tree: cells of the tree are damaged"
        )
    before = _Published(0, 0, "")
    while True:
        rows.execute(
            "SELECT seq, size, published_at, checkpoint FROM publications"
            " WHERE seq > ? ORDER BY seq LIMIT ?",
            (before.seq, _PAGE),
        )
        page = rows.fetchall()
        for row in page:
            published = _Published(row[0], row[1], row[2])
            reason = _publication(rows, policy, head.size, published, bytes(row[3]), whole)
            reason = reason or _in_order(rows, position_sql, before, published)
            if reason is not None:
                reason = f"publication {published.seq}: {reason}"
                findings.fail(Failure(reason), source="publications")
                # What is wrong is no measure for the next.
                published = replace(before, seq=published.seq)
            before = published
            findings.counts["publications"] += 1
        if len(page) < _PAGE:
            break
    if before.seq == 0:
        findings.fail(Failure("there is no published checkpoint"), source="publications")
    elif before.size < head.size:
        _check_unpublished(rows, position_sql, before.size, head, findings)
    rows.execute(f"SELECT seq FROM publications WHERE seq < 1 ORDER BY seq LIMIT {_PAGE}")
    for (seq,) in rows.fetchall():
        findings.fail(Failure(f"publication {seq}: the first is 1"), source="publications")


def _in_order(
    rows: Rows, position_sql: str, before: _Published, published: _Published
) -> str | None:
    """What is wrong with the place of a publication among the others and in the log, if
    anything."""
    if published.size < before.size:
        return "is smaller than one before it"
    if published.at < before.at:
        return "is stored under an earlier time than one before it"
    if published.seq != before.seq + 1:
        return "follows a gap: a publication is missing"
    recorded = _recorded_at(rows, position_sql, published.size - 1)
    if recorded is not None and published.at < recorded:
        return "is stored under an earlier time than its last entry"
    return None


def _check_unpublished(
    rows: Rows, position_sql: str, size: int, head: Head, findings: Findings
) -> None:
    """What no publication covers is new, or the newest publications are missing. How late it is now
    says nothing: a service that was stopped does not publish."""
    recorded = _recorded_at(rows, position_sql, size)
    if recorded is None or not is_instant(head.recorded_at):
        return
    if seconds_of(head.recorded_at) - seconds_of(recorded) > MAX_UNPUBLISHED_SECONDS:
        reason = (
            f"the newest publication has {size} entries and the log went on for more than "
            f"{MAX_UNPUBLISHED_SECONDS / 60:.0f} minutes: later publications are missing"
        )
        findings.fail(Failure(reason, position=size), source="publications")
    else:
        findings.not_assessed.append(
            f"whether {head.size - size} entries, from position {size} on, were published: no "
            "publication here covers them, as is so for a moment after they are recorded"
        )


def _recorded_at(rows: Rows, position_sql: str, position: int) -> str | None:
    """When an entry was recorded; None when it cannot be read, which is reported elsewhere."""
    key = key_column(position_sql)
    rows.execute(f"SELECT state FROM {EVENTS_TABLE} WHERE {key} = ?", (position + 1,))
    row = rows.fetchone()
    try:
        return None if row is None else str(decode(bytes(row[0]))["recorded_at"])
    except FormatError:
        return None


def _publication(
    rows: Rows, policy: Policy, tree_size: int, published: _Published, raw: bytes, whole: bool
) -> str | None:
    """What is wrong with one publication by itself, if anything."""
    size, at = published.size, published.at
    try:
        trusted = accept(raw, policy, "publication")
    except FormatError as error:
        return str(error)
    missing = missing_log_keys(trusted, policy)
    if missing:
        return f"lacks the log's {' and '.join(missing)} signature"
    if trusted.size != size:
        return "is stored under another size than it signs"
    # The log's own ML-DSA-44 signature states the second at which it was published.
    signed = {trusted.opened.timestamps[key] for key in signed_log_keys(trusted)} - {0}
    if signed and at[:19] not in {_second(time) for time in signed}:
        return "is stored under another time than it was signed at"
    if not is_instant(at):
        return "is stored under what is not a time"
    if size > tree_size:
        return f"is of {size} entries, the log has {tree_size}"
    if whole and _root(rows, size) != trusted.root:
        return f"has another root than the tree of {size} entries"
    return None


def _second(time: int) -> str:
    """POSIX seconds as an instant begins."""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return ""


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
