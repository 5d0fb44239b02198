"""Holds a log against signed checkpoints of its past.

Guarantees: a log is never taken for the continuation of another; no two signed checkpoints of one
size with different roots go unnoticed; the tree at every earlier size is compared with the root
signed then, while the tree is derived; a checkpoint larger than the one served is never ignored.
`confirmed` is the largest earlier checkpoint up to which nothing differs.
"""

from collections.abc import Sequence

from ledger_verifier.audit.cells import CellTree, split
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.audit.trust import Trusted, same_log
from ledger_verifier.formats.merkle import HASH_SIZE


class History:
    """Earlier checkpoints of the log whose newest one is `trusted`."""

    def __init__(self, trusted: Trusted, seen: Sequence[Trusted], findings: Findings) -> None:
        self._trusted = trusted
        self._findings = findings
        self._by_size: dict[int, list[Trusted]] = {}
        self._refuted = False
        self.confirmed: Trusted | None = None
        self.compared = 0
        self.larger: list[Trusted] = []
        self._refuse_other_origins(seen)
        #: Those of the log itself.
        self.same_log = tuple(same_log(seen, trusted.origin))
        self._sort(self.same_log)

    @property
    def uncompared(self) -> list[Trusted]:
        """Smaller checkpoints whose size has not been reached."""
        return [known for same in self._by_size.values() for known in same]

    def compare(self, start: int, leaves: bytes, tree: CellTree) -> None:
        """Compare with the checkpoints whose size is reached by these leaf hashes, joined, which
        follow what `tree` holds. To be called before the tree takes them."""
        if not self._by_size:
            return
        end = start + len(leaves) // HASH_SIZE
        for size in sorted(size for size in self._by_size if size <= end):
            root = tree.root(split(leaves[: HASH_SIZE * (size - start)]))
            for known in self._by_size.pop(size):
                self.compared += 1
                self._findings.compare(known.size, known.label, agrees=known.root == root)
                if known.root != root:
                    self._refuted = True
                    self._contradicted(known, root)
                elif not self._refuted:
                    self.confirmed = known

    def judge_larger(self, live: bool, wait: float) -> None:
        """Judge the checkpoints that are larger than the one served: a live log has had `wait`
        seconds to show what it signed; a bundle may just be old."""
        size, findings = self._trusted.size, self._findings
        for known in self.larger:
            if live:
                reason = (
                    f"the log shows {size} entries, but its key has signed {known.size} "
                    f"({known.label}), and it did not show them within {wait:.0f} seconds: "
                    "its tail is cut off or withheld"
                )
                findings.fail(Failure(reason, position=size))
                findings.dispute(known.raw, self._trusted.raw)
            else:
                findings.lack(
                    f"the input ends at {size} entries and {known.label} has {known.size}: "
                    "it is too old to be compared with it"
                )

    def _refuse_other_origins(self, seen: Sequence[Trusted]) -> None:
        for known in seen:
            if known.origin != self._trusted.origin:
                self._findings.lack(
                    f"{known.label} is of the log {known.origin}, and this is the log "
                    f"{self._trusted.origin}: give the address or the file of the former. If this "
                    "one was shown to you in its place, the former is withheld from you"
                )

    def _sort(self, seen: Sequence[Trusted]) -> None:
        first_of: dict[int, Trusted] = {self._trusted.size: self._trusted}
        for known in seen:
            other = first_of.setdefault(known.size, known)
            if other.root != known.root:
                self._two_roots(other, known)
            if known.size > self._trusted.size:
                self.larger.append(known)
            elif known.size < self._trusted.size:
                self._by_size.setdefault(known.size, []).append(known)
            else:
                agrees = known.root == self._trusted.root
                self.compared += agrees
                self._findings.compare(known.size, known.label, agrees=agrees)

    def _two_roots(self, one: Trusted, other: Trusted) -> None:
        reason = (
            f"two signed checkpoints of size {one.size} have different roots: "
            f"{one.root.hex()} ({one.label}) and {other.root.hex()} ({other.label})"
        )
        self._findings.fail(Failure(reason))
        self._findings.dispute(one.raw, other.raw)

    def _contradicted(self, known: Trusted, root: bytes) -> None:
        after = ""
        if self.confirmed is not None:
            after = f"; the first {self.confirmed.size} are those of {self.confirmed.label}"
        reason = (
            f"the first {known.size} entries are not those of {known.label}: their root is "
            f"{root.hex()} and that checkpoint has {known.root.hex()}{after}"
        )
        self._findings.fail(Failure(reason))
        self._findings.dispute(known.raw, self._trusted.raw)
