"""One pass over a log under one checkpoint, from its beginning or from where an earlier run ended.

Guarantees: what was found is in the findings; `resume` gives what a later run needs to go on from
here, once nothing is open.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger_verifier.audit.ahead import Ahead, Bundle
from ledger_verifier.audit.cells import CellTree
from ledger_verifier.audit.dates import Dates
from ledger_verifier.audit.heads import Heads
from ledger_verifier.audit.history import History
from ledger_verifier.audit.locate import Located, locate
from ledger_verifier.audit.readers import LogReader, UnreachableError
from ledger_verifier.audit.report.build import Ending
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.audit.resume import Resume
from ledger_verifier.audit.source import Source
from ledger_verifier.audit.streams import DIGEST_KEY, EntryChecker, Observer, stream_of
from ledger_verifier.audit.trust import Trusted, signed_log_keys
from ledger_verifier.audit.unique import Duplicates
from ledger_verifier.formats.errors import EntryError
from ledger_verifier.formats.merkle import HASH_SIZE, leaf_hashes
from ledger_verifier.formats.tiles import TILE_WIDTH, Tile
from ledger_verifier.meaning.assurance import Finding
from ledger_verifier.meaning.recognise import Recogniser

#: Entry bundles in a row that may be absent before the run gives up on the rest.
MAX_ABSENT = 8

#: Called with the number of entries checked and the number there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to run; see `engine.Options`."""

    unique: bool = False
    jobs: int = 1
    observer: Observer | None = None
    progress: Progress | None = None


