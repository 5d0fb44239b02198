"""What a run of the verifier says: verdict, failures with their place, counts, and its limits.

Guarantees: FAILED outranks UNVERIFIABLE, which outranks UNWITNESSED, which outranks VERIFIED. The
number of failures kept is bounded, the number counted is not. Nothing here holds an entry's content
or an opened value.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

#: Most failures a report lists; the rest are counted.
MAX_FAILURES: Final = 50


class Verdict(StrEnum):
    """The four answers; `exit_code` is what the command returns for each."""

    VERIFIED = "VERIFIED"
    UNWITNESSED = "UNWITNESSED"
    UNVERIFIABLE = "UNVERIFIABLE"
    FAILED = "FAILED"

    @property
    def exit_code(self) -> int:
        return {"VERIFIED": 0, "UNWITNESSED": 3, "UNVERIFIABLE": 4, "FAILED": 1}[self.value]


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is wrong, and where.

    `position` is the leaf index of the entry, or of the first of several of which `last` is the
    last; `stream` is written `kind/id`, `field` names a member of the entry, `tile` is a tlog-tiles
    path. `follows` is the position of the entry that this one
    should follow in its stream: when that one failed by itself, this failure is its consequence.
    """

    reason: str
    position: int | None = None
    stream: str | None = None
    field: str | None = None
    tile: str | None = None
    follows: int | None = None
    last: int | None = None

    @property
    def where(self) -> str:
        """The position or positions in words, or nothing."""
        if self.position is None:
            return ""
        return span_words(self.position, self.last)


@dataclass(frozen=True, slots=True)
class SignatureFact:
    """A signature that was verified: whose, of which kind, and the time it states (POSIX seconds;
    None where the signature states none)."""

    name: str
    role: str
    algorithm: str
    time: int | None


@dataclass(frozen=True, slots=True)
class Compared:
    """An earlier checkpoint that the log was held against: its size, where it came from, whether
    the log begins with what it signs, and whether an earlier run found that (`then`)."""

    size: int
    label: str
    agrees: bool
    then: bool = False

    @property
    def words(self) -> str:
        """All of it in words."""
        first = f"the first {self.size} entries"
        result = f"{first} are the ones it signs" if self.agrees else f"{first} are others"
        when = " (found by an earlier run, as the state file says)" if self.then else ""
        return f"{self.label}: {result}{when}"


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """What the checkpoint in question is and who signed it."""

    origin: str
    size: int
    root: str
    signatures: tuple[SignatureFact, ...]
    quorum: str | None
    quorum_met: bool

    @property
    def witnessed_at(self) -> int | None:
        """Latest time that a witness states, in POSIX seconds."""
        times = [s.time for s in self.signatures if s.role == "witness" and s.time]
        return max(times, default=None)


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a run. Counts are in `checked`; `lacking` says why it is UNVERIFIABLE;
    `evidence` holds signed checkpoints that contradict one another, verbatim. `confirmed` is how
    many entries, from the first, are those of an earlier checkpoint; None when none was matched.
    `unread` holds the first and the last position of each range that could not be read; when there
    are more ranges than can be listed, the last one covers them and what is between. `compared`
    lists the largest earlier checkpoints that the log was held against."""

    subject: str
    verdict: Verdict
    checked: Mapping[str, int]
    failures: tuple[Failure, ...]
    failure_count: int
    lacking: tuple[str, ...]
    conduct: tuple[Mapping[str, object], ...]
    not_assessed: tuple[str, ...]
    provable: str
    shown: tuple[str, ...]
    not_shown: tuple[str, ...]
    evidence: tuple[str, ...]
    checkpoint: CheckpointFacts | None
    policy_sha256: str
    verifier_version: str
    verifier_sha256: str
    confirmed: int | None = None
    unread: tuple[tuple[int, int], ...] = ()
    compared: tuple[Compared, ...] = ()

    @property
    def tree_size(self) -> int | None:
        return None if self.checkpoint is None else self.checkpoint.size

    @property
    def root(self) -> str | None:
        """Root hash of the checkpoint, in hexadecimal."""
        return None if self.checkpoint is None else self.checkpoint.root


@dataclass(slots=True)
class Findings:
    """What a run has found so far. Each `source` of failures keeps its first MAX_FAILURES, so that
    a flood from one cannot push out what another located."""

    failures: list[Failure] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    not_assessed: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _kept: Counter[str] = field(default_factory=Counter)
    _dropped: int = 0

    def fail(self, failure: Failure, source: str = "log", times: int = 1) -> None:
        """Record a failure that stands for `times` of its kind."""
        if self._kept[source] < MAX_FAILURES:
            self._kept[source] += 1
            self.failures.append(failure)
            times -= 1
        self._dropped += times

    def lack(self, reason: str) -> None:
        """Record what the input lacks; makes the verdict UNVERIFIABLE unless something failed."""
        if reason not in self.lacking and len(self.lacking) < MAX_FAILURES:
            self.lacking.append(reason)

    def dispute(self, *checkpoints: bytes) -> None:
        """Keep signed checkpoints that contradict one another, as evidence."""
        for raw in checkpoints:
            text = raw.decode("utf-8", errors="replace")
            if text not in self.evidence and len(self.evidence) < MAX_FAILURES:
                self.evidence.append(text)

    def compare(self, size: int, label: str, *, agrees: bool, then: bool = False) -> None:
        """Record that the log was held against an earlier checkpoint."""
        self.compared.append(Compared(size, label, agrees, then))

    @property
    def failed(self) -> bool:
        return bool(self.failures)

    def settled(self) -> tuple[tuple[Failure, ...], int]:
        """Failures without mere consequences of others, first position first, and their number."""
        bad = {f.position for f in self.failures if f.position is not None and f.follows is None}
        kept = [f for f in self.failures if f.follows is None or f.follows not in bad]
        gone = len(self.failures) - len(kept)
        kept.sort(key=_order)
        total = len(self.failures) - gone + self._dropped
        return tuple(kept[:MAX_FAILURES]), total

    def verdict(self, witnessed: bool) -> Verdict:
        """The verdict these findings amount to."""
        if self.failures:
            return Verdict.FAILED
        if self.lacking:
            return Verdict.UNVERIFIABLE
        return Verdict.VERIFIED if witnessed else Verdict.UNWITNESSED


def _order(failure: Failure) -> tuple[int, int]:
    if failure.position is not None:
        return (0, failure.position)
    return (1 if failure.tile is not None else 2, 0)


def span_words(first: int, last: int | None) -> str:
    """Positions in words: `12` or `12 to 15`."""
    return str(first) if last is None or last == first else f"{first} to {last}"
