"""Verifies a whole log: everything that can be derived from its entries is derived and compared.

Guarantees, when the verdict is not FAILED: the checkpoint is signed under the policy; the entries
give its root; every cell of every hash tile is the hash of what is under it; every entry passes
`streams.EntryChecker`; and the tree at the size of each earlier checkpoint has that checkpoint's
root, so that the log only ever grew. Entries are read once, in order; memory is proportional to
the number of streams, not of entries. (RFC 6962; c2sp.org/tlog-tiles; DESIGN sections 4, 5, 9.)
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger_verifier.audit.cells import CellTree
from ledger_verifier.audit.history import History
from ledger_verifier.audit.locate import Located, locate
from ledger_verifier.audit.readers import (
    AbsentError,
    LackingError,
    LogReader,
    ReaderError,
    UnreachableError,
)
from ledger_verifier.audit.report.build import Ending, build_report
from ledger_verifier.audit.report.model import Failure, Findings, Report
from ledger_verifier.audit.state import State
from ledger_verifier.audit.streams import DIGEST_KEY, EntryChecker, Observer, stream_of
from ledger_verifier.audit.trust import (
    Trusted,
    accept,
    missing_log_keys,
    same_log,
    signed_log_keys,
)
from ledger_verifier.audit.unique import Duplicates
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import HASH_SIZE, leaf_hashes
from ledger_verifier.formats.policy import Policy
from ledger_verifier.formats.tiles import TILE_WIDTH, Tile, bundles_of

#: Entry bundles in a row that may be absent before the run gives up on the rest.
MAX_ABSENT = 8

#: Called with the number of entries checked and the number there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    `unique` looks for ids and digests that occur twice. `every_log_key` fails a checkpoint that
    lacks a signature by one of the log's own keys in the policy (a published one has them all).
    `wait` is how many seconds a live log may take to publish a checkpoint as large as one it has
    issued (DESIGN section 5, step 8), asked for every `poll` seconds; `clock` is monotonic.
    `policy_sha256` is the digest of the policy file as given, `subject` what a report calls the
    input. `observer` looks on.
    """

    unique: bool = False
    every_log_key: bool = False
    wait: float = 60.0
    poll: float = 2.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    policy_sha256: str | None = None
    subject: str = "log"
    observer: Observer | None = None


def verify_log(
    reader: LogReader,
    policy: Policy,
    *,
    earlier: Sequence[Trusted] = (),
    remembered: Sequence[Trusted] = (),
    state: State | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
) -> Report:
    """Verify everything a reader yields; what the reader yields never makes this raise.

    `earlier` are checkpoints that the log must be a continuation of, as are those of its origin
    among the `remembered` (opened from `state`, which may know several logs). The checkpoint
    verified is added to `state` unless the verdict is FAILED; saving it is the caller's.
    """
    options = options or Options()
    findings = Findings()
    seen = [*earlier]
    trusted, waited = _obtain(reader, policy, seen, remembered, findings, options)
    if trusted is None:
        return build_report(options.subject, findings, policy, None, options.policy_sha256)
    history = History(trusted, seen, findings)
    history.judge_larger(waited, options.wait)
    ending = _Run(reader, trusted, findings, history, options, progress).verify()
    for algorithm in missing_log_keys(trusted, policy):
        reason = f"the checkpoint has no {algorithm} by the log's own key in the policy"
        if options.every_log_key:
            findings.fail(Failure(reason))
        else:
            findings.not_assessed.append(reason)
    if state is not None and not findings.failed:
        state.add(trusted.origin, trusted.raw)
    return build_report(options.subject, findings, policy, trusted, options.policy_sha256, ending)