class Run:
    """A pass. With `earlier` the entries that it covers are not read again, but for those in the
    bundle where it ends: their hashes must still give what it gave."""

    def __init__(
        self,
        reader: LogReader,
        trusted: Trusted,
        findings: Findings,
        history: History,
        manner: Manner,
        earlier: Resume | None = None,
    ) -> None:
        self._source = Source(reader, findings)
        self._trusted = trusted
        self._findings = findings
        self._manner = manner
        self._history = history
        self._dates = Dates([trusted, *history.same_log], findings)
        self._before = 0 if earlier is None else earlier.size
        self._first = self._before // TILE_WIDTH
        self._entries = 0
        self._reached = self._before
        self._ending: Ending | None = None
        self._looked_at: tuple[Tile, list[bytes] | None] | None = None
        self._duplicates = Duplicates() if manner.unique else None
        self._unread = self._source.unread
        rows = () if earlier is None else earlier.rows
        self._tree = CellTree(self._source.tile, TILE_WIDTH * self._first, rows)
        log_keys = [key.vkey for key in signed_log_keys(trusted)]
        self._checker = EntryChecker(
            findings, trusted.origin, log_keys, self._duplicates, manner.observer
        )
        if earlier is not None:
            self._take_up(earlier)

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
        if not finished:
            self._source.unread.until(self._reached, self._trusted.size)
        self._settle(finished)
        self._count()
        self._ending = Ending(
            reached=self._reached,
            whole=finished and self._source.whole,
            entries_good=located.entries_good,
            located=located.named,
            ranged=located.ranged,
            confirmed=self._history.confirmed,
            unique=self._manner.unique,
            recipient_entries=self._checker.recipient_entries,
            unread=self._unread,
            expired=self._findings.counts["expired"],
            conduct=self._conduct(finished),
        )
        return self._ending

    @property
    def unexplained(self) -> int:
        """How many entries have no bytes and nothing that was read says why."""
        return self._checker.expiries.unexplained

    def _settle(self, finished: bool) -> None:
        """Hold the entries without bytes against those that explain them, once all are read."""
        expiries = self._checker.expiries
        expiries.settle(self._before, whole=finished and not self._source.unread)
        # A bundle that was not there may hold the explanation, so those are not counted twice.
        self._unread = self._source.unread.joined(expiries.missing())

    def _conduct(self, finished: bool) -> tuple[Finding, ...] | None:
        """Findings as of when the last entry was recorded; None where not every entry was read,
        since what was not may hold what is missed, or where the log does not hold together."""
        recorded, _ = self._checker.recorded
        whole = finished and self._source.whole and not self._findings.failed
        if not whole or not recorded:
            return None
        return self._checker.assurance.findings(recorded[:10])

    def resume(self) -> Resume | None:
        """What a later run needs to go on from here; None unless all is well and whole."""
        ending, checker = self._ending, self._checker
        if ending is None or not ending.whole or self._findings.failed or self._findings.lacking:
            return None
        return Resume(
            self._trusted.size,
            self._trusted.root,
            self._tree.rows,
            checker.recorded,
            checker.kept,
            checker.heads.packed(),
        )

    def _take_up(self, earlier: Resume) -> None:
        recorded, position = earlier.recorded
        self._dates.see(position, recorded)
        try:
            heads = Heads(earlier.heads)
            self._checker.resume(earlier.size, heads, earlier.recorded, earlier.definitions)
        except EntryError as error:
            self._findings.fail(Failure(f"a definition that an earlier run kept: {error}"))

    def _read_all(self) -> bool:
        """Read every bundle; returns False when the rest of the log is not there."""
        size, manner = self._trusted.size, self._manner
        # An observer, and the search for duplicates, look into each entry.
        simple = manner.observer is None and not manner.unique
        recogniser = Recogniser(self._checker.registry) if simple else None
        ahead = Ahead(
            self._source, size, self._first, recogniser, self._checker.definitions, manner.jobs
        )
        try:
            for bundle in ahead:
                if not self._take(bundle):
                    return False
                self._reached = bundle.tile.start + bundle.tile.width
                if manner.progress is not None:
                    manner.progress(self._reached, size)
        finally:
            ahead.close()
        self._tree.finish()
        return True

    def _take(self, bundle: Bundle) -> bool:
        """Check one bundle; returns False when nothing after it can be."""
        start, entries = bundle.tile.start, bundle.entries
        root = None
        if bundle.hashes is not None:
            leaves, root = bundle.hashes.leaves, bundle.hashes.root
        else:
            cells = _cells(entries, bundle.served)
            if cells is None:
                return False
            leaves = cells
        if bundle.absent >= MAX_ABSENT:
            return False
        self._history.compare(start, leaves, self._tree)
        self._tree.add(leaves, bundle.served, root)
        if entries is not None:
            self._dates.check(start, entries)
        if entries is None:
            self._checker.gap()
        elif start < self._before:
            self._check(self._before, entries[self._before - start :])
        elif bundle.summary is not None and self._checker.take(bundle.summary):
            self._entries += len(entries)
        else:
            self._check(start, entries)
        return True

    def _check(self, start: int, entries: list[bytes]) -> None:
        self._checker.check(start, entries)
        self._entries += len(entries)

    def _close(self) -> Located:
        """Compare the root, and locate what differs."""
        trusted, findings = self._trusted, self._findings
        before = len(findings.failures)
        located = locate(
            self._tree, self._source.tile, trusted.size, trusted.root, findings, self._stream_at
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
        if self._manner.observer is not None:
            heads = self._checker.heads.items()
            self._manner.observer.end({stream.decode(): head for stream, head in heads})
        return located

    def _stream_at(self, position: int) -> str | None:
        index = position // TILE_WIDTH
        width = min(TILE_WIDTH, self._trusted.size - index * TILE_WIDTH)
        tile = Tile(None, index, width)
        # Asked for one position after another: what was changed often lies close together.
        if self._looked_at is None or self._looked_at[0] != tile:
            self._looked_at = (tile, self._source.bundle(tile))
        entries = self._looked_at[1]
        return None if entries is None else stream_of(entries[position % TILE_WIDTH])

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
        counts["entries"] = self._entries - counts["absent"] - counts["expired"]
        if self._before:
            counts["entries_before"] = self._before
        counts["streams"] = self._checker.streams
        counts["hash_tiles"] = self._tree.hash_tiles
        counts["cells"] = self._tree.cells
        counts["conduct_not_judged"] = counts["entries"]
        counts["earlier_checkpoints"] = self._history.compared


def _cells(entries: list[bytes] | None, served: bytes | None) -> bytes | None:
    """Leaf hashes of a bundle, joined: of its entries, and where those are not there (absent, or
    expired), those that the hash tile has. The root tells in the end whether they were right."""
    if entries is None or served is None:
        return served
    derived = leaf_hashes(entries)
    cells = [served[at : at + HASH_SIZE] for at in range(0, len(served), HASH_SIZE)]
    return b"".join(d if raw else c for raw, d, c in zip(entries, derived, cells, strict=True))