def _obtain(
    reader: LogReader,
    policy: Policy,
    seen: list[Trusted],
    remembered: Sequence[Trusted],
    findings: Findings,
    options: Options,
) -> tuple[Trusted | None, bool]:
    """The checkpoint to verify. What is remembered of its log joins `seen`. A live log is given
    time to catch up with the largest checkpoint that it has issued; what it served meanwhile joins
    `seen` too. Also whether it answered all that time, so that what it did not show counts."""
    trusted = _checkpoint(reader, policy, findings)
    if trusted is None:
        return None, False
    seen.extend(same_log(remembered, trusted.origin))
    largest = max((known.size for known in same_log(seen, trusted.origin)), default=0)
    deadline = options.clock() + options.wait
    while reader.live and trusted.size < largest and options.clock() < deadline:
        options.sleep(options.poll)
        again = _checkpoint(reader, policy, findings)
        if again is None:
            return trusted, False
        if again.raw != trusted.raw:
            seen.append(trusted)
            trusted = again
    return trusted, reader.live


def _checkpoint(reader: LogReader, policy: Policy, findings: Findings) -> Trusted | None:
    try:
        return accept(reader.checkpoint(), policy, "the checkpoint served")
    except (AbsentError, FormatError) as error:
        findings.fail(Failure(f"checkpoint: {error}"))
    except ReaderError as error:
        findings.lack(f"checkpoint: {error}")
    return None


class _Run:
    """One pass over a log under one checkpoint."""

    def __init__(
        self,
        reader: LogReader,
        trusted: Trusted,
        findings: Findings,
        history: History,
        options: Options,
        progress: Progress | None,
    ) -> None:
        self._reader = reader
        self._trusted = trusted
        self._findings = findings
        self._options = options
        self._progress = progress
        self._reported: set[str] = set()
        self._absent = 0
        self._whole = True
        self._entries = 0
        self._reached = 0
        self._history = history
        self._duplicates = Duplicates() if options.unique else None
        self._tree = CellTree(self._tile)
        log_keys = [key.vkey for key in signed_log_keys(trusted)]
        self._checker = EntryChecker(
            findings, trusted.origin, log_keys, self._duplicates, options.observer
        )

    def verify(self) -> Ending:
        """Run every check; what was found is in the findings."""
        located = Located()
        if self._trusted.size == 0:
            self._findings.fail(Failure("the log has no entry, not even ledger.opened"))
        try:
            finished = self._read_all()
            if finished:
                located = self._close()
        except UnreachableError as error:
            finished = False
            self._findings.lack(f"after the first {self._reached} entries: {error}")
        if self._duplicates is not None:
            self._report_duplicates(self._duplicates)
            self._duplicates.close()
        self._count()
        return Ending(
            reached=self._reached,
            whole=finished and self._whole,
            entries_good=located.entries_good,
            located=located.named,
            ranged=located.ranged,
            confirmed=self._history.confirmed,
            unique=self._options.unique,
            recipient_entries=self._checker.recipient_entries,
        )

    def _read_all(self) -> bool:
        """Read every bundle; returns False when the rest of the log is not there."""
        size = self._trusted.size
        for bundle in bundles_of(size):
            served = self._tile(Tile(0, bundle.index, bundle.width))
            entries = self._bundle(bundle)
            leaves = _leaves(entries, served)
            if leaves is None or self._absent >= MAX_ABSENT:
                self._findings.not_assessed.append(
                    f"anything from position {bundle.start} on: it is not there to be checked"
                )
                return False
            self._history.compare(bundle.start, leaves, self._tree)
            self._tree.add(leaves, served)
            if entries is None:
                self._checker.gap()
            else:
                self._checker.check(bundle.start, entries)
                self._entries += len(entries)
            self._reached = bundle.start + bundle.width
            if self._progress is not None:
                self._progress(self._reached, size)
        self._tree.finish()
        return True

    def _close(self) -> Located:
        """Compare the root, and locate what differs."""
        trusted, findings = self._trusted, self._findings
        before = len(findings.failures)
        located = locate(
            self._tree, self._tile, trusted.size, trusted.root, findings, self._stream_at
        )
        if not located.entries_good and len(findings.failures) == before:
            reason = f"the tree of these {trusted.size} entries does not have the signed root"
            confirmed = self._history.confirmed
            if confirmed is not None:
                reason += (
                    f"; the first {confirmed.size} are those of {confirmed.label}, so the fault "
                    "is after them"
                )
            findings.fail(Failure(reason))
        if self._options.observer is not None:
            self._options.observer.end(self._checker.heads)
        return located

    def _stream_at(self, position: int) -> str | None:
        index = position // TILE_WIDTH
        width = min(TILE_WIDTH, self._trusted.size - index * TILE_WIDTH)
        entries = self._bundle(Tile(None, index, width))
        return None if entries is None else stream_of(entries[position % TILE_WIDTH])

    def _tile(self, tile: Tile) -> bytes | None:
        try:
            data = self._reader.tile(tile)
        except (AbsentError, FormatError) as error:
            self._wrong(tile, str(error))
        except LackingError as error:
            self._lacking(tile, str(error))
        else:
            if len(data) == tile.width * HASH_SIZE:
                return data
            self._wrong(tile, f"has {len(data)} bytes, not {tile.width * HASH_SIZE}")
        return None

    def _bundle(self, tile: Tile) -> list[bytes] | None:
        self._absent += 1
        try:
            entries = self._reader.entries(tile)
        except AbsentError as error:
            first = tile.start if error.position is None else error.position
            self._wrong(tile, str(error), first)
        except FormatError as error:
            self._wrong(tile, str(error), tile.start)
        except LackingError as error:
            self._lacking(tile, str(error))
        else:
            if len(entries) == tile.width:
                self._absent = 0
                return entries
            self._wrong(tile, f"has {len(entries)} entries, not {tile.width}", tile.start)
        return None

    def _wrong(self, tile: Tile, reason: str, position: int | None = None) -> None:
        self._whole = False
        if tile.path not in self._reported:
            self._reported.add(tile.path)
            self._findings.fail(Failure(reason, position, tile=tile.path), source="tiles")

    def _lacking(self, tile: Tile, reason: str) -> None:
        self._whole = False
        if tile.path not in self._reported:
            self._reported.add(tile.path)
            self._findings.lack(reason)

    def _report_duplicates(self, duplicates: Duplicates) -> None:
        for kind, first, later in duplicates.pairs():
            if kind == DIGEST_KEY:
                reason = f"a digest of the entry at position {first} is here again: a reused salt"
                failure = Failure(reason, later, field="data._sd")
            else:
                reason = f"id and source are those of the entry at position {first}"
                failure = Failure(reason, later, field="id")
            self._findings.fail(failure, source="unique")

    def _count(self) -> None:
        counts = self._findings.counts
        counts["entries"] = self._entries - counts["absent"]
        counts["streams"] = self._checker.streams
        counts["hash_tiles"] = self._tree.hash_tiles
        counts["cells"] = self._tree.cells
        counts["conduct_not_judged"] = counts["entries"]
        # Of the entries whose bytes are gone, those that an entry explains; none can yet.
        counts["expired"] = 0
        counts["absent"] += 0
        counts["earlier_checkpoints"] = self._history.compared


def _leaves(entries: list[bytes] | None, served: bytes | None) -> Sequence[bytes] | None:
    """Leaf hashes of a bundle: of its entries, and where those are not there (absent, or expired),
    those that the hash tile has. The root tells in the end whether they were the right ones."""
    if entries is not None and b"" not in entries:
        return leaf_hashes(entries)
    if served is None:
        return None
    cells = [served[i : i + HASH_SIZE] for i in range(0, len(served), HASH_SIZE)]
    if entries is None:
        return cells
    derived = leaf_hashes(entries)
    return [d if raw else c for raw, d, c in zip(entries, derived, cells, strict=True)]
